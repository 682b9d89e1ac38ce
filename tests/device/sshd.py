"""A real OpenSSH server on the loopback, without root where possible, with keys of its own; its login is a folder."""

import atexit
import functools
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgedistill.emulation.apt_packages import AptState, Wanted, machine_architecture, unpack
from edgedistill.errors import MissingDependencyError

LOGIN = """#!/bin/sh
# what sshd runs instead of a login shell: the command in our folder; the connection dies where `cut`, `torn` and `away` say
cd {home} || exit 1
export PATH={home}/bin:/usr/bin:/bin
echo "$SSH_ORIGINAL_COMMAND" | head -c 200 | tr '\\n' ' ' >> {log}
echo >> {log}
is_next() {{ [ -s "$1" ] && tail -n 1 {log} | grep -qF "$(head -n 1 "$1")"; }}
hang_up() {{ kill -9 $PPID; sleep 5; exit 1; }}
if is_next {away}; then
    echo > {away}
    hang_up
elif is_next {cut}; then
    sed -i 1d {cut}
    setsid /bin/sh -c "$SSH_ORIGINAL_COMMAND" </dev/null >/dev/null 2>&1 &
    sleep 0.2
    hang_up
elif is_next {torn}; then
    sed -i 1d {torn}
    head -c 1000 | /bin/sh -c "$SSH_ORIGINAL_COMMAND" 2>/dev/null | head -c 100
    sleep 0.2
    hang_up
fi
exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"
"""


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        address: for --on.
        home: the folder that is the device.
        log: a line a command.
        cut: a line for each time the connection dies: words of the command at whose start it does, while the command goes on;
            to be written, and empty when all have happened.
        torn: the same; it dies in the middle: after 1000 bytes towards the command and 100 bytes back.
        away: words of the command from which on every connection dies, until the file is taken away; to be written.
        config: of the client; holds the key and the known host.
    """

    address: str
    home: Path
    log: Path
    cut: Path
    torn: Path
    away: Path
    config: Path


@dataclass(frozen=True)
class Programs:
    """OpenSSH's programs, and the variables that they need."""

    sshd: str
    ssh: str
    ssh_keygen: str
    variables: dict[str, str]


def _find(name: str, unpacked: Path | None = None) -> str | None:
    """Return a program of this machine, else of the folder that packages were unpacked in."""
    places = [os.environ["PATH"], "/usr/sbin", "/sbin"] + ([f"{unpacked}/usr/bin", f"{unpacked}/usr/sbin"] if unpacked else [])
    return shutil.which(name, path=os.pathsep.join(places))


def _tool(name: str) -> str:
    found = _find(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@functools.cache
def _lists() -> AptState:
    """Return apt's lists, fetched anew into a folder of this process: no state of the machine is read or changed."""
    folder = Path(tempfile.mkdtemp(prefix="edgedistill-sshd-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    state = AptState(folder, (machine_architecture(),))
    state.update()
    return state


@functools.cache
def _unpacked(package: str) -> Path:
    """Return a folder with a package and what it needs, unpacked and not installed, as the emulated environment's are."""
    try:
        state = _lists()
        folder = state.folder / package
        for archive in state.download(Wanted((package,), state.architectures[0], on_top_of_machine=True)):
            unpack(archive, folder)
    except MissingDependencyError as missing:
        pytest.skip(f"{package} is not installed, and apt cannot download it: {missing.message}")
    return folder


@functools.cache
def find_programs() -> Programs:
    """Return the installed programs, else Debian's."""
    names = ("sshd", "ssh", "ssh-keygen")
    unpacked = None if all(map(_find, names)) else _unpacked("openssh-server")
    sshd, ssh, ssh_keygen = (str(_find(name, unpacked)) for name in names)
    libraries = sorted({str(path.parent) for path in unpacked.rglob("lib*.so*")}) if unpacked else []
    return Programs(sshd, ssh, ssh_keygen, {"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if libraries else {})


def _lines_for(programs: Programs) -> str:
    """Return what newer servers need besides: one that lost a connection must take the next, and find its own parts."""
    told = subprocess.run([programs.ssh, "-V"], capture_output=True, text=True, env=os.environ | programs.variables).stderr
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", told)
    if found is None or (int(found[1]), int(found[2])) < (9, 8):
        return ""
    parts = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
    places = {option: Path(programs.sshd).parents[1] / "lib" / "openssh" / name for option, name in parts.items()}
    return "PerSourcePenalties no\n" + "".join(f"{option} {path}\n" for option, path in places.items() if path.is_file())


def _as_root(folder: Path, command: Sequence[str]) -> list[str]:
    """Return the command so that the user `sshd` exists for it and root may log in with a key, and for nothing else.

    In a mount namespace of its own; in a container that may have none, with a library that answers who is a user.
    """
    if os.getuid() != 0:
        return list(command)
    for name, more in (("passwd", "sshd:x:64998:65534::/run/sshd:/usr/sbin/nologin\n"), ("shadow", "sshd:*:19000::::::\n")):
        lines = [line for line in Path(f"/etc/{name}").read_text().splitlines() if not line.startswith(("sshd:", "root:"))]
        root = {"passwd": "root:x:0:0:root:/root:/bin/sh", "shadow": "root:*:19000:0:99999:7:::"}[name]
        (folder / name).write_text("\n".join([root, *lines]) + "\n" + more)
    script = (f"mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/shadow /etc/shadow && "
              f"mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec \"$@\"")
    apart = [_tool("unshare"), "-m", "sh", "-c"]
    if subprocess.run([*apart, f"mount --bind {folder}/passwd /etc/passwd"], capture_output=True).returncode == 0:
        return [*apart, script, "sh", *command]
    if not Path("/run/sshd").exists():  # sshd insists on this empty folder
        Path("/run/sshd").mkdir(mode=0o755)
        atexit.register(Path("/run/sshd").rmdir)
    (library,) = _unpacked("libnss-wrapper").rglob("libnss_wrapper.so")
    return ["env", f"LD_PRELOAD={library}", f"NSS_WRAPPER_PASSWD={folder}/passwd", f"NSS_WRAPPER_SHADOW={folder}/shadow",
            "NSS_WRAPPER_GROUP=/etc/group", *command]


@contextmanager
def serving(folder: Path, *, python: str) -> Iterator[Server]:
    """Run a server whose `python3` is the command given, until the block ends."""
    home, user = folder / "home", os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
    programs = find_programs()
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    log, login = folder / "commands.log", folder / "login"
    cut, torn, away = (folder / name for name in ("cut", "torn", "away"))
    login.write_text(LOGIN.format(home=home, log=log, cut=cut, torn=torn, away=away))
    for program in (login, home / "bin" / "python3"):
        program.chmod(0o755)
    for key in ("host_key", "client_key"):
        subprocess.run([programs.ssh_keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True,
                       env=os.environ | programs.variables)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/client_key.pub\n"
        f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        f"PidFile none\nForceCommand {login}\n{_lines_for(programs)}"
    )
    host = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/client_key\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known_hosts\n"
        f"GlobalKnownHostsFile none\n"
    )
    command = _as_root(folder, [programs.sshd, "-D", "-e", "-f", str(folder / "sshd_config")])
    with (folder / "sshd.log").open("wb") as stderr:
        process = subprocess.Popen(command, env=os.environ | programs.variables, stderr=stderr, start_new_session=True)
        try:
            _wait_for(port, process, folder / "sshd.log")
            yield Server(f"ssh://{user}@127.0.0.1:{port}", home, log, cut, torn, away, folder / "ssh_config")
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(100):
        if process.poll() is not None:
            pytest.skip(f"sshd does not run here: {log.read_text()[-300:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"sshd does not answer: {log.read_text()[-300:]}")
