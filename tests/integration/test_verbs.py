"""Every verb alone: what it prints, and that it finds its own result done."""

import json
from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line

from .conftest import Chain


def test_every_verb_when_asked_for_json_then_prints_one_document(chain: Chain) -> None:
    found = {name: json.loads(text) for name, text in chain.printed.items()}
    assert found["prepare"]["stage"] == "prepare"
    assert set(found["teach"]) == {"teacher", "soft_labels"}
    assert {f["path"] for f in found["distill"]["outputs"]} >= {"model.safetensors", "config.json", "tokenizer.json"}
    assert [f["path"] for f in found["export"]["outputs"] if f["path"].endswith(".onnx")] == ["model.onnx"]
    assert found["quantize"]["coverage"]["weight_bytes_share"] == 1.0
    assert found["evaluate"]["n"] == found["verify"]["n"] == 60
    assert [answer["text"] for answer in found["predict"]] == ["hello my friend", "bye"]


@pytest.mark.parametrize("arguments", [
    ["evaluate", "{}/int8", "--data", "{}/data"],
    ["evaluate", "{}/onnx", "--data", "{}/test.tsv", "--split", "test"],
    ["verify", "{}/packed/bundle"],
    ["verify", "{}/packed/bundle.zip"],
    ["predict", "{}/packed/bundle.zip", "hello"],
    ["verify", "{}/int8", "--against", "{}/onnx", "--data", "{}/test.tsv"],
])
def test_reading_verb_when_not_asked_for_json_then_prints_text(
    chain: Chain, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([part.format(chain.folder) for part in arguments]) == 0
    out = capsys.readouterr().out
    assert out.strip()
    assert "\033" not in out


def test_benchmark_when_given_two_models_then_names_them_by_their_paths(
    chain: Chain, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["benchmark", f"{chain.folder}/onnx", f"{chain.folder}/int8", "--data", f"{chain.folder}/data"]
    assert run_command_line([*arguments, "--processes", "1", "-o", str(tmp_path / "kept")]) == 0
    out, err = capsys.readouterr()
    assert f"{chain.folder}/onnx/model.onnx" in out
    assert f"student_int8 is {chain.folder}/int8/model.onnx" in err
    assert f"student_onnx is {chain.folder}/onnx/model.onnx" in err
    assert (tmp_path / "kept" / "measurements.json").is_file()


@pytest.mark.parametrize("verb", ["prepare", "quantize"])
def test_verb_when_repeated_then_leaves_its_result_as_it_is(chain: Chain, verb: str) -> None:
    where = {"prepare": "data", "quantize": "int8"}[verb]
    manifest = chain.folder / where / "manifest.json"
    before = manifest.read_bytes()
    arguments = {"prepare": ["--recipe", f"{chain.folder}/recipe.yaml"],
                 "quantize": [f"{chain.folder}/onnx", "--data", f"{chain.folder}/data"]}[verb]
    assert run_command_line([verb, *arguments, "-o", str(chain.folder / where)]) == 0
    assert manifest.read_bytes() == before
