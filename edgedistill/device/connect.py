"""From an address to the transport that speaks to it."""

from edgedistill.device.adb import AdbTransport
from edgedistill.device.address import AdbAddress, Address
from edgedistill.device.ssh import SshTransport
from edgedistill.device.transport import Transport


def open_transport(address: Address) -> Transport:
    """Return the transport of an address; nothing is connected yet."""
    return AdbTransport(address) if isinstance(address, AdbAddress) else SshTransport(address)
