"""Whose certificates an upstream may show: those of the system's authorities, and more if the settings name them."""

import ssl
from pathlib import Path


def trusting(ca_bundle: str) -> ssl.SSLContext:
    """A client context that trusts the system's authorities and those in `ca_bundle`, a PEM file or a directory.

    Raises OSError, also where there is no certificate in the file (ssl.SSLError is one).
    """
    context = ssl.create_default_context()
    # With SSL_CERT_FILE in the environment OpenSSL takes that file in place of the system's set: have both.
    system = ssl.get_default_verify_paths()
    for path in filter(Path.exists, map(Path, (system.openssl_cafile, system.openssl_capath))):
        _add(context, path)
    _add(context, Path(ca_bundle))
    return context


def _add(context: ssl.SSLContext, path: Path) -> None:
    if path.is_dir():
        context.load_verify_locations(capath=str(path))
    else:
        context.load_verify_locations(cafile=str(path))
