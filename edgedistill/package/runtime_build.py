"""What a phone's runtime needs for a model: the command of a reduced build, and a verdict on each accelerator in words."""

from collections.abc import Mapping

from edgedistill.package.contents import OPERATORS_FILE, Accelerator, RuntimeBuild
from edgedistill.package.ort_format import OrtModel, ProviderSupport
from edgedistill.target import Platform

_BUILD_FLAGS: Mapping[Platform, str] = {
    "android": "--android --android_abi arm64-v8a --android_api 27 --android_sdk_path $ANDROID_HOME --android_ndk_path "
               "$ANDROID_NDK_HOME --build_java",
    "ios": "--ios --use_xcode --apple_sysroot iphoneos --osx_arch arm64 --apple_deploy_target 15.1 --build_apple_framework",
    "linux": "--build_shared_lib",
}
"""Source: onnxruntime's tools/ci_build/build_args.py. Its --arm64 is for Windows: Linux is built for the machine at hand."""
_XNNPACK_OPERATORS = frozenset({
    "AveragePool", "Conv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "QLinearAveragePool", "QLinearConv",
    "QLinearSoftmax", "Resize", "Softmax",
})
"""Source: onnxruntime's documentation, execution provider XNNPACK, "Supported ops"."""


def runtime_build(ort: OrtModel, platform: Platform, *, runtime: str) -> RuntimeBuild:
    """Return the build command and the verdicts.

    Args:
        ort: the model that ships.
        platform: what it is built for: an Android archive, an iOS framework, or a shared library for the Linux machine
            that the command is run on.
        runtime: version of onnxruntime that converted the model; the tag to build.
    """
    command = (
        f"git checkout v{runtime} && ./build.sh --config MinSizeRel --parallel --skip_tests --minimal_build "
        f"--include_ops_by_config $BUNDLE/{OPERATORS_FILE} --enable_reduced_operator_type_support --disable_ml_ops "
        f"--disable_exceptions --disable_rtti {_BUILD_FLAGS[platform]}"
    )
    core_ml = max((ort.support["CoreML NeuralNetwork"], ort.support["CoreML MLProgram"]), key=lambda s: s.supported)
    return RuntimeBuild(command=command, platform=platform, accelerators=(
        _accelerator("NNAPI", ort.support["NNAPI"], "; Android 15 deprecates NNAPI"),
        _accelerator("CoreML", core_ml, ""),
        _xnnpack(ort.nodes),
    ))


def _accelerator(name: str, support: ProviderSupport, beside: str) -> Accelerator:
    figures = f"it takes {support.supported} of {support.nodes} nodes, in {_count(support.partitions, 'piece')}"
    if support.verdict == "YES":
        return Accelerator.model_validate({
            "name": name, "use": True,
            "why": f"{figures}: worth measuring, once the input shapes are fixed (onnxruntime.tools.make_dynamic_shape_fixed)"
                   f"{beside}",
        })
    reason = "too little at a time to pay for the copies between them" if support.supported else "nothing of the graph"
    return Accelerator.model_validate({"name": name, "use": False, "why": f"{figures}: {reason}{beside}"})


def _xnnpack(nodes: Mapping[str, int]) -> Accelerator:
    """Count the operators that XNNPACK's documentation names: onnxruntime's tool has no check for it."""
    total, taken = sum(nodes.values()), sum(count for name, count in nodes.items() if name in _XNNPACK_OPERATORS)
    figures = f"at most {taken} of {total} nodes are operators that it has"
    if 2 * taken > total:
        return Accelerator(name="XNNPACK", use=True, why=f"{figures}: worth measuring against the CPU provider")
    return Accelerator(
        name="XNNPACK", use=False,
        why=f"{figures}, and it has no dynamic int8 product: the CPU provider's own int8 kernels serve this model",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
