"""Addresses: what is read, and what is refused before it could become an option of a program."""

import pytest

from edgedistill.device.address import AdbAddress, SshAddress, parse_address, parse_host
from edgedistill.errors import UsageError


@pytest.mark.parametrize(("text", "expected"), [
    ("ssh://pi@raspberrypi.local", SshAddress("raspberrypi.local", "pi")),
    ("ssh://pi@10.0.0.7:2222", SshAddress("10.0.0.7", "pi", 2222)),
    ("ssh://board", SshAddress("board")),
    ("ssh://pi@[fe80::1%eth0]:22", SshAddress("fe80::1%eth0", "pi", 22)),
    ("adb:1A2B3C", AdbAddress("1A2B3C")),
    ("adb:192.168.1.9:5555", AdbAddress("192.168.1.9:5555")),
])
def test_address_when_it_is_one_then_reads_and_prints_back(text: str, expected: SshAddress | AdbAddress) -> None:
    assert parse_address(text) == expected
    assert parse_address(str(expected)) == expected


@pytest.mark.parametrize("text", [
    "pi@host", "ssh:host", "ssh://", "ssh://-oProxyCommand=x", "ssh://pi@-o", "ssh://a b", "ssh://host:0", "ssh://host:70000",
    "ssh://pi@host;reboot", "adb:", "adb:-s", "usb:1", "ssh://$(id)",
])
def test_address_when_it_is_none_then_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_address_when_it_holds_a_password_then_is_refused_without_repeating_it() -> None:
    with pytest.raises(UsageError) as caught:
        parse_address("ssh://pi:raspberry@host")
    assert "raspberry" not in caught.value.message
    assert "ssh-copy-id" in caught.value.hint


def test_host_when_given_alone_then_is_an_ssh_address() -> None:
    assert parse_host("pi@host:23") == SshAddress("host", "pi", 23)
