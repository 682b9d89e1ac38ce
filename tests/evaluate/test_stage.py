import json
import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
from scipy.stats import binomtest

from edgedistill.artifact import sha256_of_file
from edgedistill.errors import ArtifactError, DataError, ParityError
from edgedistill.evaluate import stage
from edgedistill.evaluate.logits import read_logits, write_logits
from edgedistill.examples import NO_LABEL, write_examples
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.results import Evaluation, Labels
from edgedistill.stage import Workspace

LOGITS = [[2, 0, 0], [4, 0, 0], [0, 2, 0], [0, 2, 0], [0, 0, 2], [2, 0, 4], [0, 2, 0], [2, 0, 0]]


def evaluate(place, **changes) -> Evaluation:
    inputs = replace(place.inputs, **changes)
    stage.STAGE.requires(place.settings, inputs)
    stage.STAGE.run(place.settings, inputs, place.out)
    stage.STAGE.ensures(place.out)
    return Evaluation.read_json(place.out / stage.EVALUATION_FILE)


def write_teacher(place, answers) -> object:
    path = place.folder / "teacher.npy"
    write_logits(path, np.eye(3)[list(answers)])
    return path


def test_evaluate_tiny_model_writes_the_logits_in_the_order_of_the_rows(place):
    evaluate(place)
    assert read_logits(place.out / "logits.npy").tolist() == LOGITS


def test_evaluate_tiny_model_gives_the_figures_counted_by_hand(place):
    found = evaluate(place)
    assert (found.n, found.split, found.variant) == (8, "test", "student_onnx")
    assert found.accuracy.value == 6 / 8
    wilson = binomtest(6, 8).proportion_ci(method="wilson")
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx((wilson.low, wilson.high))
    assert found.confusion == ((2, 0, 0), (1, 2, 0), (0, 1, 2))
    assert [c.support for c in found.classes] == [2, 3, 3]
    # F1: 2*2/(2+3), 2*2/(3+3), 2*2/(3+2)
    assert [c.f1 for c in found.classes] == pytest.approx([4 / 5, 2 / 3, 4 / 5])
    assert found.macro_f1.value == pytest.approx((4 / 5 + 2 / 3 + 4 / 5) / 3)


def test_evaluate_tiny_model_gives_the_calibration_error_counted_by_hand(place):
    # p(one word) = e^2 / (e^2 + 2), six rows, four right; p(two words) = e^4 / (e^4 + 2); p(rain lamp rain)
    one, two, mixed = (math.exp(a) / (math.exp(a) + rest) for a, rest in ((2, 2), (4, 2), (4, math.exp(2) + 1)))
    # the bins: one in (11/15, 12/15], two in (14/15, 1], mixed in (13/15, 14/15]
    assert (math.ceil(15 * one), math.ceil(15 * two), math.ceil(15 * mixed)) == (12, 15, 14)
    expected = (abs(4 - 6 * one) + (1 - two) + (1 - mixed)) / 8
    assert evaluate(place).calibration_error.value == pytest.approx(expected, abs=1e-6)


def test_evaluate_says_which_model_it_was(place):
    found, file = evaluate(place), place.inputs.model / "model.onnx"
    assert found.model_sha256 == sha256_of_file(file)
    assert (found.parameters, found.size_bytes) == (30, file.stat().st_size)


def test_evaluate_without_a_teacher_leaves_the_comparison_out(place):
    found = evaluate(place)
    assert (found.agreement_with_teacher, found.mcnemar_against_teacher) == (None, None)


def test_evaluate_against_a_teacher_counts_agreement_and_who_is_right(place):
    # the teacher decides 0 0 1 1 2 0 2 1: wrong on row 5 where the model is right, right on 6 and 7 where it is wrong
    found = evaluate(place, teacher_logits=write_teacher(place, (0, 0, 1, 1, 2, 0, 2, 1)))
    assert found.agreement_with_teacher.value == 5 / 8
    pairs = found.mcnemar_against_teacher
    assert (pairs.only_reference_right, pairs.only_candidate_right) == (2, 1)
    assert pairs.p_value == 1.0  # 2 * (C(3, 0) + C(3, 1)) / 2^3


def test_evaluate_at_batch_size_1_gives_the_same_answers(place):
    place.settings = place.settings.model_copy(update={"batch_size": 1})
    evaluate(place)
    assert read_logits(place.out / "logits.npy").tolist() == LOGITS


def test_evaluate_twice_writes_the_same_bytes(place):
    evaluate(place)
    first = [(place.out / name).read_bytes() for name in ("logits.npy", "evaluation.json")]
    evaluate(place)
    assert [(place.out / name).read_bytes() for name in ("logits.npy", "evaluation.json")] == first


def test_evaluate_in_a_workspace_is_skipped_the_second_time(place):
    workspace = Workspace(place.folder / ".stages")
    first = workspace.perform("evaluate-student", stage.STAGE, place.settings, place.inputs)
    second = workspace.perform("evaluate-student", stage.STAGE, place.settings, place.inputs)
    assert (first.was_skipped, second.was_skipped) == (False, True)
    assert {a.path for a in second.manifest.outputs} == {"logits.npy", "evaluation.json"}


def test_evaluate_torch_folder_counts_its_weights_and_answers_as_torch_does(place):
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
                        max_position_embeddings=16, num_labels=3)
    model = BertForSequenceClassification(config).eval()
    folder = place.folder / "torch"
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes((place.inputs.model / "tokenizer.json").read_bytes())
    found = evaluate(place, model=folder)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.size_bytes == (folder / "model.safetensors").stat().st_size
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor([[5, 2]])).logits[0]  # "the lamp"
    assert read_logits(place.out / "logits.npy")[0].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


def test_evaluate_with_other_labels_than_classes_is_refused(place):
    place.inputs.labels.write_text(Labels(labels=("a", "b", "c", "d")).to_json())
    with pytest.raises(ArtifactError, match="3 classes, the labels name 4"):
        evaluate(place)


def test_evaluate_with_the_same_labels_in_another_order_is_refused(place):
    place.inputs.labels.write_text(Labels(labels=("light", "weather", "music")).to_json())
    with pytest.raises(ArtifactError, match="class 1 is 'music', in the labels it is 'weather'"):
        evaluate(place)


def test_evaluate_model_with_names_of_its_own_is_taken(place):
    model = place.write_tiny(place.folder / "foreign", names=("LABEL_0", "LABEL_1", "LABEL_2"))
    assert evaluate(place, model=model).accuracy.value == 6 / 8


@pytest.mark.parametrize(("label", "problem"), [(NO_LABEL, "no label"), (3, "above 2"), (-2, "negative")])
def test_evaluate_row_without_a_usable_label_is_refused(place, label, problem):
    write_examples(place.inputs.data, [f"t-{i}" for i in range(8)], place.texts,
                   (*place.truth[:5], label, *place.truth[6:]))
    with pytest.raises(DataError, match=rf"1 of 8 rows have .*{problem}.*first row 5 \(id 't-5'\)"):
        evaluate(place)


def test_evaluate_no_rows_is_refused(place):
    write_examples(place.inputs.data, [], [], [])
    with pytest.raises(DataError, match="has no examples"):
        evaluate(place)


def test_evaluate_against_a_teacher_of_other_rows_is_refused(place):
    with pytest.raises(ArtifactError, match="7 rows of 3 classes, the split has 8 rows"):
        evaluate(place, teacher_logits=write_teacher(place, (0, 0, 1, 1, 2, 0, 2)))


def test_evaluate_against_a_teacher_with_nan_is_refused(place):
    path = write_teacher(place, (0,) * 8)
    write_logits(path, np.full((8, 3), np.nan))
    with pytest.raises(ArtifactError, match="NaN or infinity"):
        evaluate(place, teacher_logits=path)


def test_evaluate_onnx_model_with_nan_is_a_failed_conversion(place):
    table = np.zeros((6, 3))
    table[3] = np.nan  # "song", first in row 2
    model = place.write_tiny(place.folder / "broken", table=table)
    with pytest.raises(ParityError, match=r"3 of 8 answers hold NaN or infinity, first that to row 2 \(id 't-2'\)"):
        evaluate(place, model=model)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "config.json"])
def test_evaluate_incomplete_model_folder_is_refused(place, name):
    (place.inputs.model / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        evaluate(place)


@pytest.mark.parametrize("text", ["[]", "{", json.dumps({"id2label": {"zero": "a"}})])
def test_evaluate_damaged_config_is_refused(place, text):
    (place.inputs.model / "config.json").write_text(text)
    with pytest.raises(ArtifactError, match="not a model's configuration"):
        evaluate(place)


def write_several(place, sets: list[list[int]], *, problem: str = SEVERAL_LABELS) -> None:
    """Make the labels those of texts that may have several, and the model one that gives several."""
    write_examples(place.inputs.data, [f"t-{i}" for i in range(8)], list(place.texts), np.array(sets))
    place.inputs.labels.write_text(Labels(labels=("light", "music", "weather"), problem_type=SEVERAL_LABELS).to_json())
    config = json.loads((place.inputs.model / "config.json").read_text())
    (place.inputs.model / "config.json").write_text(json.dumps({**config, "problem_type": problem}))


# logits of 2 and 4 are a yes, 0 is none; the sixth text has light and weather
SETS = [[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 0]]


def test_evaluate_when_texts_have_several_labels_gives_the_figures_counted_by_hand(place):
    write_several(place, SETS)
    found = evaluate(place)
    assert found.accuracy.value == 6 / 8
    assert found.confusion == ()
    # the seventh text misses weather, the eighth is given light: right are 3, 3 and 2, of 9 that are true and 9 that are given
    assert [(c.support, c.precision, c.recall) for c in found.classes] == [
        (3, pytest.approx(3 / 4), 1.0), (3, 1.0, 1.0), (3, 1.0, pytest.approx(2 / 3))]
    assert found.micro_f1.value == pytest.approx(2 * 8 / (9 + 9))
    assert found.macro_f1.value == pytest.approx((2 * 3 / 7 + 1 + 2 * 2 / 5) / 3)


def test_evaluate_when_texts_have_several_labels_compares_sets_with_the_teacher(place):
    write_several(place, SETS)
    path = place.folder / "teacher.npy"
    write_logits(path, np.where(np.array(SETS) == 1, 1.0, -1.0))
    found = evaluate(place, teacher_logits=path)
    assert found.agreement_with_teacher.value == 6 / 8
    assert found.mcnemar_against_teacher.only_reference_right == 2


def test_evaluate_when_the_model_gives_one_label_and_the_texts_have_several_then_refused(place):
    write_several(place, SETS, problem="single_label_classification")
    with pytest.raises(ArtifactError, match="problem_type is single_label_classification, and of the labels it is multi"):
        evaluate(place)


@pytest.mark.parametrize(("sets", "message"), [
    ([[1, 0]] * 8, r"labels are of the shape \(8, 2\)"), ([[0, 0, 2]] * 8, "a label above 1"), ([[-1, -1, -1]] * 8, "no label"),
])
def test_evaluate_when_several_labels_are_not_those_of_the_classes_then_refused(place, sets, message):
    write_several(place, sets)
    with pytest.raises(DataError, match=message):
        evaluate(place)


def test_evaluate_graph_that_ends_in_softmax_gives_the_figures_of_its_logits(place):
    expected = evaluate(place)
    model = onnx.load(place.inputs.model / "model.onnx")
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(onnx.helper.make_node("Softmax", ["raw"], ["logits"], axis=-1))
    onnx.save(model, place.inputs.model / "model.onnx")
    found = evaluate(place)
    assert found.calibration_error.value == pytest.approx(expected.calibration_error.value, abs=1e-6)
    assert found.accuracy == expected.accuracy
    shares = np.exp(read_logits(place.out / "logits.npy"))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
