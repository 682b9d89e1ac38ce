import hashlib
import json
import subprocess
import sys

import pytest

from edgedistill.errors import BundleError, ParityError
from edgedistill.package.archive import zip_bytes
from edgedistill.package.contents import read_manifest, sealed_json
from edgedistill.package.standalone_verify import instruction_set
from edgedistill.target import DeniedVersion
from edgedistill.verify.bundle import require_sound_bundle, verify_bundle

FILES = (
    "LICENSES.md", "README.md", "bom.cdx.json", "bundle.json", "golden.json", "labels.json", "model.onnx", "model.ort",
    "model_with_preprocessing.onnx", "required_operators_and_types.config", "tokenizer.json", "tokenizer_config.json",
    "verify.py",
)
"""All but the sources for apps, of which there are 14."""


def _flip(path, position=None):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if position is None else position] ^= 1
    path.write_bytes(bytes(content))


def _reseal(bundle, name, content):
    """Replace a file as somebody would who knows how bundles are made."""
    (bundle / name).write_bytes(content)
    manifest = read_manifest(bundle)
    files = tuple(
        f.model_copy(update={"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)})
        if f.path == name else f for f in manifest.files
    )
    (bundle / "bundle.json").write_text(sealed_json(manifest.model_copy(update={"files": files})))


def _altered(bundle):
    """What is named as altered; a bundle.json that can no longer be read is named by the refusal."""
    try:
        return verify_bundle(bundle).altered_files
    except BundleError as refused:
        return ("bundle.json",) if "bundle.json" in refused.message else ()


def _run_verifier(bundle, *flags):
    return subprocess.run(
        [sys.executable, "-I", *flags, str(bundle / "verify.py")], capture_output=True, text=True, check=False
    )


def test_bundle_when_untouched_passes_on_both_models(packed):
    check = verify_bundle(packed / "bundle")

    assert check.passed
    assert check.problems == ()
    assert (check.files_checked, check.vectors_replayed) == (len(FILES) + 14, 96)
    assert check.models == ("model.onnx", "model.ort", "model_with_preprocessing.onnx")
    assert check.decisions_flipped == 0
    assert check.max_abs_error < 1e-5
    assert check.ids_checked


def test_bundle_when_zipped_passes_too(packed):
    assert verify_bundle(packed / "bundle.zip") == verify_bundle(packed / "bundle")


@pytest.mark.parametrize("name", FILES)
def test_bundle_when_one_byte_flips_names_the_file(bundle, name):
    _flip(bundle / name)

    altered = _altered(bundle)
    assert name in altered
    assert name == "bundle.json" or altered == (name,)  # a hash in bundle.json may be what flipped


def test_manifest_when_any_byte_flips_is_noticed(bundle):
    path = bundle / "bundle.json"
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        _flip(path, position)
        assert "bundle.json" in _altered(bundle), position
        path.write_bytes(whole)


@pytest.mark.parametrize("name", [n for n in FILES if n != "bundle.json"])
def test_bundle_when_a_file_is_missing_names_it(bundle, name):
    (bundle / name).unlink()

    check = verify_bundle(bundle)

    assert not check.passed
    assert f"{name}: missing" in check.problems


def test_bundle_when_golden_is_missing_replays_nothing_and_says_so(bundle):
    (bundle / "golden.json").unlink()

    check = verify_bundle(bundle)

    assert (check.vectors_replayed, check.max_abs_error) == (0, None)
    assert "golden.json: nothing could be replayed" in check.problems


def test_bundle_when_the_runtime_here_is_denied_on_the_target_warns_and_passes(bundle):
    import onnxruntime

    denied = DeniedVersion(version=onnxruntime.__version__, reason="it crashes there", reference="https://example.org/1")
    manifest = read_manifest(bundle).model_copy(update={"runtime_denied": (denied,)})
    (bundle / "bundle.json").write_text(sealed_json(manifest))
    check = verify_bundle(bundle)
    assert check.passed
    (warning,) = check.warnings
    assert f"onnxruntime {onnxruntime.__version__} answered here and must not be used on {manifest.target_id}" in warning
    assert "it crashes there (https://example.org/1)" in warning


def test_bundle_when_a_file_was_added_names_it(bundle):
    (bundle / "notes").mkdir()
    (bundle / "notes" / "extra.txt").write_text("hello")

    assert verify_bundle(bundle).problems == ("notes/extra.txt: not part of this bundle",)


def test_bundle_when_a_file_became_a_link_names_it(bundle, tmp_path):
    (bundle / "README.md").rename(tmp_path / "README.md")
    (bundle / "README.md").symlink_to(tmp_path / "README.md")

    assert "README.md" in verify_bundle(bundle).altered_files


def test_bundle_when_a_logit_is_off_fails_without_altered_files(bundle):
    golden = json.loads((bundle / "golden.json").read_text())
    golden["vectors"][3]["logits"][0] += 0.06  # the tolerance is 0.05
    _reseal(bundle, "golden.json", json.dumps(golden).encode())

    check = verify_bundle(bundle)

    assert check.altered_files == ()
    assert check.max_abs_error == pytest.approx(0.06, abs=1e-5)
    assert len(check.problems) == 3  # one a model
    with pytest.raises(ParityError, match="a logit differs by 0.06"):
        require_sound_bundle(bundle)


def test_bundle_when_this_instruction_set_has_its_own_tolerance_goes_by_it(bundle):
    golden = json.loads((bundle / "golden.json").read_text())
    golden["vectors"][3]["logits"][0] += 0.06  # the tolerance elsewhere is 0.05
    golden["tolerances"] = {instruction_set(): 0.07}
    _reseal(bundle, "golden.json", json.dumps(golden).encode())
    assert verify_bundle(bundle).passed

    golden["tolerances"] = {instruction_set(): 0.03}
    golden["vectors"][3]["logits"][0] -= 0.02  # 0.04: less than elsewhere, more than here
    _reseal(bundle, "golden.json", json.dumps(golden).encode())
    assert f"at most 0.03 is allowed on {instruction_set()}" in verify_bundle(bundle).problems[0]


@pytest.mark.parametrize(("machine", "flags", "expected"), [
    ("aarch64", "", "aarch64"), ("arm64", "", "aarch64"), ("x86_64", "fma avx2 avx512_vnni", "x86_64-vnni"),
    ("x86_64", "avx_vnni", "x86_64-vnni"), ("AMD64", "avx2 avx512f", "x86_64"),
])
def test_instruction_set_when_asked_tells_x86_with_vnni_from_without(monkeypatch, machine, flags, expected):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("pathlib.Path.read_text", lambda self, **_: f"flags : {flags}\n")

    assert instruction_set() == expected


def test_bundle_when_a_decision_differs_counts_it(bundle):
    golden = json.loads((bundle / "golden.json").read_text())
    light = next(v for v in golden["vectors"] if v["label"] == "light")
    light["logits"] = light["logits"][::-1]  # now it says weather
    golden["tolerance"] = 100.0
    _reseal(bundle, "golden.json", json.dumps(golden).encode())

    check = verify_bundle(bundle)

    assert check.decisions_flipped == 3  # one a model
    assert "model.ort: another class for 1 golden vector(s)" in check.problems


def test_bundle_when_the_tokenizer_gives_other_ids_says_for_which_text(bundle):
    state = json.loads((bundle / "tokenizer.json").read_text())
    vocabulary = state["model"]["vocab"]
    vocabulary["lamp"], vocabulary["song"] = vocabulary["song"], vocabulary["lamp"]
    _reseal(bundle, "tokenizer.json", json.dumps(state).encode())

    assert any("tokenizer.json: other ids" in problem for problem in verify_bundle(bundle).problems)


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b'{"vectors": 3, "tolerance": 1}', b'{"vectors": [{}], "tolerance": 1}']
)
def test_bundle_when_golden_is_sealed_nonsense_fails_in_words(bundle, content):
    _reseal(bundle, "golden.json", content)

    assert verify_bundle(bundle).problems == ("golden.json: nothing could be replayed",)


def test_bundle_when_a_model_is_sealed_nonsense_fails_in_words(bundle):
    _reseal(bundle, "model.onnx", b"no model")

    check = verify_bundle(bundle)

    assert not check.passed
    assert any(problem.startswith("model.onnx: does not run here") for problem in check.problems)


def test_require_when_a_file_is_altered_refuses_with_its_name(bundle):
    _flip(bundle / "labels.json")

    with pytest.raises(BundleError, match=r"labels\.json: altered"):
        require_sound_bundle(bundle)


def test_folder_when_it_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        verify_bundle(tmp_path)


def test_zip_when_it_is_no_bundle_is_refused(tmp_path):
    (tmp_path / "b.zip").write_bytes(zip_bytes({"a.txt": b"a"}))

    with pytest.raises(BundleError, match="is no bundle"):
        verify_bundle(tmp_path / "b.zip")


def test_bundle_when_onnxruntime_extensions_is_missing_replays_the_other_models(bundle):
    program = f"import sys, runpy; sys.modules['onnxruntime_extensions'] = None; sys.argv = ['{bundle / 'verify.py'}']\n" \
              f"runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "64 answers of model.onnx and model.ort, ids" in done.stdout


def test_verify_when_it_runs_the_text_model_loads_neither_torch_nor_transformers(packed):
    program = f"import sys; from pathlib import Path; from edgedistill.verify.bundle import verify_bundle\n" \
              f"assert len(verify_bundle(Path({str(packed / 'bundle')!r})).models) == 3\n" \
              f"print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_verifier_when_run_alone_passes_and_leaves_nothing_behind(bundle):
    before = sorted(p.name for p in bundle.rglob("*"))
    done = _run_verifier(bundle)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("27 files, 96 answers of model.onnx and model.ort and model_with_preprocessing.onnx, ids")
    assert sorted(p.name for p in bundle.rglob("*")) == before


def test_verifier_when_the_runtime_here_is_denied_warns_and_passes(bundle):
    import onnxruntime

    denied = DeniedVersion(version=onnxruntime.__version__.rpartition(".")[0], reason="it crashes there", reference="example#1")
    manifest = read_manifest(bundle).model_copy(update={"runtime_denied": (denied,)})
    (bundle / "bundle.json").write_text(sealed_json(manifest))
    done = _run_verifier(bundle)
    assert done.returncode == 0
    assert f"WARNING onnxruntime {onnxruntime.__version__} must not be used on {manifest.target_id}: it crashes there" in done.stdout


def test_verifier_when_run_without_tokenizers_takes_the_ids_from_golden(bundle):
    program = f"import sys, runpy; sys.modules['tokenizers'] = None; sys.argv = ['{bundle / 'verify.py'}']\n" \
              f"runpy.run_path(sys.argv[0], run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "ids from golden.json" in done.stdout


def test_verifier_when_imported_needs_neither_torch_nor_edgedistill(bundle):
    source = (bundle / "verify.py").read_text()

    assert "torch" not in source
    assert "edgedistill" not in source


@pytest.mark.parametrize("name", ["model.ort", "README.md", "golden.json"])
def test_verifier_when_a_byte_flips_fails_and_names_the_file(bundle, name):
    _flip(bundle / name)

    done = _run_verifier(bundle)

    assert done.returncode == 1
    assert f"FAILED {name}: altered" in done.stdout
    assert "Traceback" not in done.stderr


def test_verifier_when_there_is_no_manifest_fails_in_words(bundle):
    (bundle / "bundle.json").unlink()

    done = _run_verifier(bundle)

    assert done.returncode == 1
    assert "FAILED bundle.json: missing or not readable" in done.stdout
