"""Adapter to onnxruntime: run a float graph and give, row by row, the values of tensors inside it."""

from collections.abc import Iterator, Sequence

import onnx
import onnxruntime

from edgedistill.quantize.calibration import Arrays, Stream


def stream_activations(model: onnx.ModelProto, tensors: Sequence[str], rows: Stream) -> Stream:
    """Return a stream of the values of some tensors: one row is held at a time.

    Args:
        model: a float graph; it is not changed.
        tensors: names of float tensors that its nodes put out or that are inputs of the graph.
        rows: the model's inputs; names that the graph does not have are left out.
    """
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    inputs = {item.name for item in model.graph.input}
    inside = [name for name in tensors if name not in inputs]
    known = {item.name for item in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inside if name not in known)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False  # an arena keeps the largest row; memory must not depend on which rows are drawn
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    taken = {item.name for item in session.get_inputs()}

    def pass_over() -> Iterator[Arrays]:
        for row in rows():
            fed = {name: array for name, array in row.items() if name in taken}
            values = dict(zip(inside, session.run(inside, fed), strict=True)) if inside else {}  # [] would mean all outputs
            yield values | {name: fed[name] for name in tensors if name in fed}

    return pass_over
