"""What the pages show when a call fails: their scripts run in node, with a page, a model and a decoder that are made up."""

import json
import re
import shutil
import subprocess

import pytest

from edgedistill.package.contents import ModelInput
from edgedistill.tasks.image_classification.apps import app_sources as picture_sources

NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="needs node: apt-get install nodejs")

PAGE = """
class Element {
  constructor() { Object.assign(this, { listeners: {}, children: [], textContent: "", value: "", files: [], hidden: true }); }
  addEventListener(kind, listener) { this.listeners[kind] = listener; }
  append(...more) { this.children.push(...more); }
  replaceChildren(...all) { this.children = all; }
}
const elements = {};
globalThis.window = globalThis;
globalThis.document = { getElementById: (id) => elements[id] ??= new Element(), createElement: () => new Element() };
const settle = () => new Promise((next) => setTimeout(next, 20));
const seen = [];
const see = () => seen.push([elements.state.textContent, elements.answers.children.length]);
"""
CLASSIFIER = """
const best = [{ label: "a", probability: 0.75 }, { label: "b", probability: 0.25 }];
export class Classifier {
  static async load() { return new Classifier(); }
  async classify(asked) {
    if (asked === "slow") await new Promise((next) => setTimeout(next, 10));
    if (asked === "slow" || asked === "bad" || asked.height === 13) throw new Error("out of memory");
    return best;
  }
}
export const replay = null;
"""


def _seen(tmp_path, page, classifier, program):
    """Run a page's script, then a program; returns state and number of answers each time the program looked."""
    runtime = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    runtime.mkdir(parents=True)
    (runtime / "ort.wasm.bundle.min.mjs").write_text("export const env = { wasm: {} };")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    (tmp_path / "page.js").write_text(script, encoding="utf-8")
    (tmp_path / "classifier.js").write_text(classifier, encoding="utf-8")
    (tmp_path / "main.js").write_text(
        f'{PAGE}\n{program.replace("OPEN", "await import(" + json.dumps("./page.js") + "); await settle(); see();")}\n'
        "process.stdout.write(JSON.stringify(seen));", encoding="utf-8")
    done = subprocess.run([NODE, "main.js"], cwd=tmp_path, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def _text_page(student_rules):
    from edgedistill.package.app_sources import app_sources

    return app_sources(student_rules, title="t", labels=("a", "b"), inputs=[ModelInput(name="input_ids", dtype="int64")],
                       example="hello")["web/index.html"]


TYPE = 'const type = (text) => { elements.text.value = text; elements.text.listeners.input(); };\n'
FINE = "Everything is computed on this device."


def test_page_when_a_text_cannot_be_classified_then_shows_why_and_no_old_answers(student_rules, tmp_path):
    program = TYPE + 'OPEN type("bad"); await settle(); see(); type("good"); await settle(); see();'

    assert _seen(tmp_path, _text_page(student_rules), CLASSIFIER, program) == [
        [FINE, 2], ["The text could not be classified: out of memory", 0], [FINE, 2],
    ]


def test_page_when_an_earlier_text_fails_late_then_keeps_the_later_answers(student_rules, tmp_path):
    program = TYPE + 'OPEN type("slow"); type("good"); await settle(); see();'

    assert _seen(tmp_path, _text_page(student_rules), CLASSIFIER, program) == [[FINE, 2], [FINE, 2]]


CHOOSE = """
globalThis.createImageBitmap = async (file) => {
  if (file === "text") throw Object.assign(new Error("The source image could not be decoded."), { name: "InvalidStateError" });
  if (file === "huge") throw new RangeError("too large for this device");
  return { width: file === "heavy" ? 13 : 2, height: file === "heavy" ? 13 : 2 };
};
document.createElement = () => Object.assign(new Element(), {
  getContext: () => ({ drawImage() {}, getImageData: (x, y, width, height) => ({ data: new Uint8Array(4 * width * height) }) }),
});
const choose = async (file) => {
  elements.file.files = [file];
  elements.file.listeners.change();
  await settle();
  see();
};
"""


def test_page_of_pictures_when_a_call_fails_then_says_what_failed_and_shows_no_old_answers(tmp_path):
    sources = picture_sources(title="t", labels=("a", "b"))
    (picture,) = re.findall(r"export class Picture \{.*?\n\}\n", sources["web/classifier.js"], re.DOTALL)
    program = CHOOSE + "OPEN " + "".join(f'await choose("{file}");' for file in ("photo", "text", "photo", "huge", "photo", "heavy"))

    assert _seen(tmp_path, sources["web/index.html"], picture + CLASSIFIER, program)[1:] == [
        [FINE, 2], ["This is no picture.", 0], [FINE, 2], ["too large for this device", 0], [FINE, 2], ["out of memory", 0],
    ]
