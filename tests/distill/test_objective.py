"""The recipe's losses put together: weights over the steps, the teacher asked only when needed, what is added to what."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy

from edgedistill.distill import work
from edgedistill.distill.internals import Needs, observe
from edgedistill.distill.losses import (
    attention_map_loss,
    decoupled_loss,
    distillation_loss,
    hard_label_loss,
    hidden_state_loss,
    multi_label_distillation_loss,
    relation_loss,
    self_attention_loss,
    sentence_vector_loss,
)
from edgedistill.distill.objective import GuidedObjective, logit_loss, loss_terms, weight_at
from edgedistill.distill.stage import StudentInputs, StudentSettings
from edgedistill.examples import NO_LABEL
from edgedistill.objective import TrainingBatch
from edgedistill.recipe import Distillation, LossName, LossTerm
from edgedistill.shape import StudentShape
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.teach.sentence_vectors import VIEWS
from edgedistill.teach.teacher_model import sentence_states_of, sentence_vectors_of
from edgedistill.training import TrainingSet

INNER = [name for name in get_args(LossName) if name not in ("decoupled-kd", "sentence-vectors")]
NAMES = ("input_ids", "attention_mask", "token_type_ids")


@pytest.mark.parametrize("losses", [[], [{"name": "decoupled-kd", "weight": 0.5}]])
def test_loss_terms_when_weighed_by_alpha_are_the_loss(losses: list[dict[str, Any]]) -> None:
    settings = Distillation.model_validate({"temperature": 2.0, "alpha": 0.7, "losses": losses})
    torch.manual_seed(0)
    logits, soft, hard = torch.randn(6, 4), torch.randn(6, 4), torch.tensor([0, 1, NO_LABEL, 3, NO_LABEL, 2])
    terms = loss_terms(settings, logits, hard, soft)
    assert int(terms.labelled) == 4
    assert float(terms.hard) == pytest.approx(float(cross_entropy(logits[hard >= 0], hard[hard >= 0], reduction="sum")), rel=1e-5)
    expected = float(logit_loss(settings, logits, hard, soft))
    assert 0.7 * float(terms.soft) + 0.3 * float(terms.hard) / 6 == pytest.approx(expected, rel=1e-5)


def term(name: str, **keys: Any) -> LossTerm:
    return LossTerm.model_validate({"name": name, **keys})


def on_logits(logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None) -> torch.Tensor:
    return cross_entropy(logits, hard)


@pytest.fixture
def student(make_classifier: Callable[..., Any]) -> Any:
    """Half as wide, half the heads, one layer."""
    return make_classifier(seed=1, hidden_size=16, num_attention_heads=2, num_hidden_layers=1, hidden_dropout_prob=0.0,
                           attention_probs_dropout_prob=0.0).train()


@pytest.fixture
def teacher(make_classifier: Callable[..., Any]) -> Any:
    model = make_classifier(seed=2).train()
    model.calls = 0

    def count(*_: Any) -> None:
        model.calls += 1

    model.register_forward_pre_hook(count)
    return model


def batch_at(progress: float = 0.0) -> TrainingBatch:
    ids = torch.tensor([[2, 8, 9, 10, 3], [2, 11, 3, 0, 0]])
    mask = (ids != 0).long()
    tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids),
               "labels": torch.tensor([1, 2]), "teacher_input_ids": torch.where(mask == 1, ids + 4, 0)}
    return TrainingBatch(tensors, NAMES, progress)


def guided(student: Any, teacher: Any, *terms: LossTerm) -> GuidedObjective:
    return GuidedObjective(on_logits, terms, student=student, teacher=teacher, seed=5)


@pytest.mark.parametrize(
    ("keys", "expected"),  # at 0, 0.2, 0.4, 0.6, 0.99 of the steps
    [
        ({}, [3.0, 3.0, 3.0, 3.0, 3.0]),
        ({"until": 0.4}, [3.0, 3.0, 0.0, 0.0, 0.0]),
        ({"from": 0.4}, [0.0, 0.0, 3.0, 3.0, 3.0]),
        ({"decay": "linear"}, [3.0, 2.4, 1.8, 1.2, 0.03]),
        ({"from": 0.2, "until": 0.6, "decay": "linear"}, [0.0, 3.0, 1.5, 0.0, 0.0]),
    ],
)
def test_weight_at_follows_window_and_decay(keys: dict[str, Any], expected: list[float]) -> None:
    one = term("minilm-v2", weight=3.0, **keys)
    assert [weight_at(one, progress) for progress in (0.0, 0.2, 0.4, 0.6, 0.99)] == pytest.approx(expected)


@pytest.mark.parametrize("name", INNER)
def test_objective_adds_each_loss_times_its_weight_to_the_loss_on_logits(name: str, student: Any, teacher: Any) -> None:
    objective, batch = guided(student, teacher, term(name, weight=0.5)), batch_at()
    mask = batch.tensors["attention_mask"]
    needs = Needs(hidden_states=True, attentions=True)
    ours = observe(student, student, batch.inputs, needs=needs)
    theirs = observe(teacher, teacher, batch.inputs | {"input_ids": batch.tensors["teacher_input_ids"]}, needs=needs).internals
    layer, last = ours.internals.attentions[0], theirs.attentions[1]
    inner = {
        "attentions": lambda: attention_map_loss(layer, last, mask),
        "minilm-v1": lambda: self_attention_loss(layer, last, mask),
        "minilm-v2": lambda: relation_loss(layer, last, mask, relation_heads=16),
        "hidden-states": lambda: (
            hidden_state_loss(ours.internals.hidden_states[0], theirs.hidden_states[0], projection=objective.learned["embedding"], mask=mask)
            + hidden_state_loss(ours.internals.hidden_states[1], theirs.hidden_states[2], projection=objective.learned["layers"], mask=mask)
        ) / 2,
    }[name]()
    expected = cross_entropy(ours.logits, batch.tensors["labels"]) + 0.5 * inner
    # the teacher answers in bfloat16 where the processor has it
    assert objective(student, batch).loss.item() == pytest.approx(expected.item(), rel=2e-2)
    assert inner.item() > 0.01


@pytest.mark.parametrize("name", INNER)
def test_objective_of_a_student_that_is_its_teacher_adds_nothing(name: str, make_classifier: Callable[..., Any]) -> None:
    one, same = make_classifier(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).train(), make_classifier()
    objective, batch = guided(one, same, term(name)), batch_at()
    batch.tensors["teacher_input_ids"] = batch.tensors["input_ids"]
    if objective.learned is not None:
        for parameter in objective.learned.parameters():
            torch.nn.init.eye_(parameter)
    base = cross_entropy(one(**batch.inputs).logits, batch.tensors["labels"])
    assert objective(one, batch).loss.item() == pytest.approx(base.item(), abs=5e-3)


@pytest.mark.parametrize("name", INNER)
def test_objective_gives_gradients_to_student_and_projections_alone(name: str, student: Any, teacher: Any) -> None:
    objective = guided(student, teacher, term(name))
    objective(student, batch_at()).loss.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in student.parameters())
    assert student.bert.encoder.layer[0].attention.self.query.weight.grad.abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in (objective.learned.parameters() if objective.learned is not None else ()))
    assert not any(p.requires_grad or p.grad is not None for p in teacher.parameters())
    assert not teacher.training


def test_objective_asks_the_teacher_only_in_steps_with_a_weight_and_never_in_validation(student: Any, teacher: Any) -> None:
    objective = guided(student, teacher, term("hidden-states", until=0.5), term("minilm-v2", **{"from": 0.25}, until=0.75))
    asked = []
    for progress in (0.0, 0.3, 0.6, 0.75, 0.9):
        before = teacher.calls
        objective(student, batch_at(progress))
        asked.append(teacher.calls - before)
    assert asked == [1, 1, 1, 0, 0]
    student.eval()
    validated = objective(student, batch_at(0.3)).loss
    assert teacher.calls == 3
    assert float(validated) == pytest.approx(float(cross_entropy(student(**batch_at().inputs).logits, torch.tensor([1, 2]))))


def test_objective_outside_of_every_window_asks_the_student_for_its_logits_alone(
    student: Any, teacher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[set[str]] = []
    forward = student.forward

    def spy(**inputs: Any) -> Any:
        given.append(set(inputs))
        return forward(**inputs)

    monkeypatch.setattr(student, "forward", spy)
    guided(student, teacher, term("hidden-states", until=0.5))(student, batch_at(0.5))
    assert given == [set(NAMES)]


def test_objective_outside_of_the_window_gives_the_projections_a_gradient_of_zero(student: Any, teacher: Any) -> None:
    objective = guided(student, teacher, term("hidden-states", until=0.5))
    objective(student, batch_at(0.7)).loss.backward()
    assert all(p.grad is not None and not p.grad.any() for p in objective.learned.parameters())


@pytest.mark.parametrize("name", [name for name in INNER if name != "hidden-states"])
def test_objective_without_hidden_states_learns_nothing_beside(name: str, student: Any, teacher: Any) -> None:
    assert guided(student, teacher, term(name)).learned is None


def test_objective_draws_its_projections_from_its_own_seed(student: Any, teacher: Any) -> None:
    torch.manual_seed(0)
    first = guided(student, teacher, term("hidden-states")).learned
    drawn = torch.rand(3)
    torch.manual_seed(1)
    second = guided(student, teacher, term("hidden-states")).learned
    assert all(torch.equal(first[name], second[name]) for name in ("embedding", "layers"))
    assert tuple(first["layers"].shape) == (16, 32)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(3), drawn)


@pytest.fixture
def small_set(student: Any, model_folder: Callable[[str], Path], rows: Callable[..., Any]) -> TrainingSet:
    """40 texts; student and teacher have one vocabulary here."""
    encoded = TextEncoder.load(model_folder("bert")).encode(rows(40, seed=4)[0])
    return TrainingSet(encoded, np.zeros(40, np.int32), None, encoded)


def states(model: Any, data: TrainingSet, layer: int) -> np.ndarray:
    """All real tokens of a layer, text by text, without padding."""
    found = []
    for i in range(len(data)):
        inputs = {name: torch.from_numpy(values) for name, values in data.encoded.batch([i]).items()}
        with torch.inference_mode():
            found.append(model.eval()(**inputs, output_hidden_states=True).hidden_states[layer][0].numpy())
    return np.concatenate(found)


def test_fit_projections_finds_the_least_squares_of_numpy(student: Any, teacher: Any, small_set: TrainingSet) -> None:
    objective = guided(student, teacher, term("hidden-states"))
    objective.fit_projections(small_set)
    assert student.training
    for name, ours, theirs in (("embedding", 0, 0), ("layers", 1, 2)):
        source, target = states(student, small_set, ours), states(teacher, small_set, theirs)
        best = np.linalg.lstsq(source, target, rcond=None)[0]
        found = objective.learned[name].detach().numpy()
        errors = [((source @ matrix - target) ** 2).mean() for matrix in (best, found)]
        assert errors[1] == pytest.approx(errors[0], rel=1e-2)  # a ridge, and bfloat16 in the teacher
        assert errors[0] < 0.8 * (target**2).mean()


def test_fit_projections_without_hidden_states_asks_nobody(student: Any, teacher: Any, small_set: TrainingSet) -> None:
    guided(student, teacher, term("minilm-v2")).fit_projections(small_set)
    assert teacher.calls == 0


def test_objective_on_the_last_layer_alone_has_no_embedding(student: Any, teacher: Any) -> None:
    objective = guided(student, teacher, term("hidden-states", layers="last"))
    objective(student, batch_at()).loss.backward()
    assert objective.learned["layers"].grad.any()
    assert not objective.learned["embedding"].grad.any()


LOGITS = torch.tensor(np.random.default_rng(0).normal(0, 2, (3, 4)))
SOFT = torch.tensor(np.random.default_rng(1).normal(0, 2, (3, 4)))
HARD = torch.tensor([2, NO_LABEL, 0])


def test_logit_loss_of_a_recipe_without_losses_is_the_distillation_loss() -> None:
    found = logit_loss(Distillation(temperature=3.0, alpha=0.7), LOGITS, HARD, SOFT)
    assert float(found) == float(distillation_loss(LOGITS, HARD, SOFT, temperature=3.0, alpha=0.7))


@pytest.mark.parametrize(("keys", "beta"), [({}, 8.0), ({"beta": 2.0}, 2.0), ({"beta": 0.0}, 0.0)])
def test_logit_loss_with_decoupled_kd_replaces_the_soft_part_and_keeps_the_hard_one(keys: dict[str, float], beta: float) -> None:
    settings = Distillation(temperature=3.0, alpha=0.7, losses=(term("decoupled-kd", weight=0.5, **keys),))
    targets = torch.tensor([2, int(SOFT[1].argmax()), 0])  # nobody labelled row 1: the teacher's choice
    soft = decoupled_loss(LOGITS, SOFT, targets, temperature=3.0, beta=beta)
    expected = 0.7 * 0.5 * soft + 0.3 * hard_label_loss(LOGITS, HARD)
    assert float(logit_loss(settings, LOGITS, HARD, SOFT)) == pytest.approx(float(expected), rel=1e-12)


def test_logit_loss_of_several_labels_a_text_takes_the_binary_form() -> None:
    labels = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]])
    expected = multi_label_distillation_loss(LOGITS, labels, SOFT, temperature=2.0, alpha=0.9)
    assert float(logit_loss(Distillation(), LOGITS, labels, SOFT)) == float(expected)
    with pytest.raises(ValueError, match="are several a text: leave it out of distillation.losses"):
        logit_loss(Distillation(losses=(term("decoupled-kd"),)), LOGITS, labels, SOFT)


@pytest.mark.parametrize("losses", [(), (term("decoupled-kd"),)])
def test_a_recipe_that_looks_at_logits_alone_loads_no_teacher_for_its_training(
    losses: tuple[LossTerm, ...], student: Any, labels: tuple[str, ...]
) -> None:
    settings = StudentSettings(
        shape=StudentShape(id="t", layers=1, hidden=16, heads=2, intermediate=32, vocabulary=100), initialisation="cut",
        distillation=Distillation(losses=losses), max_tokens=16, seed=1,
    )
    nowhere = StudentInputs(*[Path("nowhere")] * 8)
    objective = work._objective(settings, nowhere, student, labels)
    assert not isinstance(objective, GuidedObjective)
    batch = TrainingBatch({"labels": HARD, "soft_labels": SOFT}, NAMES, 0.0)
    expected = logit_loss(settings.distillation, LOGITS, HARD, SOFT)
    assert float(objective.score(LOGITS, batch).loss) == pytest.approx(float(expected), rel=1e-5)  # float32


def with_vectors(small_set: TrainingSet) -> TrainingSet:
    vectors = np.random.default_rng(3).normal(size=(len(small_set), VIEWS, 5)).astype(np.float16)
    return replace(small_set, teacher_encoded=None, sentence_vectors=vectors)


def batch_of(data: TrainingSet, size: int = 8) -> TrainingBatch:
    tensors = {name: torch.from_numpy(values) for name, values in data.__getitems__(range(size)).items()}
    return TrainingBatch(tensors, NAMES, 0.0)


def test_objective_on_sentence_vectors_needs_no_teacher_and_adds_its_weighted_error(
    student: Any, small_set: TrainingSet
) -> None:
    data = with_vectors(small_set)
    objective = GuidedObjective(on_logits, [term("sentence-vectors", weight=3.0)], student=student, seed=1)
    objective.fit_projections(data)
    assert (objective.is_asking, objective.is_on_sentences) == (False, True)
    batch = batch_of(data)
    with torch.no_grad():
        output = student(**batch.inputs, output_hidden_states=True)
        ours = sentence_vectors_of(sentence_states_of(output.hidden_states), batch.tensors["attention_mask"])
        projection = objective.learned["sentence-vectors"]
        expected = cross_entropy(output.logits, batch.tensors["labels"]) + 3 * sentence_vector_loss(
            ours, batch.tensors["sentence_vectors"], projection=projection)
        assert float(objective(student, batch).loss) == pytest.approx(float(expected), rel=1e-5)


def test_objective_on_sentence_vectors_starts_at_the_least_squares_fit(student: Any, small_set: TrainingSet) -> None:
    data = with_vectors(small_set)
    objective = GuidedObjective(on_logits, [term("sentence-vectors")], student=student, seed=1)
    objective.fit_projections(data)
    batch = batch_of(data, len(data))
    with torch.no_grad():
        states = student.eval()(**batch.inputs, output_hidden_states=True).hidden_states
        ours = sentence_vectors_of(sentence_states_of(states), batch.tensors["attention_mask"]).numpy().astype(np.float64)
    for view in range(VIEWS):
        design, wanted = np.hstack([ours[:, view], np.ones((len(data), 1))]), data.sentence_vectors[:, view].astype(np.float64)
        least = np.square(design @ np.linalg.lstsq(design, wanted, rcond=None)[0] - wanted).sum()
        reached = np.square(design @ objective.learned["sentence-vectors"][view].detach().numpy() - wanted).sum()
        assert least <= reached < 1.1 * least  # the ridge keeps it from the very bottom


def test_objective_that_asks_the_teacher_without_one_is_refused(student: Any) -> None:
    with pytest.raises(ValueError, match="minilm-v2 asks the teacher"):
        GuidedObjective(on_logits, [term("sentence-vectors"), term("minilm-v2")], student=student, seed=1)


@pytest.mark.slow
def test_objective_over_two_processes_gives_the_gradients_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("one_of_two.py")
    processes = [subprocess.Popen([sys.executable, str(script), str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [process.wait(timeout=200) for process in processes] == [0, 0]
    alone, *shared = (load_file(tmp_path / f"{name}.safetensors") for name in ("alone", "shared-0", "shared-1"))
    assert sum("learned_beside" in name for name in alone) == 4
    for gradients in shared:
        assert gradients.keys() == alone.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, alone[name], atol=2e-2, rtol=2e-2)  # bfloat16 in the teacher
    assert all(torch.equal(shared[0][name], shared[1][name]) for name in alone)
