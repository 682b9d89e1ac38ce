import dataclasses
import hashlib
import json
import subprocess
import sys

import pytest

from edgedistill.package.bill_of_materials import bill_of_materials
from edgedistill.package.card import CardFigures
from edgedistill.package.contents import BundleIdentity
from edgedistill.results import Interval

IDENTITY = BundleIdentity("intents", "text-classification", "raspberry-pi", "someone/teacher", "1.17")


def _bill(**figures):
    return bill_of_materials(IDENTITY, CardFigures(**figures), files={"model.onnx": b"the model", "tokenizer.json": b"{}"}, runtime="1.32.0")


def test_bill_when_made_tells_model_teacher_data_and_runtime():
    bill = json.loads(_bill(accuracy=Interval(value=0.95, low=0.9, high=0.98), teacher_licence="Apache-2.0",
                            data_licence="our own terms"))

    student = bill["metadata"]["component"]
    assert (bill["bomFormat"], bill["specVersion"], student["type"]) == ("CycloneDX", "1.6", "machine-learning-model")
    assert student["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"the model").hexdigest()}]
    assert student["modelCard"]["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "accuracy", "value": "0.9500", "slice": "test split",
         "confidenceInterval": {"lowerBound": "0.9000", "upperBound": "0.9800"}}
    ]
    licences = {c["bom-ref"]: c.get("licenses") for c in bill["components"]}
    assert licences["teacher"] == [{"license": {"id": "Apache-2.0"}}]
    assert licences["data"] == [{"license": {"name": "our own terms"}}]


def test_bill_when_made_lists_its_files_with_their_hashes():
    files = json.loads(_bill())["metadata"]["component"]["components"]

    assert {f["name"]: f["hashes"][0]["content"] for f in files} == {
        "model.onnx": hashlib.sha256(b"the model").hexdigest(), "tokenizer.json": hashlib.sha256(b"{}").hexdigest(),
    }


@pytest.mark.parametrize(("scheme", "notes"), [
    ("dynamic_wi8_afp32", "distilled from someone/teacher, quantized to int8"),
    ("weight_only_wi8_afp32", "distilled from someone/teacher, its weights quantized to int8"),
    ("float", "distilled from someone/teacher, not quantized"),
    (None, "distilled from someone/teacher"),
])
def test_bill_when_the_scheme_is_told_goes_by_it(scheme, notes):
    bill = bill_of_materials(dataclasses.replace(IDENTITY, scheme=scheme), CardFigures(), files={"model.onnx": b"the model"}, runtime="1.32.0")

    student = json.loads(bill)["metadata"]["component"]
    assert (student["pedigree"]["notes"], student["description"]) == (notes, notes)


@pytest.mark.parametrize(("task", "format_"), [("text-classification", "text"), ("image-classification", "image")])
def test_bill_when_the_task_is_told_names_what_the_model_takes(task, format_):
    bill = bill_of_materials(dataclasses.replace(IDENTITY, task=task), CardFigures(), files={"model.onnx": b"the model"}, runtime="1.32.0")

    parameters = json.loads(bill)["metadata"]["component"]["modelCard"]["modelParameters"]
    assert (parameters["task"], parameters["inputs"]) == (task, [{"format": format_}])


def test_bill_when_a_licence_is_unknown_claims_none():
    assert "licenses" not in json.loads(_bill())["components"][0]


def test_bill_when_made_twice_is_the_same_bytes():
    assert _bill() == _bill()


PROGRAM = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bill_when_checked_against_the_schema_is_valid(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path), "cyclonedx-python-lib[json-validation]"],
        capture_output=True, text=True, check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"cyclonedx-python-lib could not be installed: {done.stderr[-200:]}")
    bill = _bill(accuracy=Interval(value=0.95, low=0.9, high=0.98), teacher_licence="Apache-2.0", data_licence="our own terms")

    found = [
        subprocess.run([sys.executable, "-c", PROGRAM], input=text, env={"PYTHONPATH": str(tmp_path)}, capture_output=True,
                       text=True, check=True).stdout.strip()
        for text in (bill, bill.replace('"machine-learning-model"', '"no-such-type"'))
    ]

    assert found[0] == "None"
    assert found[1] != "None"
