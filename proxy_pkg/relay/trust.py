"""Whose certificates an upstream may show: those of the system's authorities, and more if the settings name them."""

import re
import ssl
from pathlib import Path
from typing import Final

_HASHED: Final = re.compile(r"[0-9a-f]{8}\.[0-9]+").fullmatch


def trusting(ca_bundle: str) -> ssl.SSLContext:
    """A client context that trusts the system's authorities and those in `ca_bundle`, a PEM file or a directory.

    Raises OSError, also where there is no certificate in the file (ssl.SSLError is one).
    """
    context = ssl.create_default_context()
    # With SSL_CERT_FILE in the environment OpenSSL takes that file in place of the system's set: have both.
    system = ssl.get_default_verify_paths()
    for path in filter(Path.exists, map(Path, (system.openssl_cafile, system.openssl_capath))):
        _add(context, path)
    _add_own(context, Path(ca_bundle))
    return context


def _add(context: ssl.SSLContext, path: Path) -> None:
    if path.is_dir():
        context.load_verify_locations(capath=str(path))
    else:
        context.load_verify_locations(cafile=str(path))


def _add_own(context: ssl.SSLContext, path: Path) -> None:
    """OpenSSL finds certificates in a directory by names of a kind (`openssl rehash`), and says nothing of others."""
    if not path.is_dir():
        if path.exists() and not path.is_file():
            raise OSError(None, "it is neither a file nor a directory")
        _add(context, path)
        return
    names = [entry.name for entry in path.iterdir()]
    if any(_HASHED(name) for name in names):
        _add(context, path)
        return
    files = [path / name for name in sorted(names) if name.endswith((".pem", ".crt"))]
    if not files:
        raise OSError(None, "the directory holds no certificates (*.pem, *.crt)")
    for file in files:
        _add(context, file)
