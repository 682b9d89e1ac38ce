"""A bundle copied alone to an environment with onnxruntime, numpy and onnxruntime-extensions, and nothing else."""

import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

NEEDED = ("numpy", "onnxruntime", "onnxruntime-extensions")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=False)
    found = folder / "bin" / "python"
    site = subprocess.run([found, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], capture_output=True,
                          text=True, check=True).stdout.strip()
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", site, *NEEDED], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip could not install {', '.join(NEEDED)}: {done.stderr[-200:]}")
    return found


@pytest.fixture
def unpacked(packed: Path, tmp_path: Path) -> Path:
    """The zip alone, unpacked as anyone would."""
    with zipfile.ZipFile(packed / "bundle.zip") as archive:
        archive.extractall(tmp_path / "bundle")
    return tmp_path / "bundle"


def _ran(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([python, "-I", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=clean)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_environment_then_has_neither_edgedistill_nor_tokenizers(python, tmp_path):
    for name in ("edgedistill", "tokenizers", "torch", "transformers", "onnx"):
        assert "ModuleNotFoundError" in _ran(python, tmp_path, "-c", f"import {name}").stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bundle_when_copied_there_alone_classifies_raw_text_as_its_readme_shows(python, unpacked):
    _, of_ids, raw_text = re.findall(r"```python\n(.*?)```", (unpacked / "README.md").read_text(encoding="utf-8"), re.DOTALL)

    assert _ran(python, unpacked, "-c", of_ids).stdout.strip() in {"light", "music", "weather"}
    assert _ran(python, unpacked, "-c", raw_text).stdout.strip() in {"light", "music", "weather"}
    asked = re.sub(r"np.array\(\['.*?'\]", "np.array(['Please, some RAIN now']", raw_text)
    assert _ran(python, unpacked, "-c", asked).stdout == "weather\n"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_verifier_when_run_there_passes(python, unpacked):
    done = _ran(python, unpacked, "verify.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "96 answers of model.onnx and model.ort and model_with_preprocessing.onnx, ids from golden.json" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["model.onnx", "model.ort", "model_with_preprocessing.onnx"])
def test_verifier_when_a_byte_of_a_model_is_flipped_fails_there_and_says_which_file(python, unpacked, name):
    content = bytearray((unpacked / name).read_bytes())
    content[len(content) // 3] ^= 1
    (unpacked / name).write_bytes(content)

    done = _ran(python, unpacked, "verify.py")

    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("FAILED")] == [
        f"FAILED {name}: altered (its sha256 is not the one in bundle.json)"
    ]
