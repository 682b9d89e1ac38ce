"""The whole line where a text may have several labels: one run on a tiny problem, its report, its student, its bundle."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

import edgedistill
from edgedistill.examples import read_examples
from edgedistill.package.predict import predict_text

from .tiny import FILLER, WORDS, write_teacher

SPLITS = {"train": 150, "validation": 40, "test": 60}


def write_problem(folder: Path) -> Path:
    """Write texts with words of any of the three classes, or none, and a recipe over them; return its path."""
    rng, seen = random.Random(11), set()
    for split, rows in SPLITS.items():
        lines = []
        while len(lines) < rows:
            labels = [label for label in WORDS if rng.random() < 0.4]
            words = [rng.choice(WORDS[label]) for label in labels] + rng.sample(FILLER, rng.randint(1, 5))
            rng.shuffle(words)
            text = " ".join(words)
            if text not in seen:
                seen.add(text)
                lines.append(json.dumps({"text": text, "label": labels}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_teacher(folder / "teacher")
    recipe = {
        "id": "several", "task": "text-classification",
        "data": {**{split: f"{split}.jsonl" for split in SPLITS}, "several_labels": True},
        "teacher": {"name": "teacher", "max_tokens": 32, "fine_tuning": {"epochs": 40, "learning_rate": 0.002, "batch_size": 16, "patience": 12}},
        "student": {"rung": "bert-2x64"},
        "distillation": {"rows_seen": 8000, "batch_size": 32, "transfer_set": {"rows": 600, "copies": 6}},
        "benchmark": {"min_runs": 20, "min_duration_s": 0.05, "warmup_runs": 3, "rounds": 2},
        "goals": [{"metric": "accuracy", "type": "max-degradation", "value": 0.2}], "seed": 3,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe), encoding="utf-8")  # JSON is YAML
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder; the recipe lies beside it."""
    folder = tmp_path_factory.mktemp("several")
    recipe = edgedistill.load_recipe(write_problem(folder))
    result = edgedistill.run(recipe, [edgedistill.load_target("raspberry-pi")], folder / "run")
    assert result.missed == ()
    assert result.parity_problems == ()
    return folder / "run"


def step_of(run: Path, name: str) -> Path:
    folder, = (run / ".stages" / name).iterdir()
    return folder


def test_run_when_texts_have_several_labels_then_teacher_and_student_find_the_sets(finished: Path) -> None:
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    variants = report["targets"]["raspberry-pi"]["variants"]
    for name in ("teacher", "student_int8"):
        # half of the texts have the most frequent set or another one; a model that learned nothing is right on less
        assert variants[name]["accuracy"] > 0.8, name
        assert variants[name]["micro_f1"] > 0.9, name


def test_student_when_loaded_then_says_that_it_gives_several_labels(finished: Path) -> None:
    from transformers import pipeline

    student = finished / "raspberry-pi" / "student"
    assert json.loads((student / "config.json").read_text())["problem_type"] == "multi_label_classification"
    answer = pipeline("text-classification", str(student), top_k=None)("hello thanks my friend")[0]
    found = {item["label"] for item in (answer if isinstance(answer, list) else [answer]) if item["score"] > 0.5}
    assert found == {"greet", "thank"}


def test_evaluation_when_labels_are_several_then_accuracy_is_that_of_whole_sets(finished: Path) -> None:
    truth = read_examples(step_of(finished, "prepare") / "test.arrow").labels
    evaluation = step_of(finished, "evaluate-test-student_int8") if (
        finished / ".stages" / "evaluate-test-student_int8").exists() else next(
        p.parent for p in (finished / ".stages").glob("*/*/evaluation.json")
        if json.loads(p.read_text())["variant"] == "student_int8" and json.loads(p.read_text())["split"] == "test")
    logits, figures = np.load(evaluation / "logits.npy"), json.loads((evaluation / "evaluation.json").read_text())
    assert figures["accuracy"]["value"] == pytest.approx(np.mean(((logits > 0) == truth).all(axis=1)))
    assert figures["confusion"] == []


def test_bundle_when_texts_have_several_labels_then_answers_with_all_that_apply(finished: Path) -> None:
    both, none = predict_text(finished / "raspberry-pi" / "bundle", ["hello thanks my friend", "all the people of town"])
    assert set(both.labels) == {"greet", "thank"}
    assert none.labels == ()
