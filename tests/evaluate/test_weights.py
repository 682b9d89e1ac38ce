import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import save_file

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.weights import read_weights


@pytest.fixture
def model(place):
    return place.inputs.model / "model.onnx"


def test_weights_of_onnx_count_floats_and_no_shapes(model):
    found = read_weights(model)
    assert found.parameters == 6 * 3 + 3 * 3 + 3  # table, head and bias; not the two int64 axes
    assert found.size_bytes == model.stat().st_size


@pytest.mark.parametrize("per_channel", [False, True])
def test_weights_of_int8_are_as_many_as_of_float(model, tmp_path, per_channel):
    quantize_dynamic(model, tmp_path / "int8.onnx", per_channel=per_channel, weight_type=QuantType.QInt8)
    kinds = {t.data_type for t in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 in kinds
    assert read_weights(tmp_path / "int8.onnx").parameters == read_weights(model).parameters


def test_weights_in_external_data_are_counted_with_their_bytes(model, tmp_path):
    onnx.save(onnx.load(model), tmp_path / "outside.onnx", save_as_external_data=True, location="outside.bin",
              size_threshold=0)
    found = read_weights(tmp_path / "outside.onnx")
    files = [tmp_path / "outside.onnx", tmp_path / "outside.bin"]
    assert found.parameters == 30
    assert found.size_bytes == sum(file.stat().st_size for file in files)
    files[1].unlink()
    with pytest.raises(ArtifactError, match="outside.bin is missing"):
        read_weights(files[0])


def test_weights_in_external_data_of_another_folder_are_refused(model, tmp_path):
    proto = onnx.load(model)
    tensor = numpy_helper.from_array(np.ones((2, 2), np.float32), "far")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../far.bin")
    proto.graph.initializer.append(tensor)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "model.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(ArtifactError, match="outside the model folder"):
        read_weights(tmp_path / "deep" / "model.onnx")


def test_weights_of_safetensors_count_floats_and_no_buffers(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({"a": np.zeros((4, 5), np.float32), "b": np.zeros(7, np.float16), "position_ids": np.arange(9)}, file)
    assert read_weights(file).parameters == 27
    assert read_weights(file).size_bytes == file.stat().st_size


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_weights_damaged_or_missing_are_refused(tmp_path, name):
    with pytest.raises(ArtifactError, match="no such file"):
        read_weights(tmp_path / name)
    (tmp_path / name).write_bytes(b"\xff\xfe damaged")
    with pytest.raises(ArtifactError, match="is not a"):
        read_weights(tmp_path / name)
