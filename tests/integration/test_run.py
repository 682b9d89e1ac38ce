"""The whole line on a tiny problem: one run, its folder, its report, and the second run that does nothing."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import edgedistill
from edgedistill.cli.app import run_command_line
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.package.predict import predict_text
from edgedistill.tasks.text_classification.encoding import TextEncoder

from .tiny import write_recipe

TARGET_KEYS = {"verdict", "budgets", "variants", "retention", "parity", "int8_coverage"}
VARIANTS = {"teacher", "teacher_int8", "student_no_kd", "student", "student_onnx", "student_int8"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder; the recipe lies beside it."""
    folder = tmp_path_factory.mktemp("tiny")
    recipe = write_recipe(folder)
    result = edgedistill.run(edgedistill.load_recipe(recipe), [edgedistill.load_target("raspberry-pi")], folder / "run")
    assert result.missed == ()
    assert result.parity_problems == ()
    return folder / "run"


def test_report_when_run_is_finished_then_follows_the_contract_and_its_schema(finished: Path) -> None:
    import jsonschema

    from edgedistill.report.model import RunReport

    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(report, RunReport.model_json_schema(mode="serialization"))
    target = report["targets"]["raspberry-pi"]
    assert target.keys() >= TARGET_KEYS
    assert set(target["variants"]) == VARIANTS
    assert target["verdict"] == "pass"
    assert target["int8_coverage"]["weight_bytes_share"] == 1.0
    forms = {name: variant["int8"] for name, variant in target["variants"].items() if variant["int8"] is not None}
    assert {"teacher_int8", "student_int8"} <= set(forms) <= {name for name in target["variants"] if "_int8" in name}
    assert forms["student_int8"]["coverage"] == target["int8_coverage"]
    assert target["parity"]["arm64"] is None
    for name, variant in target["variants"].items():
        assert variant["latency"]["host"]["n"] >= 20, name
        assert variant["accuracy_ci95"][0] <= variant["accuracy"] <= variant["accuracy_ci95"][1]
    assert target["variants"]["student_int8"]["latency"]["target"]["source"] == "predicted"
    proof, = (decision["what"] for decision in report["decisions"] if decision["step"] == "prove-ids")
    assert "test texts, id for id" in proof


def test_run_folder_when_finished_then_holds_what_the_contract_names(finished: Path) -> None:
    for name in ("report.html", "report.md", "report.json", "recipe.lock.yaml", ".stages"):
        assert (finished / name).exists(), name
    student = finished / "raspberry-pi" / "student"
    for name in ("config.json", "tokenizer.json", "model.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx",
                 "ort_config.json"):
        assert (student / name).is_file(), name
    assert (finished / "raspberry-pi" / "bundle" / "model.onnx").is_file()
    assert not list(finished.rglob("*.partial"))
    assert not list(finished.rglob("checkpoint-*"))


def test_every_finished_step_then_has_a_manifest_whose_hashes_are_right(finished: Path) -> None:
    from edgedistill.manifest import read_valid_manifest

    steps = [path.parent for path in (finished / ".stages").glob("*/*/manifest.json")]
    assert len(steps) >= 15
    assert all(read_valid_manifest(step) is not None for step in steps)


def test_run_when_repeated_then_skips_every_step_and_keeps_the_report(finished: Path) -> None:
    before = {p: p.read_bytes() for p in finished.glob("report.*")}
    states: list[str] = []
    edgedistill.run(
        edgedistill.load_recipe(finished.parent / "recipe.yaml"), [edgedistill.load_target("raspberry-pi")], finished,
        on_step=lambda step, state, seconds: states.append(state),
    )
    assert set(states) == {"skipped"}
    assert {p: p.read_bytes() for p in finished.glob("report.*")} == before


def test_run_when_an_artifact_is_damaged_then_redoes_that_step_only(finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    (model,) = (copy / ".stages" / "quantize-student").glob("*/model.onnx")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    redone: list[str] = []
    edgedistill.run(
        edgedistill.load_recipe(finished.parent / "recipe.yaml"), [edgedistill.load_target("raspberry-pi")], copy,
        on_step=lambda step, state, seconds: redone.append(step) if state == "done" else None,
    )
    assert redone == ["quantize-student"]
    assert hashlib.sha256(model.read_bytes()).hexdigest() == digest


def test_student_when_loaded_by_the_ecosystem_then_answers_alike_everywhere(finished: Path) -> None:
    import numpy as np
    import torch
    from optimum.onnxruntime import ORTModelForSequenceClassification
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    student = finished / "raspberry-pi" / "student"
    tokenizer = AutoTokenizer.from_pretrained(student)
    inputs = tokenizer(["hello my dear friend", "farewell"], return_tensors="pt", padding=True)
    with torch.inference_mode():
        reference = AutoModelForSequenceClassification.from_pretrained(student).eval()(**inputs).logits.numpy()
    onnx = ORTModelForSequenceClassification.from_pretrained(student, file_name="model.onnx", subfolder="onnx")
    np.testing.assert_allclose(onnx(**inputs).logits.numpy(), reference, atol=1e-4)
    int8 = ORTModelForSequenceClassification.from_pretrained(student, file_name="model_quantized.onnx", subfolder="onnx")
    bundle = predict_text(finished / "raspberry-pi" / "bundle", ["farewell"])[0]
    alone = int8(**tokenizer(["farewell"], return_tensors="pt")).logits.numpy()[0]
    assert int8.config.id2label[int(alone.argmax())] == bundle.label


TRANSFORMERS_JS = """
import { readFileSync } from "node:fs";
import { AutoModelForSequenceClassification, AutoTokenizer, env, pipeline } from "@huggingface/transformers";
env.allowRemoteModels = false;
env.localModelPath = process.argv[2];
const texts = JSON.parse(readFileSync("texts.json"));
const tokenizer = await AutoTokenizer.from_pretrained("student");
const found = {};
for (const dtype of ["fp32", "q8"]) {
  const model = await AutoModelForSequenceClassification.from_pretrained("student", { dtype });
  found[dtype] = [];
  for (const text of texts) found[dtype].push(Array.from((await model(await tokenizer(text))).logits.data));
}
const classify = await pipeline("text-classification", "student", { dtype: "q8" });
found.label = (await classify(texts[0]))[0].label;
process.stdout.write(JSON.stringify(found));
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm: apt-get install nodejs npm")
def test_student_when_loaded_by_transformers_js_then_answers_as_onnxruntime_does(finished: Path, tmp_path: Path) -> None:
    import numpy as np

    texts = ["hello my dear friend", "farewell", "an unheard-of wording"]
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    (tmp_path / "main.js").write_text(TRANSFORMERS_JS)
    installed = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "@huggingface/transformers"], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )
    if installed.returncode != 0:
        pytest.skip(f"npm could not install @huggingface/transformers: {installed.stderr[-200:]}")

    done = subprocess.run(["node", "main.js", str(finished / "raspberry-pi")], cwd=tmp_path, capture_output=True, text=True,
                          check=False)

    assert done.returncode == 0, done.stderr
    found, student = json.loads(done.stdout), finished / "raspberry-pi" / "student"
    encoded = TextEncoder.load(student).encode(texts)
    for dtype, name in (("fp32", "model.onnx"), ("q8", "model_quantized.onnx")):
        expected = predict(open_predictor(student / "onnx" / name), encoded)
        np.testing.assert_allclose(found[dtype], expected, atol=1e-3)
    assert found["label"] == predict_text(finished / "raspberry-pi" / "bundle", texts[:1])[0].label


def test_predict_and_verify_when_given_the_bundle_then_work(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(finished / "raspberry-pi" / "bundle")
    assert run_command_line(["predict", bundle, "hello my dear friend", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] in {"greet", "leave", "thank"}
    assert run_command_line(["verify", bundle]) == 0


def test_run_when_the_goal_is_out_of_reach_then_exit_code_3_and_everything_is_written(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = str(finished.parent / "recipe.yaml")
    code = run_command_line([
        "run", "--recipe", recipe, "--target", "raspberry-pi", "--out", str(finished),
        "--set", "goals=[{metric: accuracy, type: min-value, value: 1.0}, {metric: macro_f1, type: min-value, value: 1.0}]",
        "--set", "budgets.latency_p50_s=0.01", "--trials", "1",
    ])
    report = json.loads((finished / "report.json").read_text(encoding="utf-8"))
    accuracy = report["targets"]["raspberry-pi"]["variants"]["student_int8"]["accuracy"]
    assert code == (0 if accuracy == 1.0 else 3)
    assert (finished / "raspberry-pi" / "bundle").is_dir()
