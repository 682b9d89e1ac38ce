"""One pass through the verbs alone, on a tiny problem whose teacher is taken as it is: seconds, hardly any training."""

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line

from .tiny import WORDS, write_recipe


@dataclass(frozen=True)
class Chain:
    """A folder with data, teacher, recipe.yaml and the result of every verb; and what each verb printed with --json."""

    folder: Path
    printed: dict[str, str]


def write_classifier(folder: Path, encoder: Path) -> None:
    """Write a random sequence classifier of the tiny classes, with the tokenizer of a tiny encoder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    shutil.copytree(encoder, folder)
    names = dict(enumerate(WORDS))
    torch.manual_seed(0)
    config = BertConfig.from_pretrained(encoder, id2label=names, label2id={name: i for i, name in names.items()})
    BertForSequenceClassification(config).save_pretrained(folder)


@pytest.fixture(scope="session")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, an encoder (teacher/), a classifier (classifier/) and recipe.yaml; not to be changed."""
    folder = tmp_path_factory.mktemp("problem")
    recipe = json.loads(write_recipe(folder).read_text(encoding="utf-8"))
    write_classifier(folder / "classifier", folder / "teacher")
    recipe["teacher"]["name"] = "classifier"
    recipe["distillation"]["rows_seen"] = 200
    (folder / "recipe.yaml").write_text(json.dumps(recipe, indent=1), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def chain(problem: Path, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Every verb alone, one after the other; not to be changed."""
    folder = tmp_path_factory.mktemp("chain") / "all"
    shutil.copytree(problem, folder)
    recipe = ["--recipe", f"{folder}/recipe.yaml"]
    data, taught, student, onnx, int8 = (str(folder / name) for name in ("data", "taught", "student", "onnx", "int8"))
    printed = {}
    for name, arguments in {
        "prepare": [*recipe, "-o", data],
        "teach": [*recipe, "--data", data, "-o", taught],
        "distill": [*recipe, "--data", data, "--taught", taught, "-o", student],
        "export": [student, "-o", onnx],
        "quantize": [onnx, "--data", data, "-o", int8],
        "evaluate": [int8, "--data", data],
        "verify": [int8, "--against", onnx, "--data", data],
        "package": [int8, "--data", data, *recipe, "-o", str(folder / "packed")],
        "predict": [str(folder / "packed" / "bundle"), "hello my friend", "bye"],
    }.items():
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command_line([name, *arguments, "--json"])
        assert code == 0, f"{name}: {err.getvalue()}"
        printed[name] = out.getvalue()
    return Chain(folder, printed)
