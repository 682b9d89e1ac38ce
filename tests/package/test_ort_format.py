import numpy as np
import onnxruntime
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.package.ort_format import convert_to_ort


def test_ort_model_when_run_answers_like_the_onnx_model(inputs, packed):
    ids = np.array([[2, 4, 3]])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}

    answers = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, feeds)[0]
        for path in (inputs.model / "model.onnx", packed / "bundle" / "model.ort")
    ]

    np.testing.assert_allclose(answers[0], [[8 / 3, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)


def test_kernel_types_when_written_anew_are_all_there_in_sorted_order(packed):
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import InferenceSession

    content = (packed / "bundle" / "model.ort").read_bytes()
    resolver = InferenceSession.InferenceSession.GetRootAs(content, 0).KernelTypeStrResolver()
    names = [resolver.OpKernelTypeStrArgs(i).OpId() for i in range(resolver.OpKernelTypeStrArgsLength())]

    assert content[4:8] == b"ORTM"
    assert names == sorted(names)
    assert {b":Gather:13", b":Cast:13", b":ReduceSum:13"} <= set(names)


def test_convert_when_it_is_no_model_says_so_in_one_line():
    with pytest.raises(ArtifactError, match="does not convert it to ORT format") as caught:
        convert_to_ort(b"no model", "aarch64")
    assert "\n" not in caught.value.message
