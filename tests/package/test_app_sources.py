"""The sources for apps: read as text, run where a runtime is at hand, and in slow tests compiled or parsed."""

import json
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from tokenizers import Tokenizer

from edgedistill.package.app_sources import app_sources, high_characters
from edgedistill.package.contents import ModelInput
from edgedistill.package.fuzz import fuzzed_texts

NODE = shutil.which("node")
NPM = shutil.which("npm")
JAVA = shutil.which("java")
ODD_LABELS = ('say "hi"', "50 % $off ${x}", "back\\slash", "émoji 👍", "</script>")
INPUTS = (ModelInput(name="input_ids", dtype="int64"), ModelInput(name="attention_mask", dtype="int32"))


@pytest.fixture(scope="module")
def sources(student_rules):
    return app_sources(student_rules, title='a "title" <b>', labels=ODD_LABELS, inputs=INPUTS, example='"><script>')


def _in_plane_0(text, high):
    """What GraphText.kt does, told in Python."""
    def within(code, ranges):
        return any(first <= code <= last for first, last in ranges)

    images, out = dict(high.images), []
    for char in text:
        code = ord(char)
        if code == 0:
            out.append("\x01")
        elif code <= 0xFFFF:
            out.append(char)
        elif code in images:
            out.append(images[code])
        else:
            out.append("\x01" if within(code, high.vanishing) else high.alone if within(code, high.standing) else high.unknown)
    return "".join(out)


def test_high_characters_when_replaced_leave_the_ids_as_they_were(student_json, student_rules):
    high, tokenizer = high_characters(student_rules), Tokenizer.from_str(student_json)
    texts = [*fuzzed_texts(1500, seed=3), "a\0b [S\0EP]", "x\U0001d16ey", "\U0002f800", "\U00020000\U0001f600"]

    replaced = [_in_plane_0(text, high) for text in texts]

    assert any(ord(char) > 0xFFFF for text in texts for char in text)
    assert not any(ord(char) > 0xFFFF or char == "\0" for text in replaced for char in text)
    assert [e.ids for e in tokenizer.encode_batch(replaced)] == [e.ids for e in tokenizer.encode_batch(texts)]


def test_sources_when_labels_are_odd_escape_them_for_each_language(sources):
    kotlin, swift = sources["android/src/main/kotlin/Classifier.kt"], sources["ios/Sources/Classifier.swift"]

    assert r'"50 % \u0024off \u0024{x}"' in kotlin
    assert r'"\u00e9moji \ud83d\udc4d"' in kotlin
    assert r'"say \u{22}hi\u{22}"' in swift
    assert r'"\u{e9}moji \u{1f44d}"' in swift


def test_page_when_title_and_example_are_odd_stays_one_page(sources):
    page = sources["web/index.html"]

    assert "<title>a &#34;title&#34; &lt;b&gt;</title>" in page
    assert 'value="&#34;&gt;&lt;script&gt;"' in page
    assert not re.search(r"(src|href)=.https?:", page)


def test_sources_when_made_all_carry_a_licence(sources):
    without = [name for name, text in sources.items()
               if "SPDX-License-Identifier: Apache-2.0" not in text and '"license": "Apache-2.0"' not in text]

    assert without == ["web/characters.json"]


def test_page_when_it_feeds_the_model_knows_the_types_of_its_inputs(sources):
    assert 'INPUT_TYPES = {"attention_mask": "int32", "input_ids": "int64"}' in sources["web/classifier.js"]


@pytest.mark.skipif(NODE is None, reason="needs node: apt-get install nodejs")
def test_page_tokenizer_when_texts_are_fuzzed_gives_the_ids_of_tokenizer_json(sources, student_json, tmp_path):
    halves = ["lights \ud800 down", "li\udc00ghts"]  # Python refuses these; the page drops what is no character
    texts = [*fuzzed_texts(400, seed=4, own=["turn the lights down", "Naïve café, please"]), *halves]
    (tmp_path / "classifier.mjs").write_text(sources["web/classifier.js"], encoding="utf-8")
    for name, content in (("texts", json.dumps(texts)), ("tokenizer", student_json), ("characters", sources["web/characters.json"])):
        (tmp_path / f"{name}.json").write_text(content, encoding="utf-8")
    (tmp_path / "main.mjs").write_text("""
import { readFileSync } from "node:fs";
import { Tokenizer } from "./classifier.mjs";
const [texts, tokenizer, characters] = ["texts", "tokenizer", "characters"].map((n) => JSON.parse(readFileSync(`${n}.json`)));
const reader = new Tokenizer(tokenizer, characters);
process.stdout.write(JSON.stringify(texts.map((text) => reader.encode(text))));
""")

    done = subprocess.run([NODE, "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)

    expected = Tokenizer.from_str(student_json).encode_batch([*texts[: -len(halves)], "lights  down", "lights"])
    assert json.loads(done.stdout) == [e.ids for e in expected]


RUNTIME_STUBS = {
    "Ort.kt": """
package ai.onnxruntime
class OrtEnvironment {
    fun createSession(model: ByteArray, options: OrtSession.SessionOptions): OrtSession = OrtSession()
    companion object { @JvmStatic fun getEnvironment() = OrtEnvironment() }
}
class OnnxTensor : AutoCloseable {
    override fun close() {}
    companion object { @JvmStatic fun createTensor(env: OrtEnvironment, data: Any): OnnxTensor = OnnxTensor() }
}
interface OnnxValue { val value: Any }
class OrtSession : AutoCloseable {
    class SessionOptions { fun registerCustomOpLibrary(path: String) {}; fun setIntraOpNumThreads(n: Int) {} }
    class Result : AutoCloseable {
        fun get(name: String): java.util.Optional<OnnxValue> = java.util.Optional.empty()
        override fun close() {}
    }
    fun run(inputs: Map<String, OnnxTensor>, wanted: Set<String>): Result = Result()
    override fun close() {}
}
""",
    "Extensions.kt": "package ai.onnxruntime.extensions\nobject OrtxPackage { @JvmStatic fun getLibraryPath() = \"\" }\n",
}
"""As much of onnxruntime as the sources call, for where its own classes cannot be had."""

RUNTIME_PACKAGES = {"com.github.asus4.onnxruntime": "onnxruntime.aar",
                    "com.github.asus4.onnxruntime-extensions": "onnxruntime-extensions.aar"}
"""npm packages that carry Microsoft's Android archives; Maven, where these are at home, is not asked by the tests."""

STUBS = {
    "Android.kt": """
package android.content
class AssetManager { fun open(name: String): java.io.InputStream = java.io.ByteArrayInputStream(ByteArray(0)) }
class Context { val assets = AssetManager() }
""",
    "Junit.kt": """
package org.junit
annotation class Test
object Assert {
    @JvmStatic fun assertEquals(message: String, expected: Any?, found: Any?) {}
    @JvmStatic fun assertEquals(message: String, expected: Float, found: Float, tolerance: Float) {}
}
""",
    "Runner.kt": "package org.junit.runner\nannotation class RunWith(val value: kotlin.reflect.KClass<*>)\n",
    "AndroidRunner.kt": "package androidx.test.ext.junit.runners\nclass AndroidJUnit4\n",
    "Instrumentation.kt": """
package androidx.test.platform.app
class Instrumentation { val context = android.content.Context(); val targetContext = android.content.Context() }
object InstrumentationRegistry { @JvmStatic fun getInstrumentation() = Instrumentation() }
""",
    "Json.kt": """
package org.json
class JSONObject(text: String) {
    fun getDouble(name: String) = 0.0
    fun optDouble(name: String, fallback: Double) = fallback
    fun getJSONObject(name: String) = JSONObject("")
    fun getString(name: String) = ""
    fun getJSONArray(name: String) = JSONArray()
}
class JSONArray { fun length() = 0; fun getJSONObject(i: Int) = JSONObject(""); fun getDouble(i: Int) = 0.0 }
""",
    "Main.kt": """
import org.edgedistill.classifier.GraphText
fun main() {
    for (line in generateSequence(::readLine)) {
        val text = line.split(" ").filter { it.isNotEmpty() }.joinToString("") { String(Character.toChars(it.toInt())) }
        println(GraphText.of(text).map { it.code.toString() }.joinToString(" "))
    }
}
""",
}
"""As much of Android, its test library and JSON as the sources call, with the same signatures."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(NPM is None or JAVA is None, reason="needs npm for the Kotlin compiler, and java to run it")
def test_kotlin_when_compiled_runs_and_replaces_as_told(sources, student_rules, tmp_path):
    _npm_install(tmp_path, "kotlin-compiler")
    library = tmp_path / "node_modules" / "kotlin-compiler" / "lib"
    _compile_kotlin(tmp_path, sources, RUNTIME_STUBS | STUBS)

    texts = list(fuzzed_texts(300, seed=5))
    asked = "\n".join(" ".join(str(ord(char)) for char in text) for text in texts) + "\n"
    ran = subprocess.run(
        [JAVA, "-cp", f"out:{library / 'kotlin-stdlib.jar'}", "MainKt"], cwd=tmp_path, input=asked, capture_output=True,
        text=True, check=True,
    )

    high = high_characters(student_rules)
    assert ran.stdout.splitlines() == [" ".join(str(ord(c)) for c in _in_plane_0(text, high)) for text in texts]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(NPM is None or JAVA is None, reason="needs npm for the Kotlin compiler, and java to run it")
def test_kotlin_when_compiled_against_onnxruntimes_own_classes_has_no_error(sources, tmp_path):
    """Only Android, its test library and JSON are stubs here; what a wrong call looks like is shown to fail too."""
    _npm_install(tmp_path, "kotlin-compiler", *RUNTIME_PACKAGES)
    jars = [_classes_of(tmp_path, name, archive) for name, archive in RUNTIME_PACKAGES.items()]

    _compile_kotlin(tmp_path, sources, STUBS, *jars)

    wrong = {name: text.replace("setIntraOpNumThreads(threads)", 'setIntraOpNumThreads("one")') for name, text in sources.items()}
    with pytest.raises(AssertionError, match="Classifier.kt"):
        _compile_kotlin(tmp_path, wrong, STUBS, *jars)


def _classes_of(folder, package, archive):
    """Take the Java classes out of an Android archive of an npm package."""
    (found,) = (folder / "node_modules" / package).rglob(archive)
    jar = folder / f"{archive}.jar"
    with zipfile.ZipFile(found) as content:
        jar.write_bytes(content.read("classes.jar"))
    return jar


def _compile_kotlin(folder, sources, stubs, *jars):
    files = {name.rsplit("/", 1)[1]: text for name, text in sources.items() if name.endswith(".kt")} | stubs
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    library = folder / "node_modules" / "kotlin-compiler" / "lib"
    compiler = [JAVA, "-Xmx1g", "-cp", str(library / "kotlin-compiler.jar"), "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"]
    path = ["-classpath", ":".join(map(str, jars))] if jars else []
    done = subprocess.run(
        [*compiler, "-no-reflect", "-kotlin-home", str(library.parent), *path, "-d", "out", *files],
        cwd=folder, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_swift_when_parsed_has_no_error(sources, tmp_path):
    """No Swift compiler is in the package registries; this is a real grammar, which knows nothing of types."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tmp_path), "tree-sitter", "tree-sitter-swift"],
        capture_output=True, text=True, check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"tree-sitter-swift could not be installed: {done.stderr[-200:]}")
    program = """
import sys, tree_sitter, tree_sitter_swift
parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
tree = parser.parse(sys.stdin.buffer.read())
print(tree.root_node.type, tree.root_node.has_error)
"""
    swift = {name: text for name, text in sources.items() if name.endswith(".swift")}
    assert len(swift) == 3
    for name, text in {**swift, "broken": "func ( {"}.items():
        found = subprocess.run([sys.executable, "-c", program], input=text, env={"PYTHONPATH": str(tmp_path)},
                               capture_output=True, text=True, check=True)
        assert found.stdout.split() == ["source_file", str(name == "broken")], name


def _npm_install(folder, *names):
    (folder / "package.json").write_text('{"private": true}')
    done = subprocess.run([NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", *names], cwd=folder,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not install {' '.join(names)}: {done.stderr[-200:]}")
