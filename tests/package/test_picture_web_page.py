"""The page of a bundle of pictures in headless Chromium: the golden logits, a picture file, and no request elsewhere."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.plan import PictureSize
from edgedistill.stage import Workspace
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.package_stage import STAGE, Inputs, PictureSettings
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures

_spec = importlib.util.spec_from_file_location("web_logits", Path(__file__).parents[2] / "benchmarks" / "web_logits.py")
web_logits = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(web_logits)

PROBE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><pre>nothing yet</pre>
<iframe src="index.html"></iframe>
<script type="module">
import { Picture } from "./classifier.js";
const frame = document.querySelector("iframe");
const wait = async (ready) => { while (!ready()) await new Promise((next) => setTimeout(next, 50)); };
try {
  await wait(() => frame.contentWindow.classifier);
  const { classifier, DataTransfer, File, Event } = frame.contentWindow;
  const page = frame.contentDocument;
  const golden = await (await fetch("../golden.json")).json();
  const answers = [];
  for (const vector of golden.vectors) {
    const picture = Picture.golden(vector, golden);
    answers.push({ ids: [], logits: await classifier.logits(picture), label: (await classifier.classify(picture))[0].label });
  }
  const file = new File([await (await fetch("photo.png")).blob()], "photo.png", { type: "image/png" });
  const read = await Picture.of(file);
  const chosen = new DataTransfer();
  chosen.items.add(file);
  page.getElementById("file").files = chosen.files;
  page.getElementById("file").dispatchEvent(new Event("change"));
  await wait(() => page.querySelectorAll("li").length);
  const replayed = page.getElementById("replayed");
  page.getElementById("replay").click();
  await wait(() => replayed.textContent);
  document.querySelector("pre").textContent = JSON.stringify({
    answers, replayed: replayed.textContent, state: page.getElementById("state").textContent,
    best: page.querySelector("li span").textContent, rgb: Array.from(read.rgb), size: [read.height, read.width],
    fetched: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => new URL(entry.name).origin),
    origin: location.origin,
  });
} catch (failure) {
  document.querySelector("pre").textContent = JSON.stringify({ failure: String(failure) });
}
</script>"""


def _write_model(folder: Path, how: Preprocessing) -> None:
    """A classifier of mean colours: logits are 4 times the mean of red, green and blue."""
    folder.mkdir()
    weight = numpy_helper.from_array(4 * np.eye(3, dtype=np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("GlobalAveragePool", ["pixel_values"], ["pooled"]), helper.make_node("Flatten", ["pooled"], ["flat"]),
         helper.make_node("MatMul", ["flat", "weight"], ["logits"])], "colours",
        [helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), folder / "model.onnx")
    (folder / "preprocessor_config.json").write_text(how.to_json())


@pytest.fixture(scope="module")
def picture_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a model that tells red, green and blue pictures apart."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    _write_model(folder / "model", Preprocessing(PictureSize(32, 3), (0.5,) * 3, (0.25,) * 3))
    classes = [row % 3 for row in range(36)]
    pixels = rng.integers(0, 120, (36, 32, 32, 3), dtype=np.uint8)
    for row, label in enumerate(classes):
        pixels[row, ..., label] += 120
    rows = Rows([f"p{row}" for row in range(36)], [f"{row}.png" for row in range(36)], classes)
    write_pictures(folder / "test.arrow", rows, [pixels], size=PictureSize(32, 3))
    (folder / "labels.json").write_text('{"labels": ["red", "green", "blue"]}')
    settings = PictureSettings(recipe_id="colours", task="image-classification", target_id="raspberry-pi",
                               base_model="mine", runtime_oldest="1.17", platform="linux", tolerance=0.05, seed=1)
    inputs = Inputs(folder / "model", folder / "test.arrow", folder / "labels.json")
    return Workspace(folder / "stages").perform("package", STAGE, settings, inputs).folder / "bundle"


def test_bundle_when_made_holds_a_page_and_a_swift_package_that_leaves_it_out(picture_bundle):
    assert sorted(path.name for path in (picture_bundle / "web").iterdir()) == ["classifier.js", "index.html", "package.json"]
    assert '"web"' in (picture_bundle / "Package.swift").read_text()
    assert "<title>colours for raspberry-pi</title>" in (picture_bundle / "web" / "index.html").read_text()


def test_bundle_when_made_of_pictures_lists_pictures_as_what_the_model_takes(picture_bundle):
    bill = json.loads((picture_bundle / "bom.cdx.json").read_text())

    assert bill["metadata"]["component"]["modelCard"]["modelParameters"]["inputs"] == [{"format": "image"}]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(web_logits.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.skipif(web_logits.NPM is None, reason="needs npm for onnxruntime-web: apt-get install npm")
def test_page_when_opened_in_a_browser_answers_the_golden_pictures_and_a_file(picture_bundle, tmp_path):
    from PIL import Image

    problem = web_logits.install(picture_bundle)
    if problem:
        pytest.skip(problem)
    photo = np.random.default_rng(2).integers(0, 100, (50, 70, 3), dtype=np.uint8)
    photo[..., 1] += 150
    Image.fromarray(photo).save(picture_bundle / "web" / "photo.png")

    seen = web_logits.seen_in_browser(picture_bundle, tmp_path, probe=PROBE)

    assert "failure" not in seen, seen
    golden = json.loads((picture_bundle / "golden.json").read_text())
    expected = [dict(vector, ids=[]) for vector in golden["vectors"]]
    assert sum(vector["picture"] is not None for vector in expected) == 3
    found = web_logits.compared(seen["answers"], golden | {"vectors": expected})
    assert found["equal_labels"] == found["within_1e-3"] == len(expected) == 32
    assert seen["replayed"].startswith("Passed: of 32 golden pictures 32 have the same class;")
    assert (seen["size"], seen["best"]) == ([50, 70], "green")
    assert seen["rgb"] == photo.reshape(-1).tolist()
    assert seen["state"] == "Everything is computed on this device."
    assert set(seen["fetched"]) == {seen["origin"]}
