"""The int8 model on an emulated core: what is compared with what, and what is made of it. Replays are made up."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.cli.app import run_command_line
from edgedistill.emulation.cores import core_named
from edgedistill.emulation.environment import Environment, EnvironmentFacts
from edgedistill.emulation.findings import InstructionCount
from edgedistill.emulation.replay import Replay
from edgedistill.errors import ArtifactError, DataError, MissingDependencyError, UsageError
from edgedistill.evaluate.logits import read_logits, write_logits
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.examples import NO_LABEL, read_examples, spread_rows
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.recipe import Parity
from edgedistill.results import Labels, ParityReport
from edgedistill.stage import Workspace
from edgedistill.verify import emulated, stage
from edgedistill.verify.on_cores import verify_on_cores
from tests.device.picture_model import make_picture_bundle, write_some_pictures

FACTS = EnvironmentFacts(emulator="7.2.22", onnxruntime="1.32.0", numpy="2.4.6", python="3.11.2", counts_instructions=False,
                         packages=(), vital_files=(), tree_sha256="a" * 64, size_bytes=1)


COUNTED = InstructionCount(total=6_180_000, by_class={"simd_widen": 6_180_000}, row_shape=(1, 9), inferences=20, spread=0.0,
                           int8_path="smull")


def answer(logits: np.ndarray | None, failure: str = "") -> Replay:
    return Replay(logits, failure, "onnxruntime 1.32.0", "b" * 64, not_counted_because="no C compiler")


def counted_answer(logits: np.ndarray) -> Replay:
    return Replay(logits, "", "onnxruntime 1.32.0", "b" * 64, instructions=COUNTED)


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that sets what the guest makes of the host's logits; an environment is there then, and counts or does not."""

    def give(make: Callable[[np.ndarray], Replay], *, counts: bool = False) -> None:
        def replay(model: Path, rows: list[dict[str, np.ndarray]], **means: object) -> Replay:
            here = OnnxModel(model)
            return make(np.concatenate([here.logits(row) for row in rows]))

        monkeypatch.setattr(emulated, "replay", replay)
        monkeypatch.setattr(stage, "replay", replay)
        why = "" if counts else "no C compiler"
        found = Environment(Path("/somewhere"), FACTS.model_copy(update={"counts_instructions": counts, "no_counts_because": why}))
        monkeypatch.setattr(stage, "find", lambda onnxruntime=None: found)
        monkeypatch.setattr("edgedistill.emulation.environment.find", lambda onnxruntime=None: found)

    return give


def test_verify_on_cores_of_a_bundle_that_answers_alike_then_passes(packed: Path, guest) -> None:
    guest(lambda here: answer(here + np.float32(0.01)))
    (found,) = verify_on_cores(packed / "bundle.zip", ["cortex-a72"]).cores
    assert found.passed
    assert (found.check.core, found.check.emulator, found.check.parity.source) == ("cortex-a72", "qemu 7.2.22", "emulated")
    assert found.check.parity.n == 32  # the golden vectors
    assert found.check.parity.max_abs_error == pytest.approx(0.01, abs=1e-5)
    assert found.golden is not None
    assert found.golden.max_abs_error == pytest.approx(0.01, abs=1e-4)


def test_verify_on_cores_with_texts_then_they_are_compared_too(packed: Path, inputs, guest) -> None:
    guest(lambda here: answer(here))
    (found,) = verify_on_cores(packed / "bundle", ["cortex-a72"], inputs.data).cores
    assert found.check.parity.n == 32 + 60
    assert found.golden is not None
    assert found.golden.vectors == 32


@pytest.mark.parametrize(("rows", "n_labelled"), [("text,label\n{0},{1}\n{0} again,{1}\n", 2), ("text\n{0}\n{0} again\n", 0)])
def test_verify_on_cores_with_a_file_of_texts_then_its_labels_are_matched_by_name(
    packed: Path, tmp_path: Path, rows: str, n_labelled: int, guest
) -> None:
    guest(lambda here: answer(here))
    (file := tmp_path / "rows.csv").write_text(rows.format("a text", Labels.read_json(packed / "bundle" / "labels.json").labels[-1]))
    (found,) = verify_on_cores(packed / "bundle", ["cortex-a72"], file).cores
    assert found.check.parity.n == 32 + 2
    assert found.check.labelled_rows == n_labelled
    assert (found.check.accuracy is not None) == bool(n_labelled)


GOLDEN = 9 + 3
"""Golden pictures of the tiny bundle: all of its test pictures, and three of odd sizes."""


@pytest.fixture(scope="module")
def packed_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished package stage of a tiny picture model. Not to be changed."""
    return make_picture_bundle(tmp_path_factory.mktemp("pictures") / "made")


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_verify_on_cores_of_a_bundle_of_pictures_then_its_golden_pictures_are_replayed(
    packed_pictures: Path, name: str, guest
) -> None:
    guest(lambda here: answer(here + np.float32(0.01)))
    (found,) = verify_on_cores(packed_pictures / name, ["cortex-a72"]).cores
    assert found.problems == ()
    assert found.check.parity.n == GOLDEN
    assert found.golden is not None
    assert (found.golden.vectors, found.golden.decisions_flipped) == (GOLDEN, 0)
    assert found.golden.max_abs_error == pytest.approx(0.01, abs=1e-4)


def test_verify_on_cores_of_a_bundle_of_pictures_that_answers_otherwise_then_fails(packed_pictures: Path, guest) -> None:
    guest(lambda here: answer(-here))
    (found,) = verify_on_cores(packed_pictures / "bundle", ["cortex-a72"]).cores
    assert not found.passed
    assert f"{GOLDEN} of {GOLDEN} golden vectors have another class" in found.problems[1]


def test_verify_on_cores_of_pictures_with_more_of_them_then_they_are_compared_too(
    packed_pictures: Path, tmp_path: Path, guest
) -> None:
    guest(lambda here: answer(here))
    write_some_pictures(tmp_path / "more.arrow", rows=4)
    (found,) = verify_on_cores(packed_pictures / "bundle", ["cortex-a72"], tmp_path / "more.arrow").cores
    assert found.passed
    assert found.check.parity.n == GOLDEN + 4


def test_verify_on_cores_of_a_model_folder_then_there_are_no_golden_vectors(inputs, guest) -> None:
    guest(lambda here: answer(here))
    (found,) = verify_on_cores(inputs.model, ["cortex-a53"], inputs.data).cores
    assert found.passed
    assert found.golden is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_verify_on_cores_of_any_model_with_arrays_then_its_rows_are_compared(tmp_path: Path, guest, dtype: type) -> None:
    guest(lambda here: answer(here))
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(7, 4)).astype(dtype), labels=np.zeros(7, int))
    for model in (save_product(tmp_path / "model.onnx", classes=3), tmp_path):
        (found,) = verify_on_cores(model, ["cortex-a72"], tmp_path / "rows.npz").cores
        assert found.passed
        assert found.check.parity.n == 7


def test_verify_on_cores_of_a_model_with_one_number_a_row_then_refused(tmp_path: Path, guest) -> None:
    guest(lambda here: answer(here))
    np.savez(tmp_path / "rows.npz", x=np.zeros((7, 4), np.float32))
    with pytest.raises(UsageError, match="one number a row"):
        verify_on_cores(save_product(tmp_path / "model.onnx", classes=1), ["cortex-a72"], tmp_path / "rows.npz")


def save_product(path: Path, *, classes: int) -> Path:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.arange(4 * classes, dtype=np.float32).reshape(4, classes), "w")],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_verify_on_cores_of_a_model_without_texts_then_refused(inputs, guest) -> None:
    guest(lambda here: answer(here))
    with pytest.raises(UsageError, match="no bundle"):
        verify_on_cores(inputs.model, ["cortex-a53"])


def test_verify_on_cores_when_decisions_flip_then_fails_and_counts_them(packed: Path, guest) -> None:
    guest(lambda here: answer(-here))
    (found,) = verify_on_cores(packed / "bundle", ["cortex-a72"]).cores
    assert not found.passed
    assert found.check.parity.decisions_flipped == 32
    assert "parity.emulated_min_agreement" in found.problems[0]
    assert "32 of 32 golden vectors" in found.problems[1]


def test_verify_on_cores_when_only_the_tolerance_is_left_then_that_is_the_problem(packed: Path, guest) -> None:
    guest(lambda here: answer(here + np.float32(0.5)))
    (found,) = verify_on_cores(packed / "bundle", ["haswell"]).cores
    assert found.check.parity.passed
    assert found.problems == ("haswell: 0 of 32 golden vectors have another class, a logit is off by up to 0.5, 0.05 is allowed",)


def test_verify_on_cores_when_it_does_not_run_there_then_every_decision_counts_as_flipped(packed: Path, guest) -> None:
    guest(lambda here: answer(None, "ended with SIGILL"))
    (found,) = verify_on_cores(packed / "bundle", ["cortex-a72"]).cores
    assert (found.passed, found.golden) == (False, None)
    assert found.check.parity.decisions_flipped == 32
    assert found.problems == ("cortex-a72: it does not run there: ended with SIGILL",)


def test_verify_on_cores_without_an_environment_then_the_hint_builds_it(packed: Path) -> None:
    with pytest.raises(MissingDependencyError) as refused:
        verify_on_cores(packed / "bundle", ["cortex-a72"])
    assert refused.value.hint == "edgedistill arm-env"


SETTINGS = stage.EmulatedSettings(core="cortex-a76", emulator="7.2.22", onnxruntime="1.32.0", environment_sha256="a" * 64,
                                  rows_limit=20, min_agreement=0.9)


@pytest.fixture
def emulated_inputs(inputs, tmp_path: Path) -> stage.EmulatedInputs:
    """The tiny model with its own answers to its 60 test rows."""
    from edgedistill.evaluate.predictor import open_predictor, predict
    from edgedistill.tasks.text_classification.encoding import TextEncoder

    encoded = TextEncoder.load(inputs.model).encode(read_examples(inputs.data).texts)
    write_logits(tmp_path / "logits.npy", predict(open_predictor(inputs.model), encoded))
    return stage.EmulatedInputs(inputs.model, inputs.data, tmp_path / "logits.npy")


def test_emulated_stage_then_the_report_of_verify_holds_it_as_arm64(emulated_inputs, tmp_path: Path, guest) -> None:
    guest(lambda here: answer(here))
    workspace = Workspace(tmp_path / "stages")
    done = workspace.perform("verify-emulated", stage.EMULATED, SETTINGS, emulated_inputs)
    logits = emulated_inputs.host_logits
    verified = workspace.perform("verify", stage.STAGE, stage.Settings(gates=Parity()),
                                 stage.Inputs(logits, logits, logits, done.folder / stage.EMULATED_FILE))
    report = ParityReport.read_json(verified.folder / stage.PARITY_FILE)
    assert report.passed
    assert report.x86_64 is None
    assert report.arm64 is not None
    assert (report.arm64.candidate, report.arm64.source, report.arm64.n) == ("cortex-a76", "emulated", 20)
    assert "20 of 20 decisions as on the host" in done.manifest.decisions[0].what
    check = stage.EmulatedCheck.read_json(done.folder / stage.EMULATED_FILE)
    chosen = spread_rows(60, 20)
    right = read_logits(logits)[chosen].argmax(1) == read_examples(emulated_inputs.data).labels[chosen]
    assert check.labelled_rows == 20
    assert check.accuracy == check.host_accuracy
    assert check.accuracy is not None
    assert check.accuracy.value == pytest.approx(right.mean())
    assert f"accuracy {right.mean():.4f} there and {right.mean():.4f} here" in done.manifest.decisions[0].what


def test_emulated_stage_of_a_core_that_answers_otherwise_then_the_gate_fails(emulated_inputs, tmp_path: Path, guest) -> None:
    guest(lambda here: answer(-here))
    done = Workspace(tmp_path / "stages").perform("verify-emulated", stage.EMULATED,
                                                  SETTINGS.model_copy(update={"core": "haswell"}), emulated_inputs)
    logits = emulated_inputs.host_logits
    inputs = stage.Inputs(logits, logits, logits, done.folder / stage.EMULATED_FILE)
    verified = Workspace(tmp_path / "stages").perform("verify", stage.STAGE, stage.Settings(gates=Parity()), inputs)
    report = ParityReport.read_json(verified.folder / stage.PARITY_FILE)
    assert report.arm64 is None
    assert report.x86_64 is not None
    assert not report.passed


def test_emulated_stage_then_its_key_holds_core_emulator_runtime_and_environment(emulated_inputs, tmp_path: Path) -> None:
    def key(**changes: object) -> str:
        return Workspace(tmp_path).key_of(stage.EMULATED, SETTINGS.model_copy(update=changes), emulated_inputs)

    keys = {key(), key(core="cortex-a72"), key(emulator="10.0.2"), key(onnxruntime="1.31.0"), key(environment_sha256="c" * 64)}
    assert len(keys) == 5


def test_emulated_stage_with_another_environment_then_refused(emulated_inputs, tmp_path: Path, guest) -> None:
    guest(lambda here: answer(here))
    with pytest.raises(MissingDependencyError, match="not the one"):
        stage.EMULATED.requires(SETTINGS.model_copy(update={"environment_sha256": "c" * 64}), emulated_inputs)


def test_emulated_stage_with_logits_of_other_rows_then_refused(emulated_inputs, guest) -> None:
    guest(lambda here: answer(here))
    write_logits(emulated_inputs.host_logits, read_logits(emulated_inputs.host_logits)[:7])
    with pytest.raises(ArtifactError, match="7 rows"):
        stage.EMULATED.requires(SETTINGS, emulated_inputs)


def test_judge_then_not_a_number_counts_as_flipped() -> None:
    reference = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    found = emulated.judge(answer(np.full_like(reference, np.nan)), reference, core=core_named("cortex-a53"),
                           emulator="qemu 7.2.22", gate=emulated.emulated_gate(0.9, core="cortex-a53"))
    assert found.parity.decisions_flipped == 2
    assert not found.parity.passed


def test_judge_when_rows_have_labels_then_accuracy_there_and_here_over_those_alone() -> None:
    reference = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], np.float32)
    there = np.array([[1, 0], [1, 0], [np.nan, np.nan], [1, 0]], np.float32)
    labels = np.array([0, 1, 0, NO_LABEL])
    found = emulated.judge(answer(there), reference, core=core_named("cortex-a53"), emulator="qemu 7.2.22",
                           gate=emulated.emulated_gate(0.1, core="cortex-a53"), labels=labels)
    assert found.labelled_rows == 3
    assert (found.accuracy.value, found.host_accuracy.value) == (pytest.approx(1 / 3), 1.0)


def test_judge_when_nothing_ran_or_nobody_labelled_the_rows_then_no_accuracy() -> None:
    reference, gate = np.eye(2, dtype=np.float32), emulated.emulated_gate(0.9, core="cortex-a53")
    for labels in (None, np.full(2, NO_LABEL)):
        found = emulated.judge(answer(reference), reference, core=core_named("cortex-a53"), emulator="q", gate=gate, labels=labels)
        assert (found.labelled_rows, found.accuracy, found.host_accuracy) == (0, None, None)


@pytest.mark.parametrize(("options", "said"), [
    (["--emulate", "cortex-a72", "--against", "x"], "two checks"), (["--onnxruntime", "1.23.2"], "the version in the emulator"),
    (["--emulate", "z80"], "no core 'z80'"), (["--instructions-at-most", "9"], "add --emulate CORE"),
    (["--emulate", "cortex-a72", "--instructions-at-most", "0"], "greater than or equal to 1"),
])
def test_verify_command_with_options_that_do_not_go_together_then_refused(
    options: list[str], said: str, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["verify", str(packed / "bundle"), *options]) == 2
    assert said in capsys.readouterr().err


def test_verify_command_with_a_core_then_prints_agreement_golden_vectors_and_why_nothing_was_counted(
    packed: Path, guest, capsys: pytest.CaptureFixture[str]
) -> None:
    guest(lambda here: answer(here))
    assert run_command_line(["verify", str(packed / "bundle"), "--emulate", "cortex-a72"]) == 0
    printed = capsys.readouterr().out
    assert "cortex-a72 (qemu 7.2.22, onnxruntime 1.32.0): 32 of 32 decisions as here" in printed
    assert "32 golden vectors: 0 flipped" in printed
    assert "not counted: no C compiler" in printed


@pytest.mark.parametrize(("most", "code"), [(6_180_000, 0), (6_179_999, 4)])
def test_verify_command_with_a_limit_then_exit_4_above_it(
    packed: Path, guest, capsys: pytest.CaptureFixture[str], most: int, code: int
) -> None:
    guest(counted_answer, counts=True)
    command = ["verify", str(packed / "bundle"), "--emulate", "cortex-a72", "--instructions-at-most", str(most)]
    assert run_command_line([*command, "--json"]) == code
    (found,) = json.loads(capsys.readouterr().out)["cores"]
    assert (found["passed"], found["instructions_at_most"]) == (code == 0, most)
    assert run_command_line(command) == code
    printed = capsys.readouterr().out
    assert f"6,180,000 instructions an inference of shape 1 x 9 ({most:,} are allowed)" in printed
    assert ("problem: " in printed) == (code == 4)


def test_verify_command_with_a_limit_then_the_problem_says_how_many_and_how_much_more(
    packed: Path, guest, capsys: pytest.CaptureFixture[str]
) -> None:
    guest(counted_answer, counts=True)
    command = ["verify", str(packed / "bundle"), "--emulate", "cortex-a72", "--emulate", "cortex-a53"]
    assert run_command_line([*command, "--instructions-at-most", "6000000"]) == 4
    printed = capsys.readouterr().out
    for core in ("cortex-a72", "cortex-a53"):
        assert (f"problem: {core}: 6,180,000 instructions an inference of shape 1 x 9, 3.0% more than the 6,000,000 that are "
                "allowed") in printed


def test_verify_command_with_a_limit_when_nothing_can_be_counted_then_exit_6_before_any_work(
    packed: Path, guest, capsys: pytest.CaptureFixture[str]
) -> None:
    guest(lambda here: pytest.fail("it ran"))
    command = ["verify", str(packed / "bundle"), "--emulate", "cortex-a72", "--instructions-at-most", "9"]
    assert run_command_line(command) == 6
    assert "instructions cannot be counted here: no C compiler" in capsys.readouterr().err


def test_verify_command_with_a_limit_when_it_does_not_run_there_then_exit_4(
    packed: Path, guest, capsys: pytest.CaptureFixture[str]
) -> None:
    guest(lambda here: answer(None, "ended with SIGILL"), counts=True)
    command = ["verify", str(packed / "bundle"), "--emulate", "cortex-a72", "--instructions-at-most", "9"]
    assert run_command_line(command) == 4
    assert "instructions were not counted" in capsys.readouterr().out


def test_judge_when_rows_have_several_labels_then_whole_sets_count() -> None:
    reference = np.array([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]], np.float32)
    there = np.array([[2.0, -1.0], [1.0, -0.1], [-1.0, -2.0]], np.float32)
    labels = np.array([[1, 0], [1, 1], [0, 1]])
    found = emulated.judge(answer(there), reference, core=core_named("cortex-a53"), emulator="q", labels=labels,
                           gate=emulated.emulated_gate(0.1, core="cortex-a53"), problem=SEVERAL_LABELS)
    assert (found.parity.decisions_flipped, found.labelled_rows) == (1, 3)
    assert (found.accuracy.value, found.host_accuracy.value) == (pytest.approx(1 / 3), pytest.approx(2 / 3))


@pytest.mark.parametrize(("labels", "message"), [
    (np.zeros((7, 5), int), r"labels of the shape \(7, 5\)"), (np.zeros((7, 1), int), r"labels of the shape \(7, 1\)"),
])
def test_verify_on_cores_when_labels_do_not_fit_the_model_then_one_error(
    tmp_path: Path, guest, labels: np.ndarray, message: str
) -> None:
    guest(lambda here: answer(here))
    np.savez(tmp_path / "rows.npz", x=np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32), labels=labels)
    with pytest.raises(DataError, match=message):
        verify_on_cores(save_product(tmp_path / "model.onnx", classes=3), ["cortex-a72"], tmp_path / "rows.npz")
