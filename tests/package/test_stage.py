import dataclasses
import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
import zlib
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from edgedistill.cli.whole import _summary
from edgedistill.errors import ArtifactError, UsageError
from edgedistill.examples import read_examples, write_examples
from edgedistill.package.contents import read_manifest, sealed_json
from edgedistill.package.stage import STAGE, Settings, ensures, requires
from edgedistill.package.standalone_verify import instruction_set
from edgedistill.package.text_model import open_text_session


def _bytes_by_name(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_bundle_when_made_twice_is_the_same_bytes(packed, settings, inputs, tmp_path):
    STAGE.run(settings, inputs, tmp_path)

    assert _bytes_by_name(tmp_path / "bundle") == _bytes_by_name(packed / "bundle")
    assert (tmp_path / "bundle.zip").read_bytes() == (packed / "bundle.zip").read_bytes()


def test_bundle_when_made_holds_these_files_and_no_others(packed):
    assert sorted(_bytes_by_name(packed / "bundle")) == [
        "LICENSES.md", "Package.swift", "README.md", "android/build.gradle.kts", "android/gradle.properties",
        "android/settings.gradle.kts",
        "android/src/androidTest/kotlin/GoldenVectorsTest.kt", "android/src/main/AndroidManifest.xml",
        "android/src/main/kotlin/Classifier.kt", "android/src/main/kotlin/GraphText.kt", "bom.cdx.json", "bundle.json",
        "golden.json", "ios/Sources/Classifier.swift", "ios/Tests/GoldenVectorsTests.swift", "labels.json", "model.onnx",
        "model.ort", "model_with_preprocessing.onnx", "required_operators_and_types.config", "tokenizer.json",
        "tokenizer_config.json", "verify.py", "web/characters.json", "web/classifier.js", "web/index.html",
        "web/package.json",
    ]


def test_tokenizer_when_packed_keeps_its_bytes(packed, inputs):
    for name in ("tokenizer.json", "tokenizer_config.json", "model.onnx"):
        assert (packed / "bundle" / name).read_bytes() == (inputs.model / name).read_bytes()


def test_zip_when_made_holds_the_folder_with_fixed_times_and_modes(packed):
    with zipfile.ZipFile(packed / "bundle.zip") as archive:
        entries = archive.infolist()
        content = {entry.filename: archive.read(entry) for entry in entries}

    assert content == _bytes_by_name(packed / "bundle")
    assert [e.filename for e in entries] == sorted(content)
    assert {e.date_time for e in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {e.external_attr >> 16 for e in entries} == {0o100644}


def test_manifest_when_read_tells_model_inputs_and_every_hash(packed, inputs):
    manifest = read_manifest(packed / "bundle")

    files = _bytes_by_name(packed / "bundle")
    del files["bundle.json"]
    assert {f.path: (f.sha256, f.size_bytes) for f in manifest.files} == {
        name: (hashlib.sha256(content).hexdigest(), len(content)) for name, content in files.items()
    }
    assert manifest.model_sha256 == hashlib.sha256((inputs.model / "model.onnx").read_bytes()).hexdigest()
    assert [(i.name, i.dtype) for i in manifest.inputs] == [("input_ids", "int64"), ("attention_mask", "int64")]
    assert (manifest.opsets, manifest.ir_version, manifest.max_tokens) == ({"ai.onnx": 17}, 8, 16)
    assert sealed_json(manifest) == (packed / "bundle" / "bundle.json").read_text()


def test_operators_when_listed_come_from_the_graph_and_name_no_folder(packed):
    text = (packed / "bundle" / "required_operators_and_types.config").read_text()

    assert "ai.onnx;13;" in text
    assert "Gather" in text
    assert "/" not in text.replace("model/s", "")


def test_readme_when_its_example_is_run_prints_the_golden_label(packed):
    text = (packed / "bundle" / "README.md").read_text()
    golden = json.loads((packed / "bundle" / "golden.json").read_text())["vectors"]
    example, of_ids, raw_text = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    def printed(program):
        done = subprocess.run([sys.executable, "-I", "-c", program], cwd=packed / "bundle", capture_output=True, text=True, check=True)
        return done.stdout.strip()

    (asked,) = re.findall(r"encode\('(.*)'\)", example)
    assert printed(example) == printed(of_ids) == next(v["label"] for v in golden if v["text"] == asked)
    assert [len(program.strip().splitlines()) for program in (example, of_ids, raw_text)] == [6, 5, 5]
    assert of_ids.startswith("import json, numpy as np, onnxruntime\n")
    compile(raw_text, "card", "exec")  # run in an environment of its own by tests/verify/test_empty_environment.py
    assert "95.0 % (95 % interval 90.0 to 98.0 %)" in text
    assert "base_model: someone/teacher" in text


def test_licences_when_written_name_teacher_and_data(packed):
    text = (packed / "bundle" / "LICENSES.md").read_text()

    assert "| `someone/teacher` (teacher) | Apache-2.0 |" in text
    assert "| data of `tiny-intents` | CC0-1.0 |" in text
    assert "| sources: `android/`, `ios/`, `web/`, `Package.swift`, `verify.py` | Apache-2.0 |" in text
    assert "| onnxruntime-extensions | MIT |" in text


def test_requires_when_labels_differ_from_the_model_refuses(settings, inputs, tmp_path):
    other = tmp_path / "labels.json"
    other.write_text('{"labels": ["music", "light", "weather"]}')

    with pytest.raises(ArtifactError, match="id2label names other classes"):
        requires(settings, dataclasses.replace(inputs, labels=other))


def test_requires_when_tokenizer_cuts_nothing_refuses(settings, inputs, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    state = json.loads((model / "tokenizer.json").read_text())
    (model / "tokenizer.json").write_text(json.dumps(state | {"truncation": None}))

    with pytest.raises(ArtifactError, match="does not cut long texts"):
        requires(settings, dataclasses.replace(inputs, model=model))


def test_requires_when_model_is_not_onnx_refuses(settings, inputs, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    (model / "model.onnx").write_bytes(b"\xff\xfe not a model")

    with pytest.raises(ArtifactError, match=r"model\.onnx: is not an ONNX model"):
        requires(settings, dataclasses.replace(inputs, model=model))


def test_requires_when_weights_are_in_another_file_refuses(settings, inputs, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    onnx.save(onnx.load(model / "model.onnx"), model / "model.onnx", save_as_external_data=True, location="weights",
              size_threshold=0)

    with pytest.raises(ArtifactError, match="weights in other files"):
        requires(settings, dataclasses.replace(inputs, model=model))


def test_requires_when_there_are_no_rows_refuses(settings, inputs, tmp_path):
    write_examples(tmp_path / "empty.arrow", [], [], [])

    with pytest.raises(ArtifactError, match="has no rows"):
        requires(settings, dataclasses.replace(inputs, data=tmp_path / "empty.arrow"))


def test_run_when_labels_are_too_few_for_the_model_refuses(settings, inputs, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    (model / "config.json").unlink()
    labels = tmp_path / "labels.json"
    labels.write_text('{"labels": ["light", "music"]}')

    with pytest.raises(ArtifactError, match="names 2 classes, the model answers with 3"):
        STAGE.run(settings, dataclasses.replace(inputs, model=model, labels=labels), tmp_path)


def test_ensures_when_the_bundle_is_sound_passes(packed):
    ensures(packed)


def test_golden_when_chosen_covers_classes_and_both_ends_of_length(packed, inputs):
    golden = json.loads((packed / "bundle" / "golden.json").read_text())["vectors"]
    words = [len(text.split()) for text in read_examples(inputs.data).texts]
    chosen = [len(vector["text"].split()) for vector in golden]

    assert len(golden) == 32
    assert {v["label"] for v in golden} == {"light", "music", "weather"}
    assert (min(chosen), max(chosen)) == (min(words), max(words))
    assert len(set(chosen)) >= 8  # of 12 lengths


def test_golden_when_written_holds_tight_tolerances_for_this_instruction_set_and_the_browser_unless_told_otherwise(settings, inputs, tmp_path):
    def tolerances(**changes):
        STAGE.run(settings.model_copy(update=changes), inputs, tmp_path)
        return json.loads((tmp_path / "bundle" / "golden.json").read_text())["tolerances"]

    here = instruction_set()
    assert tolerances(tolerance=0.25, tolerances={"aarch64": 0.2})[here] == (0.2 if here == "aarch64" else 0.1)
    assert tolerances(tolerance=0.25) == {here: 0.1, "wasm": 0.1}
    assert tolerances(tolerance=0.05) == {here: 0.05, "wasm": 0.05}
    assert tolerances(tolerances={here: 0.3, "wasm": 0.2}) == {here: 0.3, "wasm": 0.2}


def test_golden_when_recomputed_by_hand_has_these_logits(packed):
    """n words of a class among m tokens give 8 n / m (see tiny_model)."""
    for vector in json.loads((packed / "bundle" / "golden.json").read_text())["vectors"]:
        tokens = len(vector["text"].split()) + 2
        expected = np.where(np.array(["light", "music", "weather"]) == vector["label"], 8 / tokens, 0)
        assert len(vector["ids"]) == tokens
        assert vector["logits"] == pytest.approx(expected.tolist(), abs=1e-6)


def test_settings_when_tolerance_is_zero_refuse():
    with pytest.raises(ValueError, match="tolerance"):
        Settings(recipe_id="a", task="text-classification", target_id="b", base_model="c", runtime_oldest="1.17",
                 platform="linux", tolerance=0, seed=0)


def test_text_model_when_asked_with_raw_text_answers_as_computed_by_hand(packed):
    """'lamp lamp' is 4 tokens with 2 words of class light: logits 4, 0, 0."""
    session = open_text_session(str(packed / "bundle" / "model_with_preprocessing.onnx"))

    logits, probabilities, label = session.run(None, {"text": np.array(["Lamp  LAMP"], object)})

    assert [output.name for output in session.get_outputs()] == ["logits", "probabilities", "label"]
    np.testing.assert_allclose(logits, [[4, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(probabilities, [[0.964664, 0.017668, 0.017668]], atol=1e-6)  # exp(4), 1 and 1 over the sum
    assert label.tolist() == ["light"]


def test_manifest_when_read_tells_what_the_tokenizer_in_the_graph_costs(packed, inputs):
    folder = packed / "bundle"
    told = read_manifest(folder).preprocessing

    sizes = [(folder / name).stat().st_size for name in ("model_with_preprocessing.onnx", "model.onnx")]
    assert told.added_bytes == sizes[0] - sizes[1]
    assert told.texts_proved == 60
    assert (told.reason, told.fits_budget) == (None, None)


def test_manifest_when_read_tells_sizes_deflated_and_not(packed):
    files = {name: content for name, content in _bytes_by_name(packed / "bundle").items() if name != "bundle.json"}

    sizes = read_manifest(packed / "bundle").sizes

    assert sizes.files_bytes == sum(map(len, files.values()))
    assert sizes.deflated == {name: len(zlib.compress(content, 9)) for name, content in files.items()}
    assert sizes.deflated_bytes == sum(sizes.deflated.values())
    others = {name: content for name, content in files.items() if name != "README.md"}
    card = files["README.md"].decode()
    assert f"{sum(map(len, others.values())):,} bytes, compressed {sum(len(zlib.compress(c, 9)) for c in others.values()):,} " in card


def test_text_model_when_over_the_budget_says_so(settings, inputs, tmp_path):
    limited = settings.model_copy(update={"model_bytes_limit": 1000.0})

    outcome = STAGE.run(limited, inputs, tmp_path)

    assert read_manifest(tmp_path / "bundle").preprocessing.fits_budget is False
    assert any("over the target's budget" in decision.what for decision in outcome.decisions)
    assert "over the target's budget" in (tmp_path / "bundle" / "README.md").read_text()


def test_bundle_when_the_tokenizer_is_not_berts_ships_without_text_model_and_says_why(settings, inputs, tmp_path, caplog):
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    state = json.loads((model / "tokenizer.json").read_text())
    state["normalizer"] = {"type": "Lowercase"}
    (model / "tokenizer.json").write_text(json.dumps(state))

    STAGE.run(settings, dataclasses.replace(inputs, model=model), tmp_path / "pi")

    told = read_manifest(tmp_path / "pi" / "bundle").preprocessing
    assert told.file is None
    assert "its normalizer is Lowercase, not BERT's BertNormalizer" in told.reason
    assert not (tmp_path / "pi" / "bundle" / "android").exists()
    assert told.reason in (tmp_path / "pi" / "bundle" / "README.md").read_text().replace("\n", " ")
    licences = (tmp_path / "pi" / "bundle" / "LICENSES.md").read_text()
    assert "| sources: `verify.py` | Apache-2.0 |" in licences
    assert "onnxruntime-extensions" not in licences
    (warning,) = caplog.messages
    assert warning == f"no modules for Android and iOS and no web page in the bundle: {told.reason}"
    run = SimpleNamespace(report=SimpleNamespace(targets={"pi": SimpleNamespace(verdict="pass", summary="", variants={})}), folder=tmp_path)
    assert "no modules for Android and iOS and no web page in the bundle" in _summary(run)


def test_bundle_when_pieces_hold_characters_that_java_cannot_hand_over_has_no_android_module_and_says_so(settings, inputs, tmp_path, caplog):
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    state = json.loads((model / "tokenizer.json").read_text())
    state["model"]["vocab"]["\U0001f600"] = state["model"]["vocab"]["[UNK]"]
    (model / "tokenizer.json").write_text(json.dumps(state))

    STAGE.run(settings, dataclasses.replace(inputs, model=model), tmp_path / "out")

    (warning,) = caplog.messages
    assert warning.startswith("no module for Android in the bundle")
    assert (tmp_path / "out" / "bundle" / "Package.swift").is_file()
    assert "- Android: no module" in (tmp_path / "out" / "bundle" / "README.md").read_text()
    assert "sources: `ios/`, `web/`, `Package.swift`, `verify.py`" in (tmp_path / "out" / "bundle" / "LICENSES.md").read_text()


def test_bundle_when_ideographs_are_letters_ships_with_text_model_and_modules(settings, inputs, tmp_path):
    """As it is advised for Japanese: handle_chinese_chars is false, so that no ideograph is a word of its own."""
    model = tmp_path / "model"
    shutil.copytree(inputs.model, model)
    state = json.loads((model / "tokenizer.json").read_text())
    state["normalizer"]["handle_chinese_chars"] = False
    state["model"]["vocab"] |= {"\u6771": 4, "##\u4eac": 5}
    (model / "tokenizer.json").write_text(json.dumps(state))
    write_examples(tmp_path / "train.arrow", ["a", "b"], ["\u6771\u4eac now", "\u96e8 \U00020000 rain"], [0, 2])

    STAGE.run(settings, dataclasses.replace(inputs, model=model, splits={"train": tmp_path / "train.arrow"}), tmp_path / "out")

    told = read_manifest(tmp_path / "out" / "bundle").preprocessing
    assert (told.reason, told.texts_proved) == (None, 62)
    assert (tmp_path / "out" / "bundle" / "android" / "src" / "main" / "kotlin" / "GraphText.kt").is_file()


def test_bundle_when_whole_warns_of_nothing(settings, inputs, tmp_path, caplog):
    STAGE.run(settings, inputs, tmp_path)

    assert caplog.messages == []


def test_bundle_when_a_split_holds_a_text_that_the_graph_reads_otherwise_ships_without_text_model(settings, inputs, tmp_path):
    """A string ends at U+0000 on its way into the graph."""
    write_examples(tmp_path / "train.arrow", ["a", "b"], ["rain now", "rain \0 now"], [2, 2])

    STAGE.run(settings, dataclasses.replace(inputs, splits={"train": tmp_path / "train.arrow"}), tmp_path)

    told = read_manifest(tmp_path / "bundle").preprocessing
    assert told.file is None
    assert told.reason.startswith("other ids than tokenizer.json for 1 of 2 texts: 'rain \\x00 now' should give")
    assert told.texts_proved == 60  # those of the split before
    assert not (tmp_path / "bundle" / "model_with_preprocessing.onnx").exists()


def test_requires_when_the_teachers_licence_is_denied_refuses_before_any_work(settings, inputs):
    with pytest.raises(UsageError, match="the teacher someone/teacher is under Apache-2.0"):
        requires(settings.model_copy(update={"deny_licences": ("Apache-2.0",)}), inputs)
