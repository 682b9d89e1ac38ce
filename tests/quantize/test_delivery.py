"""What `quantize` makes beside the verdict: model.ort, and replays on emulated cores. Replays are made up."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgedistill
from edgedistill.cli.app import run_command_line
from edgedistill.emulation import choice
from edgedistill.emulation.environment import Environment, EnvironmentFacts
from edgedistill.emulation.replay import Replay
from edgedistill.errors import ArtifactError, MissingDependencyError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.host import this_host
from edgedistill.int8_settings import PostTraining
from edgedistill.quantize import delivery
from edgedistill.recipe import Parity
from edgedistill.results import QuantizationVerdict

FACTS = EnvironmentFacts(emulator="7.2.22", onnxruntime="1.32.0", numpy="2", python="3.11.2", counts_instructions=False,
                         packages=(), vital_files=(), tree_sha256="a" * 64, size_bytes=1)
ROWS = 240
WANTED = PostTraining(scheme="dynamic_wi8_afp32_per_channel", timing=False, trials=0)


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[tuple[str, int]]]:
    """A function that sets what each core makes of the host's numbers, and returns where rows went: cores and how many."""

    def give(**makes: Callable[[np.ndarray], np.ndarray | None]) -> list[tuple[str, int]]:
        calls: list[tuple[str, int]] = []

        def replay(model: Path, rows: list[Mapping[str, np.ndarray]], *, core: object, environment: object) -> Replay:
            calls.append((core.name, len(rows)))
            here = OnnxModel(model)
            numbers = np.concatenate([here.logits(row).reshape(1, -1) for row in rows])
            answers = makes.get(core.name.replace("-", "_"), lambda found: found)(numbers)
            return Replay(answers, "" if answers is not None else "ended with SIGILL", "onnxruntime 1.32.0", "b" * 64)

        found = Environment(Path("/somewhere"), FACTS)
        monkeypatch.setattr(delivery, "replay", replay)
        monkeypatch.setattr(delivery, "find", lambda onnxruntime: found)
        monkeypatch.setattr(choice, "find", lambda: found)
        return calls

    return give


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A model of two products, and rows labelled as it answers; beside it rows.npz."""
    return save_product(tmp_path, classes=4)


def save_product(folder: Path, *, classes: int) -> Path:
    rng = np.random.default_rng(3)
    first, second = (rng.normal(size=shape).astype(np.float32) / 4 for shape in ((16, 64), (64, classes)))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w1"], ["a"], "hidden"), helper.make_node("Relu", ["a"], ["b"]),
         helper.make_node("MatMul", ["b", "w2"], ["y"], "head")], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", classes])],
        [numpy_helper.from_array(first, "w1"), numpy_helper.from_array(second, "w2")],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "mine.onnx")
    x = rng.normal(size=(ROWS, 16)).astype(np.float32)
    answers = np.maximum(x @ first, 0) @ second
    labels = answers.argmax(1) if classes > 1 else (answers[:, 0] > 0).astype(np.int64)
    np.savez(folder / "rows.npz", x=x, labels=labels)
    return folder / "mine.onnx"


def quantize(mine: Path, *, target: str = "raspberry-pi", gates: Parity | None = None, **wanted: object) -> QuantizationVerdict:
    return edgedistill.quantize(mine, mine.parent / "rows.npz", mine.parent / "int8", target=edgedistill.load_target(target),
                                wanted=WANTED.model_copy(update=wanted), gates=gates)


def answers(file: Path, x: np.ndarray) -> np.ndarray:
    return np.asarray(onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0])


# model.ort


@pytest.mark.parametrize("target", ["raspberry-pi", "laptop-avx2"])
def test_quantize_then_model_ort_lies_beside_it_and_answers_as_it_does(mine: Path, target: str) -> None:
    scheme = "dynamic_wi8_afp32_per_channel" + ("_reduced_range" if target == "laptop-avx2" else "")
    verdict = quantize(mine, target=target, scheme=scheme)
    assert verdict.scheme == scheme
    x = np.load(mine.parent / "rows.npz")["x"][:1]
    made = mine.parent / "int8" / "model.ort"
    assert answers(made, x) == pytest.approx(answers(mine.parent / "int8" / "model.onnx", x), abs=1e-5)
    assert made.read_bytes()[4:8] == b"ORTM"  # the file identifier of ort.fbs
    assert verdict.ort is not None
    assert verdict.ort.size_bytes == made.stat().st_size
    assert verdict.ort.architecture == ("x86_64" if target == "laptop-avx2" else "aarch64")
    assert (verdict.ort.parity.n, verdict.ort.parity.decisions_flipped, verdict.ort.parity.source) == (32, 0, "measured")


def test_quantize_when_the_verdict_is_float_then_model_ort_and_the_replay_are_of_the_float_model(mine: Path, replayed) -> None:
    calls = replayed()
    verdict = quantize(mine, target="laptop-avx2")  # whose u8 x s8 products saturate with weights of the full range
    assert verdict.is_float
    assert verdict.ort is not None
    x = np.load(mine.parent / "rows.npz")["x"][:5]
    assert answers(mine.parent / "int8" / "model.ort", x) == pytest.approx(answers(mine, x), abs=1e-5)
    assert calls == [] if this_host().saturates_u8s8 else [("haswell", ROWS // 2)]


def test_quantize_when_it_cannot_be_converted_then_the_int8_model_stands_and_the_reason_is_told(
    mine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(model: bytes, architecture: str, *, oldest: str) -> object:
        raise ArtifactError("model.onnx: onnxruntime does not convert it to ORT format (no such operator)", hint="")

    monkeypatch.setattr(delivery, "convert_to_ort", refuse)
    assert run_command_line(["quantize", str(mine), "--data", str(mine.parent / "rows.npz"), "-o", str(mine.parent / "int8")]) == 0
    assert "no model.ort: model.onnx: onnxruntime does not convert it to ORT format (no such operator)" in capsys.readouterr().out
    assert (mine.parent / "int8" / "model.onnx").is_file()
    assert not (mine.parent / "int8" / "model.ort").exists()


def test_quantize_when_model_ort_answers_otherwise_then_it_is_not_kept(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = delivery.convert_to_ort

    def negated(model: bytes, architecture: str, *, oldest: str) -> object:
        changed = onnx.load_model_from_string(model)
        changed.graph.node.append(helper.make_node("Neg", [changed.graph.output[0].name], ["turned"]))
        changed.graph.output[0].name = "turned"
        return whole(changed.SerializeToString(), architecture, oldest=oldest)

    monkeypatch.setattr(delivery, "convert_to_ort", negated)
    verdict = quantize(mine)
    assert verdict.ort is None
    assert verdict.no_ort_because.startswith("it does not answer as model.onnx does: ")
    assert not (mine.parent / "int8" / "model.ort").exists()


# other instruction sets


def test_quantize_when_the_environment_is_there_then_the_targets_core_answers_all_judged_rows_and_others_fewer(
    mine: Path, replayed
) -> None:
    calls = replayed()
    verdict = quantize(mine)
    assert calls == [("cortex-a72", ROWS // 2), ("cortex-a53", 100), ("cortex-a76", 100)]
    own, *others = verdict.instruction_sets
    assert (own.core, own.is_target, own.emulator, own.runtime) == ("cortex-a72", True, "qemu 7.2.22", "onnxruntime 1.32.0")
    assert own.parity is not None
    assert (own.parity.source, own.parity.n, own.parity.decisions_flipped) == ("emulated", ROWS // 2, 0)
    assert own.accuracy is not None
    assert own.accuracy == own.host_accuracy
    assert own.labelled_rows == ROWS // 2
    assert [(line.core, line.is_target) for line in others] == [("cortex-a53", False), ("cortex-a76", False)]
    stored = QuantizationVerdict.read_json(mine.parent / "int8" / "verdict.json")
    assert stored == verdict


def test_quantize_when_fewer_rows_are_asked_for_then_so_many_are_replayed(mine: Path, replayed) -> None:
    calls = replayed()
    quantize(mine, gates=Parity(emulated_rows=12, emulated_other_rows=0))
    assert calls == [("cortex-a72", 12)]


def command(mine: Path, *more: str) -> list[str]:
    return ["quantize", str(mine), "--data", str(mine.parent / "rows.npz"), "-o", str(mine.parent / "int8"), *more]


def test_quantize_command_when_the_targets_core_decides_otherwise_then_exit_code_4_and_the_files_are_there(
    mine: Path, replayed, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed(cortex_a72=lambda numbers: -numbers)
    assert run_command_line(command(mine)) == 4
    out = capsys.readouterr().out
    assert f"cortex-a72 (the target): {ROWS // 2} of {ROWS // 2} decisions flipped, accuracy 0." in out
    assert "parity.emulated_min_agreement" in out
    assert "(emulated: qemu 7.2.22, onnxruntime 1.32.0)" in out
    assert {path.name for path in (mine.parent / "int8").iterdir()} == {"manifest.json", "model.onnx", "model.ort", "verdict.json"}


def test_quantize_command_when_another_core_decides_otherwise_then_it_is_told_and_passes(
    mine: Path, replayed, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed(cortex_a53=lambda numbers: -numbers, cortex_a76=lambda numbers: None)
    assert run_command_line(command(mine)) == 0
    out = capsys.readouterr().out
    assert "cortex-a53: 100 of 100 decisions flipped" in out
    assert "cortex-a76: 100 of 100 decisions flipped; it does not run there: ended with SIGILL" in out


def test_quantize_command_without_an_environment_then_each_core_has_a_line_with_the_hint(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(command(mine, "--json")) == 0
    lines = json.loads(capsys.readouterr().out)["instruction_sets"]
    assert [(line["core"], line["parity"]) for line in lines] == [(f"cortex-{name}", None) for name in ("a72", "a53", "a76")]
    assert run_command_line(command(mine)) == 0
    assert ("cortex-a72 (the target): not checked on this instruction set: there is no emulated environment for it here "
            "(edgedistill arm-env; then the same command again)") in capsys.readouterr().out


def test_quantize_again_once_the_environment_is_there_then_it_is_replayed(mine: Path, replayed) -> None:
    assert quantize(mine).instruction_sets[0].parity is None
    calls = replayed()
    assert quantize(mine).instruction_sets[0].parity is not None
    assert len(calls) == 3
    quantize(mine)
    assert len(calls) == 3  # found done


def test_quantize_when_the_environment_is_another_than_chosen_then_refused(
    mine: Path, replayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    replayed()
    monkeypatch.setattr(delivery, "find", lambda onnxruntime: None)
    with pytest.raises(MissingDependencyError, match="not the one"):
        quantize(mine)


def test_quantize_of_one_number_a_row_then_its_two_classes_are_compared_on_the_core(tmp_path: Path, replayed) -> None:
    replayed(cortex_a72=lambda numbers: -numbers)
    verdict = quantize(save_product(tmp_path, classes=1))
    own = verdict.instruction_sets[0]
    assert own.parity is not None
    assert own.parity.decisions_flipped == own.parity.n == ROWS // 2
