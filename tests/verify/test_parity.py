from dataclasses import replace

import numpy as np
import pytest

from edgedistill.errors import ArtifactError, ParityError
from edgedistill.evaluate.logits import write_logits
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.recipe import Parity
from edgedistill.results import ParityReport
from edgedistill.verify import stage
from edgedistill.verify.parity import (
    Gate,
    advice_alone,
    advice_of,
    compare_logits,
    emulated_gate,
    int8_gate,
    onnx_gate,
    refused,
    require_parity,
)

GATE = Gate("torch", "onnx", min_agreement=0.75, max_error=0.5)
REFERENCE = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 1.0], [0.0, 4.0]], np.float32)


def moved(**cells: float) -> np.ndarray:
    """The reference with some logits replaced: r1c0=5 is row 1, column 0."""
    logits = REFERENCE.copy()
    for cell, value in cells.items():
        logits[int(cell[1]), int(cell[3])] = value
    return logits


def report(onnx=REFERENCE, int8=REFERENCE, gates: Parity | None = None) -> ParityReport:
    gates = gates or Parity()
    return ParityReport(onnx=compare_logits(REFERENCE, onnx, gate=onnx_gate(gates)),
                        int8=compare_logits(onnx, int8, gate=int8_gate(gates)))


def test_compare_logits_gives_the_figures_counted_by_hand():
    found = compare_logits(REFERENCE, moved(r0c0=1.75, r1c0=1.5), gate=GATE)  # row 1 flips: 1.5 > 1
    assert (found.reference, found.candidate, found.n) == ("torch", "onnx", 4)
    assert (found.decisions_flipped, found.top1_agreement) == (1, 0.75)
    assert (found.max_abs_error, found.mean_abs_error) == (1.5, (0.25 + 1.5) / 8)


def test_compare_logits_of_equal_models_passes():
    found = compare_logits(REFERENCE, REFERENCE, gate=Gate("torch", "onnx", min_agreement=1.0, max_error=1e-9))
    assert (found.passed, found.problems, found.max_abs_error) == (True, (), 0.0)


def test_compare_logits_at_the_limits_passes():
    assert compare_logits(REFERENCE, moved(r1c0=0.5, r3c1=3.5), gate=GATE).passed
    assert compare_logits(REFERENCE, moved(r1c0=1.5), gate=Gate("onnx", "int8", min_agreement=0.75)).passed


def test_compare_logits_over_the_error_fails_by_that_gate_alone():
    found = compare_logits(REFERENCE, moved(r0c0=2.75), gate=GATE)
    assert not found.passed
    assert found.problems == (
        "parity.onnx_max_error: the largest difference of a logit is 0.75, at most 0.5 is asked for",
    )


def test_compare_logits_without_a_limit_on_the_error_judges_decisions_only():
    assert compare_logits(REFERENCE, REFERENCE * 100, gate=int8_gate(Parity())).passed


def test_compare_logits_under_the_agreement_names_gate_and_figures():
    found = compare_logits(REFERENCE, -REFERENCE, gate=int8_gate(Parity()))
    assert found.problems == (
        "parity.int8_min_agreement: 4 of 4 decisions flipped, top-1 agreement 0.0000, at least 0.95 is asked for",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_reference", [False, True])
def test_compare_logits_with_a_number_that_is_none_never_passes(value, is_reference):
    pair = (moved(r2c1=value), moved(r0c0=1.75))
    found = compare_logits(*(pair if is_reference else pair[::-1]), gate=Gate("a", "b", min_agreement=0.0))
    assert (found.passed, found.decisions_flipped, found.max_abs_error) == (False, 1, 0.25)
    assert found.problems == ("1 of 4 rows hold NaN or infinity",)


def test_compare_logits_that_are_all_nan_can_be_stored_and_read_back(tmp_path):
    found = report(int8=np.full_like(REFERENCE, np.nan))
    (tmp_path / "parity.json").write_text(found.to_json())
    assert ParityReport.read_json(tmp_path / "parity.json") == found
    assert (found.int8.top1_agreement, found.int8.max_abs_error, found.int8.mean_abs_error) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (8,)])
def test_compare_logits_of_other_shapes_is_refused(shape):
    with pytest.raises(ArtifactError, match="shape"):
        compare_logits(REFERENCE, np.zeros(shape), gate=GATE)


def test_compare_logits_of_no_rows_is_refused():
    with pytest.raises(ArtifactError, match="no rows"):
        compare_logits(np.zeros((0, 2)), np.zeros((0, 2)), gate=GATE)


def test_gates_come_from_the_recipe():
    gates = Parity(onnx_min_agreement=0.9, onnx_max_error=0.1, int8_min_agreement=0.8)
    assert onnx_gate(gates) == Gate("torch", "onnx", 0.9, 0.1)
    assert int8_gate(gates) == Gate("onnx", "int8", 0.8, None)


def test_require_parity_of_a_passed_report_returns():
    require_parity(report())


def test_require_parity_of_flipped_int8_names_the_gate_and_two_ways_out():
    with pytest.raises(ParityError) as refused:
        require_parity(report(int8=moved(r1c0=1.5)))
    assert refused.value.exit_code == 4
    assert refused.value.message == (
        "int8 does not answer as onnx does: parity.int8_min_agreement: 1 of 4 decisions flipped, top-1 agreement "
        "0.7500, at least 0.95 is asked for"
    )
    assert "dynamic_wi8_afp32_per_channel_reduced_range" in refused.value.hint
    assert "--set parity.int8_min_agreement=0.75" in refused.value.hint


def test_require_parity_of_shifted_onnx_says_that_no_decision_changed():
    with pytest.raises(ParityError) as refused:
        require_parity(report(onnx=moved(r0c0=2.0312)))
    assert refused.value.hint == "no decision changed; to accept it: --set parity.onnx_max_error=0.04"


def test_require_parity_of_two_failures_names_both_and_advises_on_the_first():
    with pytest.raises(ParityError) as refused:
        require_parity(report(onnx=-REFERENCE))
    assert "onnx does not answer as torch does" in refused.value.message
    assert "int8 does not answer as onnx does" in refused.value.message
    assert "edgedistill doctor" in refused.value.hint


def test_require_parity_of_nan_advises_against_shipping():
    with pytest.raises(ParityError, match="NaN or infinity") as refused:
        require_parity(report(int8=moved(r0c0=np.nan)))
    assert "do not ship it" in refused.value.hint


def test_require_parity_of_a_failed_arm64_comparison_is_refused():
    arm64 = compare_logits(REFERENCE, -REFERENCE, gate=Gate("int8", "arm64", min_agreement=1.0))
    with pytest.raises(ParityError, match="arm64 does not answer as int8 does"):
        require_parity(report().model_copy(update={"arm64": arm64}))


def test_advice_when_a_model_does_not_run_or_a_device_answers_otherwise_then_what_helps_there():
    emulated = emulated_gate(0.99, core="cortex-a72")
    assert "verify MODEL --emulate cortex-a72 --onnxruntime VERSION" in advice_of(refused(emulated, 4, "SIGILL"))
    assert "parity.emulated_min_agreement" in advice_of(compare_logits(REFERENCE, -REFERENCE, gate=emulated))
    device = compare_logits(REFERENCE, moved(r1c0=1.5), gate=Gate("host", "device", min_agreement=0.95, key="int8"))
    assert "--set parity.int8_min_agreement=0.75" in advice_of(device)


@pytest.mark.parametrize(("scheme", "advised"), [
    (None, "quantization.scheme=dynamic_wi8_afp32_per_channel_reduced_range;"),
    ("static_wi8_ai8_per_channel", "quantization.scheme=static_wi8_ai8_per_channel_reduced_range;"),
    ("static_wi8_ai8_reduced_range", None), ("static_wu8_au8", None), ("weight_only_wi8_afp32", None), ("float", None),
])
def test_advice_about_int8_then_the_same_scheme_in_seven_bits_or_none(scheme: str | None, advised: str | None):
    failed = compare_logits(REFERENCE, -REFERENCE, gate=int8_gate(Parity()))
    for text in (advice_of(failed, scheme), advice_alone(failed, scheme).replace("--scheme ", "quantization.scheme=") + ";"):
        assert advised in text if advised else "7-bit" not in text


@pytest.fixture
def inputs(tmp_path):
    paths = [tmp_path / f"{name}.npy" for name in ("torch", "onnx", "int8")]
    for path in paths:
        write_logits(path, REFERENCE)
    return stage.Inputs(*paths)


def perform(inputs, out) -> ParityReport:
    settings = stage.Settings(gates=Parity())
    stage.STAGE.requires(settings, inputs)
    stage.STAGE.run(settings, inputs, out)
    stage.STAGE.ensures(out)
    return ParityReport.read_json(out / "parity.json")


def test_verify_of_equal_logits_passes(inputs, tmp_path):
    found = perform(inputs, tmp_path)
    assert (found.onnx.passed, found.int8.passed, found.arm64) == (True, True, None)


def test_verify_compares_int8_with_onnx_and_onnx_with_torch(inputs, tmp_path):
    write_logits(inputs.onnx_logits, moved(r0c0=2.001))
    write_logits(inputs.int8_logits, moved(r0c0=2.002))
    found = perform(inputs, tmp_path)
    assert found.onnx.max_abs_error == pytest.approx(0.001, abs=1e-6)
    assert found.int8.max_abs_error == pytest.approx(0.001, abs=1e-6)


def test_verify_with_a_failed_gate_finishes_and_warns(inputs, tmp_path, caplog):
    write_logits(inputs.int8_logits, -REFERENCE)
    found = perform(inputs, tmp_path)
    assert (found.onnx.passed, found.int8.passed) == (True, False)
    assert "int8 against onnx: parity.int8_min_agreement" in caplog.text


def test_verify_of_logits_of_other_rows_is_refused_before_the_work(inputs, tmp_path):
    write_logits(inputs.int8_logits, REFERENCE[:3])
    with pytest.raises(ArtifactError, match=r"int8.npy: logits of shape \(3, 2\)"):
        perform(inputs, tmp_path)
    assert not (tmp_path / "parity.json").exists()


def test_compare_logits_of_several_labels_counts_rows_with_another_set():
    reference = np.array([[2.0, 1.0], [2.0, -1.0], [-1.0, -2.0]])
    candidate = np.array([[1.0, 2.0], [2.0, 0.1], [-2.0, -1.0]])  # another first choice in the first and the last
    gate = Gate("onnx", "int8", min_agreement=0.9)
    found = compare_logits(reference, candidate, gate=gate, problem=SEVERAL_LABELS)
    assert (found.decisions_flipped, found.passed) == (1, False)
    assert compare_logits(reference, candidate, gate=gate).decisions_flipped == 2


def test_settings_of_verify_when_rows_have_one_label_then_written_as_before():
    assert set(stage.Settings(gates=Parity()).model_dump()) == {"gates"}
    assert stage.Settings(gates=Parity(), problem_type=SEVERAL_LABELS).model_dump()["problem_type"] == SEVERAL_LABELS


def test_verify_of_a_student_that_was_tuned_for_int8_compares_with_the_float_model_that_it_answers_more_like(inputs, tmp_path):
    write_logits(inputs.int8_logits, -REFERENCE)
    write_logits(tmp_path / "tuned.npy", -REFERENCE)
    found = perform(replace(inputs, tuned_logits=tmp_path / "tuned.npy"), tmp_path)
    assert (found.int8.passed, found.int8.reference, found.int8.top1_agreement) == (True, "fine-tuned onnx", 1.0)
    write_logits(inputs.int8_logits, REFERENCE)
    found = perform(replace(inputs, tuned_logits=tmp_path / "tuned.npy"), tmp_path)
    assert (found.int8.passed, found.int8.reference) == (True, "onnx")
