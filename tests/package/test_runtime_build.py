import pytest

from edgedistill.package.ort_format import OrtModel, ProviderSupport, convert_to_ort
from edgedistill.package.runtime_build import runtime_build


def _model(*, nnapi, core_ml, nodes):
    support = {"NNAPI": nnapi, "CoreML NeuralNetwork": core_ml, "CoreML MLProgram": core_ml}
    return OrtModel(model=b"", operators="", nodes=nodes, support=support)


NOTHING = ProviderSupport(nodes=10, supported=0, partitions=0, verdict="NO")
ALL = ProviderSupport(nodes=10, supported=9, partitions=1, verdict="YES")


def test_build_when_for_a_phone_takes_the_operators_of_the_bundle_and_the_runtimes_tag():
    command = runtime_build(_model(nnapi=NOTHING, core_ml=NOTHING, nodes={"Add": 1}), "aarch64", runtime="1.32.0").command

    assert "git checkout v1.32.0" in command
    assert "--include_ops_by_config $BUNDLE/required_operators_and_types.config" in command
    assert "--enable_reduced_operator_type_support" in command
    assert "--android_abi arm64-v8a" in command


def test_accelerators_when_they_take_little_are_not_to_be_used():
    build = runtime_build(_model(nnapi=NOTHING, core_ml=NOTHING, nodes={"MatMulInteger": 4}), "aarch64", runtime="1.32.0")

    assert [(a.name, a.use) for a in build.accelerators] == [("NNAPI", False), ("CoreML", False), ("XNNPACK", False)]
    assert build.accelerators[0].why.startswith("it takes 0 of 10 nodes, in 0 pieces: nothing of the graph")


def test_accelerators_when_they_take_most_are_worth_a_try():
    build = runtime_build(_model(nnapi=ALL, core_ml=ALL, nodes={"Conv": 8, "Relu": 2}), "aarch64", runtime="1.32.0")

    assert [a.use for a in build.accelerators] == [True, True, True]
    assert build.accelerators[1].why.startswith("it takes 9 of 10 nodes, in 1 piece: worth measuring")


@pytest.mark.parametrize("name", ["NNAPI", "CoreML NeuralNetwork", "CoreML MLProgram"])
def test_support_when_asked_of_a_real_graph_counts_its_nodes(inputs, name):
    ort = convert_to_ort((inputs.model / "model.onnx").read_bytes(), "aarch64")

    assert ort.support[name].nodes == sum(ort.nodes.values()) == 8  # see tiny_model
    assert 0 <= ort.support[name].supported <= 8
