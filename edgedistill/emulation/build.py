"""Building the environment: packages downloaded, unpacked, put together, and tried before it counts as there.

Nothing is installed and nothing needs root. What was downloaded is kept until all is done, so that a build that broke
off goes on.
"""

import json
import logging
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edgedistill.artifact import Artifact, describe
from edgedistill.emulation import apt_packages, wheels
from edgedistill.emulation.cores import CORES, Core, core_named
from edgedistill.emulation.environment import (
    ENVIRONMENT_FILE,
    EnvironmentFacts,
    compile_counter,
    emulator_in,
    size_of,
    tree_digest,
)
from edgedistill.emulation.qemu import COUNTER_FILE, Emulator, last_words
from edgedistill.errors import EdgedistillError, MissingDependencyError
from edgedistill.progress import Progress
from edgedistill.stage import write_text_durably

log = logging.getLogger("edgedistill")

_GUEST_PACKAGES = ("python3-minimal", "libpython3-stdlib", "libstdc++6")
_HOST_PACKAGES = ("qemu-user",)
_GUEST = "arm64"
_CPUS = 4
_TRIAL_CORE = "cortex-a72"
_TRIAL = (
    "import ctypes, json, platform, numpy, onnxruntime\n"
    "ctypes.CDLL(None).syscall(ctypes.c_long(5000), ctypes.c_long(0))\n"
    "ctypes.CDLL(None).syscall(ctypes.c_long(5000), ctypes.c_long(1))\n"
    "print(json.dumps([platform.machine(), platform.python_version(), numpy.__version__, onnxruntime.__version__]))\n"
)


@dataclass(frozen=True)
class _Trial:
    """What the finished environment said of itself: versions, and why it cannot count."""

    machine: str
    python: str
    numpy: str
    onnxruntime: str
    no_counts_because: str


def build(folder: Path, *, onnxruntime: str) -> EnvironmentFacts:
    """Build an environment in `folder`; it appears there only when it is complete and has run.

    Raises:
        MissingDependencyError: a package cannot be had.
        EdgedistillError: the parts do not run together.
    """
    partial, downloads = folder.with_name(f"{folder.name}.partial"), folder.with_name(f"{folder.name}.downloads")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    log.info("arm-env: fetching the emulator and an aarch64 userland with apt")
    packages = _fetch(partial, downloads, onnxruntime)
    _strip(partial)
    for core in CORES.values():
        if core.architecture == "aarch64":
            _write_core(partial, core)
    problem = compile_counter(partial / COUNTER_FILE)
    log.info("arm-env: trying it")
    trial = _try(emulator_in(partial), counter_problem=problem)
    facts = _facts(partial, packages, trial)
    write_text_durably(partial / ENVIRONMENT_FILE, facts.to_json())
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    shutil.rmtree(downloads, ignore_errors=True)
    shutil.rmtree(emulator_in(partial).bytecode, ignore_errors=True)
    return facts


def _fetch(partial: Path, downloads: Path, onnxruntime: str) -> list[Artifact]:
    """Fetch and unpack all; the emulator's packages come while the aarch64 ones are waited for."""
    host = apt_packages.machine_architecture()
    apt = apt_packages.AptState(downloads / "apt", (host, _GUEST))
    apt.update()
    programs = apt_packages.Wanted(_HOST_PACKAGES, host, on_top_of_machine=host != _GUEST)
    userland = apt_packages.Wanted(_GUEST_PACKAGES, _GUEST)
    expected_kb = apt.wanted_kb(programs) + apt.wanted_kb(userland)
    with (Progress("arm-env: fetching packages", total=expected_kb or None, unit="kB") as progress,
          ThreadPoolExecutor(max_workers=1) as other):
        emulator = other.submit(_unpack_packages, apt, programs, partial / "emulator", progress)
        found = _unpack_packages(apt, userland, partial / "sysroot", progress)
        log.info("arm-env: fetching onnxruntime %s for aarch64 with pip", onnxruntime)
        found += _wheels(partial, downloads, onnxruntime)
        return emulator.result() + found


def _unpack_packages(
    apt: apt_packages.AptState, wanted: apt_packages.Wanted, place: Path, progress: Progress
) -> list[Artifact]:
    """Fetch packages with what they depend on; of this machine's own, what is installed here is left out."""
    archives = apt.download(wanted, on_kb=progress.advance)
    for archive in archives:
        apt_packages.unpack(archive, place)
    return [describe(archive, root=archive.parent) for archive in archives]


def _strip(partial: Path) -> None:
    """Leave out what nothing here reads, and let a merged /usr look merged."""
    for programs in (partial / "emulator" / "usr" / "bin").iterdir():
        if programs.name not in ("qemu-aarch64", "qemu-x86_64"):
            programs.unlink()
    for place in ("emulator", "sysroot"):
        shutil.rmtree(partial / place / "usr" / "share", ignore_errors=True)
    for name in ("lib", "bin"):
        link = partial / "sysroot" / name
        if not link.exists():
            link.symlink_to(f"usr/{name}")


def _wheels(partial: Path, downloads: Path, onnxruntime: str) -> list[Artifact]:
    version, minor = _python_of(partial), _glibc_minor_of(partial)
    found = wheels.download(["numpy", f"onnxruntime=={onnxruntime}"], downloads / f"wheels-{version}",
                            python=version, glibc_minor=minor)
    for wheel in found:
        wheels.unpack(wheel, partial / "site")
    return [describe(wheel, root=wheel.parent) for wheel in found]


def _python_of(partial: Path) -> str:
    names = [path.name for path in (partial / "sysroot" / "usr" / "bin").glob("python3.[0-9]*")]
    if not names:
        raise MissingDependencyError("the aarch64 packages hold no Python", hint="edgedistill arm-env --rebuild")
    return names[0].removeprefix("python")


def _glibc_minor_of(partial: Path) -> int:
    """Return 36 for glibc 2.36, as the C library itself says it."""
    library = next((partial / "sysroot").rglob("libc.so.6"), None)
    found = re.search(rb"GNU C Library .* version 2\.(\d+)", library.read_bytes()) if library else None
    if found is None:
        raise MissingDependencyError("the aarch64 packages hold no GNU C library", hint="edgedistill arm-env --rebuild")
    return int(found[1])


def _write_core(partial: Path, core: Core) -> None:
    """Write a root for a core: links to the userland, and the files by which programs know the processor.

    Without its own /proc/cpuinfo the guest would read the host's, and onnxruntime 1.32 dies of an x86 one.
    """
    root = partial / "cores" / core.name
    (root / "proc").mkdir(parents=True)
    for entry in sorted((partial / "sysroot").iterdir()):
        (root / entry.name).symlink_to(Path("..", "..", "sysroot", entry.name))
    (root / "proc" / "cpuinfo").write_text("".join(
        f"processor\t: {index}\nBogoMIPS\t: 108.00\nFeatures\t: {core.features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: {core.part}\nCPU revision\t: 3\n\n"
        for index in range(_CPUS)), encoding="ascii")
    cpus = root / "sys" / "devices" / "system" / "cpu"
    for index in range(_CPUS):
        (cpus / f"cpu{index}" / "topology").mkdir(parents=True)
        (cpus / f"cpu{index}" / "topology" / "core_id").write_text(f"{index}\n", encoding="ascii")
        (cpus / f"cpu{index}" / "topology" / "physical_package_id").write_text("0\n", encoding="ascii")
    for name in ("online", "present", "possible"):
        (cpus / name).write_text(f"0-{_CPUS - 1}\n", encoding="ascii")


def _try(emulator: Emulator, *, counter_problem: str) -> _Trial:
    core, counts = core_named(_TRIAL_CORE), emulator.folder.with_name("trial-counts.txt")
    done = emulator.run(core, ["-c", _TRIAL], counts=None if counter_problem else counts)
    if done.code != 0 and not counter_problem:
        counter_problem = f"this QEMU does not take the plugin ({last_words(done)})"
        done = emulator.run(core, ["-c", _TRIAL])
    counted = counts.is_file() and counts.read_text(encoding="ascii").endswith("m 1\n")
    counts.unlink(missing_ok=True)
    if done.code != 0:
        raise EdgedistillError(f"onnxruntime does not start under emulation: {last_words(done)}",
                               hint="another version of it may: edgedistill arm-env --onnxruntime 1.23.2")
    if not counter_problem and not counted:
        counter_problem = "the plugin saw no mark of the guest"
    machine, python, numpy, onnxruntime = json.loads(done.stdout)
    return _Trial(machine, python, numpy, onnxruntime, counter_problem)


def _facts(partial: Path, packages: list[Artifact], trial: _Trial) -> EnvironmentFacts:
    emulator = emulator_in(partial)
    vital = [emulator.program("aarch64"), emulator.program("x86_64"),
             partial / "sysroot" / "usr" / "bin" / emulator.python(core_named(_TRIAL_CORE)).name,
             *sorted(partial.glob("site/onnxruntime/capi/*.so*"))]
    if not trial.no_counts_because:
        vital.append(partial / COUNTER_FILE)
    return EnvironmentFacts(
        emulator=emulator.version(), onnxruntime=trial.onnxruntime, numpy=trial.numpy, python=trial.python,
        counts_instructions=not trial.no_counts_because, no_counts_because=trial.no_counts_because,
        packages=tuple(packages), vital_files=tuple(describe(path, root=partial) for path in vital),
        tree_sha256=tree_digest(partial), size_bytes=size_of(partial),
    )
