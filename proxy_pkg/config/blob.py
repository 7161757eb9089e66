"""The form in which Settings travel from the master to its workers: msgpack, in memory only."""

import msgspec

from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import SettingsError


def pack(settings: Settings) -> bytes:
    """All fields by name, secrets included: the result belongs in memory and nowhere else."""
    return msgspec.msgpack.encode(settings)


def unpack(blob: bytes) -> Settings:
    """The Settings that `pack` got. A missing, unknown or ill-typed field raises SettingsError, so two
    versions of this package cannot half understand each other.
    """
    try:
        return msgspec.msgpack.decode(blob, type=Settings)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError((f"the packed settings cannot be read: {error}",)) from error
