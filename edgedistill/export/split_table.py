"""Write an embedding table of low rank as the two parts it is the product of."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgedistill.errors import ArtifactError
from edgedistill.low_rank import factorise

_MOST_ERROR = 1e-3
"""Of the largest number in the table: what float32 leaves of an exact product is a thousandth of that."""


def split_table(path: Path, rank: int) -> None:
    """Replace the largest table that is looked up by a thin table and a product, in place; the answers stay the same.

    Args:
        path: an ONNX file as exported.
        rank: of its word embeddings.

    Raises:
        ArtifactError: no table is looked up, or it is not of that rank.
    """
    model = onnx.load(path)
    graph = model.graph
    tables = {item.name: item for item in graph.initializer if len(item.dims) == 2}
    looked_up = [node for node in graph.node if node.op_type == "Gather" and node.input[0] in tables]
    if not looked_up:
        raise ArtifactError(f"{path}: no embedding table is looked up", hint="distil the student again")
    node = max(looked_up, key=lambda n: tables[n.input[0]].dims[0])
    table = numpy_helper.to_array(tables[node.input[0]])
    rows, basis = factorise(table, rank)
    error = float(np.abs(rows @ basis - table).max() / np.abs(table).max())
    if error > _MOST_ERROR:
        raise ArtifactError(f"{path}: its embedding is not of rank {rank}, {error:.1%} would be lost",
                            hint="distil the student again: its config.json and its weights do not belong together")
    name, out = node.input[0], node.output[0]
    graph.initializer.remove(tables[name])
    thin, matrix, found = f"{name}_rows", f"{name}_basis", f"{name}_found"
    graph.initializer.extend([numpy_helper.from_array(rows.astype(np.float32), thin),
                              numpy_helper.from_array(basis.astype(np.float32), matrix)])
    node.input[0], node.output[0] = thin, found
    place = list(graph.node).index(node) + 1
    graph.node.insert(place, helper.make_node("MatMul", [found, matrix], [out], name=f"{name}/MatMul"))
    onnx.save(model, path)
