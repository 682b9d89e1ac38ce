"""Compilers for the sources of apps, out of package registries: Kotlin's own for the JVM, and a grammar of Swift."""

import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from edgedistill.package.mobile_versions import MOBILE_VERSIONS

NPM = shutil.which("npm")
JAVA = shutil.which("java")

KOTLIN = f"kotlin-compiler@{MOBILE_VERSIONS['kotlin'].version}"
"""The compiler that the module's own build asks for."""

RUNTIME = ("com.github.asus4.onnxruntime", "0.4.8", "onnxruntime.aar")
EXTENSIONS = ("com.github.asus4.onnxruntime-extensions", "0.4.8", "onnxruntime-extensions.aar")
"""npm packages that carry Microsoft's Android archives, at a version, and the archive in it. Maven, where these are at home, is
not asked by the tests."""

GRAMMAR = ("tree-sitter==0.26.1", "tree-sitter-swift==0.7.4")

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

STUBS = {
    "Android.kt": """
package android.content
class AssetManager { fun open(name: String): java.io.InputStream = java.io.ByteArrayInputStream(ByteArray(0)) }
class Context { val assets = AssetManager() }
""",
    "Bitmap.kt": """
package android.graphics
class Bitmap(private val colours: IntArray, val width: Int, val height: Int, val config: Config? = Config.ARGB_8888) {
    enum class Config { ARGB_8888, HARDWARE }
    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        check(config != Config.HARDWARE) { "unable to getPixels(), pixel access is not supported on Config#HARDWARE bitmaps" }
        colours.copyInto(pixels)
    }
    fun copy(config: Config, isMutable: Boolean): Bitmap? = Bitmap(colours, width, height, config)
    companion object {
        @JvmStatic fun createBitmap(colours: IntArray, width: Int, height: Int, config: Config) = Bitmap(colours, width, height)
    }
}
""",
    "Build.kt": """
package android.os
object Build {
    object VERSION { @JvmField val SDK_INT = 34 }
    object VERSION_CODES { const val O = 26 }
}
""",
    "Base64.kt": """
package android.util
object Base64 {
    const val DEFAULT = 0
    @JvmStatic fun decode(text: String, flags: Int): ByteArray = java.util.Base64.getMimeDecoder().decode(text)
}
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
    fun getInt(name: String) = 0
    fun optDouble(name: String, fallback: Double) = fallback
    fun getJSONObject(name: String) = JSONObject("")
    fun getString(name: String) = ""
    fun isNull(name: String) = true
    fun getJSONArray(name: String) = JSONArray()
}
class JSONArray {
    fun length() = 0
    fun getJSONObject(i: Int) = JSONObject("")
    fun getDouble(i: Int) = 0.0
    fun getString(i: Int) = ""
}
""",
}
"""As much of Android, its test library and JSON as the sources call, with the same signatures."""


def install_kotlin(folder, *archives):
    """Install the compiler and packages with archives; skip where a registry or java is not at hand."""
    if NPM is None or JAVA is None:
        pytest.skip("needs npm for the Kotlin compiler, and java to run it")
    names = [KOTLIN, *(f"{name}@{version}" for name, version, _ in archives)]
    (folder / "package.json").write_text('{"private": true}')
    done = subprocess.run([NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts", *names], cwd=folder,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not install {' '.join(names)}: {done.stderr[-200:]}")


def runtime_version(folder):
    """Return major and minor version of the installed onnxruntime archive, which its C header tells as one number."""
    with zipfile.ZipFile(_archive(folder, RUNTIME)) as content:
        header = content.read("headers/onnxruntime_c_api.h").decode()
    return f"1.{re.search(r'#define ORT_API_VERSION ([0-9]+)', header)[1]}"


def _archive(folder, package):
    name, _, archive = package
    (found,) = (folder / "node_modules" / name).rglob(archive)
    return found


def classes_of(folder, package):
    """Take the Java classes out of the Android archive of an installed npm package."""
    found = _archive(folder, package)
    jar = folder / f"{found.name}.jar"
    with zipfile.ZipFile(found) as content:
        jar.write_bytes(content.read("classes.jar"))
    return jar


def compile_kotlin(folder, sources, stubs, *jars):
    """Compile the Kotlin among the sources together with stubs; raise AssertionError with the compiler's words."""
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


def run_kotlin(folder, asked, *jars):
    """Run main() of Main.kt with lines on its input; return the lines that it prints."""
    library = folder / "node_modules" / "kotlin-compiler" / "lib"
    path = ":".join(["out", str(library / "kotlin-stdlib.jar"), *map(str, jars)])
    done = subprocess.run([JAVA, "-cp", path, "MainKt"], cwd=folder, input=asked, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def require_swift_grammar(sources, folder, count):
    """Parse the Swift among the sources, which are so many, and a broken one that must fail; skip without the grammar."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *GRAMMAR],
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
    assert len(swift) == count
    for name, text in {**swift, "broken": "func ( {"}.items():
        found = subprocess.run([sys.executable, "-c", program], input=text, env={"PYTHONPATH": str(folder)},
                               capture_output=True, text=True, check=True)
        assert found.stdout.split() == ["source_file", str(name == "broken")], name
