"""What a run and the library call tell the package step of the verdict on int8 and of the teacher."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from edgedistill import library, pipeline
from edgedistill.catalog import LocatedRecipe, load_recipe, load_target
from edgedistill.errors import ArtifactError, StorageError
from edgedistill.results import Coverage, Evaluation, Interval, Labels, QuantizationVerdict


@pytest.fixture
def located(tmp_path):
    """A recipe whose teacher is a folder, called like a model of the hub."""
    (tmp_path / "work" / "teacher").mkdir(parents=True)
    recipe = load_recipe("home-intents").recipe
    return LocatedRecipe(recipe.model_copy(update={
        "description": "", "teacher": recipe.teacher.model_copy(update={"name": "work/teacher"}),
    }), tmp_path)


def _write_verdict(folder, scheme):
    coverage = Coverage(weight_bytes_share=0, nodes_share=0, float_nodes=(), bytes_by_part={})
    verdict = QuantizationVerdict(scheme=scheme, candidates={}, coverage=coverage, decision="ship it")
    (folder / "verdict.json").write_text(verdict.to_json())


def _packed(located, inputs, tmp_path, scheme):
    """Pack the tiny model with a verdict beside it; returns the files of the bundle as text."""
    data, model = tmp_path / "data", tmp_path / "model"
    data.mkdir()
    model.mkdir()
    for path in inputs.model.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    for path in (inputs.data, inputs.labels):
        (data / path.name).write_bytes(path.read_bytes())
    if scheme is not None:
        _write_verdict(model, scheme)
    done = library.package(model, data, tmp_path / "packed", recipe=located, target=load_target("raspberry-pi"))
    return {path.name: path.read_text(errors="replace") for path in (done.folder / "bundle").rglob("*") if path.is_file()}


def test_package_when_the_verdict_is_float_then_no_word_of_the_bundle_calls_it_int8(located, inputs, tmp_path):
    made = _packed(located, inputs, tmp_path, "float")

    assert "| model.onnx (float) |" in made["README.md"]
    assert "A distilled text classifier in float" in made["README.md"]
    assert yaml.safe_load(made["README.md"].split("---")[1])["tags"] == ["onnx", "distillation"]
    assert "scale of the activations" not in made["README.md"]
    assert json.loads(made["bom.cdx.json"])["metadata"]["component"]["pedigree"]["notes"] == "distilled from teacher, not quantized"


def test_evaluate_of_a_bundle_or_its_zip_then_as_of_the_model_that_was_packed(packed, inputs, tmp_path):
    found = [library.evaluate(path, inputs.data) for path in (packed / "bundle", packed / "bundle.zip", inputs.model)]
    assert found[0] == found[1]
    assert (found[0].accuracy, found[0].size_bytes) == (found[2].accuracy, found[2].size_bytes)


def test_evaluate_of_a_bundle_when_its_classes_stand_in_another_order_then_refused(bundle, inputs, tmp_path):
    known = Labels.read_json(bundle / "labels.json")
    (bundle / "labels.json").write_text(known.model_copy(update={"labels": known.labels[::-1]}).to_json())
    data = tmp_path / "data"
    data.mkdir()
    (data / "test.arrow").write_bytes(inputs.data.read_bytes())
    (data / "labels.json").write_bytes(inputs.labels.read_bytes())
    with pytest.raises(ArtifactError, match="their labels would be mixed up"):
        library.evaluate(bundle, data)


def test_package_when_the_bundle_there_was_changed_then_refused_and_it_stays(located, inputs, tmp_path):
    _packed(located, inputs, tmp_path, None)
    source = tmp_path / "packed" / "bundle" / "android" / "mine.kt"
    source.write_text("mine")
    with pytest.raises(StorageError, match="was changed since it was written"):
        library.package(tmp_path / "model", tmp_path / "data", tmp_path / "packed", recipe=located, target=load_target("raspberry-pi"))
    assert source.read_text() == "mine"


def test_package_when_no_verdict_lies_beside_the_model_then_claims_nothing(located, inputs, tmp_path):
    made = _packed(located, inputs, tmp_path, None)

    assert "| model.onnx |" in made["README.md"]
    assert json.loads(made["bom.cdx.json"])["metadata"]["component"]["pedigree"]["notes"] == "distilled from teacher"


def test_package_when_the_teacher_is_a_folder_then_no_file_holds_its_path_and_no_hub_model_is_claimed(located, inputs, tmp_path):
    made = _packed(located, inputs, tmp_path, "dynamic_wi8_afp32")

    assert [name for name, text in made.items() if "work/teacher" in text or str(tmp_path) in text] == []
    assert "base_model" not in yaml.safe_load(made["README.md"].split("---")[1])
    assert json.loads(made["bundle.json"])["base_model"] == "teacher"
    assert "| `teacher` (teacher) |" in made["LICENSES.md"]


@pytest.mark.parametrize("scheme", ["float", "static_wi8_ai8"])
def test_run_when_it_packs_then_tells_the_scheme_of_the_verdict_and_the_teachers_own_name(located, tmp_path, scheme):
    _write_verdict(tmp_path, scheme)
    figure = Interval(value=0.9, low=0.8, high=0.95)
    evaluation = Evaluation(
        variant="student_int8", model_sha256="0" * 64, parameters=1, size_bytes=1, split="test", n=10, accuracy=figure, macro_f1=figure,
        calibration_error=figure, agreement_with_teacher=None, mcnemar_against_teacher=None, classes=(), confusion=(),
    )
    (tmp_path / "evaluation.json").write_text(evaluation.to_json())
    done, asked = SimpleNamespace(folder=tmp_path), []
    line = SimpleNamespace(
        recipe=located.recipe, recipe_folder=located.folder, task=SimpleNamespace(package=asked.append),
        workspace=SimpleNamespace(do=lambda step, work: done), note=lambda step, found: found,
    )
    plan = SimpleNamespace(target=load_target("raspberry-pi"), budgets={"model_bytes": SimpleNamespace(limit=None)})

    pipeline._package(line, SimpleNamespace(prepared=done), plan, done, {"teacher": done, "student_int8": done})

    (packing,) = asked
    assert (packing.settings.scheme, packing.settings.base_model, packing.model) == (scheme, "teacher", Path(tmp_path))
