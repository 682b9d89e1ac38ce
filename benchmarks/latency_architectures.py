"""What the published models compute: multiply-accumulates by class of operator, weights, elements, nodes, layer by layer.

The layers are those of the architecture papers (named beside each builder). Totals are checked against the papers' in
tests/benchmarks/test_latency_architectures.py. Batch normalisation and activations are taken as fused into the convolutions.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Work:
    """Work of one inference.

    Attributes:
        pointwise: MACs of 1x1 convolutions and dense layers.
        spatial: MACs of larger dense convolutions, which a runtime may do by Winograd's algorithm.
        depthwise: MACs of depthwise convolutions.
        matmul: MACs of a transformer's products, those of attention counted.
        weights: numbers in the weights.
        elements: numbers written by convolutions, pools and sums.
        glue: numbers written by a transformer's softmax, normalisation, GELU, sums and re-orderings.
        nodes: nodes of the graph.
    """

    pointwise: float = 0
    spatial: float = 0
    depthwise: float = 0
    matmul: float = 0
    weights: float = 0
    elements: float = 0
    glue: float = 0
    nodes: float = 0

    @property
    def macs(self) -> float:
        return self.pointwise + self.spatial + self.depthwise + self.matmul


class Net:
    """Counts while layers are put one upon the other; `c` channels of `h` x `h`."""

    def __init__(self, size: int, channels: int = 3) -> None:
        self.h, self.c, self.work = float(size), channels, Work()

    def add(self, **more: float) -> None:
        self.work = replace(self.work, **{k: getattr(self.work, k) + v for k, v in more.items()})

    def conv(self, out: int, k: int, s: int = 1, groups: int = 1, *, pad: bool = True, wide: int | None = None) -> "Net":
        """A convolution of k x `wide` (default k)."""
        wide = k if wide is None else wide
        self.h = -(-self.h // s) if pad else (self.h - k) // s + 1
        numbers = out * (self.c // groups) * k * wide
        macs = numbers * self.h * self.h
        kind = "depthwise" if groups == self.c and groups > 1 else "pointwise" if k * wide == 1 else "spatial"
        self.add(**{kind: macs}, weights=numbers + out, elements=out * self.h * self.h, nodes=1)
        self.c = out
        return self

    def depthwise(self, k: int, s: int = 1) -> "Net":
        return self.conv(self.c, k, s, groups=self.c)

    def pool(self, s: int = 2) -> "Net":
        self.h = -(-self.h // s)
        self.add(elements=self.c * self.h * self.h, nodes=1)
        return self

    def shrink(self) -> "Net":
        """A 3 x 3 pool of stride 2 without padding that rounds up, as Caffe's."""
        self.h = -(-(self.h - 3) // 2) + 1
        self.add(elements=self.c * self.h * self.h, nodes=1)
        return self

    def sum(self) -> "Net":
        self.add(elements=self.c * self.h * self.h, nodes=1)
        return self

    def squeeze_excite(self, inner: int) -> "Net":
        self.add(pointwise=2 * self.c * inner, weights=2 * self.c * inner, elements=self.c * self.h * self.h, nodes=5)
        return self

    def dense(self, out: int, flat: int | None = None) -> "Net":
        inputs = flat or self.c
        self.add(pointwise=inputs * out, weights=inputs * out + out, elements=out, nodes=1)
        self.c = out
        return self

    def branches(self, *builders: "list[tuple[int, ...]]", pool_first: int | None = None) -> "Net":
        """Inception's parallel branches, each a list of (out, k[, stride, wide]); outputs are concatenated."""
        h, c, total, end = self.h, self.c, 0, self.h
        for number, layers in enumerate(builders):
            self.h, self.c = h, c
            if pool_first == number:
                self.add(elements=c * h * h, nodes=1)
            for out, k, *rest in layers:
                self.conv(out, k, rest[0] if rest else 1, wide=rest[1] if len(rest) > 1 else None)
            total, end = total + self.c, self.h
        self.h, self.c = end, total
        self.add(elements=total * end * end, nodes=1)
        return self


def _eight(value: float) -> int:
    """Round to a multiple of 8, as the MobileNets do."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


def mobilenet_v1(alpha: float = 1.0, size: int = 224, *, classes: int = 1000, ssd: bool = False) -> Work:
    """Howard et al. 2017, table 1; `ssd`: the 300 x 300 detector of chuanqi305 with its extra layers and heads."""
    net = Net(size).conv(int(32 * alpha), 3, 2)
    taps = []
    for out, s in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)):
        if ssd and s == 2 and out == 1024:
            taps.append((net.h, net.c, 3))
        net.depthwise(3, s).conv(int(out * alpha), 1)
    if not ssd:
        return net.pool(int(net.h)).dense(classes).work
    taps.append((net.h, net.c, 6))
    for inner, out in ((256, 512), (128, 256), (128, 256), (64, 128)):
        net.conv(inner, 1).conv(out, 3, 2)
        taps.append((net.h, net.c, 6))
    for h, c, boxes in taps:
        net.h = h
        for outputs in (boxes * 4, boxes * 21):
            net.c = c
            net.conv(outputs, 1)
    return net.work


def _inverted(net: Net, out: int, k: int, s: int, expand: float, *, se: int = 0) -> None:
    before, inner = net.c, _eight(net.c * expand)
    if inner != before:
        net.conv(inner, 1)
    net.depthwise(k, s)
    if se:
        net.squeeze_excite(se)
    net.conv(out, 1)
    if s == 1 and out == before:
        net.sum()


def mobilenet_v2(alpha: float = 1.0, size: int = 224, *, classes: int = 1000) -> Work:
    """Sandler et al. 2018, table 2."""
    net = Net(size).conv(_eight(32 * alpha), 3, 2)
    for t, c, n, s in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for i in range(n):
            _inverted(net, _eight(c * alpha), 3, s if i == 0 else 1, t)
    net.conv(max(1280, _eight(1280 * alpha)), 1)
    return net.pool(int(net.h)).dense(classes).work


_V3_LARGE = (
    (3, 16, 16, 0, 1),
    (3, 64, 24, 0, 2),
    (3, 72, 24, 0, 1),
    (5, 72, 40, 1, 2),
    (5, 120, 40, 1, 1),
    (5, 120, 40, 1, 1),
    (3, 240, 80, 0, 2),
    (3, 200, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 184, 80, 0, 1),
    (3, 480, 112, 1, 1),
    (3, 672, 112, 1, 1),
    (5, 672, 160, 1, 2),
    (5, 960, 160, 1, 1),
    (5, 960, 160, 1, 1),
)
_V3_SMALL = (
    (3, 16, 16, 1, 2),
    (3, 72, 24, 0, 2),
    (3, 88, 24, 0, 1),
    (5, 96, 40, 1, 2),
    (5, 240, 40, 1, 1),
    (5, 240, 40, 1, 1),
    (5, 120, 48, 1, 1),
    (5, 144, 48, 1, 1),
    (5, 288, 96, 1, 2),
    (5, 576, 96, 1, 1),
    (5, 576, 96, 1, 1),
)


def mobilenet_v3(kind: str = "large", alpha: float = 1.0, size: int = 224, *, minimalistic: bool = False) -> Work:
    """Howard et al. 2019, tables 1 and 2; minimalistic: 3 x 3 kernels, no squeeze-and-excite."""
    net = Net(size).conv(16, 3, 2)
    for k, inner, out, se, s in _V3_LARGE if kind == "large" else _V3_SMALL:
        inner = _eight(inner * alpha)
        kernel = 3 if minimalistic else k
        before = net.c
        if inner != before:
            net.conv(inner, 1)
        net.depthwise(kernel, s)
        if se and not minimalistic:
            net.squeeze_excite(_eight(inner / 4))
        net.conv(_eight(out * alpha), 1)
        if s == 1 and net.c == before:
            net.sum()
        if not minimalistic and k == 5:
            net.sum()  # h-swish is a node of its own
    net.conv(_eight((960 if kind == "large" else 576) * alpha), 1).pool(int(net.h))
    return net.dense(1280 if kind == "large" else 1024).dense(1000).work


def mnasnet(alpha: float = 1.0) -> Work:
    """Tan et al. 2019, MnasNet-B1."""
    net = Net(224).conv(_eight(32 * alpha), 3, 2).depthwise(3).conv(_eight(16 * alpha), 1)
    for t, c, n, s, k in (
        (3, 24, 3, 2, 3),
        (3, 40, 3, 2, 5),
        (6, 80, 3, 2, 5),
        (6, 96, 2, 1, 3),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ):
        for i in range(n):
            _inverted(net, _eight(c * alpha), k, s if i == 0 else 1, t)
    return net.conv(1280, 1).pool(7).dense(1000).work


_EFFICIENT = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def efficientnet(width: float = 1.0, depth: float = 1.0, size: int = 224, *, lite: bool = False) -> Work:
    """Tan and Le 2019, table 1; Lite: no squeeze-and-excite, ReLU6, stem and head not scaled."""
    net = Net(size).conv(32 if lite else _eight(32 * width), 3, 2)
    last = len(_EFFICIENT) - 1
    for stage, (t, c, n, s, k) in enumerate(_EFFICIENT):
        repeats = n if lite and stage in (0, last) else int(-(-n * depth // 1))
        for i in range(repeats):
            before = net.c
            _inverted(net, _eight(c * width), k, s if i == 0 else 1, t, se=0 if lite else max(1, before // 4))
            if not lite:
                net.add(elements=before * t * net.h**2, nodes=3)  # swish
    return net.conv(1280 if lite else _eight(1280 * width), 1).pool(int(net.h)).dense(1000).work


def resnet(
    blocks: tuple[int, ...], *, bottleneck: bool, wide: int = 1, groups: int = 1, group_width: int = 64, size: int = 224
) -> Work:
    """He et al. 2015, table 1 (ResNet-50 v1.5: the stride stands in the 3 x 3); Zagoruyko 2016 and Xie 2017 for wide, groups."""
    net = Net(size).conv(64, 7, 2).pool()
    for stage, n in enumerate(blocks):
        base = 64 * 2**stage
        for i in range(n):
            s, c, h = (2 if stage and i == 0 else 1), net.c, net.h
            if bottleneck:
                inner = base * wide if groups == 1 else base * group_width * groups // 64
                net.conv(inner, 1).conv(inner, 3, s, groups=groups).conv(base * 4, 1)
            else:
                net.conv(base, 3, s).conv(base, 3)
            out, end = net.c, net.h
            if i == 0 and c != out:
                net.c, net.h = c, h
                net.conv(out, 1, s)
            net.c, net.h = out, end
            net.sum()
    return net.pool(int(net.h)).dense(1000).work


def vgg16() -> Work:
    """Simonyan and Zisserman 2014, column D."""
    net = Net(224)
    for out, n in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(n):
            net.conv(out, 3)
        net.pool()
    return net.dense(4096, 512 * 49).dense(4096).dense(1000).work


def alexnet() -> Work:
    """Krizhevsky et al. 2012 in Caffe's form: 227 x 227, two groups."""
    net = Net(227).conv(96, 11, 4, pad=False).pool()
    net.h = 27
    net.conv(256, 5, groups=2).pool()
    net.h = 13
    net.conv(384, 3).conv(384, 3, groups=2).conv(256, 3, groups=2).pool()
    return net.dense(4096, 256 * 36).dense(4096).dense(1000).work


def squeezenet(version: str = "1.1", size: int = 227) -> Work:
    """Iandola et al. 2016; 1.1 pools earlier."""
    early = version == "1.1"
    net = Net(size).conv(64 if early else 96, 3 if early else 7, 2, pad=False).shrink()
    fires = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
    pools = (1, 3) if early else (2, 6)
    for i, (squeeze, expand) in enumerate(fires):
        net.conv(squeeze, 1).branches([(expand, 1)], [(expand, 3)])
        if i in pools:
            net.shrink()
    return net.conv(1000, 1).pool(int(net.h)).work


def googlenet() -> Work:
    """Szegedy et al. 2014, table 1."""
    net = Net(224).conv(64, 7, 2).pool().conv(64, 1).conv(192, 3).pool()
    table = (
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
        None,
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
        None,
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    )
    for row in table:
        if row is None:
            net.pool()
            continue
        a, b, c, d, e, f = row
        net.branches([(a, 1)], [(b, 1), (c, 3)], [(d, 1), (e, 5)], [(f, 1)], pool_first=3)
    return net.pool(7).dense(1000).work


def inception_v3() -> Work:
    """Szegedy et al. 2015, table 1, in torchvision's form; 299 x 299."""
    net = Net(299).conv(32, 3, 2, pad=False).conv(32, 3, pad=False).conv(64, 3).pool().conv(80, 1).conv(192, 3, pad=False).pool()
    net.h = 35
    for pool in (32, 64, 64):
        net.branches([(64, 1)], [(48, 1), (64, 5)], [(64, 1), (96, 3), (96, 3)], [(pool, 1)], pool_first=3)
    c = net.c
    net.branches([(384, 3, 2)], [(64, 1), (96, 3), (96, 3, 2)])
    net.h, net.c = 17, net.c + c
    for k in (128, 160, 160, 192):
        net.branches(
            [(192, 1)],
            [(k, 1), (k, 1, 1, 7), (192, 7, 1, 1)],
            [(k, 1), (k, 7, 1, 1), (k, 1, 1, 7), (k, 7, 1, 1), (192, 1, 1, 7)],
            [(192, 1)],
            pool_first=3,
        )
    c = net.c
    net.branches([(192, 1), (320, 3, 2)], [(192, 1), (192, 1, 1, 7), (192, 7, 1, 1), (192, 3, 2)])
    net.h, net.c = 8, net.c + c
    for _ in range(2):
        wide = net.c
        net.branches([(320, 1)], [(384, 1), (384, 1, 1, 3)], [(448, 1), (384, 3), (384, 1, 1, 3)], [(192, 1)], pool_first=3)
        for _ in range(2):  # the second halves of the two forked branches
            h = net.h
            net.add(spatial=384 * 384 * 3 * h * h, weights=384 * 384 * 3, elements=384 * h * h, nodes=1)
        net.c = 2048
        assert wide in (1280, 2048)
    return net.pool(8).dense(1000).work


def shufflenet_v2(size: int = 224, *, classes: int = 1000) -> Work:
    """Ma et al. 2018, table 5, 1x."""
    net = Net(size).conv(24, 3, 2).pool()
    for out, n in ((116, 4), (232, 8), (464, 4)):
        _shuffle_stage(net, out, n)
    return net.conv(1024, 1).pool(int(net.h)).dense(classes).work


def _shuffle_stage(net: Net, out: int, n: int) -> None:
    half, c, h = out // 2, net.c, net.h
    net.depthwise(3, 2).conv(half, 1)
    net.c, net.h = c, h
    net.conv(half, 1).depthwise(3, 2).conv(half, 1)
    for _ in range(n - 1):
        net.c = half
        net.conv(half, 1).depthwise(3).conv(half, 1)
        net.add(elements=2 * out * net.h**2, nodes=2)  # concatenation and shuffle
    net.c = out


def nanodet_m() -> Work:
    """RangiLyu/nanodet, NanoDet-m 320 x 320: ShuffleNetV2 1x, PAN of 96 channels, heads of two depthwise pairs."""
    net = Net(320).conv(24, 3, 2).pool()
    maps = []
    for out, n in ((116, 4), (232, 8), (464, 4)):
        _shuffle_stage(net, out, n)
        maps.append((net.h, net.c))
    for h, c in maps:
        net.h, net.c = h, c
        net.conv(96, 1)
    for h, _ in (*maps, *maps):
        net.h, net.c = h, 96
        net.sum()
    for h, _ in maps:
        net.h, net.c = h, 96
        for _ in range(2):
            net.depthwise(3).conv(96, 1)
        net.conv(112, 1)
    return net.work


def yolov4_tiny() -> Work:
    """Wang et al. 2020 (AlexeyAB/darknet, yolov4-tiny.cfg), 416 x 416."""
    net = Net(416).conv(32, 3, 2).conv(64, 3, 2)
    for c in (64, 128, 256):
        net.conv(c, 3)
        net.c = c // 2
        net.conv(c // 2, 3).conv(c // 2, 3)
        net.c = c
        net.conv(c, 1)
        net.c = 2 * c
        net.pool()
    net.conv(512, 3).conv(256, 1)
    net.conv(512, 3).conv(255, 1)
    net.c = 256
    net.conv(128, 1)
    net.h, net.c = 26, 384
    return net.conv(256, 3).conv(255, 1).work


def transformer(layers: int, hidden: int, inner: int, tokens: int, *, heads: int, nodes: int = 14) -> Work:
    """Vaswani et al. 2017: an encoder; Devlin et al. 2018 and Dosovitskiy et al. 2020 use it as it is.

    `glue`: per layer two normalisations and sums, GELU, softmax over heads x tokens x tokens, and the moving of heads.
    """
    on_weights = 4 * hidden * hidden + 2 * hidden * inner
    glue = 8 * tokens * hidden + 2 * tokens * inner + 2 * heads * tokens * tokens
    return Work(
        matmul=layers * (tokens * on_weights + 2 * tokens * tokens * hidden),
        weights=layers * on_weights,
        glue=layers * glue,
        nodes=layers * nodes + 10,
    )


def _vit(patch: int, size: int, hidden: int = 768, layers: int = 12) -> Work:
    tokens = (size // patch) ** 2 + 1
    return transformer(layers, hidden, 4 * hidden, tokens, heads=hidden // 64)


GLUE_TOKENS = 128
"""Tokens of a text in the SST-2 and MRPC examples of neural-compressor (max_seq_length 128, padded)."""

MODELS: dict[str, Work] = {
    "MobileNetV1-1.0-224": mobilenet_v1(),
    "MobileNetV1-0.25-128": mobilenet_v1(0.25, 128),
    "MobileNetV1-0.5-224": mobilenet_v1(0.5),
    "MobileNetV1-0.25-224": mobilenet_v1(0.25),
    "MobileNetV1-0.75-224": mobilenet_v1(0.75),
    "MobileNetV1-1.0-128": mobilenet_v1(1, 128),
    "MobileNetV1-1.0-192": mobilenet_v1(1, 192),
    "mobilenet_ssd": mobilenet_v1(1, 300, ssd=True),
    "MobileNetV2-1.0-224": mobilenet_v2(),
    "MobileNetV2-1.4-224": mobilenet_v2(1.4),
    "MobileNetV2-0.5-224": mobilenet_v2(0.5),
    "MobileNetV2-0.35-96": mobilenet_v2(0.35, 96),
    "MobileNetV2-0.75-224": mobilenet_v2(0.75),
    "MobileNetV2-0.35-224": mobilenet_v2(0.35),
    "MobileNetV2-1.0-96": mobilenet_v2(1, 96),
    "MobileNetV3-Large-224": mobilenet_v3(),
    "MobileNetV3-large-1.0-224": mobilenet_v3(),
    "MobileNetV3 MLPerf": mobilenet_v3(),
    "MobileNetV3-small-1.0-224": mobilenet_v3("small"),
    "MobileNetV3-Small-224": mobilenet_v3("small"),
    "MobileNetV3-Large-minimalistic-224": mobilenet_v3(minimalistic=True),
    "MobileNetV3-Large-0.75-224": mobilenet_v3(alpha=0.75),
    "mnasnet": mnasnet(),
    "MNASNet-0.5": mnasnet(0.5),
    "EfficientNet-B0-224": efficientnet(),
    "EfficientNet-Lite0": efficientnet(lite=True),
    "EfficientNet-Lite1": efficientnet(1.0, 1.1, 240, lite=True),
    "EfficientNet-Lite2": efficientnet(1.1, 1.2, 260, lite=True),
    "EfficientNet-Lite3": efficientnet(1.2, 1.4, 280, lite=True),
    "EfficientNet-Lite4": efficientnet(1.4, 1.8, 300, lite=True),
    "ResNet-18-224": resnet((2, 2, 2, 2), bottleneck=False),
    "ResNet-50-224": resnet((3, 4, 6, 3), bottleneck=True),
    "ResNet-50-v1.5-224 (MLPerf)": resnet((3, 4, 6, 3), bottleneck=True),
    "ResNet-50-v1.5 (ImageNet)": resnet((3, 4, 6, 3), bottleneck=True),
    "ResNet-50-V2-224": resnet((3, 4, 6, 3), bottleneck=True),
    "ResNet-101-224": resnet((3, 4, 23, 3), bottleneck=True),
    "ResNet-50-V1-299": resnet((3, 4, 6, 3), bottleneck=True, size=299),
    "WideResNet-50": resnet((3, 4, 6, 3), bottleneck=True, wide=2),
    "ResNeXt-50": resnet((3, 4, 6, 3), bottleneck=True, groups=32, group_width=4),
    "vgg16": vgg16(),
    "VGG16-224": vgg16(),
    "alexnet": alexnet(),
    "SqueezeNet-1.1-227": squeezenet(),
    "SqueezeNet-1.1": squeezenet(),
    "SqueezeNet-1.0": squeezenet("1.0"),
    "GoogLeNet-224": googlenet(),
    "Inception-V1-224": googlenet(),
    "Inception-V3-299": inception_v3(),
    "Inception-V3": inception_v3(),
    "shufflenet_v2": shufflenet_v2(),
    "ShuffleNetV2": shufflenet_v2(),
    "nanodet_m": nanodet_m(),
    "yolov4-tiny": yolov4_tiny(),
    "ViT-B/32-384 (ncnn vision_transformer)": _vit(32, 384),
    "ViT-B/16-224": _vit(16, 224),
    "BEiT (ImageNet)": _vit(16, 224),
    "BERT-base-uncased MRPC": transformer(12, 768, 3072, GLUE_TOKENS, heads=12),
    "BERT-base seq128": transformer(12, 768, 3072, 128, heads=12),
    "DistilBERT-base SST-2": transformer(6, 768, 3072, GLUE_TOKENS, heads=12),
    "ALBERT-base-v2 SST-2": transformer(12, 768, 3072, GLUE_TOKENS, heads=12),
    "MiniLM-L6-H384 SST-2": transformer(6, 384, 1536, GLUE_TOKENS, heads=12),
    "MiniLM-L12-H384 MRPC": transformer(12, 384, 1536, GLUE_TOKENS, heads=12),
    "BERT-mini MRPC": transformer(4, 256, 1024, GLUE_TOKENS, heads=4),
    "ELECTRA-small MRPC": transformer(12, 256, 1024, GLUE_TOKENS, heads=4),
    "BERT-large-SQuAD-384 (MLPerf)": transformer(24, 1024, 4096, 384, heads=16),
}
