"""Student shapes for pictures: the rungs of the ladder, and the layers that each will have, before anything is built."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edgedistill.document import parse, read_text
from edgedistill.errors import RecipeError
from edgedistill.plan import PictureSize
from edgedistill.shape import LadderOf, Rung, require_whole_heads


class ResNetShape(Rung):
    """transformers' ResNet with layers of two 3x3 convolutions (He et al. 2016)."""

    family: Literal["resnet"]
    vocabulary: ClassVar[int] = 0
    stem: int = Field(ge=4, le=512, description="channels of the first, 7x7 convolution")
    widths: tuple[int, ...] = Field(min_length=1, max_length=5, description="channels of each stage")
    depths: tuple[int, ...] = Field(min_length=1, max_length=5, description="layers of each stage")

    @model_validator(mode="after")
    def _stages_agree(self) -> Self:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"{len(self.widths)} widths and {len(self.depths)} depths")
        return self

    def shallower(self) -> "ResNetShape | None":
        """Return the shape with a layer less in its deepest stage, None where every stage has one."""
        deepest = max(range(len(self.depths)), key=lambda i: self.depths[i])
        if self.depths[deepest] == 1:
            return None
        return self.model_copy(update={"depths": tuple(d - (i == deepest) for i, d in enumerate(self.depths))})


class MobileNetShape(Rung):
    """transformers' MobileNet-V2 (Sandler et al. 2018)."""

    family: Literal["mobilenet_v2"]
    vocabulary: ClassVar[int] = 0
    multiplier: float = Field(ge=0.1, le=2, description="of all channels")

    def shallower(self) -> None:
        """Return None: its depth is fixed."""
        return


class ViTShape(Rung):
    """transformers' ViT (Dosovitskiy et al. 2021)."""

    family: Literal["vit"]
    vocabulary: ClassVar[int] = 0
    hidden: int = Field(ge=16, le=1024)
    layers: int = Field(ge=1, le=24)
    heads: int = Field(ge=1, le=16)
    intermediate: int = Field(ge=16, le=4096)
    patch: int = Field(ge=2, le=32, description="side of a patch, pixels")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        require_whole_heads(self.hidden, self.heads)
        return self

    def shallower(self) -> "ViTShape | None":
        """Return the shape with a layer less, None where there is one only."""
        return self.model_copy(update={"layers": self.layers - 1}) if self.layers > 1 else None


ImageShape = Annotated[ResNetShape | MobileNetShape | ViTShape, Field(discriminator="family")]


class ImageLadder(LadderOf[ImageShape]):
    """The student shapes for pictures."""


def read_image_ladder(path: Path) -> ImageLadder:
    """Read models/image-students.yaml or a ladder of the user's own.

    Raises:
        RecipeError: it cannot be read, or a shape is impossible.
    """
    return parse(ImageLadder, read_text(path, error=RecipeError), path, error=RecipeError)


@dataclass(frozen=True)
class Product:
    """A layer with a weight: a convolution, or a matrix as one of kernel 1.

    Attributes:
        inputs: channels in.
        outputs: channels out.
        kernel: its side.
        groups: 1, or `inputs` for a depthwise one.
        places: positions of the output, height x width (tokens of a ViT).
        is_followed_by_sum: is a shortcut added to what it gives?
    """

    inputs: int
    outputs: int
    kernel: int
    places: int
    groups: int = 1
    is_followed_by_sum: bool = False

    @property
    def weights(self) -> int:
        """Numbers of the weight."""
        return self.outputs * (self.inputs // self.groups) * self.kernel**2

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one picture."""
        return self.weights * self.places


def products_of(shape: ResNetShape | MobileNetShape | ViTShape, size: PictureSize, *, classes: int) -> tuple[Product, ...]:
    """Return the layers with weights, in their order, the classifier last."""
    if isinstance(shape, ResNetShape):
        return _resnet(shape, size, classes)
    return _mobilenet(shape, size, classes) if isinstance(shape, MobileNetShape) else _vit(shape, size, classes)


def _halved(side: int) -> int:
    """A convolution or pooling of stride 2 with padding kernel // 2."""
    return -(-side // 2)


def _resnet(shape: ResNetShape, size: PictureSize, classes: int) -> tuple[Product, ...]:
    side = _halved(size.side)
    found = [Product(size.channels, shape.stem, 7, side**2)]
    side, before = _halved(side), shape.stem
    for stage, (width, depth) in enumerate(zip(shape.widths, shape.depths, strict=True)):
        for layer in range(depth):
            strides = stage > 0 and layer == 0
            side = _halved(side) if strides else side
            found += [Product(before, width, 3, side**2), Product(width, width, 3, side**2, is_followed_by_sum=True)]
            if strides or before != width:
                found.append(Product(before, width, 1, side**2))
            before = width
    return (*found, Product(before, classes, 1, 1))


_MOBILENET_CHANNELS = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_MOBILENET_STRIDES = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)
_MOBILENET_EXPANSION = 6
_MOBILENET_LAST = 1280


def _divisible(value: float) -> int:
    """A multiple of 8 that is no more than a tenth below; transformers' `make_divisible`."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def _mobilenet(shape: MobileNetShape, size: PictureSize, classes: int) -> tuple[Product, ...]:
    channels = [_divisible(round(c * shape.multiplier)) for c in _MOBILENET_CHANNELS]
    first, side = _divisible(32 * shape.multiplier), _halved(size.side)
    found = [Product(size.channels, first, 3, side**2), Product(first, first, 3, side**2, groups=first),
             Product(first, channels[0], 1, side**2)]
    for before, after, stride in zip(channels, channels[1:], _MOBILENET_STRIDES, strict=False):
        wide = _divisible(before * _MOBILENET_EXPANSION)
        found.append(Product(before, wide, 1, side**2))
        side = _halved(side) if stride == 2 else side
        found += [Product(wide, wide, 3, side**2, groups=wide),
                  Product(wide, after, 1, side**2, is_followed_by_sum=stride == 1 and before == after)]
    last = _MOBILENET_LAST if shape.multiplier < 1 else _divisible(_MOBILENET_LAST * shape.multiplier)
    return (*found, Product(channels[-1], last, 1, side**2), Product(last, classes, 1, 1))


def _vit(shape: ViTShape, size: PictureSize, classes: int) -> tuple[Product, ...]:
    patches = (size.side // shape.patch) ** 2
    tokens, width = patches + 1, shape.hidden
    layer = (*(Product(width, width, 1, tokens),) * 4, Product(width, shape.intermediate, 1, tokens),
             Product(shape.intermediate, width, 1, tokens))
    return (Product(size.channels, width, shape.patch, patches), *layer * shape.layers, Product(width, classes, 1, 1))
