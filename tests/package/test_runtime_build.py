import pytest

from edgedistill.catalog import load_target
from edgedistill.package.ort_format import OrtModel, ProviderSupport, convert_to_ort
from edgedistill.package.runtime_build import runtime_build


def _model(*, nnapi, core_ml, nodes):
    support = {"NNAPI": nnapi, "CoreML NeuralNetwork": core_ml, "CoreML MLProgram": core_ml}
    return OrtModel(model=b"", operators="", nodes=nodes, support=support)


NOTHING = ProviderSupport(nodes=10, supported=0, partitions=0, verdict="NO")
ALL = ProviderSupport(nodes=10, supported=9, partitions=1, verdict="YES")


def test_build_when_made_takes_the_operators_of_the_bundle_and_the_runtimes_tag():
    command = runtime_build(_model(nnapi=NOTHING, core_ml=NOTHING, nodes={"Add": 1}), "android", runtime="1.32.0").command

    assert "git checkout v1.32.0" in command
    assert "--include_ops_by_config $BUNDLE/required_operators_and_types.config" in command
    assert "--enable_reduced_operator_type_support" in command


@pytest.mark.parametrize(("target_id", "platform", "wanted"), [
    ("pixel-6", "android", "--android --android_abi arm64-v8a"),
    ("iphone-15", "ios", "--ios --use_xcode --apple_sysroot iphoneos --osx_arch arm64 --apple_deploy_target 15.1"),
    ("raspberry-pi", "linux", "--build_shared_lib"),
    ("graviton3", "linux", "--build_shared_lib"),
    ("laptop-vnni", "linux", "--build_shared_lib"),
])
def test_build_when_made_for_a_target_is_for_its_system_and_no_other(target_id, platform, wanted):
    found = load_target(target_id).runtime.platform
    command = runtime_build(_model(nnapi=NOTHING, core_ml=NOTHING, nodes={"Add": 1}), found, runtime="1.32.0").command

    systems = [flag for flag in ("--android", "--ios", "--build_shared_lib") if flag in command.split()]
    assert (found, command.endswith(wanted) or f" {wanted} " in command, len(systems)) == (platform, True, 1)


def test_accelerators_when_they_take_little_are_not_to_be_used():
    build = runtime_build(_model(nnapi=NOTHING, core_ml=NOTHING, nodes={"MatMulInteger": 4}), "android", runtime="1.32.0")

    assert [(a.name, a.use) for a in build.accelerators] == [("NNAPI", False), ("CoreML", False), ("XNNPACK", False)]
    assert build.accelerators[0].why.startswith("it takes 0 of 10 nodes, in 0 pieces: nothing of the graph")


def test_accelerators_when_they_take_most_are_worth_a_try():
    build = runtime_build(_model(nnapi=ALL, core_ml=ALL, nodes={"Conv": 8, "Relu": 2}), "android", runtime="1.32.0")

    assert [a.use for a in build.accelerators] == [True, True, True]
    assert build.accelerators[1].why.startswith("it takes 9 of 10 nodes, in 1 piece: worth measuring")


@pytest.mark.parametrize("name", ["NNAPI", "CoreML NeuralNetwork", "CoreML MLProgram"])
def test_support_when_asked_of_a_real_graph_counts_its_nodes(inputs, name):
    ort = convert_to_ort((inputs.model / "model.onnx").read_bytes(), "aarch64", oldest="1.17")

    assert ort.support[name].nodes == sum(ort.nodes.values()) == 8  # see tiny_model
    assert 0 <= ort.support[name].supported <= 8
