"""The benchmark scripts import each other by their plain names: their folder is on the path, as when one is started."""

import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

N_TEST = 8
_TINY = Path(__file__).resolve().parents[1] / "integration" / "tiny.py"


@pytest.fixture
def tiny() -> Any:
    """The module of the integration tests that writes a tiny problem: data and teacher."""
    spec = importlib.util.spec_from_file_location("tiny_problem", _TINY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def suite() -> Any:
    """The suite of the students."""
    from suite_files import StudentsSuite, read_suite_file

    return read_suite_file(StudentsSuite, "students")


@pytest.fixture
def line(suite: Any, tmp_path: Path) -> Any:
    """The line of one of its tasks, with nothing done yet."""
    from student_line import Line

    return Line(suite, "trec6", tmp_path / "data", tmp_path / "work")


@pytest.fixture
def tiny_suite(tmp_path: Path) -> Callable[[], Any]:
    """A function that returns the suite of the tiny problem, whose data and teacher lie in tmp_path."""
    from suite_files import DataFile, StudentsSuite, SuiteRung, TaskData

    from edgedistill.artifact import sha256_of_file
    from edgedistill.recipe import Teacher

    def make() -> StudentsSuite:
        train, validation, test = (
            DataFile(file=name, sha256=sha256_of_file(tmp_path / name)) for name in ("train.tsv", "validation.tsv", "test.tsv")
        )
        return StudentsSuite(
            kind="data-sets", description="tiny", target="raspberry-pi", teacher=Teacher(name="teacher", max_tokens=32),
            teacher_seed=3, seeds=(4,), rungs=(SuiteRung(size="small", rung="bert-2x64", divisor=2, goal=0.5),),
            tasks={"tiny": TaskData(train=train, validation=validation, test=test)},
            overrides=("distillation.rows_seen=600", "distillation.batch_size=32", "distillation.transfer_set.rows=60",
                       "teacher.fine_tuning.epochs=2", "teacher.fine_tuning.learning_rate=0.002"),
        )

    return make


@pytest.fixture
def write_row(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that writes a hand-made row of 8 test rows to results/<folder>/<task>.json."""
    from resumable_rows import RowFile, pack_bits

    def write(folder: str, *, right: Sequence[int], task: str = "trec6", **figures: Any) -> dict[str, Any]:
        bits = np.asarray(right, dtype=bool)
        assert len(bits) == N_TEST
        defaults: dict[str, Any] = {
            "task": task, "seed": 13, "n_test": N_TEST, "right": pack_bits(bits), "base": "same", "rung": "r", "int8_validation": 0.5, "int8_bytes": 1_000_000,
            "int8_test": float(bits.mean()), "test": float(bits.mean()), "teacher_fp32_bytes": 90_000_000, "teacher_test": 1.0,
            "rows_seen": 250_000, "threads": [2, 2], "distill_s": 60.0, "distill_s_is_whole": True, "soft_labels_s": 10.0, "limit_bytes": 1_125_000,
        }
        settings = {"task": task, "folder": folder, **{k: v for k, v in figures.items() if k != "made"}}
        file = RowFile(tmp_path / "results" / folder / f"{task}.json")
        return file.add(settings, defaults | figures, command="python benchmarks/made_by_hand.py")

    return write


def write_small_float(folder: Path, *, tokens: int = 600, width: int = 96, classes: int = 3) -> Path:
    """Write a float text model as an export is: the mean of embeddings, two matrices. Returns the folder."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    shapes = {"table": (tokens, width), "inner": (width, 4 * width), "outer": (4 * width, classes)}
    weights = {name: (random.normal(size=shape) / np.sqrt(shape[0] if name != "table" else 1)).astype(np.float32)
               for name, shape in shapes.items()}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"], "embeddings"),
        helper.make_node("ReduceMean", ["vectors"], ["mean"], "pool", axes=[1], keepdims=0),
        helper.make_node("MatMul", ["mean", "inner"], ["wide"], "inner"),
        helper.make_node("Relu", ["wide"], ["positive"], "relu"),
        helper.make_node("MatMul", ["positive", "outer"], ["logits"], "head"),
    ]
    graph = helper.make_graph(
        nodes, "small", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "model.onnx")
    return folder


@pytest.fixture(scope="session")
def int8_subject(
    write_tokenizer_files: Callable[[Path], None], rows: Callable[..., Any], labels: tuple[str, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    """A small student of trec6, labelled by itself, with data and soft labels; its steps are kept for the session."""
    from int8_subjects import Subject

    from edgedistill.evaluate.onnx_model import OnnxModel
    from edgedistill.examples import write_examples
    from edgedistill.recipe import Recipe
    from edgedistill.results import Labels
    from edgedistill.soft_labels import Origin, write_soft_labels
    from edgedistill.stage import Workspace
    from edgedistill.tasks.text_classification.encoding import TextEncoder

    folder = tmp_path_factory.mktemp("int8")
    exported = write_small_float(folder / "exported")
    write_tokenizer_files(exported)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    (exported / "config.json").write_text(json.dumps({"model_type": "bert", **names}), encoding="utf-8")
    (folder / "data").mkdir()
    for number, (split, count) in enumerate((("train", 80), ("validation", 40), ("test", 50))):
        texts, _ = rows(count, seed=number)
        encoded, model = TextEncoder.load(exported).encode(texts), OnnxModel(exported / "model.onnx")
        logits = np.concatenate([model.logits(encoded.batch([i])) for i in range(count)])
        ids = [f"{split}{i}" for i in range(count)]
        write_examples(folder / "data" / f"{split}.arrow", ids, texts, logits.argmax(1).tolist())
        if split == "train":
            write_soft_labels(folder / "soft_labels.arrow", [(ids, logits)], classes=3, origin=Origin("t", "t", "d"))
    (folder / "data" / "labels.json").write_text(Labels(labels=labels).to_json(), encoding="utf-8")
    (folder / "model").mkdir()
    (folder / "model" / "model.safetensors").write_bytes(b"weights")
    recipe = Recipe.model_validate({"id": "tiny", "task": "text-classification", "data": {"train": "t.tsv"}, "teacher": {"name": "t"}})
    subject = Subject("trec6", 13, "1/80", "tiny", Workspace(folder / "work"), recipe, folder / "model", folder / "data",
                      folder / "soft_labels.arrow", "raspberry-pi", {"task": "trec6", "seed": 13, "is": "by hand", "stages": {"export": 1}})
    vars(subject)["exported"] = exported  # it is exported already: that would need torch
    vars(subject)["exported_for"] = lambda target: exported
    vars(subject)["plain"] = exported
    return subject
