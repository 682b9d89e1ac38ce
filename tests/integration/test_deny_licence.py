"""A licence that may not ship is refused by `package` and by `run`, before any work."""

from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line

from .conftest import Chain


def test_package_when_the_datas_licence_is_denied_then_exit_code_2_and_nothing_is_written(
    chain: Chain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command_line([
        "package", str(chain.folder / "int8"), "--data", str(chain.folder / "data"), "--recipe",
        str(chain.folder / "recipe.yaml"), "-o", str(tmp_path / "packed"), "--deny-licence", "GPL-*", "--deny-licence", "unknown",
    ])

    assert code == 2
    assert "is under unknown, and GPL-*, unknown are denied" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "packed").exists()


def test_run_when_the_recipe_denies_the_teachers_licence_then_exit_code_2_before_any_step(
    problem: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_command_line([
        "run", "--recipe", str(problem / "recipe.yaml"), "--target", "raspberry-pi", "-o", str(tmp_path / "run"),
        "--set", "teacher.licence=CC-BY-NC-4.0", "--set", "package.deny_licences=[CC-BY-NC-*]",
    ])

    assert code == 2
    assert "may not ship: the teacher classifier is under CC-BY-NC-4.0" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "run").exists()
