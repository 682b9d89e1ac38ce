"""The library behind the commands: the names of the design, callable, typed, documented, imported when asked for."""

import inspect
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import edgedistill
from edgedistill import library, measuring
from edgedistill.calibrate import local
from edgedistill.errors import ArtifactError, DataError, EdgedistillError, StorageError, UsageError
from edgedistill.user_paths import model_classes, open_examples

NAMES = (
    "load_recipe", "load_target", "plan", "run", "prepare", "teach", "distill", "evaluate", "export", "quantize",
    "verify", "measure", "package", "report",
)
HEAVY = ("torch", "transformers", "onnxruntime", "pydantic", "numpy", "yaml", "typer")


@pytest.mark.parametrize("name", NAMES)
def test_name_of_the_design_then_is_a_documented_function_with_every_type_given(name: str) -> None:
    function = getattr(edgedistill, name)
    assert inspect.isfunction(function)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter
    doc = inspect.getdoc(function) or ""
    assert len(doc) > 40
    documented = "Args:" in doc or len(signature.parameters) <= 2 or name == "export"
    assert documented, f"{name} does not explain its arguments"


@pytest.mark.parametrize("name", NAMES)
def test_annotations_then_name_types_that_exist(name: str) -> None:
    """Those that are written as strings, to keep imports light, are real too."""
    from edgedistill.benchmark.stage import Measurements
    from edgedistill.package.answer import Answer
    from edgedistill.pipeline import RunResult, StepListener
    from edgedistill.report.model import RunReport
    from edgedistill.verify.bundle import BundleCheck

    known = {kind.__name__: kind for kind in (Measurements, Answer, RunResult, RunReport, BundleCheck)}
    hints = typing.get_type_hints(getattr(edgedistill, name), localns=known | {"StepListener": StepListener})
    assert "return" in hints


def test_public_names_then_are_those_of_the_design_predict_and_calibrate() -> None:
    assert set(edgedistill.__all__) == set(library.__all__) == {*NAMES, "predict", "calibrate", "measure_on", "measure_detail"}
    assert set(dir(edgedistill)) >= {*NAMES, "__version__"}
    assert not hasattr(edgedistill, "nothing_like_that")


def test_functions_when_the_folders_of_the_same_names_are_imported_then_stay_functions() -> None:
    code = ("import edgedistill, inspect, importlib\n"
            "verbs = 'prepare teach distill evaluate export quantize verify package report'.split()\n"
            "for verb in verbs:\n    importlib.import_module(f'edgedistill.{verb}')\n"
            "assert all(inspect.isfunction(getattr(edgedistill, verb)) for verb in verbs + ['plan'])\n"
            "from edgedistill.evaluate import intervals\nimport edgedistill.plan\nimport edgedistill.verify.parity\n"
            "assert inspect.isfunction(edgedistill.evaluate) and inspect.isfunction(edgedistill.plan)\n")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_import_then_brings_nothing_but_the_standard_library() -> None:
    code = f"import sys, edgedistill\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_run_when_no_target_is_given_then_refuses() -> None:
    with pytest.raises(UsageError, match="no target"):
        edgedistill.run(edgedistill.load_recipe("home-intents"), [])


def test_plan_when_the_test_file_is_missing_then_says_so_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("text,label\na,b\nc,d\n", encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(
        "id: mine\ntask: text-classification\ndata: {train: train.csv, test: tset.csv}\nteacher: {name: teacher}\n",
        encoding="utf-8",
    )
    with pytest.raises(EdgedistillError, match=r"tset\.csv: no such file"):
        edgedistill.plan(edgedistill.load_recipe(tmp_path / "recipe.yaml"), edgedistill.load_target("raspberry-pi"))


def _model(folder: Path, config: object) -> Path:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("config", "expected"), [
    ({"id2label": {"1": "b", "0": "a", "10": "k", "2": "c"}}, ("a", "b", "c", "k")),
    ({"architectures": ["BertForSequenceClassification"]}, ("LABEL_0", "LABEL_1")),
])
def test_model_classes_then_stand_in_the_order_of_their_numbers(
    tmp_path: Path, config: object, expected: tuple[str, ...]
) -> None:
    assert model_classes(_model(tmp_path, config)) == expected


@pytest.mark.parametrize(
    "config", [[], {"architectures": ["BertModel"]}, {"id2label": {"a": "b"}}, {"id2label": ["a", "b"]}]
)
def test_model_classes_when_there_are_none_then_refuses(tmp_path: Path, config: object) -> None:
    with pytest.raises(ArtifactError, match=r"config\.json"):
        model_classes(_model(tmp_path, config))


def test_open_examples_when_given_a_data_file_then_numbers_labels_as_the_model_does(tmp_path: Path) -> None:
    from edgedistill.examples import NO_LABEL, read_examples

    path = tmp_path / "mine.csv"
    path.write_text("text,label\nlamp on,light\nsong,music\n", encoding="utf-8")
    with open_examples(path, "test", ("music", "light")) as file:
        assert read_examples(file).labels.tolist() == [1, 0]
    with open_examples(path, "test") as file:
        assert read_examples(file).labels.tolist() == [NO_LABEL, NO_LABEL]
        assert read_examples(file).texts == ["lamp on", "song"]
    assert not file.exists()
    with pytest.raises(DataError, match=r"mine\.csv:2: the model does not know the label 'light'"), \
            open_examples(path, "test", ("music", "rain")):
        pass


@pytest.mark.parametrize(("models", "words"), [
    ([Path("a")], "models are named by their variant"), ({}, "models are named by their variant"),
    ({"mine": Path("a"), "student": Path("b")}, "no variant is called mine"),
])
def test_measure_when_models_are_not_named_by_variants_then_says_which_names_there_are(models: object, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        edgedistill.measure(models, Path("data"))  # type: ignore[arg-type]
    assert "the names are teacher, teacher_int8, student_no_kd" in caught.value.hint


def test_measure_when_a_folder_has_an_onnx_model_then_that_is_measured(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"")
    given: dict[typing.Any, Path] = {"student_onnx": tmp_path / "onnx", "student": tmp_path, "teacher": tmp_path / "a.onnx"}
    assert measuring._files_of(given) == given | {"student_onnx": tmp_path / "onnx" / "model.onnx"}


def test_calibrate_when_a_folder_is_named_then_refuses_before_it_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "calibrate_this_machine", lambda **asked: pytest.fail("measured"))
    with pytest.raises(StorageError, match="is a folder, and the profile is a file") as caught:
        edgedistill.calibrate(tmp_path)
    assert caught.value.hint == f"-o {tmp_path / 'here.yaml'}"
    assert list(tmp_path.iterdir()) == []
