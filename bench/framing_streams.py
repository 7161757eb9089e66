"""Streams of requests for bench/framing.py: proper ones, odd ones and broken ones, each drawn from a seed alone."""

import random
from dataclasses import dataclass
from itertools import pairwise

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "QUERY")
ODD_METHODS = ("CONNECT", "TRACE", "get", "PRI", "DESCRIBE", "SOURCE", "M-SEARCH", "G E T", "")
TARGETS = ("/v1/messages", "/v1/models?a=1&b=2", "/u/n/x%20y", "//v1//files", "/v1/files/a;b=c")
ODD_TARGETS = (
    "http://other.test/v1/models?x=1",
    "https://other.test:444/v1/files",
    "http://other.test",
    "other.test:443",
    "*",
    "/a#b",
    "/a b",
    "/a\tb",
    "/\xe9",
    "/%zz",
    "v1/models",
)
VERSIONS = ("HTTP/1.1",) * 12 + ("HTTP/1.0", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "http/1.1", "RTSP/1.0")
OFFERS = ("h2c", "websocket", "WebSocket", "foo/2, h2c", "TLS/1.0", "h2c, websocket", "")
CONNECTIONS = ("keep-alive", "close", "Upgrade", "Upgrade, HTTP2-Settings", "keep-alive, Upgrade", "close, x-a", "x-a")
EXPECTS = ("100-continue", "100-Continue", "200-ok", "")
LENGTHS = ("+{n}", "-{n}", "0x{n}", "{n}, {n}", "{n} ", " 0{n}", "{n}1", "", "{n}a", "{n}.0", "1_0", "\xb2")
CODINGS = (
    "chunked",
    "Chunked",
    " chunked",
    "gzip, chunked",
    "chunked, identity",
    "identity",
    "xchunked",
    "chunked,",
    "",
)
HOSTS = ("a", "a:80", "[::1]:80", "", "a b", "a/b", "a\x01", "a,b", "user@a", "[::1", "a:b")
FIELDS = (
    "x-a: 1",
    "x-empty:",
    "x-blank : 1",
    "x-tab:\t1\t",
    "x-fold: a\r\n b",
    " x-indented: 1",
    "x-nul: a\0b",
    "x-cr: a\rb",
    "x-lf: a\nb",
    "x-high: \xe9\xff",
    "x-control: a\x01b",
    "no colon",
    ": no name",
    "x_under: 1",
    "content_length: 9",
    "transfer_encoding: chunked",
    "x(y): 1",
    "content-length\0: 5",
    "http2-settings: AAMAAABkAAQAAP__",
)
EXTENSIONS = ("", ";a", ";a=b", ';a="b;\r\n"', " ;a=b", ";" + "a" * 40, "\t")
NOISE = ("\r", "\n", "\r\n", "\0", " ", "\t", ":", ",", "0", "\r\n\r\n", "\x80", ";", "-")
HIDDEN = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"


@dataclass(frozen=True)
class Stream:
    """One connection's bytes, where they are cut, and what the app does; `proper` if nothing in it is wrong."""

    seed: int
    data: bytes
    cuts: tuple[int, ...]
    proper: bool
    kinds: frozenset[str]
    reads_body: bool = True
    turns: bool = True
    """Whether the app runs between two pieces."""

    @property
    def pieces(self) -> list[bytes]:
        edges = (0, *self.cuts, len(self.data))
        return [self.data[start:end] for start, end in pairwise(edges) if end > start]


class Maker:
    """Draws one stream. `odd` is how likely each part of it is an odd one."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.odd = self.random.choice((0.0, 0.0, 0.02, 0.05, 0.15))
        self.kinds: set[str] = set()
        self.proper = True

    def strange(self, kind: str, share: float = 1.0) -> bool:
        if self.random.random() >= self.odd * share:
            return False
        self.kinds.add(kind)
        self.proper = False
        return True

    def body(self) -> bytes:
        pick = self.random.choice
        return pick(
            (b"", b"abc", HIDDEN, HIDDEN * 2, b"0\r\n\r\n" + HIDDEN, b"\r\n" + HIDDEN, b"x" * pick((1, 70, 900)))
        )

    def chunks(self, body: bytes) -> bytes:
        parts = []
        while body:
            size = self.random.randint(1, len(body))
            part, body = body[:size], body[size:]
            number = f"{size:x}"
            if self.random.random() < 0.2:
                number = self.random.choice(("0" + number, number.upper(), "000" + number))
            extension = self.random.choice(EXTENSIONS) if self.strange("chunk extension") else ""
            if self.strange("chunk size"):
                number = self.random.choice(
                    ("0x" + number, "-" + number, "+" + number, " " + number, "", "g", "f" * 17)
                )
            end = self.random.choice((b"\n", b"", b"\r", b"\r\n\r\n")) if self.strange("chunk end") else b"\r\n"
            parts.append(number.encode() + extension.encode() + b"\r\n" + part + end)
        last = b"0\r\n"
        if self.random.random() < 0.2:
            self.kinds.add("trailers")
            last += self.random.choice((b"x-t: 1\r\n", b"host: b\r\nexpect: 100-continue\r\nupgrade: websocket\r\n"))
            if self.strange("framing in trailers"):
                last += self.random.choice((b"content-length: 7\r\n", b"transfer-encoding: chunked\r\n"))
        return b"".join(parts) + last + b"\r\n"

    def framing(self, method: str) -> tuple[list[str], bytes]:
        """Header lines that tell how long the body is, and the body as it then comes."""
        pick, kind = self.random.choice, self.random.random()
        if kind < (0.2 if method in ("POST", "PUT", "PATCH") else 0.7):
            return [], b""
        body = self.body()
        if kind < 0.75:
            value = str(len(body))
            if self.strange("length"):
                value = pick(LENGTHS).format(n=value)
            lines, wire = [f"content-length: {value}"], body
            if self.strange("two lengths"):
                lines.append(f"Content-Length: {pick((value, str(len(body) + 3)))}")
            if self.strange("length and chunks"):
                lines.insert(pick((0, 1)), "transfer-encoding: chunked")
                wire = pick((wire, self.chunks(body)))
        else:
            self.kinds.add("chunks")
            lines, wire = ["transfer-encoding: chunked"], self.chunks(body)
            if self.strange("coding"):
                lines = [f"Transfer-Encoding: {pick(CODINGS)}"]
            if self.strange("two codings"):
                lines.append(f"transfer-encoding: {pick(CODINGS)}")
        return lines, wire

    def request(self) -> bytes:
        pick = self.random.choice
        method = pick(ODD_METHODS) if self.strange("method", 0.7) else pick(METHODS)
        target = pick(ODD_TARGETS) if self.strange("target", 0.7) else pick(TARGETS)
        version = pick(VERSIONS) if self.strange("version", 0.7) else "HTTP/1.1"
        lines = [] if self.strange("no host", 0.5) else [f"Host: {pick(HOSTS) if self.strange('host', 0.5) else 'a'}"]
        if self.strange("two hosts", 0.5):
            lines.append(f"host: {pick(HOSTS)}")
        if self.random.random() < 0.25:
            self.kinds.add("upgrade")
            offer = pick(OFFERS)
            lines += [
                f"Upgrade: {offer}",
                f"Connection: {pick(('Upgrade', 'Upgrade, HTTP2-Settings', pick(CONNECTIONS)))}",
            ]
            if self.random.random() < 0.1:
                lines.append(f"connection: {pick(CONNECTIONS)}")
        elif self.random.random() < 0.15:
            lines.append(f"Connection: {pick(CONNECTIONS)}")
        if self.random.random() < 0.12:
            self.kinds.add("expect")
            lines.append(f"Expect: {pick(EXPECTS)}")
        while self.strange("field"):
            lines.append(pick(FIELDS))
        framing, wire = self.framing(method)
        lines += framing
        self.random.shuffle(lines)
        blank = pick((" ", "  ", "\t")) if self.strange("blanks", 0.3) else " "
        end = "\n" if self.strange("bare LF", 0.3) else "\r\n"
        head = end.join([f"{method}{blank}{target}{blank}{version}", *lines]) + end + end
        return head.encode("latin-1") + wire

    def noise(self, data: bytes) -> bytes:
        """Change single places, anywhere."""
        while data and self.strange("noise", 3):
            at = self.random.randrange(len(data))
            mark = self.random.choice(NOISE).encode("latin-1")
            data = self.random.choice(
                (data[:at] + mark + data[at:], data[:at] + data[at + 1 :], data[:at] + mark + data[at + len(mark) :])
            )
        return data


def stream(seed: int) -> Stream:
    """The stream of a seed, always the same."""
    maker = Maker(seed)
    draw = maker.random
    count = draw.choice((1, 2, 2, 3, 4))
    parts = [maker.request() for _ in range(count)]
    if count > 1:
        maker.kinds.add("pipelining")
    if maker.strange("preface"):
        parts.insert(draw.randrange(count + 1), PREFACE)
    if maker.strange("empty lines"):
        parts.insert(draw.randrange(count + 1), draw.choice((b"\r\n", b"\r\n\r\n", b"\n", b"\0")))
    data = maker.noise(b"".join(parts))
    if draw.random() < 0.1:
        maker.kinds.add("cut short")
        data = data[: draw.randrange(len(data) + 1)]
    style = draw.random()
    cuts: tuple[int, ...] = ()
    if style < 0.2:
        maker.kinds.add("byte by byte")
        cuts = tuple(range(1, len(data)))
    elif style < 0.75 and len(data) > 1:
        cuts = tuple(sorted(draw.sample(range(1, len(data)), min(len(data) - 1, draw.randint(1, 6)))))
    return Stream(
        seed,
        data,
        cuts,
        maker.proper,
        frozenset(maker.kinds),
        reads_body=draw.random() < 0.8,
        turns=draw.random() < 0.7,
    )
