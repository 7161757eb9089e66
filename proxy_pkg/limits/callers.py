"""Who a request is from: a name under which limits are kept, and which gives no credential away.

The name of a proxy key says it. Without one it is a keyed hash of the credential that the request has for its upstream;
the key is a random value that all workers, and all servers with one Redis, share through the store.
"""

import re
import secrets
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import parse_qs

from proxy_pkg.protocols.grammar import Api
from proxy_pkg.store.fallback import Fallback

KEY_NAME: Final = "proxy_pkg.key_name"
"""Where a scope holds the name of the token that a client showed."""

SECRET_BYTES: Final = 32
SECRET_DAYS: Final = 3650
NOBODY: Final = "nobody"
"""The caller of all requests without a credential."""

_STORED_AS: Final = "callers"
_HASH_BYTES: Final = 12
_NUMBER_BYTES: Final = 1
_DIGEST_BYTES: Final = 16
_LABEL_CHARACTERS: Final = 8
_ACCESS_KEY: Final = re.compile(rb"Credential=([^/,\s]+)")
_SIGNED: Final = b"AWS4-"


class Callers:
    """Names callers. Before `agree` each worker has a secret of its own, and so names of its own."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(SECRET_BYTES)
        self._is_fleets = False

    @property
    def have_agreed(self) -> bool:
        """Whether the names are those of all servers that share a store."""
        return self._is_fleets

    async def agree(self, store: Fallback) -> None:
        """Use the secret that the store holds; if it has none, it gets this one. Call it again now and then.

        A secret of the fleet stays in use while the fleet is out of reach: this machine may hold another one, from
        before, and limits would start afresh with new names.
        """
        held = await store.put(_STORED_AS, self._secret, SECRET_DAYS * 86_400, keep=True)
        if len(held) == SECRET_BYTES and (store.reached or not self._is_fleets):
            self._secret, self._is_fleets = held, store.reached

    def name(self, scope: dict[str, Any], api: Api) -> str:
        """The caller of a request or a handshake, as a key of the store may hold it."""
        if KEY_NAME in scope:
            return f"key:{scope[KEY_NAME]}"
        credential = _credential(scope, api)
        if not credential:
            return NOBODY
        return "hash:" + blake2b(credential, key=self._secret, digest_size=_HASH_BYTES).hexdigest()

    def digest(self, *parts: bytes) -> str:
        """Names byte strings, which cannot be told from it; the same on all servers that agreed."""
        digest = blake2b(key=self._secret, digest_size=_DIGEST_BYTES)
        for part in parts:
            digest.update(len(part).to_bytes(4, "little") + part)
        return digest.hexdigest()

    def label(self, scope: dict[str, Any], api: Api) -> str:
        """The same for people: short, and never enough to find the credential."""
        kind, colon, name = self.name(scope, api).partition(":")
        return name[:_LABEL_CHARACTERS] if kind == "hash" else name if colon else kind


def number(scope: dict[str, Any], api: Api) -> int:
    """A number below 256 that tells most callers apart, the same on all workers and servers.

    Without the secret, which a worker may not have yet: eight bits give nothing away of a credential.
    """
    credential = scope[KEY_NAME].encode() if KEY_NAME in scope else _credential(scope, api)
    return blake2b(credential, digest_size=_NUMBER_BYTES).digest()[0]


def _credential(scope: dict[str, Any], api: Api) -> bytes:
    headers = scope["headers"]
    for wanted in api.credentials:
        given = b",".join(value for name, value in headers if name == wanted)
        if given:
            return _bare(given) if wanted == b"authorization" else given.strip()
    if api.credential_parameter and scope["query_string"]:
        named: dict[bytes, list[bytes]] = parse_qs(scope["query_string"])
        return named.get(api.credential_parameter.encode(), [b""])[0]
    return b""


def _bare(authorization: bytes) -> bytes:
    """What stays the same over requests, however the rest is spelled: of a signature the access key, else the token."""
    if authorization.startswith(_SIGNED) and (found := _ACCESS_KEY.search(authorization)):
        return found[1]
    return authorization.split()[-1] if authorization.strip() else b""
