"""The ssh adapter: what its commands do in the device's shell."""

import os
from pathlib import Path

import pytest

from edgedistill.device.address import SshAddress, parse_address
from edgedistill.device.ssh import SshTransport
from edgedistill.errors import TargetUnreachableError

TORN = """#!/bin/sh
# a connection that breaks after three bytes: the device's shell sees the end of the bytes
for word; do command=$word; done
head -c 3 | (cd {home} && /bin/sh -c "$command")
exit 255
"""


def test_push_when_the_connection_breaks_within_the_bytes_then_the_old_file_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "x").write_text("old")
    (tmp_path / "new").write_text("new and longer")
    (tmp_path / "ssh").write_text(TORN.format(home=tmp_path / "home"))
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    address = parse_address("ssh://pi@board")
    assert isinstance(address, SshAddress)
    with pytest.raises(TargetUnreachableError):
        SshTransport(address).push(tmp_path / "new", "x")
    assert (tmp_path / "home" / "x").read_text() == "old"
    assert (tmp_path / "home" / "x.partial").read_text() == "new"  # its first three bytes
