"""A script, run in a process of its own: model.onnx to model.ort, its operator list and what phones' accelerators take.

    python -P ort_converter.py FOLDER arm|amd64 OLDEST

OLDEST is the release of onnxruntime that must load model.ort, such as 1.17.
It is a process of its own because onnxruntime's tools print, set up logging and change `sys.path` on import. It must
not import edgedistill: a checkout need not be importable here.
"""

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

_IDENTIFIER = b"ORTM"
_ALIGNMENT_BYTES = 16


def main(folder: Path, platform: str, oldest: str) -> None:
    """Convert `model.onnx` of a folder.

    model.ort, model.required_operators_and_types.config and usability.json appear beside it; the same bytes each time.
    Where the runtime that must load model.ort is older than the one installed, restored weights are kept apart from their
    products (`keep_restored_weights_apart`), and model.onnx is written anew if it has any.
    """
    import onnx
    import onnxruntime
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort
    from onnxruntime.tools.ort_format_model import create_config_from_models

    model = onnx.load(str(folder / "model.onnx"))
    (folder / "usability.json").write_text(json.dumps(usability(folder / "model.onnx")), encoding="utf-8")
    if _release(oldest) < _release(onnxruntime.__version__) and keep_restored_weights_apart(model):
        onnx.save(model, str(folder / "model.onnx"))
    convert_onnx_models_to_ort(
        folder / "model.onnx",
        optimization_styles=[OptimizationStyle.Fixed],
        target_platform=platform,
        enable_type_reduction=True,
    )
    ort = folder / "model.ort"
    ort.write_bytes(with_sorted_kernel_types(ort.read_bytes()))
    # Once more, from the file that ships: a reduced build made from an earlier one can lack kernels.
    create_config_from_models([ort], folder / "model.required_operators_and_types.config", True)


def _release(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def keep_restored_weights_apart(model: Any) -> int:
    """Write weights that are stored in 8 bits and restored for a float product in a form that is not fused with it, in place.

    Newer releases of onnxruntime (1.32 was seen) fuse such a pair into a MatMulNBits of 8 bits; that of older ones, of the same
    name and version, takes 4 bits alone, so that they refuse the file. No option of the session switches this fusion off by
    itself. It wants a scale of no dimensions, or one a column on axis 1: a scale of one element, or the same axis counted from
    the end, means the same and is left alone. Pairs around an int8 product stay as they are, and are fused.

    Args:
        model: an ONNX model; what only onnxruntime's converter reads, not what ships as model.onnx.

    Returns:
        How many products there were.

    Source: onnxruntime, core/optimizer/qdq_transformer/selectors_actions/qdq_selectors.cc (ValidateDQForMatMulNBits).
    """
    import onnx

    graph = model.graph
    constants = {item.name: item for item in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    nodes: list[Any] = []
    changed = 0
    for node in graph.node:
        restore = makers.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
        if restore is not None and restore.input[0] in constants and node.input[0] not in makers:
            changed += 1
            own = _unfused(graph, restore, constants, f"{node.input[1]}_apart_{changed}")
            nodes.append(own)
            node.input[1] = own.output[0]
        nodes.append(node)
    if changed:
        read = {name for node in nodes for name in node.input} | {item.name for item in graph.output}
        kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes
                if node.op_type != "DequantizeLinear" or node.output[0] in read]
        del graph.node[:]
        graph.node.extend(kept)
    return changed


def _unfused(graph: Any, restore: Any, constants: dict[str, Any], name: str) -> Any:
    """Return a node that restores the same weight in the form that is not fused; its new scale goes into the graph."""
    from onnx import helper, numpy_helper

    weight, *grid = restore.input
    axis = next((item.i for item in restore.attribute if item.name == "axis"), 1)
    rank = len(constants[weight].dims)
    if constants[grid[0]].dims:
        return helper.make_node("DequantizeLinear", [weight, *grid], [name], name, axis=axis - rank if axis >= 0 else axis)
    for place, part in enumerate(grid):
        array = numpy_helper.to_array(constants[part]).reshape(1)
        grid[place] = f"{name}_{place}"
        graph.initializer.append(numpy_helper.from_array(array, grid[place]))
    return helper.make_node("DequantizeLinear", [weight, *grid], [name], name)


def usability(path: Path) -> dict[str, Any]:
    """Ask the checks of `check_onnx_model_mobile_usability`, with input shapes taken as fixed.

    As that tool does, they look at the model after onnxruntime's basic optimisations, which come before a provider is asked:
    what is folded there, such as the scales of biases, no accelerator has to take.

    Args:
        path: an ONNX model.

    Returns:
        `operators`: nodes by operator; `providers`: by name, `supported` of `nodes` and the `partitions` they form.
    """
    import onnx
    from onnxruntime.tools.mobile_helpers import usability_checker as checker
    from onnxruntime.tools.onnx_model_utils import optimize_model

    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch) / "model.onnx"
        optimize_model(path, optimized)
        # Not strict: the types of onnxruntime's own operators cannot be inferred, and the checks do not need them.
        model = onnx.shape_inference.infer_shapes(onnx.load(str(optimized)), strict_mode=False)
    found = {
        "NNAPI": checker.check_nnapi_partitions(model, False),
        "CoreML NeuralNetwork": checker.check_coreml_partitions(model, False, "coreml_supported_neuralnetwork_ops.md"),
        "CoreML MLProgram": checker.check_coreml_partitions(model, False, "coreml_supported_mlprogram_ops.md"),
    }
    return {
        "operators": dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        "providers": {
            name: {
                "nodes": info.num_nodes, "supported": info.num_supported_nodes, "partitions": info.num_partitions,
                "verdict": info.suitability().name,
            }
            for name, info in found.items()
        },
    }


def with_sorted_kernel_types(model: bytes) -> bytes:
    """Return an .ort file with its kernel type table in sorted order.

    onnxruntime writes that table in the order of a hash map that is salted per process (absl), so that two conversions
    of one model differ; all else is stable. A flatbuffer is built from its end to its beginning and the model comes
    before the table, so the model's bytes are kept as they are and only what stands before them is built anew.

    Source: onnxruntime, core/flatbuffers/schema/ort.fbs (InferenceSession, KernelTypeStrResolver).
    """
    import flatbuffers
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import InferenceSession as Session

    session: Any = Session.InferenceSession.GetRootAs(model, 0)
    tail = model[_first_byte_of_table(model, session.Model()._tab.Pos) :]
    builder = flatbuffers.Builder(len(tail) + (1 << 16))
    builder.head = len(builder.Bytes) - len(tail)
    builder.Bytes[builder.head :] = tail
    builder.minalign = _ALIGNMENT_BYTES
    model_offset = len(model) - session.Model()._tab.Pos
    types = _write_kernel_types(builder, _read_kernel_types(session.KernelTypeStrResolver()))
    version = builder.CreateString(session.OrtVersion())
    Session.Start(builder)
    Session.AddKernelTypeStrResolver(builder, types)
    Session.AddModel(builder, model_offset)
    Session.AddOrtVersion(builder, version)
    builder.Finish(Session.End(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _first_byte_of_table(model: bytes, position: int) -> int:
    """A table points back to its vtable, which stands right before it or, when shared, after it."""
    vtable = position - int.from_bytes(model[position : position + 4], "little", signed=True)
    return min(vtable, position)


def _read_kernel_types(resolver: Any) -> dict[bytes, dict[bytes, list[tuple[int, int]]]]:
    """Return operator -> type name -> the arguments (kind, index) that have this type."""
    found: dict[bytes, dict[bytes, list[tuple[int, int]]]] = {}
    for i in range(resolver.OpKernelTypeStrArgsLength()):
        operator = resolver.OpKernelTypeStrArgs(i)
        types = found.setdefault(operator.OpId(), {})
        for j in range(operator.KernelTypeStrArgsLength()):
            entry = operator.KernelTypeStrArgs(j)
            arguments = (entry.Args(k) for k in range(entry.ArgsLength()))
            types[entry.KernelTypeStr()] = [(a.ArgType(), a.Index()) for a in arguments]
    return found


def _write_kernel_types(builder: Any, operators: dict[bytes, dict[bytes, list[tuple[int, int]]]]) -> int:
    from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import (
        ArgTypeAndIndex,
        KernelTypeStrArgsEntry,
        KernelTypeStrResolver,
        OpIdKernelTypeStrArgsEntry,
    )

    def argument(kind: int, index: int) -> int:
        ArgTypeAndIndex.Start(builder)
        ArgTypeAndIndex.AddArgType(builder, kind)
        ArgTypeAndIndex.AddIndex(builder, index)
        return int(ArgTypeAndIndex.End(builder))

    def type_entry(name: bytes, arguments: list[tuple[int, int]]) -> int:
        """Write the arguments of one kernel type and return its place in the buffer."""
        items = _vector(builder, [argument(*pair) for pair in arguments])
        text = builder.CreateString(name)
        KernelTypeStrArgsEntry.Start(builder)
        KernelTypeStrArgsEntry.AddKernelTypeStr(builder, text)
        KernelTypeStrArgsEntry.AddArgs(builder, items)
        return int(KernelTypeStrArgsEntry.End(builder))

    def operator_entry(name: bytes, types: dict[bytes, list[tuple[int, int]]]) -> int:
        """Write the kernel types of one operator and return its place in the buffer."""
        items = _vector(builder, [type_entry(*pair) for pair in sorted(types.items())])
        text = builder.CreateString(name)
        OpIdKernelTypeStrArgsEntry.Start(builder)
        OpIdKernelTypeStrArgsEntry.AddOpId(builder, text)
        OpIdKernelTypeStrArgsEntry.AddKernelTypeStrArgs(builder, items)
        return int(OpIdKernelTypeStrArgsEntry.End(builder))

    items = _vector(builder, [operator_entry(*pair) for pair in sorted(operators.items())])
    KernelTypeStrResolver.Start(builder)
    KernelTypeStrResolver.AddOpKernelTypeStrArgs(builder, items)
    return int(KernelTypeStrResolver.End(builder))


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


if __name__ == "__main__":
    sys.modules["torch"] = None  # type: ignore[assignment] # onnxruntime's tools load it where they can, and it takes seconds
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
