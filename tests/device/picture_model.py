"""A tiny real picture model in a folder or a bundle: a convolution, a mean, a linear head; and pictures for it."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgedistill.examples import Examples, read_examples
from edgedistill.plan import PictureSize
from edgedistill.stage import Workspace
from edgedistill.tasks.image_classification import package_stage
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures

SIZE = PictureSize(side=6, channels=3)
HOW = Preprocessing(SIZE, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def make_picture_folder(folder: Path) -> Path:
    """Write model.onnx and preprocessor_config.json."""
    folder.mkdir()
    onnx.save(_graph(), folder / "model.onnx")
    (folder / "preprocessor_config.json").write_text(HOW.to_json())
    return folder


def write_some_pictures(path: Path, *, rows: int = 5, side: int = SIZE.side) -> Examples:
    """Write and map pictures of noise, every third of the same class."""
    pixels = np.random.default_rng(1).integers(0, 256, (rows, side, side, SIZE.channels), dtype=np.uint8)
    names = [f"{i}.png" for i in range(rows)]
    write_pictures(path, Rows(names, names, [i % 3 for i in range(rows)]), [pixels], size=PictureSize(side, SIZE.channels))
    return read_examples(path)


def make_picture_bundle(folder: Path, *, rows: int = 9) -> Path:
    """Pack the model with golden pictures; return the folder that holds bundle/ and bundle.zip."""
    folder.mkdir()
    write_some_pictures(folder / "test.arrow", rows=rows)
    (folder / "labels.json").write_text(json.dumps({"labels": ["a", "b", "c"]}))
    settings = package_stage.PictureSettings(
        recipe_id="tiny-pictures", task="image-classification", target_id="raspberry-pi", base_model="tiny",
        runtime_oldest="1.17", platform="linux", tolerance=0.05, seed=7,
    )
    inputs = package_stage.Inputs(make_picture_folder(folder / "model"), folder / "test.arrow", folder / "labels.json")
    return Workspace(folder / "stages").perform("package", package_stage.STAGE, settings, inputs).folder


def _graph() -> onnx.ModelProto:
    random = np.random.default_rng(0)
    shape = ["batch", SIZE.channels, SIZE.side, SIZE.side]
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["pixel_values", "filters"], ["maps"], kernel_shape=[3, 3]),
            helper.make_node("Relu", ["maps"], ["positive"]),
            helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["mean"]),
            helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"]),
        ],
        "tiny-pictures",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(random.normal(size=(4, SIZE.channels, 3, 3)).astype(np.float32), "filters"),
            numpy_helper.from_array(random.normal(size=(4, 3)).astype(np.float32), "weight"),
            numpy_helper.from_array(np.zeros(3, np.float32), "bias"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
