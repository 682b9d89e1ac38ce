"""A real OpenSSH server on the loopback, without root where possible, with keys of its own; its login is a folder."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = ("openssh-server", "libwrap0", "libnsl2", "libtirpc3")
LOGIN = """#!/bin/sh
# what sshd runs instead of a login shell: the command in our folder; the connection dies once where `cut` says
cd {home} || exit 1
export PATH={home}/bin:/usr/bin:/bin
echo "$SSH_ORIGINAL_COMMAND" | head -c 200 | tr '\\n' ' ' >> {log}
echo >> {log}
if [ -f {cut} ] && tail -n 1 {log} | grep -qF "$(cat {cut})"; then
    rm {cut}
    setsid /bin/sh -c "$SSH_ORIGINAL_COMMAND" </dev/null >/dev/null 2>&1 &
    sleep 0.2
    kill -9 $PPID
    sleep 5
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
        cut: words of the command at which the connection dies, once; to be written.
        config: of the client; holds the key and the known host.
    """

    address: str
    home: Path
    log: Path
    cut: Path
    config: Path


def _tool(name: str) -> str:
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _server_program(folder: Path) -> tuple[str, dict[str, str]]:
    """Return sshd and the environment it needs: the installed one, or Debian's package, unpacked and not installed."""
    found = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if found is not None:
        return found, {}
    apt, dpkg = _tool("apt-get"), _tool("dpkg-deb")
    for package in PACKAGES:
        done = subprocess.run([apt, "-q", "-o", "APT::Sandbox::User=", "download", package], cwd=folder, capture_output=True)
        if done.returncode != 0 and package == PACKAGES[0]:
            pytest.skip("sshd is not installed, and apt cannot download openssh-server")
    for archive in folder.glob("*.deb"):
        subprocess.run([dpkg, "-x", str(archive), str(folder / "unpacked")], check=True)
    libraries = ":".join(sorted({str(p.parent) for p in (folder / "unpacked").rglob("lib*.so*")}))
    return str(folder / "unpacked" / "usr" / "sbin" / "sshd"), {"LD_LIBRARY_PATH": libraries}


def _as_root(folder: Path, command: Sequence[str]) -> list[str]:
    """Return the command in a mount namespace in which the user `sshd` exists and root may log in with a key."""
    if os.getuid() != 0:
        return list(command)
    for name, more in (("passwd", "sshd:x:64998:65534::/run/sshd:/usr/sbin/nologin\n"), ("shadow", "sshd:*:19000::::::\n")):
        lines = [line for line in Path(f"/etc/{name}").read_text().splitlines() if not line.startswith(("sshd:", "root:"))]
        root = {"passwd": "root:x:0:0:root:/root:/bin/sh", "shadow": "root:*:19000:0:99999:7:::"}[name]
        (folder / name).write_text("\n".join([root, *lines]) + "\n" + more)
    script = (f"mount --bind {folder}/passwd /etc/passwd && mount --bind {folder}/shadow /etc/shadow && "
              f"mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec \"$@\"")
    probe = subprocess.run([_tool("unshare"), "-m", "sh", "-c", f"mount --bind {folder}/passwd /etc/passwd"], capture_output=True)
    if probe.returncode != 0:
        pytest.skip("as root, sshd needs the user sshd or a mount namespace of its own, and this machine gives neither")
    return [_tool("unshare"), "-m", "sh", "-c", script, "sh", *command]


@contextmanager
def serving(folder: Path, *, python: str) -> Iterator[Server]:
    """Run a server whose `python3` is the command given, until the block ends."""
    home, user = folder / "home", os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    log, cut, login = folder / "commands.log", folder / "cut", folder / "login"
    login.write_text(LOGIN.format(home=home, log=log, cut=cut))
    for program in (login, home / "bin" / "python3"):
        program.chmod(0o755)
    for key in ("host_key", "client_key"):
        subprocess.run([_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/client_key.pub\n"
        f"StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        f"PidFile none\nForceCommand {login}\n"
    )
    host = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n")
    (folder / "ssh_config").write_text(
        f"IdentityFile {folder}/client_key\nIdentitiesOnly yes\nUserKnownHostsFile {folder}/known_hosts\n"
        f"GlobalKnownHostsFile none\n"
    )
    (folder / "packages").mkdir()
    program, environment = _server_program(folder / "packages")
    command = _as_root(folder, [program, "-D", "-e", "-f", str(folder / "sshd_config")])
    with (folder / "sshd.log").open("wb") as stderr:
        process = subprocess.Popen(command, env=os.environ | environment, stderr=stderr, start_new_session=True)
        try:
            _wait_for(port, process, folder / "sshd.log")
            yield Server(f"ssh://{user}@127.0.0.1:{port}", home, log, cut, folder / "ssh_config")
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
