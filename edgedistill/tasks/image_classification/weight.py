"""What a picture student weighs and costs, before it is built; the bytes to 2 % of the files that will be."""

from dataclasses import dataclass

from edgedistill.latency.workload import Workload, glue_per_layer
from edgedistill.plan import PictureSize
from edgedistill.shape import PartBytes
from edgedistill.tasks.image_classification.shape import MobileNetShape, Product, ResNetShape, ViTShape, products_of

_CONVOLUTION_BYTES = 8
"""In int8, for each output channel: the scale of the weight (4) and the bias as int32 (4), whose own scale is not stored."""

_HEAD_BYTES = 5
"""More for each class: the head's product keeps its zero points (1 + 4)."""

_MATRIX_BYTES = 9
"""The same of a matrix, whose bias stays float: scale and zero point of the weight, and the bias (4)."""


@dataclass(frozen=True)
class ImageWeight(PartBytes):
    """Numbers of a picture student by kind, and the bytes of its files.

    Attributes:
        convolutions: numbers of all weights but the classifier's.
        head: of the classifier's weight.
        outputs: output channels of all products, which have a bias and, in int8, a scale each.
        vectors: numbers that stay float: biases that are not folded, LayerNorms, the positions of a ViT.
        trained: what training changes and folding removes from the file: the gains of BatchNorm.
        output_bytes: what an output channel takes in the int8 file.
        int8_graph: bytes of nodes and names in the int8 file.
        float_graph: the same in the float file.
    """

    convolutions: int
    head: int
    outputs: int
    vectors: int
    trained: int
    output_bytes: int
    int8_graph: int
    float_graph: int

    @property
    def parameters(self) -> int:
        """Trained numbers in all."""
        return self.convolutions + self.head + self.outputs + self.vectors + self.trained

    @property
    def int8_bytes_by_part(self) -> dict[str, int]:
        """Bytes of the int8 ONNX file by part."""
        return {"convolutions": self.convolutions, "head": self.head,
                "vectors": self.output_bytes * self.outputs + 4 * self.vectors, "graph": self.int8_graph}

    @property
    def float_bytes_by_part(self) -> dict[str, int]:
        """Bytes of the float ONNX file by part: four a number."""
        return {"convolutions": 4 * self.convolutions, "head": 4 * self.head, "vectors": 4 * (self.outputs + self.vectors),
                "graph": self.float_graph}


@dataclass(frozen=True)
class _GraphBytes:
    """Bytes of names and nodes: of a graph without layers, of a product, of a sum, of a layer of a ViT with its products."""

    base: int
    product: int
    sum: int
    vit_base: int
    vit_layer: int


_INT8_GRAPH = _GraphBytes(base=437, product=405, sum=150, vit_base=882, vit_layer=2985)
_FLOAT_GRAPH = _GraphBytes(base=258, product=169, sum=91, vit_base=913, vit_layer=2033)
"""Read off files of resnet-8-16, -16-32-64 and -32-64-128x2, and of vit-4x64 and -6x128: right to 100 bytes for those; of a
MobileNet, whose constants are others, to 2,000 of 500,000."""


def weigh_image(
    shape: ResNetShape | MobileNetShape | ViTShape, size: PictureSize, *, classes: int
) -> ImageWeight:
    """Count a student's numbers and bytes."""
    products = products_of(shape, size, classes=classes)
    *body, head = products
    vectors = _vit_vectors(shape, size) if isinstance(shape, ViTShape) else 0
    outputs = sum(product.outputs for product in products)
    is_vit = isinstance(shape, ViTShape)
    return ImageWeight(
        convolutions=sum(product.weights for product in body), head=head.weights, outputs=outputs, vectors=vectors,
        trained=0 if is_vit else outputs - classes, output_bytes=_MATRIX_BYTES if is_vit else _CONVOLUTION_BYTES,
        int8_graph=_graph(_INT8_GRAPH, shape, products) + (0 if is_vit else _HEAD_BYTES * classes),
        float_graph=_graph(_FLOAT_GRAPH, shape, products),
    )


def _graph(
    unit: _GraphBytes, shape: ResNetShape | MobileNetShape | ViTShape, products: tuple[Product, ...]
) -> int:
    if isinstance(shape, ViTShape):
        return unit.vit_base + unit.vit_layer * shape.layers
    sums = sum(product.is_followed_by_sum for product in products)
    return unit.base + unit.product * len(products) + unit.sum * sums


def _vit_vectors(shape: ViTShape, size: PictureSize) -> int:
    """LayerNorms, class token and positions."""
    patches = (size.side // shape.patch) ** 2
    return shape.hidden * (4 * shape.layers + 2) + shape.hidden * (patches + 2)


_NODES_PER_PRODUCT, _NODES_OUTSIDE = 1.0, 6
"""onnxruntime fuses a quantized convolution with its activation to one node; sums, pooling and the two ends come on top."""


def image_workload(
    shape: ResNetShape | MobileNetShape | ViTShape, size: PictureSize, *, classes: int
) -> Workload:
    """Count the work of one picture."""
    products = products_of(shape, size, classes=classes)
    sums = sum(product.is_followed_by_sum for product in products)
    weights = sum(product.weights for product in products)
    macs = sum(product.macs for product in products)
    if isinstance(shape, ViTShape):
        tokens = (size.side // shape.patch) ** 2 + 1
        return Workload(
            int8_macs=macs, float_macs=shape.layers * 2 * tokens * tokens * shape.hidden,
            glue_elements=shape.layers * glue_per_layer(shape.hidden, shape.intermediate, shape.heads, tokens),
            gathered_bytes=0, weight_bytes=weights, nodes=len(products) * 2 + 10 * shape.layers + _NODES_OUTSIDE,
        )
    written = sum(product.outputs * product.places for product in products)
    return Workload(int8_macs=macs, float_macs=0, glue_elements=written / 4, gathered_bytes=0, weight_bytes=weights,
                    nodes=len(products) * _NODES_PER_PRODUCT + sums + _NODES_OUTSIDE)
