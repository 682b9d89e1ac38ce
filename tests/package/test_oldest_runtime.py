"""What ships loads in the oldest onnxruntime that a target allows: by its list of kernels, and by itself where it is installed."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgedistill.catalog import load_target, target_ids
from edgedistill.export.stage import STAGE, Inputs, Settings
from edgedistill.quantize.scheme_names import all_schemes
from edgedistill.stage import Workspace

SPEC = importlib.util.spec_from_file_location("scheme_files", Path(__file__).with_name("scheme_files.py"))
files = importlib.util.module_from_spec(SPEC)
sys.modules["scheme_files"] = files
SPEC.loader.exec_module(files)

ROOT = Path(__file__).parents[2]
FAMILIES = {"aarch64": ("dynamic_wi8_afp32_per_channel", "static_wi8_ai8_per_channel", "weight_only_wi8_afp32"),
            "x86_64": ("static_wi8_au8", "weight_only_wi8_afp32_per_channel")}
INSTALLED = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])

LOADER = '''
import json, sys
import numpy as np, onnxruntime
found = {"version": onnxruntime.__version__}
options = onnxruntime.SessionOptions()
options.log_severity_level, options.intra_op_num_threads = 4, 1
for file, rows in json.load(open(sys.argv[1])).items():
    try:
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        types = {item.name: {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32"}[item.type]
                 for item in session.get_inputs()}
        feeds = [{name: np.array(row[name], types[name]) for name in types} for row in rows]
        found[file] = [session.run(None, feed)[0].tolist() for feed in feeds]
    except Exception as refused:
        found[file] = str(refused)
json.dump(found, sys.stdout)
'''


@pytest.fixture(scope="module")
def sources(model_folder, tmp_path_factory) -> dict:
    """Small float models by name; `bert` is exported and fused as a student is."""
    scratch = tmp_path_factory.mktemp("sources")
    done = Workspace(scratch / "stages").perform("export", STAGE, Settings(max_ir_version=9, max_opset=20), Inputs(model_folder("bert")))
    session = onnxruntime.InferenceSession(str(done.folder / "model.onnx"), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    rows = [{item.name: random.integers(5, 40, (1, 7)) if item.name == "input_ids" else np.full((1, 7), item.name == "attention_mask", np.int64)
             for item in session.get_inputs()} for _ in range(8)]
    bert = scratch / "bert.onnx"
    bert.write_bytes((done.folder / "model.onnx").read_bytes())
    return files.small_sources(scratch) | {"bert": files.Source(bert, rows)}


@pytest.mark.parametrize("name", ["attention", "cnn", "tied", "bert"])
def test_onnx_and_ort_of_every_family_of_schemes_hold_only_what_the_oldest_runtime_knows(sources, name: str, tmp_path: Path) -> None:
    made = [file for architecture, schemes in FAMILIES.items()
            for file in files.make_files(sources[name], schemes, tmp_path, [architecture])]
    assert len(made) == 10
    assert {file.name: files.missing(file) for file in made if files.missing(file)} == {}
    assert all(onnx.load(file, load_external_data=False).ir_version <= 9 for file in made if file.suffix == ".onnx")


def test_no_target_allows_an_older_runtime_than_the_one_the_list_is_of() -> None:
    assert {load_target(name).runtime.oldest for name in target_ids()} == {files.OLDEST}


@pytest.mark.parametrize(("node", "opset", "said"), [
    (helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], domain="com.microsoft", bits=8), 18, ["com.microsoft MatMulNBits 1: 8 bits came after 1.17"]),
    (helper.make_node("QAttention", list("abcdefgh"), ["y"], domain="com.microsoft", num_heads=2, rotary=1), 18,
     ["com.microsoft QAttention 1: no attribute rotary"]),
    (helper.make_node("FusedGemm", list("abcd"), ["y"], domain="com.microsoft"), 18,
     ["com.microsoft FusedGemm 1: 4 inputs and 1 outputs, it takes 3 and 1"]),
    (helper.make_node("GatherBlockQuantized", ["x", "i", "s"], ["y"], domain="com.microsoft"), 18,
     ["com.microsoft GatherBlockQuantized 1: no kernel"]),
    (helper.make_node("DequantizeLinear", ["x", "s"], ["y"]), 21, ["ai.onnx DequantizeLinear 21: no kernel"]),
    (helper.make_node("DequantizeLinear", ["x", "s"], ["y"]), 20, []),
])
def test_an_operator_that_came_later_is_named(node, opset: int, said: list[str], tmp_path: Path) -> None:
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), tmp_path / "m.onnx")
    assert files.missing(tmp_path / "m.onnx") == said


@pytest.mark.skipif(INSTALLED < (1, 32), reason="older ones may not fuse 8-bit weights with float products")
def test_an_ort_file_for_the_installed_runtime_is_fused_and_the_list_says_that_the_oldest_cannot_load_it(sources, tmp_path: Path) -> None:
    file = next(files.make_files(sources["attention"], ["weight_only_wi8_afp32"], tmp_path, []))
    ort = file.with_suffix(".ort")
    ort.write_bytes(files.convert_to_ort(file.read_bytes(), "aarch64", oldest=".".join(map(str, INSTALLED))).model)
    assert [line for line in files.missing(ort) if "MatMulNBits" in line]


def old_python() -> str:
    """The Python that has the oldest onnxruntime; a test that needs it is skipped where there is none."""
    made = ROOT / ".oldest-runtime" / "bin" / "python"
    found = os.environ.get("EDGEDISTILL_OLDEST_RUNTIME") or (str(made) if made.is_file() else None)
    if found is None:
        pytest.skip("no onnxruntime 1.17 here: make oldest-runtime, or EDGEDISTILL_OLDEST_RUNTIME=/path/to/its/python")
    return found


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", ["attention", "cnn", "tied", "bert"])
def test_the_oldest_runtime_itself_loads_every_scheme_and_both_files_answer_alike(sources, name: str, tmp_path: Path) -> None:
    python = old_python()
    made = list(files.make_files(sources[name], [scheme.name for scheme in all_schemes()], tmp_path, ["aarch64", "x86_64"]))
    rows = [{key: array.tolist() for key, array in row.items()} for row in sources[name].rows]
    (tmp_path / "wanted.json").write_text(json.dumps({str(file): rows for file in [sources[name].path, *made]}))
    done = subprocess.run([python, "-c", LOADER, str(tmp_path / "wanted.json")], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.pop("version").startswith(f"{files.OLDEST}.")
    assert {Path(file).name: said for file, said in found.items() if isinstance(said, str)} == {}
    answers = {file: np.concatenate([np.array(answer) for answer in found[str(file)]]) for file in [sources[name].path, *made]}
    spread = np.abs(answers[sources[name].path] - answers[sources[name].path].mean(axis=0)).mean()
    off = {file.name: float(np.abs(answer - answers[sources[name].path]).mean() / spread) for file, answer in answers.items()}
    assert {file: error for file, error in off.items() if error > 0.25} == {}


@pytest.mark.slow
def test_the_list_of_kernels_is_what_the_oldest_runtime_says() -> None:
    script = Path(__file__).with_name("oldest_operators.py")
    done = subprocess.run([old_python(), str(script)], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(files.TABLE.read_text(encoding="utf-8"))
