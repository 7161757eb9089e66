"""Writes `sdk_calls.json`: every request that the official SDKs can make, as they put it on the wire.

Each method of each client is called once with dummies for its required arguments, against a server on loopback that
records method, path and headers and refuses everything. Run it after an update of one of the SDKs, and look at the
difference: `.venv/bin/python -m tests.protocols.record_sdk_calls`.
"""

import asyncio
import inspect
import io
import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import anthropic
import openai
from google import genai
from google.auth.credentials import AnonymousCredentials
from google.genai.types import GenerateVideosOperation, ImportFileOperation, UploadToFileSearchStoreOperation
from google.oauth2.credentials import Credentials

FILE: Final = Path(__file__).with_name("sdk_calls.json")
CALL_SECONDS: Final = 5
DEPTH_MAX: Final = 5
KEYS: Final = {"anthropic": "sk-ant-api03-x", "openai": "sk-proj-x", "gemini": "AIzaSyx", "vertex": "ya29.x"}
_OF_THE_HOP: Final = frozenset(
    ("host", "connection", "accept", "accept-encoding", "content-length", "transfer-encoding")
)
_VARYING: Final = frozenset(
    [
        "sec-websocket-key",
        "idempotency-key",
        "x-stainless-retry-count",
        "x-stainless-os",
        "x-stainless-arch",
        "x-stainless-runtime-version",
        "content-type",
        "upgrade",
        "x-goog-upload-header-content-length",
    ]
)
_NOT_CALLS: Final = frozenset(("close", "copy", "aclose", "aio", "do_request"))
_VERBS: Final = frozenset(("get", "post", "put", "patch", "delete", "request", "get_api_list"))
"""Methods of a client itself that take any path."""
_NAMES: Final = ("x-1", "models/x-1", "files/x-1", "batches/x-1", "cachedContents/x-1", "tunedModels/x-1")

Call = tuple[str, str, tuple[tuple[str, str], ...]]


class Recorder(ThreadingHTTPServer):
    """Refuses every request and remembers it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[Call] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def _record(self) -> None:
        headers = ((name.lower(), value) for name, value in self.headers.items())
        kept = tuple(sorted(pair for pair in headers if pair[0] not in _OF_THE_HOP and pair[0] not in _VARYING))
        self.server.calls.append((self.command, self.path, kept))
        body = b'{"error":{"code":400,"message":"recorded","status":"INVALID_ARGUMENT","type":"invalid_request_error"}}'
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _record

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a refusal is what is expected."""


@contextmanager
def recording() -> Iterator[Recorder]:
    """A recorder that serves until the block ends."""
    recorder = Recorder()
    thread = threading.Thread(target=recorder.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield recorder
    finally:
        recorder.shutdown()
        thread.join()
        recorder.server_close()


def methods(owner: object, depth: int = 0) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public method below a client, with its dotted name."""
    for name in dir(type(owner)) + sorted(vars(owner)):
        if name.startswith(("_", "with_")) or name in _NOT_CALLS or (depth == 0 and name in _VERBS):
            continue
        try:
            member = getattr(owner, name)
        except Exception:  # noqa: BLE001 (a property that needs what is not installed)
            continue
        home = getattr(type(member), "__module__", "")
        if inspect.ismethod(member):
            yield name, member
        elif depth < DEPTH_MAX and home.split(".")[0] in ("anthropic", "openai", "google") and _is_resource(member):
            for rest, method in methods(member, depth + 1):
                yield f"{name}.{rest}", method


def _is_resource(member: object) -> bool:
    names = {base.__name__ for base in type(member).__mro__}
    return bool(names & {"SyncAPIResource", "BaseModule", "BaseSDK"}) or "genai" in type(member).__module__


def arguments(method: Callable[..., Any], name: str) -> tuple[list[Any], dict[str, Any]]:
    """Dummies for what the method requires."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is not parameter.empty:
            continue
        value = _dummy(parameter.name, str(parameter.annotation), name)
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = value
        else:
            positional.append(value)
    return positional, named


def _dummy(parameter: str, annotation: str, name: str) -> Any:
    if "FileTypes" in annotation or "IOBase" in annotation:
        return b"x"
    if annotation in ("str", "<class 'str'>", "Optional[str]", "typing.Optional[str]") or "Model" in annotation:
        return name
    if annotation in ("int", "<class 'int'>", "float", "<class 'float'>"):
        return 1
    if annotation in ("bool", "<class 'bool'>"):
        return True
    if parameter in ("contents", "content", "input", "prompt", "message"):
        return "x"
    if any(word in annotation for word in ("Iterable", "Sequence", "List", "list", "Array")):
        return []
    return {} if any(word in annotation for word in ("Param", "Dict", "Config", "dict")) else name


def drive(recorder: Recorder, client: object) -> None:
    """Call every method below the client. One that sends nothing is tried with further names."""
    called: set[object] = set()
    for _, method in methods(client):
        function = getattr(method, "__func__", method)
        if function in called:
            continue
        called.add(function)
        for name in _NAMES:
            seen = len(recorder.calls)
            thread = threading.Thread(target=_try, args=(method, name), daemon=True)
            thread.start()
            thread.join(CALL_SECONDS)
            if len(recorder.calls) > seen:
                break


def _try(method: Callable[..., Any], name: str) -> None:
    with suppress(Exception):
        positional, named = arguments(method, name)
        try:
            found = method(*positional, **named)
        except TypeError as error:  # a method that hides its signature says what it misses
            missing = re.findall(r"'(\w+)'", str(error).partition("missing")[2])
            found = method(**{word: [name] if word.endswith("s") else name for word in missing})
        if hasattr(found, "__enter__"):
            with found:
                pass
        elif hasattr(found, "__next__"):
            next(found)


def extra_of_gemini(client: Any) -> list[Callable[[], Any]]:
    """Calls of google-genai that dummies by type do not reach."""
    kind = {"mime_type": "text/plain"}
    store = "fileSearchStores/x-1"
    jobs = {"inlined_requests": {"contents": [{"parts": [{"text": "x"}]}]}}
    return [
        lambda: client.files.upload(file=io.BytesIO(b"x"), config=kind),
        lambda: client.files.register_files(auth=AnonymousCredentials(), uris=["gs://x/y"]),
        lambda: client.file_search_stores.upload_to_file_search_store(
            file_search_store_name=store, file=io.BytesIO(b"x"), config=kind
        ),
        lambda: client.file_search_stores.download_media(media_id=f"{store}/media/x-1"),
        lambda: client.file_search_stores.get(name=store),
        lambda: client.file_search_stores.delete(name=store),
        lambda: client.file_search_stores.documents.list(parent=store),
        lambda: client.file_search_stores.documents.get(name=f"{store}/documents/x-1"),
        lambda: client.file_search_stores.documents.delete(name=f"{store}/documents/x-1"),
        lambda: client.batches.create_embeddings(model="m", src=jobs),
        lambda: client.batches.create(model="m", src=[{"contents": "x"}]),
        lambda: client.interactions.create(model="m", input="x"),
        lambda: client.interactions.create(agent="a", input="x"),
        lambda: client.triggers.create(interaction={"model": "m", "input": "x"}, schedule="x", time_zone="UTC"),
        lambda: client.decisions.create(input="x", model="m", questions=[]),
        lambda: client.credentials.create(type="x"),
        lambda: client.voices.create(voice={}),
        lambda: client.tunings.get(name="tunedModels/x-1"),
        lambda: client.tunings.cancel(name="tunedModels/x-1"),
        lambda: client.operations.get(GenerateVideosOperation(name="models/m/operations/x-1")),
        lambda: client.operations.get(GenerateVideosOperation(name="operations/x-1")),
        lambda: client.operations.get(UploadToFileSearchStoreOperation(name=f"{store}/upload/operations/x-1")),
        lambda: client.operations.get(ImportFileOperation(name=f"{store}/operations/x-1")),
        lambda: client.models.generate_videos(model="m", prompt="x"),
        lambda: client.models.generate_images(model="m", prompt="x"),
        lambda: list(client.models.generate_content_stream(model="m", contents="x")),
        lambda: client.models.list(config={"query_base": False}),
        lambda: asyncio.run(_live(client)),
    ]


async def _live(client: Any) -> None:
    async with asyncio.timeout(CALL_SECONDS), client.aio.live.connect(model="m"):
        """Refused before it is open."""


def extra_of_openai(client: Any) -> list[Callable[[], Any]]:
    """The sockets of the OpenAI SDK."""
    return [
        lambda: client.realtime.connect(model="m").enter(),
        lambda: client.responses.connect().enter(),
    ]


def clients(url: str) -> dict[str, tuple[object, list[Callable[[], Any]]]]:
    """The clients, by the upstream that their requests are for, each with calls beside those of its methods."""
    gemini = genai.Client(api_key=KEYS["gemini"], http_options={"base_url": url})
    vertex = genai.Client(
        enterprise=True,
        project="p",
        location="us-east5",
        credentials=Credentials(KEYS["vertex"]),
        http_options={"base_url": url},
    )
    spoken = openai.OpenAI(api_key=KEYS["openai"], admin_api_key=KEYS["openai"], base_url=url + "/v1", max_retries=0)
    return {
        "anthropic": (anthropic.Anthropic(api_key=KEYS["anthropic"], base_url=url, max_retries=0), []),
        "openai": (spoken, extra_of_openai(spoken)),
        "gemini": (gemini, extra_of_gemini(gemini)),
        "vertex": (vertex, extra_of_gemini(vertex)),
    }


def record() -> dict[str, Any]:
    """What the file holds: of each call its upstream, method, path and the number of its headers."""
    heads: list[tuple[tuple[str, str], ...]] = []
    rows: set[tuple[str, str, str, int]] = set()
    with recording() as recorder:
        for api, (client, extra) in clients(recorder.url).items():
            recorder.calls.clear()
            drive(recorder, client)
            for call in extra:
                with suppress(Exception):
                    call()
            for method, path, headers in recorder.calls:
                if headers not in heads:
                    heads.append(headers)
                rows.add((api, method, re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "x-1", path), heads.index(headers)))
    seen: dict[tuple[str, str, str], tuple[str, str, str, int]] = {}
    for row in sorted(rows):
        seen.setdefault(row[:3], row)
    return {
        "versions": {name: version(name) for name in ("anthropic", "openai", "google-genai")},
        "heads": heads,
        "calls": list(seen.values()),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    found = record()
    lines = [f'"versions": {json.dumps(found["versions"])}']
    for name in ("heads", "calls"):
        lines.append(f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in found[name]) + "\n]")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
