"""Pre-processing in the graph: Pillow's and transformers' values, whatever the picture's size."""

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.encoding import Preprocessing, as_inputs
from edgedistill.tasks.image_classification.in_graph import preprocessing_model


def session(how: Preprocessing) -> onnxruntime.InferenceSession:
    model = preprocessing_model(how, ir_version=8)
    onnx.checker.check_model(model)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(32, 32), (20, 27), (61, 40), (200, 90), (33, 100)])
def test_graph_when_a_picture_of_any_size_then_within_a_level_of_pillow(size: tuple[int, int], channels: int) -> None:
    how = Preprocessing(PictureSize(32, channels), (0.5,) * channels, (0.25,) * channels)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB").resize((32, 32), Image.Resampling.BILINEAR)
    expected = as_inputs(np.asarray(image).reshape(1, 32, 32, channels), how)
    (found,) = session(how).run(None, {"image": pixels})
    apart = np.abs(found - expected)
    assert apart.max() <= 1 / (255 * 0.25) + 1e-5


def test_graph_when_grey_then_no_whole_picture_is_in_float():
    how = Preprocessing(PictureSize(32, 1), (0.5,), (0.25,))
    known = onnx.shape_inference.infer_shapes(preprocessing_model(how, ir_version=8)).graph.value_info
    of_any_size = [item for item in known if any(not dim.dim_value for dim in item.type.tensor_type.shape.dim)]
    assert {item.name for item in of_any_size} >= {"pre_grey", "pre_chw", "pre_batch"}
    assert {item.type.tensor_type.elem_type for item in of_any_size} == {onnx.TensorProto.UINT8}
