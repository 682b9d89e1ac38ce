"""Finding, building and checking the environment; apt, pip and QEMU are small scripts that leave their files."""

import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from edgedistill.cli.app import run_command_line
from edgedistill.emulation import apt_packages, environment
from edgedistill.emulation.apt_packages import AptState, Wanted
from edgedistill.emulation.environment import ENVIRONMENT_FILE, cache_folder, ensure, find, require_environment
from edgedistill.errors import MissingDependencyError

VERSION = "1.30.0"

APT = """
import pathlib, sys
words = sys.argv[1:]
log = pathlib.Path({log!r})
with log.open("ab", buffering=0) as stream:  # one write: two of these may run at once
    stream.write((" ".join(words) + "\\n").encode())
if {fails!r} in words:
    sys.exit("E: Unable to locate package " + words[-1])
if "--print-uris" in words:
    print("'http://deb.example.org/" + words[-1] + ".deb' " + words[-1] + ".deb 2500000 SHA256:00")
elif "install" in words:
    archives = next(w.split("=", 1)[1] for w in words if w.startswith("Dir::Cache::archives="))
    (pathlib.Path(archives) / (words[-1] + ".deb")).write_text(words[-1])
"""
SLOW_APT = """
import pathlib, sys, time
if "--print-uris" in sys.argv:
    sys.exit(print("'http://deb.example.org/a.deb' a.deb 2000 SHA256:00\\n'http://deb.example.org/b.deb' b.deb 3000 SHA256:00"))
archives = pathlib.Path(next(w.split("=", 1)[1] for w in sys.argv if w.startswith("Dir::Cache::archives=")))
(archives / "partial/a.deb").write_bytes(bytes(2000))
time.sleep(1.0)
(archives / "partial/a.deb").rename(archives / "a.deb")
(archives / "b.deb").write_bytes(bytes(3000))
"""
DPKG_DEB = """
import pathlib, sys
name, place = pathlib.Path(sys.argv[2]).stem, pathlib.Path(sys.argv[3])
(place / "usr/bin").mkdir(parents=True, exist_ok=True)
(place / "usr/share/doc").mkdir(parents=True, exist_ok=True)
if name == "qemu-user":
    for program in ("qemu-aarch64", "qemu-x86_64", "qemu-arm"):
        (place / "usr/bin" / program).write_text(pathlib.Path({qemu!r}).read_text())
        (place / "usr/bin" / program).chmod(0o755)
else:
    (place / "usr/bin/python3.11").write_text("a program of another machine")
    (place / "lib").mkdir(exist_ok=True)
    (place / "lib/libc.so.6").write_bytes(b"GNU C Library (Debian GLIBC) stable release version 2.36.")
"""
QEMU = """
import json, sys
words = sys.argv[1:]
if "--version" in words:
    print("qemu-aarch64 version 7.2.22 (Debian 1:7.2)")
else:
    if "-plugin" in words:
        open(words[words.index("-plugin") + 1].split(",out=")[1], "w").write("m 0\\nb 0 1f2003d5\\nc 0 1\\nm 1\\n")
    print(json.dumps(["aarch64", "3.11.2", "2.4.6", "{version}"]))
"""


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!{os.path.realpath('/proc/self/exe')} -IS\n{text}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose package tools are scripts: bin/, and cache/ for what is built; apt.log lists apt's calls."""
    programs = tmp_path / "bin"
    programs.mkdir()
    qemu = script(tmp_path / "qemu", QEMU.format(version=VERSION))
    script(programs / "apt-get", APT.format(log=str(tmp_path / "apt.log"), fails="fails-never"))
    script(programs / "dpkg-deb", DPKG_DEB.format(qemu=str(qemu)))
    script(programs / "dpkg", "print('amd64')")
    script(programs / "cc", "import sys; open(sys.argv[sys.argv.index('-o') + 1], 'w').write('plugin')")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("EDGEDISTILL_CACHE", str(tmp_path / "cache"))

    def wheels(requirements: list[str], folder: Path, **wanted: object) -> list[Path]:
        assert requirements == ["numpy", f"onnxruntime=={VERSION}"]
        assert wanted == {"python": "3.11", "glibc_minor": 36}
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / "onnxruntime.whl", "w") as wheel:
            wheel.writestr("onnxruntime/capi/state.so", "machine code")
        return [folder / "onnxruntime.whl"]

    monkeypatch.setattr("edgedistill.emulation.wheels.download", wheels)
    return tmp_path


@pytest.mark.parametrize(("own", "shared", "folder"), [
    ("/own", "/shared", "/own/emulation"), ("", "/shared", "/shared/edgedistill/emulation"),
    ("here", "there", "~/.cache/edgedistill/emulation"),  # the XDG base directory specification: relative is invalid
])
def test_cache_folder_then_the_more_special_absolute_variable_counts(
    own: str, shared: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDISTILL_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", shared)
    assert cache_folder() == Path(folder).expanduser()


def test_find_when_nothing_is_built_then_none(machine: Path) -> None:
    assert find(VERSION) is None


def test_require_environment_when_nothing_is_built_then_the_hint_builds_it(machine: Path) -> None:
    with pytest.raises(MissingDependencyError) as refused:
        require_environment()
    assert refused.value.hint == "edgedistill arm-env"
    assert refused.value.exit_code == 6


def test_ensure_then_the_environment_is_there_with_its_versions(machine: Path) -> None:
    made = ensure(VERSION)
    assert made.was_built
    assert made.tools == f"qemu 7.2.22, onnxruntime {VERSION}"
    assert made.facts.counts_instructions
    assert {package.path for package in made.facts.packages} == {"qemu-user.deb", "libstdc++6.deb", "onnxruntime.whl"}
    assert made.folder.is_relative_to(machine / "cache")
    found = find(VERSION)
    assert found is not None
    assert found.facts == made.facts


def test_ensure_then_apt_has_a_state_of_its_own_and_no_registry_is_named(machine: Path) -> None:
    ensure(VERSION)
    calls = (machine / "apt.log").read_text(encoding="utf-8").splitlines()
    fetching = [call for call in calls if "--print-uris" not in call]
    assert len(fetching) == 3  # update, and a download for each architecture
    for call in calls:
        assert f"Dir::State={machine / 'cache'}" in call
        assert "http" not in call
        assert "Dir::Etc" not in call  # the machine's own sources and keys
    assert sum("APT::Architecture=arm64" in call for call in fetching) == 1


def test_ensure_then_each_core_has_its_own_cpuinfo_beside_the_common_userland(machine: Path) -> None:
    folder = ensure(VERSION).folder
    shown = {name: (folder / "cores" / name / "proc" / "cpuinfo").read_text(encoding="ascii")
             for name in ("cortex-a53", "cortex-a76")}
    assert "CPU part\t: 0xd03" in shown["cortex-a53"]
    assert "asimddp" not in shown["cortex-a53"]
    assert "CPU part\t: 0xd0b" in shown["cortex-a76"]
    assert "asimddp" in shown["cortex-a76"]
    assert (folder / "cores" / "cortex-a53" / "usr" / "bin" / "python3.11").is_file()


def test_ensure_then_only_the_two_emulators_are_kept_and_no_downloads(machine: Path) -> None:
    folder = ensure(VERSION).folder
    assert {path.name for path in (folder / "emulator" / "usr" / "bin").iterdir()} == {"qemu-aarch64", "qemu-x86_64"}
    assert not (folder / "sysroot" / "usr" / "share").exists()
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, f"{folder.name}.lock"}


def test_download_when_packages_come_then_their_kilobytes_are_told_and_those_that_were_there_are_not(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(machine / "bin" / "apt-get", SLOW_APT)
    monkeypatch.setattr(apt_packages, "_TELL_EVERY_S", 0.05)
    state, wanted, told = AptState(machine / "state", ("arm64",)), Wanted(("a", "b"), "arm64"), list[int]()
    (machine / "state/archives-arm64").mkdir(parents=True)
    (machine / "state/archives-arm64/kept.deb").write_bytes(bytes(7_000))
    assert state.wanted_kb(wanted) == 5
    assert len(state.download(wanted, on_kb=told.append)) == 3
    assert [count for count in told if count] == [2, 3]


def test_ensure_when_apt_says_how_much_comes_then_progress_counts_to_it(
    machine: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgedistill.progress._LINE_EVERY_S", 0.0)
    with caplog.at_level("INFO", logger="edgedistill"):
        ensure(VERSION)
    assert any(record.getMessage().startswith("arm-env: fetching packages: 0 of 5,000 kB") for record in caplog.records)


def test_ensure_when_it_is_there_then_nothing_is_fetched(machine: Path) -> None:
    ensure(VERSION)
    (machine / "apt.log").unlink()
    assert not ensure(VERSION, is_checked=True).was_built
    assert not (machine / "apt.log").exists()


@pytest.mark.parametrize("damage", ["emulator/usr/bin/qemu-aarch64", "site/onnxruntime/capi/state.so"])
def test_find_when_a_vital_file_is_altered_then_none_and_ensure_builds_again(machine: Path, damage: str) -> None:
    folder = ensure(VERSION).folder
    (folder / damage).write_text("altered", encoding="utf-8")
    assert find(VERSION) is None
    assert ensure(VERSION).was_built


def test_ensure_when_any_file_is_altered_then_the_full_check_builds_again(machine: Path) -> None:
    folder = ensure(VERSION).folder
    (folder / "sysroot" / "lib" / "libc.so.6").write_text("altered", encoding="utf-8")
    assert not ensure(VERSION).was_built
    assert ensure(VERSION, is_checked=True).was_built


def test_ensure_when_environment_json_is_damaged_then_builds_again(machine: Path) -> None:
    folder = ensure(VERSION).folder
    (folder / ENVIRONMENT_FILE).write_text("{", encoding="utf-8")
    assert ensure(VERSION).was_built


def test_ensure_when_a_package_cannot_be_had_then_what_was_fetched_is_kept(machine: Path) -> None:
    script(machine / "bin" / "apt-get", APT.format(log=str(machine / "apt.log"), fails="libstdc++6"))
    with pytest.raises(MissingDependencyError, match="Unable to locate package libstdc"):
        ensure(VERSION)
    assert find(VERSION) is None
    kept = list(cache_folder().glob("*.downloads/apt/archives-amd64/qemu-user.deb"))
    assert len(kept) == 1
    script(machine / "bin" / "apt-get", APT.format(log=str(machine / "apt.log"), fails="fails-never"))
    assert ensure(VERSION).was_built


def test_ensure_without_a_compiler_then_it_is_built_and_says_why_nothing_is_counted(machine: Path) -> None:
    (machine / "bin" / "cc").unlink()
    facts = ensure(VERSION).facts
    assert not facts.counts_instructions
    assert "no C compiler" in facts.no_counts_because


def test_ensure_without_apt_then_refused_with_what_to_do(machine: Path) -> None:
    (machine / "bin" / "apt-get").unlink()
    with pytest.raises(MissingDependencyError, match="apt-get not found") as refused:
        ensure(VERSION)
    assert "Debian or Ubuntu" in refused.value.hint


def test_ensure_on_another_system_then_refused(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.platform, "system", lambda: "Darwin")
    with pytest.raises(MissingDependencyError, match="needs Linux on x86_64, this is Darwin"):
        ensure(VERSION)


def test_arm_env_with_json_then_prints_what_it_is_made_of(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["arm-env", "--onnxruntime", VERSION, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["onnxruntime"] == VERSION
    assert printed["emulator"] == "7.2.22"
    assert len(printed["tree_sha256"]) == 64


def test_arm_env_when_it_cannot_be_built_then_exit_code_6(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script(machine / "bin" / "apt-get", APT.format(log=str(machine / "apt.log"), fails="update"))
    assert run_command_line(["arm-env", "--onnxruntime", VERSION]) == 6
    assert "hint:" in capsys.readouterr().err
