"""An embedding table of low rank: a row of `rank` numbers for each token, and one matrix that takes them to the model's width.

The table is the largest part of a small student. ALBERT (Lan et al. 2020, section 3.1, "factorized embedding
parameterization") and ELECTRA make it thin in this way, so that the same bytes hold more tokens. Here the model keeps a
stock class: its table `W` (tokens, width) is the product `rows @ basis`, and only where bytes count, in the ONNX graph,
do the two parts stand alone.
"""

import numpy as np
from numpy.typing import NDArray

RANK_KEY = "embedding_rank"
"""Key of config.json that says of a model that its embedding table is such a product; transformers passes it over."""


def factorise(
    table: NDArray[np.floating], rank: int, *, importance: NDArray[np.floating] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (rows, basis) so that `rows @ basis` is the nearest table of that rank.

    It is nearest by the squared error of the rows, each counted by its importance (Eckart and Young 1936, on the table with
    each row times the root of its importance). The basis is orthonormal and turned by a fixed random rotation: so no column
    of the rows is much larger than another, as columns of a plain singular value decomposition are, and one int8 scale
    suits them all (the idea of QuaRot, Ashkboos et al. 2024, section 4).

    Args:
        table: shape (tokens, width).
        rank: 1 to width.
        importance: shape (tokens,), not negative, not all zero; None: all count alike.

    Returns:
        rows, shape (tokens, rank); basis, shape (rank, width), with orthonormal rows.

    Raises:
        ValueError: the rank is none that the table can have.
    """
    width = table.shape[1]
    if not 1 <= rank <= width:
        raise ValueError(f"a table {width} wide has no rank {rank}")
    whole = table.astype(np.float64)
    weighted = whole if importance is None else whole * importance[:, None].astype(np.float64)
    _, vectors = np.linalg.eigh(whole.T @ weighted)
    top = vectors[:, width - rank :]
    mix, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(rank, rank)))
    basis = mix.T @ top.T
    return whole @ basis.T, basis
