"""Which modules of a BERT student are one matrix, one table or one vector of its int8 graph."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from torch import nn

from edgedistill.distill.low_rank_embedding import LowRankEmbedding
from edgedistill.errors import ArtifactError


@dataclass(frozen=True)
class Product:
    """Linear layers that the graph has as one product with one matrix: queries, keys and values of a fused attention.

    Attributes:
        name: of the first of them in the model.
        layers: one or three; all read the same input.
        reads_table: is its input a row of a stored table? A dynamic scheme takes that as it is stored, with the table's scale.
    """

    name: str
    layers: tuple[nn.Linear, ...]
    reads_table: bool = False

    @torch.no_grad()
    def extremes(self, *, by_output: bool) -> tuple[tuple[torch.Tensor, torch.Tensor], ...]:
        """Return, for each layer, the least and the greatest weight that its grid must hold.

        Args:
            by_output: a pair for each output, shape (outputs, 1); else one for the whole matrix, shape ().
        """
        if by_output:
            return tuple((layer.weight.amin(1, keepdim=True), layer.weight.amax(1, keepdim=True)) for layer in self.layers)
        low = torch.stack([layer.weight.min() for layer in self.layers]).min()
        high = torch.stack([layer.weight.max() for layer in self.layers]).max()
        return ((low, high),) * len(self.layers)


@dataclass(frozen=True)
class Parts:
    """What int8 touches.

    Attributes:
        products: in the order of the model.
        tables: embeddings; each is stored with one scale.
        norms: LayerNorms whose gain and bias are stored in 8 bits, as those of a fused embedding are.
    """

    products: tuple[Product, ...]
    tables: tuple[nn.Embedding, ...]
    norms: tuple[nn.LayerNorm, ...]


@dataclass(frozen=True)
class Fusion:
    """How a student's float graph was fused.

    Attributes:
        attentions: nodes that hold the products of queries, keys and values in one matrix.
        has_embedding: is the embedding, with its LayerNorm, one node?
    """

    attentions: int
    has_embedding: bool


def read_fusion(path: Path) -> Fusion:
    """Look how a float ONNX file was fused.

    Raises:
        ArtifactError: there is no such file.
    """
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file", hint="edgedistill export MODEL -o DIR")
    kinds = [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]
    return Fusion(kinds.count("Attention"), "EmbedLayerNormalization" in kinds)


def find_parts(model: nn.Module, fusion: Fusion) -> Parts:
    """Find what int8 touches in a BERT classifier.

    Args:
        model: the student.
        fusion: of its own float graph.

    Raises:
        ArtifactError: the graph has another number of attentions than the model.
    """
    attentions = [module for module in model.modules() if hasattr(module, "query") and isinstance(module.query, nn.Linear)]
    if fusion.attentions not in (0, len(attentions)):
        raise ArtifactError(f"a graph with {fusion.attentions} fused attentions of a model with {len(attentions)}",
                            hint="export the model again")
    embeddings = [module for module in model.modules() if hasattr(module, "word_embeddings")]
    return Parts(
        tuple(_products(model, is_fused=fusion.attentions > 0)),
        tuple(module for module in model.modules() if isinstance(module, nn.Embedding)),
        tuple(module.LayerNorm for module in embeddings if fusion.has_embedding and isinstance(module.LayerNorm, nn.LayerNorm)),
    )


def _products(model: nn.Module, *, is_fused: bool) -> Iterator[Product]:
    """Yield every linear layer once, those of an attention together where the graph has them so."""
    seen: set[int] = set()
    behind_tables = {id(module.basis) for module in model.modules() if isinstance(module, LowRankEmbedding)}
    for name, module in model.named_modules():
        layers: tuple[nn.Linear, ...] = ()
        if is_fused and hasattr(module, "query"):
            layers = tuple(part for part in (module.query, module.key, module.value) if isinstance(part, nn.Linear))
        elif isinstance(module, nn.Linear) and id(module) not in seen:
            layers = (module,)
        if layers:
            seen |= {id(layer) for layer in layers}
            yield Product(name, layers, reads_table=id(layers[0]) in behind_tables)
