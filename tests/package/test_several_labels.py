"""A bundle whose texts may have several labels, from end to end; and what that must not change in one of one label each."""

import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from edgedistill.artifact import sha256_of_file
from edgedistill.decisions import problem_of_folder
from edgedistill.errors import ArtifactError
from edgedistill.package.contents import read_manifest, sealed_json
from edgedistill.package.predict import predict_text
from edgedistill.package.stage import STAGE, requires
from edgedistill.package.standalone_verify import check_bundle
from edgedistill.package.text_model import open_text_session
from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.verify.bundle import verify_bundle

ONE_LABEL_SOURCES = {
    "android/src/androidTest/kotlin/GoldenVectorsTest.kt": "1bb095c8238e46129b606ae193e0915bb4973d2ef89f652f7f7de97fee544dbb",
    "android/src/main/kotlin/Classifier.kt": "19085c1b7b401313a2dc6c41e90d4f19c8eef89393cebc70330527ddf5514d11",
    "ios/Sources/Classifier.swift": "12c02eb82b8be4abb4b1273b2447e1ef5541c673ed6227974838b12b8fc8225e",
    "ios/Tests/GoldenVectorsTests.swift": "818ff2c1f574103b01c7dfc55436507eeb26281f7d5bedf899e7a8601330193f",
    "web/classifier.js": "d5f4e7bd61e91f818b2b6d553148a517a671063142d7a0fbaa4bf8bdd3eb0149",
    "web/index.html": "279e59361a2f73f1995fddbb97366db9b6e46322dd91b3f1d14bcd348a699915",
}
"""sha256 of the sources as they were before texts could have several labels. Who changes one on purpose writes it anew."""


def _golden(folder):
    return json.loads((folder / "bundle" / "golden.json").read_text())["vectors"]


def _copy(several_packed, tmp_path):
    return shutil.copytree(several_packed / "bundle", tmp_path / "bundle")


def _sealed_again(bundle, *names):
    """Write hashes of altered files into bundle.json."""
    manifest = read_manifest(bundle)
    files = tuple(f.model_copy(update={"sha256": sha256_of_file(bundle / f.path)}) if f.path in names else f for f in manifest.files)
    (bundle / "bundle.json").write_text(sealed_json(manifest.model_copy(update={"files": files})))


def test_bundle_when_texts_have_one_label_says_nothing_of_several(packed):
    assert (packed / "bundle" / "labels.json").read_text() == """{
  "labels": [
    "light",
    "music",
    "weather"
  ]
}
"""
    assert {tuple(vector) for vector in _golden(packed)} == {("text", "ids", "logits", "label")}
    assert {name: hashlib.sha256((packed / "bundle" / name).read_bytes()).hexdigest() for name in ONE_LABEL_SOURCES} == ONE_LABEL_SOURCES


def test_labels_when_texts_may_have_several_say_so(several_packed):
    assert json.loads((several_packed / "bundle" / "labels.json").read_text()) == {
        "labels": ["light", "music", "weather"], "problem_type": "multi_label_classification",
    }
    assert problem_of_folder(several_packed / "bundle") == SEVERAL_LABELS


def test_golden_when_recomputed_by_hand_has_these_logits_and_labels(several_packed):
    """A word of a class among m tokens gives 8 / m - 1, no such word gives -1 (see tiny_model)."""
    words = {"light": "lamp", "music": "song", "weather": "rain"}
    for vector in _golden(several_packed):
        asked = vector["text"].split()
        expected = [8 / (len(asked) + 2) - 1 if word in asked else -1 for word in words.values()]
        assert vector["logits"] == pytest.approx(expected, abs=1e-6)
        assert vector["labels"] == [label for label, logit in zip(words, vector["logits"], strict=True) if logit > 0]
        assert vector["label"] == list(words)[int(np.argmax(vector["logits"]))]


def test_golden_when_chosen_covers_every_set_of_labels_the_empty_one_too(several_packed):
    vectors = _golden(several_packed)

    assert len(vectors) == 32
    assert len({tuple(vector["labels"]) for vector in vectors}) == 8
    assert sum(vector["labels"] == [] for vector in vectors) >= 2


def test_predict_when_several_labels_apply_names_them_all(several_packed):
    """'rain lamp' is 4 tokens, a logit of 1 for two classes: sigmoid(1) is 0.731059, sigmoid(-1) is 0.268941."""
    both, none = predict_text(several_packed / "bundle", ["rain lamp", "now"])

    assert both.labels == ("light", "weather")
    assert (both.label, both.probability) == ("light", pytest.approx(0.731059, abs=1e-6))
    assert [(c.label, round(c.probability, 4)) for c in both.top] == [("light", 0.7311), ("weather", 0.7311), ("music", 0.2689)]
    assert none.labels == ()
    assert none.probability == pytest.approx(0.268941, abs=1e-6)


def test_text_model_when_asked_with_raw_text_answers_by_sigmoid_and_names_what_applies(several_packed):
    session = open_text_session(str(several_packed / "bundle" / "model_with_preprocessing.onnx"))

    logits, probabilities, labels = session.run(None, {"text": np.array(["Rain  LAMP"], object)})
    nothing = session.run(["labels"], {"text": np.array(["now"], object)})[0]

    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities", "labels"]
    np.testing.assert_allclose(logits, [[1, -1, 1]], atol=1e-6)
    np.testing.assert_allclose(probabilities, [[0.731059, 0.268941, 0.731059]], atol=1e-6)
    assert labels.tolist() == ["light", "weather"]
    assert nothing.tolist() == []


def test_readme_when_its_example_is_run_prints_the_golden_labels(several_packed):
    text = (several_packed / "bundle" / "README.md").read_text()
    example, of_ids, raw_text = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    def printed(program):
        done = subprocess.run([sys.executable, "-I", "-c", program], cwd=several_packed / "bundle", capture_output=True, text=True, check=True)
        return done.stdout.strip()

    (asked,) = re.findall(r"encode\('(.*)'\)", example)
    expected = next(v["labels"] for v in _golden(several_packed) if v["text"] == asked)
    assert expected
    assert printed(example) == printed(of_ids) == str(expected)
    assert example.endswith(f"# {expected}\n")
    compile(raw_text, "card", "exec")
    assert 'model.run(["labels"]' in raw_text


def test_verify_when_the_bundle_is_sound_passes_with_the_code_and_as_a_program(several_packed):
    check = verify_bundle(several_packed / "bundle.zip")
    done = subprocess.run([sys.executable, "-I", str(several_packed / "bundle" / "verify.py")], capture_output=True, text=True, check=False)

    assert (check.passed, check.decisions_flipped, check.vectors_replayed) == (True, 0, 96)
    assert done.returncode == 0, done.stdout


def test_verify_when_a_golden_label_no_longer_applies_says_so_though_the_largest_logit_is_the_same_class(several_packed, tmp_path):
    """The logits of a text with two labels are written as if only the first applied: the largest stays where it is."""
    bundle = _copy(several_packed, tmp_path)
    golden = json.loads((bundle / "golden.json").read_text())
    vector = next(v for v in golden["vectors"] if v["labels"] == ["light", "weather"])
    vector["logits"][2] = -0.5  # further from 0 than the tolerance, within which it may be on either side
    (bundle / "golden.json").write_text(json.dumps(golden))
    _sealed_again(bundle, "golden.json")

    check = check_bundle(bundle)

    assert check.decisions_flipped == 3
    assert "model.onnx: other labels for 1 golden vector(s)" in check.problems


def test_verify_when_only_the_order_of_two_classes_differs_flips_nothing(several_packed, tmp_path):
    bundle = _copy(several_packed, tmp_path)
    golden = json.loads((bundle / "golden.json").read_text())
    vector = next(v for v in golden["vectors"] if v["labels"] == ["light", "weather"])
    vector["logits"][2] += 0.01  # within the tolerance, and now the largest
    (bundle / "golden.json").write_text(json.dumps(golden))
    _sealed_again(bundle, "golden.json")

    check = check_bundle(bundle)

    assert (check.decisions_flipped, check.problems) == (0, ())


@pytest.mark.parametrize("content", ["[1]", "no json"])
def test_verify_when_labels_json_is_no_document_takes_the_largest_logit(several_packed, tmp_path, content):
    bundle = _copy(several_packed, tmp_path)
    (bundle / "labels.json").write_text(content)
    _sealed_again(bundle, "labels.json")

    assert check_bundle(bundle).problems == ()


def test_requires_when_model_or_rows_are_of_one_label_each_refuses(settings, inputs, several_inputs):
    requires(settings, several_inputs)

    with pytest.raises(ArtifactError, match="rows are not labelled for multi_label_classification"):
        requires(settings, dataclasses.replace(several_inputs, data=inputs.data))
    with pytest.raises(ArtifactError, match="problem_type is single_label_classification, and multi_label_classification in"):
        requires(settings, dataclasses.replace(several_inputs, model=inputs.model))
    with pytest.raises(ArtifactError, match="problem_type is multi_label_classification, and single_label_classification in"):
        requires(settings, dataclasses.replace(inputs, model=several_inputs.model))


def test_bundle_of_several_when_made_twice_is_the_same_bytes(several_packed, settings, several_inputs, tmp_path):
    STAGE.run(settings, several_inputs, tmp_path)

    assert (tmp_path / "bundle.zip").read_bytes() == (several_packed / "bundle.zip").read_bytes()
