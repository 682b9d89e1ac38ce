"""The sources for apps: read as text, run where a runtime is at hand, and in slow tests compiled or parsed."""

import json
import re
import shutil
import subprocess

import pytest
from tokenizers import Tokenizer

from edgedistill.package.app_sources import app_sources, high_characters
from edgedistill.package.bert_rules import bert_rules
from edgedistill.package.contents import ModelInput
from edgedistill.package.fuzz import fuzzed_texts
from edgedistill.package.mobile_versions import MOBILE_VERSIONS
from edgedistill.problem_type import SEVERAL_LABELS

NODE = shutil.which("node")
ODD_LABELS = ('say "hi"', "50 % $off ${x}", "back\\slash", "émoji 👍", "</script>")
INPUTS = (ModelInput(name="input_ids", dtype="int64"), ModelInput(name="attention_mask", dtype="int32"))


@pytest.fixture(scope="module")
def sources(student_rules):
    return app_sources(student_rules, title='a "title" <b>', labels=ODD_LABELS, inputs=INPUTS, example='"><script>')


@pytest.fixture(scope="module")
def several(student_rules):
    """The same where a text may have several labels."""
    return app_sources(student_rules, title="t", labels=("light", "music", "weather"), inputs=INPUTS, example="a", problem=SEVERAL_LABELS)


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


def _without_chinese_chars(student_json, vocabulary=()):
    """The tokenizer as it is advised for Japanese: an ideograph is a letter like another one."""
    content = json.loads(student_json)
    content["normalizer"]["handle_chinese_chars"] = False
    content["model"]["vocab"] |= dict.fromkeys(vocabulary, 7)
    return json.dumps(content)


def test_high_characters_when_ideographs_are_letters_leave_the_ids_as_they_were(student_json):
    own = _without_chinese_chars(student_json, ["\u6771", "##\u4eac"])
    high, tokenizer = high_characters(bert_rules(own)), Tokenizer.from_str(own)
    texts = [*fuzzed_texts(600, seed=6), "\u6771\u4eac", "a\U00020000b \U00020000", "a\U00010100b", "\U00010100\U00010100 \u6771\U00010100"]

    replaced = [_in_plane_0(text, high) for text in texts]

    assert not any(ord(char) > 0xFFFF for text in replaced for char in text)
    assert [e.ids for e in tokenizer.encode_batch(replaced)] == [e.ids for e in tokenizer.encode_batch(texts)]
    standing = tokenizer.encode("a\U00010100b", add_special_tokens=False).tokens  # punctuation beyond U+FFFF parts words here too
    assert len(standing) == 3


def test_sources_when_ideographs_are_letters_are_made_all_the_same(student_json):
    rules = bert_rules(_without_chinese_chars(student_json))

    made = app_sources(rules, title="t", labels=("a", "b"), inputs=INPUTS, example="a")

    (alone,) = re.findall(r'ALONE = "(.*)"', made["android/src/main/kotlin/GraphText.kt"])
    (unknown,) = re.findall(r"UNKNOWN = '(.*)'", made["android/src/main/kotlin/GraphText.kt"])
    assert alone.lower() == f" {unknown} ".lower()


def test_swift_when_a_text_holds_a_zero_replaces_it_literally(sources):
    """Foundation compares characters as they are composed where it is not told otherwise."""
    assert r'replacingOccurrences(of: "\u{0}", with: "\u{1}", options: .literal)' in sources["ios/Sources/Classifier.swift"]


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


def test_sources_when_a_text_may_have_several_labels_give_a_typed_answer(several):
    kotlin, swift = several["android/src/main/kotlin/Classifier.kt"], several["ios/Sources/Classifier.swift"]

    assert "data class Answer(val labels: List<Prediction>, val ranked: List<Prediction>)" in kotlin
    assert "fun classify(text: String): Answer {" in kotlin
    assert "public struct Answer: Equatable {" in swift
    assert "public func classify(_ text: String) throws -> Answer {" in swift


def test_golden_tests_of_apps_when_a_text_may_have_several_labels_compare_the_set(several):
    assert 'vector.getJSONArray("labels")' in several["android/src/androidTest/kotlin/GoldenVectorsTest.kt"]
    assert "let labels: [String]" in several["ios/Tests/GoldenVectorsTests.swift"]
    assert "Set(vector.labels).intersection(clear)" in several["ios/Tests/GoldenVectorsTests.swift"]
    assert "expectedLabels intersect clear" in several["android/src/androidTest/kotlin/GoldenVectorsTest.kt"]
    for name in ("android/src/androidTest/kotlin/GoldenVectorsTest.kt", "ios/Tests/GoldenVectorsTests.swift"):
        assert "the same labels, and every logit within the tolerance" in several[name]


@pytest.mark.skipif(NODE is None, reason="needs node: apt-get install nodejs")
def test_page_classifier_when_a_text_may_have_several_labels_answers_and_replays_as_computed_by_hand(several, tmp_path):
    """Logits 1, -1, 2 are the probabilities 0.7311, 0.2689 and 0.8808; logits below 0 are no label."""
    (tmp_path / "classifier.mjs").write_text(several["web/classifier.js"], encoding="utf-8")
    (tmp_path / "main.mjs").write_text("""
import { Classifier, replay } from "./classifier.mjs";
const logits = { both: [1, -1, 2], none: [-0.05, -2, -3] };
const classifier = new Classifier(null, null, { encode: () => [1] }, ["light", "music", "weather"]);
classifier.logits = async (text) => logits[text];
const vector = (text, expected) => ({ text, ids: [1], logits: expected });
const replayed = (...vectors) => replay(classifier, { tolerance: 0.1, tolerances: {}, vectors });
process.stdout.write(JSON.stringify([
  await classifier.classify("both"), await classifier.classify("none"),
  await replayed(vector("both", [1, -1, 2]), vector("none", [0.04, -2, -3])),  // 0.04 may be on either side of 0
  await replayed(vector("both", [-1, -1, 2]), vector("none", [0.2, -2, -3])),
]));
""")

    done = subprocess.run([NODE, "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)

    both, none, good, bad = json.loads(done.stdout)
    assert [(p["label"], round(p["probability"], 4)) for p in both["ranked"]] == [("weather", 0.8808), ("light", 0.7311), ("music", 0.2689)]
    assert both["labels"] == both["ranked"][:2]
    assert (none["labels"], len(none["ranked"])) == ([], 3)
    assert (good["passed"], good["equalLabels"], bad["passed"], bad["equalLabels"]) == (True, 2, False, 0)


MAIN = {"Main.kt": """
import org.edgedistill.classifier.GraphText
fun main() {
    for (line in generateSequence(::readLine)) {
        val text = line.split(" ").filter { it.isNotEmpty() }.joinToString("") { String(Character.toChars(it.toInt())) }
        println(GraphText.of(text).map { it.code.toString() }.joinToString(" "))
    }
}
"""}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kotlin_when_compiled_runs_and_replaces_as_told(compilers, sources, student_rules, tmp_path):
    compilers.install_kotlin(tmp_path)
    compilers.compile_kotlin(tmp_path, sources, compilers.RUNTIME_STUBS | compilers.STUBS | MAIN)

    texts = list(fuzzed_texts(300, seed=5))
    asked = "\n".join(" ".join(str(ord(char)) for char in text) for text in texts) + "\n"

    high = high_characters(student_rules)
    assert compilers.run_kotlin(tmp_path, asked) == [" ".join(str(ord(c)) for c in _in_plane_0(text, high)) for text in texts]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kotlin_when_compiled_against_onnxruntimes_own_classes_has_no_error(compilers, sources, tmp_path):
    """Only Android, its test library and JSON are stubs here; what a wrong call looks like is shown to fail too."""
    compilers.install_kotlin(tmp_path, compilers.RUNTIME, compilers.EXTENSIONS)
    jars = [compilers.classes_of(tmp_path, package) for package in (compilers.RUNTIME, compilers.EXTENSIONS)]

    compilers.compile_kotlin(tmp_path, sources, compilers.STUBS, *jars)

    wrong = {name: text.replace("setIntraOpNumThreads(threads)", 'setIntraOpNumThreads("one")') for name, text in sources.items()}
    with pytest.raises(AssertionError, match="Classifier.kt"):
        compilers.compile_kotlin(tmp_path, wrong, compilers.STUBS, *jars)
    # The extensions' archive does not tell its version.
    assert MOBILE_VERSIONS["onnxruntime_android"].version.startswith(compilers.runtime_version(tmp_path) + ".")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_swift_when_parsed_has_no_error(compilers, sources, tmp_path):
    """No Swift compiler is in the package registries; this is a real grammar, which knows nothing of types."""
    compilers.require_swift_grammar(sources, tmp_path, 3)


SEVERAL_MAIN = {"Main.kt": """
import org.edgedistill.classifier.Classifier
fun main() {
    generateSequence(::readLine).forEach { _ ->
        val answer = Classifier(ByteArray(0)).classify("a")
        println(answer.labels.joinToString(" ") { it.label } + " of " + answer.ranked.joinToString(" ") { it.label })
    }
}
"""}
ROWS = {"logits": "1f, -1f, 2f", "probabilities": "0.73f, 0.27f, 0.88f"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kotlin_when_a_text_may_have_several_labels_answers_as_computed_by_hand(compilers, several, tmp_path):
    """The runtime is a stub whose logits are 1, -1 and 2."""
    compilers.install_kotlin(tmp_path)
    answers = "".join(f'"{name}" to floatArrayOf({row}), ' for name, row in ROWS.items())
    stub = compilers.RUNTIME_STUBS["Ort.kt"].replace(
        "java.util.Optional.empty()", f"java.util.Optional.of(object : OnnxValue {{ override val value = arrayOf(mapOf({answers})[name]!!) }})",
    )
    compilers.compile_kotlin(tmp_path, several, compilers.RUNTIME_STUBS | compilers.STUBS | {"Ort.kt": stub} | SEVERAL_MAIN)

    assert compilers.run_kotlin(tmp_path, "\n") == ["weather light of weather light music"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_swift_when_a_text_may_have_several_labels_is_parsed_without_error(compilers, several, tmp_path):
    compilers.require_swift_grammar(several, tmp_path, 3)
