"""init: a recipe for one's own data, written without asking, that plan reads."""

import json
from pathlib import Path

import datasets
import numpy as np
import pytest
import typer
from PIL import Image

from edgedistill.cli import questions
from edgedistill.cli.app import run_command_line
from edgedistill.errors import DataError, UsageError
from edgedistill.recipe import read_recipe
from edgedistill.recipe_writer import RecipeAnswers
from edgedistill.tasks.registry import task_named
from edgedistill.tasks.text_classification.first_texts import rows_seen_for
from edgedistill.tasks.text_classification.task import DEFAULT_TEACHER

TEXTS, PICTURES = task_named("text-classification"), task_named("image-classification")
ROWS = "stars\treview\n" + "".join(f"{1 + i % 2}\treview number {i} of the film\n" for i in range(40))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.tsv"
    path.write_text(ROWS, encoding="utf-8")
    return path


def _encoder(folder: Path) -> Path:
    """A folder that looks like an encoder to everything that does not load its weights."""
    folder.mkdir()
    files = {"config.json": '{"model_type": "bert"}', "vocab.txt": "[PAD]\n", "model.safetensors": ""}
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_init_then_plan_goes_round(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine" / "recipe.yaml"
    code = run_command_line(["init", "--train", str(data), "--text-column", "review", "--label-column", "stars",
                             "--teacher", str(_encoder(tmp_path / "encoder")), "-o", str(out)])
    stdout, stderr = capsys.readouterr()
    assert code == 0
    assert stdout == f"wrote {out}\n"
    assert f"next: edgedistill plan --recipe {out} --target raspberry-pi" in stderr
    assert read_recipe(out).id == "reviews"
    assert run_command_line(["plan", "--recipe", str(out), "--target", "raspberry-pi", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["raspberry-pi"]
    assert [row["is_chosen"] for row in plan["ledger"]].count(True) == 1
    chosen = next(row for row in plan["ledger"] if row["is_chosen"])
    assert chosen["rung"] == plan["chosen"]
    assert chosen["int8_bytes"] <= 3 * 2**20
    larger = [row for row in plan["ledger"] if row["int8_bytes"] > chosen["int8_bytes"]]
    assert all(row["rejected_because"] for row in larger)


def test_init_when_the_labels_are_lists_then_the_recipe_says_that_there_may_be_several(tmp_path: Path) -> None:
    data = tmp_path / "tickets.jsonl"
    data.write_text("".join(json.dumps({"text": f"ticket {i}", "label": ["a", "b"][: i % 3]}) + "\n" for i in range(20)))
    assert run_command_line(["init", "--train", str(data), "-o", str(tmp_path / "recipe.yaml")]) == 0
    assert read_recipe(tmp_path / "recipe.yaml").data.several_labels


def test_init_when_a_separator_is_given_then_it_stands_in_the_recipe(tmp_path: Path) -> None:
    data = tmp_path / "tickets.csv"
    data.write_text("text,label\nhi,a;b\nho,\n")
    assert run_command_line(["init", "--train", str(data), "--label-separator", ";", "-o", str(tmp_path / "recipe.yaml")]) == 0
    found = read_recipe(tmp_path / "recipe.yaml").data
    assert (found.several_labels, found.label_separator, found.separator) == (True, ";", ";")


def test_init_images_when_a_separator_is_given_then_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["init", "--images", str(photos), "--label-separator", ";"]) == 2
    assert "a picture has one label" in capsys.readouterr().err


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(8):
            pixels = rng.integers(0, 256, (40, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path / "photos"


def test_init_images_when_the_teacher_reads_texts_then_refused_and_nothing_is_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "photos.yaml"
    for teacher in (DEFAULT_TEACHER.name, str(_encoder(tmp_path / "encoder"))):
        assert run_command_line(["init", "--images", str(photos), "--teacher", teacher, "-o", str(out)]) == 2
        told = capsys.readouterr().err
        assert f"{teacher}: is a model of texts, and image-classification needs a teacher that reads pictures" in told
        assert "edgedistill init --images DIR" in told
        assert not out.exists()


def test_init_when_the_teacher_of_texts_reads_pictures_then_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _encoder(tmp_path / "classifier")
    (folder / "vocab.txt").rename(folder / "preprocessor_config.json")
    assert run_command_line(["init", "--train", str(data), "--text-column", "review", "--label-column", "stars",
                             "--teacher", str(folder), "-o", str(tmp_path / "r.yaml")]) == 2
    assert "is a model of pictures, and text-classification needs a teacher that reads texts" in capsys.readouterr().err


@pytest.mark.parametrize("teacher", ["encoder", DEFAULT_TEACHER.name])
def test_plan_of_pictures_when_the_recipe_has_a_text_model_as_teacher_then_one_error_before_any_work(
    teacher: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _encoder(tmp_path / "encoder")
    recipe = tmp_path / "photos.yaml"
    recipe.write_text(f"id: p\ntask: image-classification\ndata: {{train: photos}}\nteacher: {{name: {teacher}}}\n", encoding="utf-8")
    for command in (["plan"], ["run", "-o", str(tmp_path / "run")]):
        assert run_command_line([*command, "--recipe", str(recipe), "--target", "raspberry-pi"]) == 2
        told = capsys.readouterr().err
        assert "is a model of texts, and image-classification needs a teacher that reads pictures" in told
        assert "edgedistill init --images DIR" in told
    assert not list((tmp_path / "run").rglob("*.arrow"))


def test_init_images_when_no_picture_or_one_class_is_there_then_refused_and_nothing_is_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, out = photos / "d.csv", tmp_path / "photos.yaml"
    table.write_text("image,label\nphotos/cat/0.png,cat\nphotos/dog/0.png,dog\n", encoding="utf-8")
    for source, said in ((table, "none of 2 pictures can be opened"), (tmp_path, "two classes are needed")):
        assert run_command_line(["init", "--images", str(source), "-o", str(out)]) == 2
        assert said in capsys.readouterr().err
        assert not out.exists()


def test_run_when_started_in_the_folder_of_the_pictures_then_refused_with_a_folder_outside(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos)
    assert run_command_line(["init", "--images", "."]) == 0
    assert run_command_line(["run", "--recipe", "recipe.yaml", "--target", "raspberry-pi"]) != 0
    assert "-o ../runs/photos" in capsys.readouterr().err
    assert sorted(item.name for item in photos.iterdir()) == ["cat", "dog", "recipe.yaml"]


def test_init_images_when_the_teacher_is_an_id_of_the_hub_then_it_is_in_the_recipe(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "photos.yaml"
    assert run_command_line(["init", "--images", str(photos), "--teacher", "microsoft/resnet-18", "-o", str(out)]) == 0
    teacher = read_recipe(out).teacher
    assert (teacher.name, teacher.allow_hub, teacher.configuration) == ("microsoft/resnet-18", True, None)


def test_init_images_when_the_task_is_of_texts_then_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["init", "--images", str(photos), "--task", "text-classification"]) == 2
    told = capsys.readouterr().err
    assert "--images names pictures, and --task says text-classification" in told
    assert "give --train FILE" in told


def test_init_images_then_plan_goes_round(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "photos.yaml"
    assert run_command_line(["init", "--images", str(tmp_path / "photos"), "-o", str(out)]) == 0
    assert f"next: edgedistill plan --recipe {out} --target raspberry-pi" in capsys.readouterr().err
    recipe = read_recipe(out)
    assert (recipe.id, recipe.task, recipe.data.train) == ("photos", "image-classification", "photos")
    assert recipe.distillation.baseline_rows_seen == recipe.distillation.rows_seen
    written = out.read_text(encoding="utf-8")
    assert (recipe.distillation.rows_seen, recipe.distillation.transfer_set.rows) == (100_000, 100_000)  # of 16 pictures
    assert recipe.pictures.teacher_copies == recipe.distillation.transfer_set.copies == 40
    assert recipe.teacher.fine_tuning.epochs is None
    for line in ("  baseline_rows_seen: 100000\n", "  transfer_set:\n", "    copies: 40\n", "  changes:\n", "    flip: false\n"):
        assert f"\n{line}" in written
    assert "\n  # Which changes keep the class is yours to know" in written
    assert "\n  # 40 passes over the 16 pictures of train, but 100,000 at least and 3,000,000 at most. An hour of one core" in written
    lines = written.splitlines()
    keys = [i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(("#", "-"))]
    assert all(lines[i - 1].lstrip().startswith("# ") for i in keys)
    assert run_command_line(["plan", "--recipe", str(out), "--target", "raspberry-pi", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)["raspberry-pi"]
    assert [row["is_chosen"] for row in plan["ledger"]].count(True) == 1
    assert "pictures of " in json.dumps(plan["stored"])


def test_plan_when_printed_as_text_then_every_number_has_its_unit(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "recipe.yaml"
    run_command_line(["init", "--train", str(data), "--text-column", "review", "--label-column", "stars",
                      "--teacher", str(_encoder(tmp_path / "encoder")), "-o", str(out)])
    capsys.readouterr()
    assert run_command_line(["plan", "--recipe", str(out), "-t", "raspberry-pi", "-t", "raspberry-pi-zero-2w"]) == 0
    text = capsys.readouterr().out
    assert "Raspberry Pi 4" in text
    assert "Raspberry Pi Zero 2 W" in text
    assert "40 rows, 2 classes" in text
    assert "budgets: model_bytes 3.00 MiB, peak_memory_bytes 48.00 MiB, latency_p50_s 10.00 ms" in text


def test_questions_when_nobody_can_be_asked_then_names_the_option() -> None:
    with pytest.raises(UsageError, match="no training data") as refused:
        questions.ask_missing(task=TEXTS, train=None, validation=None, test=None,
                              columns=("text", "label"), teacher=None, may_ask=False)
    assert "--train FILE" in refused.value.hint
    with pytest.raises(UsageError, match="no training data") as refused:
        questions.ask_missing(task=PICTURES, train=None, validation=None, test=None,
                              columns=("image", "label"), teacher=None, may_ask=False)
    assert "--images DIR" in refused.value.hint


def _answering(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Answer the questions in their order; return the list of what was asked."""
    left = iter(answers)
    asked: list[str] = []

    def prompt(text: str, **options: object) -> str:
        asked.append(text)
        return next(left)

    monkeypatch.setattr(typer, "prompt", prompt)
    return asked


def _ask(test: Path | None = None) -> RecipeAnswers:
    return questions.ask_missing(task=TEXTS, train=None, validation=None, test=test, columns=("text", "label"), teacher=None,
                                 may_ask=True)


def test_questions_when_on_a_terminal_then_asks_four(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "train.csv").write_text("review,stars\nfine,4\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = _answering(monkeypatch, "~/films/train.csv", "review", "stars", "some/encoder")
    found = _ask()
    assert len(asked) == 4
    assert (found.recipe_id, found.train, found.text_column, found.label_column, found.teacher) == (
        "films", tmp_path / "films" / "train.csv", "review", "stars", "some/encoder")


def test_questions_when_an_answer_is_wrong_then_says_so_before_the_next_question(
    monkeypatch: pytest.MonkeyPatch, data: Path
) -> None:
    asked = _answering(monkeypatch, str(data.with_name("reveiws.tsv")))
    with pytest.raises(DataError, match="no such file; did you mean 'reviews.tsv'"):
        _ask()
    assert len(asked) == 1
    asked = _answering(monkeypatch, str(data), "review", "star")
    with pytest.raises(DataError, match="no column 'star'; did you mean 'stars'"):
        _ask()
    assert len(asked) == 3
    asked = _answering(monkeypatch)
    with pytest.raises(DataError, match="no such file"):
        _ask(test=data.with_name("test.tsv"))
    assert not asked


def test_init_when_the_recipe_is_there_then_says_so_before_it_looks_at_the_data(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["init", "-o", str(data)]) == 2
    assert "exists already and is not overwritten" in capsys.readouterr().err


def test_init_when_the_separator_is_too_long_or_empty_then_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for separator in ("", "123456789"):
        assert run_command_line(["init", "--train", str(data), "--label-separator", separator]) == 2
        assert "--label-separator: 1 to 8 characters are expected" in capsys.readouterr().err


def test_init_when_the_texts_are_long_then_fewer_rows_with_the_reason(tmp_path: Path) -> None:
    data = tmp_path / "articles.csv"
    data.write_text("text,label\n" + "".join(f"{'word ' * 33} {i},{i % 2}\n" for i in range(50)))
    assert run_command_line(["init", "--train", str(data), "-o", str(tmp_path / "recipe.yaml")]) == 0
    # 34 words are taken for 50 tokens: 8 million are 160,000 rows
    assert read_recipe(tmp_path / "recipe.yaml").distillation.rows_seen == 160_000
    assert "fewer than usual, as the texts have about 50 tokens" in (tmp_path / "recipe.yaml").read_text()


def test_init_when_a_few_texts_are_very_long_then_what_is_not_read_of_them_does_not_count(tmp_path: Path) -> None:
    rows = [f"{i % 2}\t{'word ' * (20_000 if i % 50 == 0 else 12)}" for i in range(200)]
    (tmp_path / "a.tsv").write_text("label\ttext\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert run_command_line(["init", "--train", str(tmp_path / "a.tsv"), "-o", str(tmp_path / "recipe.yaml")]) == 0
    assert read_recipe(tmp_path / "recipe.yaml").distillation.rows_seen == 250_000


@pytest.mark.parametrize(("tokens", "rows"), [(10, 250_000), (32, 250_000), (50, 160_000), (400, 100_000)])
def test_rows_seen_for_texts_of_a_length_then_eight_million_tokens_within_limits(tokens: int, rows: int) -> None:
    assert rows_seen_for(np.full(20, tokens), usual=250_000) == rows


def test_init_when_a_saved_dictionary_holds_other_splits_then_it_says_that_they_are_not_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    rows = datasets.Dataset.from_dict({"text": ["lamp on", "stop"], "label": ["light", "music"]})
    saved = tmp_path / "saved"
    datasets.DatasetDict({"train": rows, "validation": rows, "test": rows}).save_to_disk(str(saved))
    out = tmp_path / "a.yaml"
    assert run_command_line(["init", "--train", str(saved), "-o", str(out)]) == 0
    assert f"add --validation {saved} --test {saved}" in caplog.text + capsys.readouterr().err
    caplog.clear()
    named = ["--validation", str(saved), "--test", str(saved)]
    assert run_command_line(["init", "--train", str(saved), *named, "-o", str(tmp_path / "b.yaml")]) == 0
    assert "not used" not in caplog.text + capsys.readouterr().err
    assert read_recipe(tmp_path / "b.yaml").data.test == "saved"


def test_init_when_a_folder_of_pictures_is_named_as_texts_then_the_hint_is_the_option(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["init", "--train", str(photos)]) == 2
    assert "--images" in capsys.readouterr().err
