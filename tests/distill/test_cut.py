"""Cutting a student out of a teacher: what is kept is what matters, and what is whole stays the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertForSequenceClassification

from edgedistill import batch_parts
from edgedistill.distill import cut as cut_module
from edgedistill.distill.cut import Records, can_be_cut, find_rotation, kept_layers, narrow, prune, record, why_not_cut
from edgedistill.distill.importance import Importance, measure_importance
from edgedistill.distill.student_model import cut_student, sample_texts, student_config
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.shape import StudentShape
from edgedistill.tasks.text_classification.encoding import EncodedTexts, TextEncoder
from edgedistill.tasks.text_classification.ladder import ladder

POSITIONS = 16


def shape(**changes: int) -> StudentShape:
    """The teacher's own shape (heads of 8) but for the changes."""
    return StudentShape(**({"id": "s", "layers": 2, "hidden": 32, "heads": 4, "intermediate": 64, "vocabulary": 100} | changes))


@pytest.fixture(scope="module")
def sample(model_folder: Callable[[str], Any], rows: Callable[..., Any]) -> EncodedTexts:
    return TextEncoder.load(model_folder("bert")).encode(rows(64, seed=4)[0])


@pytest.fixture(scope="module")
def unseen(model_folder: Callable[[str], Any], rows: Callable[..., Any]) -> dict[str, torch.Tensor]:
    return batch_of(TextEncoder.load(model_folder("bert")).encode(rows(200, seed=8)[0]))


def batch_of(encoded: EncodedTexts, indices: list[int] | None = None) -> dict[str, torch.Tensor]:
    chosen = np.arange(len(encoded)) if indices is None else indices
    return {name: torch.from_numpy(values) for name, values in encoded.batch(chosen).items()}


def all_after(records: Records) -> list[torch.Tensor]:
    return [records.after(place) for place in range(len(records.norms))]


@torch.inference_mode()
def logits(model: BertForSequenceClassification, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return model.eval()(**batch).logits


def cut(teacher: BertForSequenceClassification, wanted: StudentShape, sample: EncodedTexts, seed: int = 0) -> Any:
    config = student_config(wanted, ("a", "b", "c"), vocabulary=55, positions=POSITIONS, teacher=teacher)
    return cut_student(teacher, config, wanted, np.arange(55), sample, seed=seed)


@pytest.mark.parametrize(
    ("changes", "possible"),
    [({}, True), ({"hidden": 16, "heads": 2}, True), ({"layers": 1}, True), ({"intermediate": 8}, True), ({"layers": 3}, False),
     ({"hidden": 40}, False), ({"intermediate": 65}, False), ({"hidden": 12}, True), ({"hidden": 20, "heads": 2}, True)],
)
def test_can_be_cut_only_a_smaller_shape(
    tiny_config: Callable[..., Any], changes: dict[str, int], possible: bool
) -> None:
    assert can_be_cut(tiny_config("bert"), shape(**changes)) is possible


@pytest.mark.parametrize(("family", "changes", "says"), [
    ("roberta", {}, "of 'roberta'"),
    ("bert", {"position_embedding_type": "relative_key"}, "'relative_key'"),
    ("bert", {"pruned_heads": {1: [0, 2]}}, "some were pruned"),
    ("bert", {"pruned_heads": {1: []}}, ""),
    ("bert", {"num_hidden_layers": 1, "hidden_size": 16}, "layers 2 is more than its 1, hidden 32 is more than its 16"),
    ("bert", {}, ""),
])
def test_why_not_cut_names_what_is_in_the_way(
    tiny_config: Callable[..., Any], family: str, changes: dict[str, Any], says: str
) -> None:
    found = why_not_cut(tiny_config(family, **changes), shape())
    assert says in found
    assert bool(found) == bool(says)


@pytest.mark.parametrize("rung", [rung.id for rung in ladder()])
def test_can_be_cut_every_rung_out_of_a_bert_with_heads_of_64(tiny_config: Callable[..., Any], rung: str) -> None:
    config = tiny_config("bert", hidden_size=768, num_attention_heads=12, num_hidden_layers=12, intermediate_size=3072)
    assert can_be_cut(config, next(found for found in ladder() if found.id == rung))


def test_can_be_cut_only_of_bert_with_absolute_positions(tiny_config: Callable[..., Any]) -> None:
    assert not can_be_cut(tiny_config("roberta"), shape())
    assert not can_be_cut(tiny_config("distilbert"), shape())
    assert not can_be_cut(tiny_config("bert", position_embedding_type="relative_key"), shape())


@pytest.mark.parametrize(
    ("of", "count", "expected"),
    [(6, 6, [0, 1, 2, 3, 4, 5]), (6, 2, [0, 5]), (6, 1, [5]), (12, 4, [0, 4, 7, 11]), (12, 3, [0, 6, 11]), (1, 1, [0])],
)
def test_kept_layers_are_evenly_spread_with_the_first_and_the_last(of: int, count: int, expected: list[int]) -> None:
    found = kept_layers(of, count)
    assert len(found) == len(set(found)) == count
    assert found == expected or (of, count) == (12, 3) and found in ([0, 5, 11], [0, 6, 11])


def test_measure_importance_is_the_squared_slope_of_the_loss_along_a_scaled_part(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    teacher = make_classifier("bert").double()
    batch, step = batch_of(sample, [3]), 1e-4
    found = measure_importance(teacher, [batch], seed=7)
    drawn = torch.multinomial((logits(teacher, batch) / 4).softmax(-1), 1, generator=torch.Generator().manual_seed(7))[:, 0]

    def slope(weight: torch.nn.Parameter, columns: slice) -> float:
        losses = []
        with torch.no_grad():
            for factor in (1 + step, 1 - step):
                saved = weight[:, columns].clone()
                weight[:, columns] *= factor
                losses.append(float(torch.nn.functional.cross_entropy(logits(teacher, batch) / 4, drawn)))
                weight[:, columns] = saved
        return (losses[0] - losses[1]) / (2 * step)

    for index, layer in enumerate(teacher.bert.encoder.layer):
        for head in range(4):
            by_hand = slope(layer.attention.output.dense.weight, slice(8 * head, 8 * head + 8)) ** 2
            assert float(found.heads[index, head]) == pytest.approx(by_hand, rel=1e-3, abs=1e-9)
        for neuron in (0, 17, 63):
            by_hand = slope(layer.output.dense.weight, slice(neuron, neuron + 1)) ** 2
            assert float(found.neurons[index, neuron]) == pytest.approx(by_hand, rel=1e-3, abs=1e-9)


def test_measure_importance_of_several_labels_draws_every_class_by_itself(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    teacher = make_classifier("bert").double()
    teacher.config.problem_type = SEVERAL_LABELS
    batch, step = batch_of(sample, [3]), 1e-4
    found = measure_importance(teacher, [batch], seed=7)
    softened = logits(teacher, batch) / 4
    drawn = torch.bernoulli(softened.sigmoid(), generator=torch.Generator().manual_seed(7))
    losses = []
    weight, head = teacher.bert.encoder.layer[0].attention.output.dense.weight, slice(8, 16)
    with torch.no_grad():
        for factor in (1 + step, 1 - step):
            saved = weight[:, head].clone()
            weight[:, head] *= factor
            losses.append(float(torch.nn.functional.binary_cross_entropy_with_logits(
                logits(teacher, batch) / 4, drawn, reduction="sum")))
            weight[:, head] = saved
    assert float(found.heads[0, 1]) == pytest.approx(((losses[0] - losses[1]) / (2 * step)) ** 2, rel=1e-3, abs=1e-9)


def test_measure_importance_adds_up_over_batches_and_leaves_the_teacher_as_it_was(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    teacher = make_classifier("bert")
    before = logits(teacher, batch_of(sample))
    batch = batch_of(sample, [1, 2, 3])
    once, again = measure_importance(teacher, [batch], seed=1), measure_importance(teacher, [batch], seed=1)
    both = measure_importance(teacher, [batch, batch_of(sample, [5])], seed=1)
    assert torch.equal(once.heads, again.heads)
    assert (both.neurons >= once.neurons).all()
    assert (both.neurons > once.neurons).any()
    assert torch.equal(logits(teacher, batch_of(sample)), before)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_measure_importance_when_a_batch_is_taken_in_parts_then_that_of_the_whole_batch(
    make_classifier: Callable[..., Any], sample: EncodedTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "multinomial", lambda shares, n, generator: shares.argmax(-1, keepdim=True))  # parts draw otherwise
    teacher, batch = make_classifier("bert"), batch_of(sample, [1, 2, 3, 4, 5])
    whole = measure_importance(teacher, [batch], seed=1)
    monkeypatch.setattr(batch_parts, "_SHORT", 0)
    monkeypatch.setattr(batch_parts, "rows_that_fit", lambda tokens: 2)
    parts = measure_importance(teacher, [batch], seed=1)
    torch.testing.assert_close(parts.heads, whole.heads)
    torch.testing.assert_close(parts.neurons, whole.neurons)


def test_prune_keeps_the_most_important_heads_and_neurons_in_their_order(make_classifier: Callable[..., Any]) -> None:
    teacher = make_classifier("bert")
    neurons = torch.zeros(2, 64)
    neurons[0, [50, 3, 9, 10, 60, 1, 2, 40]] = 1.0
    neurons[1, 20:28] = 1.0
    importance = Importance(torch.tensor([[0.1, 4.0, 0.2, 3.0], [9.0, 0.0, 8.0, 1.0]]), neurons)
    pruned = prune(teacher, importance, shape(hidden=16, heads=2, intermediate=8))
    kept = (([1, 3], [1, 2, 3, 9, 10, 40, 50, 60]), ([0, 2], list(range(20, 28))))
    for old, new, (heads, inner) in zip(teacher.bert.encoder.layer, pruned.bert.encoder.layer, kept, strict=True):
        rows = [8 * head + i for head in heads for i in range(8)]
        assert torch.equal(new.attention.self.value.weight, old.attention.self.value.weight[rows])
        assert torch.equal(new.attention.output.dense.weight, old.attention.output.dense.weight[:, rows])
        assert torch.equal(new.intermediate.dense.weight, old.intermediate.dense.weight[inner])
        assert torch.equal(new.intermediate.dense.bias, old.intermediate.dense.bias[inner])
        assert torch.equal(new.output.dense.weight, old.output.dense.weight[:, inner])
    assert teacher.bert.encoder.layer[0].attention.self.num_attention_heads == 4


def test_prune_to_fewer_layers_keeps_the_first_and_the_last(make_classifier: Callable[..., Any]) -> None:
    teacher = make_classifier("bert", num_hidden_layers=3)
    importance = Importance(torch.rand(3, 4), torch.rand(3, 64))
    pruned = prune(teacher, importance, shape(layers=2))
    for new, index in zip(pruned.bert.encoder.layer, (0, 2), strict=True):
        assert torch.equal(new.attention.self.key.weight, teacher.bert.encoder.layer[index].attention.self.key.weight)


def test_record_keeps_the_tokens_that_are_no_padding(make_classifier: Callable[..., Any], sample: EncodedTexts) -> None:
    teacher = make_classifier("bert")
    records = record(teacher, [batch_of(sample, [0, 1, 2]), batch_of(sample, [3])])
    assert len(records.before) == len(records.norms) == 5  # the embedding, and two a layer
    assert records.after(0).shape == (sample.lengths[:4].sum(), 32)
    assert records.first.tolist() == [0, *np.cumsum(sample.lengths[:3])]
    with torch.inference_mode():
        alone = teacher.bert(**batch_of(sample, [2])).last_hidden_state[0]
    start = int(records.first[2])
    torch.testing.assert_close(records.after(4)[start : start + len(alone)], alone, atol=1e-5, rtol=1e-4)


def test_find_rotation_spans_the_principal_components_with_an_orthonormal_basis(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    records = record(make_classifier("bert"), [batch_of(sample)])
    rotation = find_rotation(records, 12, seed=1)
    rows = torch.cat(all_after(records)).double().numpy()
    top = np.linalg.svd(rows - rows.mean(0), full_matrices=False)[2][:12]
    basis = rotation.basis.double().numpy()
    np.testing.assert_allclose(basis.T @ basis, np.eye(12), atol=1e-5)
    np.testing.assert_allclose(basis @ basis.T, top.T @ top, atol=1e-4)
    np.testing.assert_allclose(rotation.mean.numpy(), rows.mean(0), atol=1e-5)
    assert torch.equal(find_rotation(records, 12, seed=1).basis, rotation.basis)
    assert not torch.equal(find_rotation(records, 12, seed=2).basis, rotation.basis)


def test_record_gives_what_each_layer_norm_made_to_the_bit(make_classifier: Callable[..., Any], sample: EncodedTexts) -> None:
    teacher, batches = make_classifier("bert"), [batch_of(sample, [*range(20)]), batch_of(sample, [*range(20, 64)])]
    norm, seen = teacher.bert.encoder.layer[0].output.LayerNorm, []
    hook = norm.register_forward_hook(lambda _module, _given, made: seen.append(made))
    logits(teacher, batches[0])
    logits(teacher, batches[1])
    hook.remove()
    made = torch.cat([state[batch["attention_mask"].bool()] for state, batch in zip(seen, batches, strict=True)])
    assert torch.equal(record(teacher, batches).after(2), made)


def test_find_rotation_holds_the_former_formula_to_the_bit_and_sums_near_it(
    make_classifier: Callable[..., Any], sample: EncodedTexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = record(make_classifier("bert"), [batch_of(sample)])
    rows = torch.cat(all_after(records)).double()
    mean = rows.mean(0)
    centred = rows - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    mix, _ = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    formerly = (vectors[:, -12:].flip(1) @ cut_module._with_row_along_ones(mix)).float()
    whole = find_rotation(records, 12, seed=1)
    assert torch.equal(whole.basis, formerly)
    assert torch.equal(whole.mean, mean.float())
    monkeypatch.setattr(cut_module, "_WHOLE_NUMBERS", 0)
    summed = find_rotation(records, 12, seed=1)
    torch.testing.assert_close(summed.mean, whole.mean, atol=1e-6, rtol=0)
    # an eigenvector may turn round: compare what is spanned
    torch.testing.assert_close(summed.basis @ summed.basis.T, whole.basis @ whole.basis.T, atol=1e-5, rtol=0)


def test_find_rotation_turns_the_weakest_kept_component_into_what_a_layer_norm_removes(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    records = record(make_classifier("bert"), [batch_of(sample)])
    rows = torch.cat(all_after(records)).double()
    centred = (rows - rows.mean(0)).numpy()
    directions = np.linalg.svd(centred, full_matrices=False)[2]  # strongest first
    removed = find_rotation(records, 12, seed=1).basis @ torch.full((12,), 12**-0.5)
    assert abs(float(removed.double() @ torch.from_numpy(directions[11]))) == pytest.approx(1.0, abs=1e-3)


def test_find_rotation_to_the_teachers_own_width_changes_nothing(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    rotation = find_rotation(record(make_classifier("bert"), [batch_of(sample)]), 32, seed=1)
    assert torch.equal(rotation.basis, torch.eye(32))
    assert not rotation.mean.any()


def test_cut_student_of_the_teachers_own_shape_gives_the_teachers_logits(
    make_classifier: Callable[..., Any], sample: EncodedTexts, unseen: dict[str, torch.Tensor]
) -> None:
    teacher = make_classifier("bert")
    torch.testing.assert_close(logits(cut(teacher, shape(), sample), unseen), logits(teacher, unseen), atol=1e-4, rtol=0)


def test_cut_student_without_the_neurons_that_do_nothing_gives_the_teachers_logits(
    make_classifier: Callable[..., Any], sample: EncodedTexts, unseen: dict[str, torch.Tensor]
) -> None:
    teacher = make_classifier("bert")
    with torch.no_grad():
        for layer in teacher.bert.encoder.layer:
            layer.output.dense.weight[:, 1::2] = 0
    student = cut(teacher, shape(intermediate=32), sample)
    torch.testing.assert_close(logits(student, unseen), logits(teacher, unseen), atol=1e-4, rtol=0)


def test_cut_student_with_a_smaller_vocabulary_reads_its_own_ids(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    teacher = make_classifier("bert")
    kept = np.array([0, 1, 2, 3, 4, 20, 10, 30])
    config = student_config(shape(), ("a", "b", "c"), vocabulary=8, positions=POSITIONS, teacher=teacher)
    student = cut_student(teacher, config, shape(), kept, sample, seed=0)
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    batch = {"attention_mask": torch.ones_like(ids), "token_type_ids": torch.zeros_like(ids)}
    torch.testing.assert_close(
        logits(student, {"input_ids": ids, **batch}), logits(teacher, {"input_ids": torch.from_numpy(kept)[ids], **batch}),
        atol=1e-4, rtol=0,
    )


def confine_to_half_the_width(teacher: BertForSequenceClassification) -> None:
    """Make every residual of a teacher zero in its upper 16 channels, and two heads a layer without effect."""
    embeddings, layers = teacher.bert.embeddings, teacher.bert.encoder.layer
    norms = [embeddings.LayerNorm, *(n for x in layers for n in (x.attention.output.LayerNorm, x.output.LayerNorm))]
    with torch.no_grad():
        for table in (embeddings.word_embeddings, embeddings.position_embeddings, embeddings.token_type_embeddings):
            table.weight[:, 16:] = 0
        for norm in norms:
            norm.weight[16:], norm.bias[16:] = 0, 0
        for layer in layers:
            layer.attention.output.dense.weight[:, :16] = 0
            for dense in (layer.attention.output.dense, layer.output.dense):
                dense.weight[16:], dense.bias[16:] = 0, 0


def test_narrow_of_a_teacher_that_uses_half_its_width_reproduces_its_residual(
    make_classifier: Callable[..., Any], sample: EncodedTexts
) -> None:
    teacher, wanted = make_classifier("bert", initializer_range=0.05), shape(hidden=16, heads=2)
    confine_to_half_the_width(teacher)
    batches = [batch_of(sample)]
    pruned = prune(teacher, measure_importance(teacher, batches, seed=0), wanted)
    records = record(pruned, batches)
    rotation = find_rotation(records, 16, seed=0)
    config = student_config(wanted, ("a", "b", "c"), vocabulary=55, positions=POSITIONS, teacher=teacher)
    own = record(narrow(pruned, records, rotation, torch.arange(55), config).eval(), batches)
    torch.testing.assert_close(own.before[0], records.before[0] @ rotation.basis, atol=1e-5, rtol=0)
    errors = []
    for expected, found in zip(all_after(records), all_after(own), strict=True):
        rotated = (expected - rotation.mean) @ rotation.basis
        assert rotated.norm() == pytest.approx(float((expected - rotation.mean).norm()), rel=1e-3)  # nothing is cut off
        errors.append(float((found - rotated).norm() / rotated.norm()))
    # all that is lost: a LayerNorm subtracts its mean along another direction. Along any one of 16 that is an error of
    # 1 / sqrt(16) = 0.25; along the weakest of them it is clearly less
    assert errors[0] < 0.18
    assert max(errors) < 0.5


def test_cut_student_is_the_same_for_the_same_seed(make_classifier: Callable[..., Any], sample: EncodedTexts) -> None:
    wanted = shape(hidden=16, heads=2, intermediate=32, layers=1)
    first, second, other = (cut(make_classifier("bert"), wanted, sample, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["bert.embeddings.word_embeddings.weight"], other["bert.embeddings.word_embeddings.weight"])


@pytest.mark.parametrize("types", [1, 2, 5])
def test_narrow_of_a_teacher_with_other_token_types_keeps_the_first(
    make_classifier: Callable[..., Any], sample: EncodedTexts, types: int
) -> None:
    teacher = make_classifier("bert", type_vocab_size=types)
    records = record(teacher, [batch_of(sample)])
    config = student_config(shape(), ("a", "b", "c"), vocabulary=55, positions=POSITIONS, teacher=teacher)
    student = narrow(teacher, records, find_rotation(records, 32, seed=0), torch.arange(55), config)
    assert torch.equal(student.bert.embeddings.token_type_embeddings.weight[0],
                       teacher.bert.embeddings.token_type_embeddings.weight[0])


def test_cut_student_on_long_texts_looks_at_a_part_of_them(
    make_classifier: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, sample: EncodedTexts
) -> None:
    from edgedistill.distill import student_model

    seen: list[int] = []
    real = student_model.record

    def counting(pruned: Any, batches: Any) -> Any:
        seen.append(sum(int(batch["attention_mask"].sum()) for batch in batches))
        return real(pruned, batches)

    monkeypatch.setattr(student_model, "record", counting)
    monkeypatch.setattr(student_model, "_SAMPLE_TOKENS", 100)
    cut(make_classifier("bert"), shape(layers=1), sample)
    assert 50 < seen[0] < 150 < len(sample.ids)


def test_student_config_of_a_cut_takes_heads_and_activation_from_the_teacher(make_classifier: Callable[..., Any]) -> None:
    teacher = make_classifier("bert", hidden_act="relu", layer_norm_eps=1e-6)
    config = student_config(shape(hidden=16, heads=4), ("x", "y"), vocabulary=50, positions=9, teacher=teacher)
    assert (config.num_attention_heads, config.hidden_act, config.layer_norm_eps) == (2, "relu", 1e-6)
    assert (config.vocab_size, config.max_position_embeddings, config.id2label) == (50, 9, {0: "x", 1: "y"})


def test_student_config_without_a_cut_keeps_the_shapes_own_heads() -> None:
    config = student_config(shape(hidden=40, heads=5), ("x", "y"), vocabulary=50, positions=9, teacher=None)
    assert (config.hidden_size, config.num_attention_heads, config.hidden_dropout_prob) == (40, 5, 0.0)


def test_sample_texts_draws_at_most_a_thousand_different_ones_by_the_seed() -> None:
    texts = [str(i) for i in range(1500)]
    drawn = sample_texts(texts, seed=1)
    assert len(set(drawn)) == len(drawn) == 1000
    assert drawn == sample_texts(texts, seed=1) != sample_texts(texts, seed=2)
    assert sample_texts(texts[:7], seed=1) == texts[:7]
