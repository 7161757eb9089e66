"""The form in which the configuration travels from the master to its workers: msgpack, in memory only."""

import msgspec
from msgspec import Struct

from proxy_pkg.config.origins import Origins
from proxy_pkg.config.settings import Settings
from proxy_pkg.errors import SettingsError


class Configuration(Struct, frozen=True, forbid_unknown_fields=True):
    """The settings, and where each came from."""

    settings: Settings
    origins: Origins


def pack(settings: Settings, origins: Origins | None = None) -> bytes:
    """All fields by name, secrets included: the result belongs in memory and nowhere else."""
    return msgspec.msgpack.encode(Configuration(settings, origins or Origins()))


def unpack(blob: bytes) -> Configuration:
    """What `pack` got. A missing, unknown or ill-typed field raises SettingsError, so two versions of this package
    cannot half understand each other.
    """
    try:
        return msgspec.msgpack.decode(blob, type=Configuration)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError((f"the packed settings cannot be read: {error}",)) from error
