"""A student that int8 ruins, and that the fine-tuning rescues: what it answers in float comes back in int8."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.distill.aware import work
from edgedistill.distill.aware.stage import GAIN_FILE, STAGE, Gain, Inputs, Settings
from edgedistill.examples import write_examples
from edgedistill.export.stage import STAGE as EXPORT
from edgedistill.export.stage import Inputs as ExportInputs
from edgedistill.export.stage import Settings as ExportSettings
from edgedistill.quantize import stage as court
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.recipe import Distillation
from edgedistill.results import QuantizationVerdict
from edgedistill.soft_labels import Origin, write_soft_labels
from edgedistill.stage import Done, Workspace
from edgedistill.tasks.text_classification.encoding import TextEncoder

SCHEME = "dynamic_wi8_afp32"


class Killed(BaseException):
    """Stands for SIGKILL."""


@dataclass(frozen=True)
class Problem:
    """A student, its float graph, and data on which it is right in float."""

    student: Path
    graph: Path
    data: Path
    work: Workspace

    @property
    def inputs(self) -> Inputs:
        names = ("train.arrow", "transfer.arrow", "validation.arrow", "soft_labels.arrow")
        return Inputs(self.student, self.graph / "model.onnx", *(self.data / name for name in names))

    def export(self, model: Path) -> Path:
        return self.work.perform("export", EXPORT, ExportSettings(max_ir_version=10, max_opset=18), ExportInputs(model)).folder

    def judge(self, model: Path) -> QuantizationVerdict:
        settings = court.settings_for(SchemeChoice((SCHEME,), "the test says so"), min_agreement=0.9, host_saturates=False)
        settings = settings.model_copy(update={"wanted": settings.wanted.model_copy(update={"trials": 0, "max_accuracy_loss": 0.03})})
        inputs = court.Inputs(model, self.data / "validation.arrow", reference=self.graph)
        done = self.work.perform("quantize", court.STAGE, settings, inputs)
        return QuantizationVerdict.read_json(done.folder / court.VERDICT_FILE)

    def tune(self, **changes: Any) -> Done:
        settings = Settings(scheme=SCHEME, steps=96, learning_rate=2e-3, seed=3,
                            distillation=Distillation(batch_size=32, temperature=2.0, alpha=0.9))
        return self.work.perform("distill-aware", STAGE, settings.model_copy(update=changes), self.inputs)


def as_batch(encoder: TextEncoder, texts: list[str]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in encoder.encode(texts).batch(np.arange(len(texts))).items()}


def learn(model: Any, batch: dict[str, torch.Tensor], classes: list[int]) -> None:
    """Train a float student that is right on nearly every text."""
    optimizer, labels, random = torch.optim.AdamW(model.parameters(), lr=5e-3), torch.tensor(classes), np.random.default_rng(0)
    for _ in range(80):
        rows = torch.from_numpy(random.integers(0, len(classes), 32))
        loss = torch.nn.functional.cross_entropy(model(**{k: v[rows] for k, v in batch.items()}).logits, labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def outlier(model: Any, *, factor: float) -> None:
    """Make one channel of the values large and its use small: float answers stay, one scale a matrix serves it alone."""
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            value, output = layer.attention.self.value, layer.attention.output.dense
            value.weight[5] *= factor
            value.bias[5] *= factor
            output.weight[:, 5] /= factor


@pytest.fixture(scope="module")
def problem(
    make_classifier: Callable[..., Any], write_tokenizer_files: Callable[[Path], None], rows: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Problem:
    folder = tmp_path_factory.mktemp("rescued")
    student, data = folder / "student", folder / "data"
    data.mkdir()
    model = make_classifier("bert", num_hidden_layers=1, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.05)
    write_tokenizer_files(data)
    encoder = TextEncoder.load(data)
    drawn = {name: rows(n, seed=seed) for name, n, seed in (("train", 300, 1), ("transfer", 300, 2), ("validation", 200, 3))}
    batches = {name: as_batch(encoder, texts) for name, (texts, _) in drawn.items()}
    learn(model, batches["train"], drawn["train"][1])
    outlier(model, factor=400.0)
    model.save_pretrained(student)
    write_tokenizer_files(student)
    ids, logits = [], []
    for name, (texts, classes) in drawn.items():
        names = [f"{name}-{i}" for i in range(len(texts))]
        write_examples(data / f"{name}.arrow", names, texts, classes)
        ids += names
        with torch.inference_mode():
            logits.append(model(**batches[name]).logits.numpy())
    write_soft_labels(data / "soft_labels.arrow", [(ids, np.concatenate(logits))], classes=3, origin=Origin("t", "k", "d"))
    made = Problem(student, student, data, Workspace(folder / "stages"))
    return Problem(student, made.export(student), data, made.work)


def test_student_that_int8_ruins_when_fine_tuned_then_keeps_in_int8_what_it_had_in_float(problem: Problem) -> None:
    before = problem.judge(problem.graph)
    assert before.is_float
    in_float = before.float_accuracy or 0
    (ruined,) = [row for row in before.table if row.outcome == "refused"]
    tuned = problem.tune()
    after = problem.judge(problem.export(tuned.folder))
    gain = Gain.read_json(tuned.folder / GAIN_FILE)
    (rescued,) = [row for row in after.table if row.outcome == "chosen"]
    assert after.scheme == SCHEME
    assert in_float > 0.95
    assert (ruined.accuracy or 0) < in_float - 0.2
    assert (rescued.accuracy or 0) > in_float - 0.03
    print(f"float {in_float}, int8 {ruined.accuracy}, fine-tuned int8 {rescued.accuracy}; {gain}")  # -s shows it
    assert gain.after.kl_nats < gain.before.kl_nats / 2
    assert tuned.manifest.decisions[0].what.startswith(f"fine-tuned for {SCHEME}: 96 steps")


def test_fine_tuning_with_fixed_ranges_when_killed_and_resumed_then_the_same_bytes(
    problem: Problem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: dict[str, Any] = {"scheme": "static_wi8_ai8_per_channel", "steps": 12, "learning_rate": 1e-3}
    whole = problem.tune(**wanted).folder
    elsewhere = replace(problem, work=Workspace(tmp_path))
    real, calls = work.teacher_loss, 0

    def dying(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += torch.is_grad_enabled()
        if calls == 8:
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(work, "teacher_loss", dying)
        elsewhere.tune(**wanted)
    resumed = elsewhere.tune(**wanted).folder
    names = sorted(path.name for path in whole.iterdir() if path.name != "manifest.json")
    assert names == sorted(path.name for path in resumed.iterdir() if path.name != "manifest.json")
    assert [name for name in names if (whole / name).read_bytes() != (resumed / name).read_bytes()] == []
    assert (whole / "tokenizer.json").read_bytes() == (problem.student / "tokenizer.json").read_bytes()
    assert json.loads((whole / "config.json").read_text()) == json.loads((problem.student / "config.json").read_text())
