"""All that stands around an output, taken off layer by layer, and put back byte for byte.

    Wall time: 0.1 seconds          a text around it (wrapping.py)
    Output:
    {"output":"…","metadata":{}}    a string in a JSON object (json_strings.py)

What is inside is treated as it would be by itself. A layer is taken off only if it comes back as it was.
"""

import re

from msgspec import Struct

from proxy_pkg.compressors import json_strings
from proxy_pkg.compressors.json_strings import Quoted
from proxy_pkg.compressors.wrapping import HEAD_CHARS_MAX, Wrapped, unwrap

REST_CHARS = 1000
"""A document with more around its string may hold records there as well: it is no mere wrapper."""
LAYERS_MAX = 6
"""So many layers are taken off a text: each is looked for once, in what the one before it left."""

_OPENS_DOCUMENT = re.compile(r"(?:\A|\n)[{\[]")


class Peeled(Struct, frozen=True):
    """A text as layers, the outermost first, and what they stand around."""

    layers: tuple[Wrapped | Quoted, ...]
    body: str

    def around(self, body: str) -> str:
        """Return the text with another body in it."""
        for layer in reversed(self.layers):
            body = layer.around(body)
        return body

    @property
    def is_quoted(self) -> bool:
        """Whether the body stands inside a JSON string."""
        return self._depth > 0

    @property
    def is_plain(self) -> bool:
        """Whether the body is the one string of one small document, with no words around it there."""
        last = self.layers[-1] if self.layers else None
        is_alone = type(last) is Quoted and not last.is_python and self._depth == 1
        return is_alone and self.rest_chars_max <= REST_CHARS

    @property
    def _depth(self) -> int:
        return sum(type(layer) is Quoted for layer in self.layers)

    @property
    def rest_chars_max(self) -> int:
        """How much stands around a JSON string, of all layers the most."""
        return max((len(each.head) + len(each.tail) for each in self.layers if type(each) is Quoted), default=0)

    @property
    def lines_around(self) -> tuple[int, int]:
        """How many line breaks stand before the body and after it, in the innermost JSON string if there is one."""
        before = after = 0
        for layer in reversed(self.layers):
            if type(layer) is Quoted:
                break
            before += layer.head.count("\n")
            after += layer.tail.count("\n")
        return before, after

    @property
    def tells_records(self) -> bool:
        """Whether a layer says that the body is what was found or answered, and so no file."""
        return any(type(layer) is Wrapped and layer.tells_records for layer in self.layers)


class Inside(Struct, frozen=True):
    """An output inside a JSON string, with all its layers down to that string."""

    layers: tuple[Wrapped | Quoted, ...]
    output: str

    def around(self, output: str) -> str:
        """Return the whole text with another output in it."""
        return Peeled(self.layers, output).around(output)


def peel(text: str, *, is_quoted: bool = True) -> Peeled:
    """Take apart `text`. It has no layers where nothing is known to stand around an output.

    Without `is_quoted` it is taken apart down to the first JSON document, and not inside of that.
    """
    layers: list[Wrapped | Quoted] = []
    body = text
    while len(layers) < LAYERS_MAX:
        whole = unwrap(body)
        if whole.head or whole.tail:
            layers.append(whole)
            body = whole.body
            continue
        found = json_strings.split(body) if is_quoted else None
        if found is None:
            break
        layers.append(found[0])
        body = found[1]
    return Peeled(tuple(layers), body)


def inside(text: str) -> Inside | None:
    """Take apart `text` down to its innermost JSON string; None if it holds no output in one."""
    if not may_be_wrapped(text):
        return None
    whole = peel(text)
    last = next((at for at in range(len(whole.layers), 0, -1) if type(whole.layers[at - 1]) is Quoted), 0)
    if not last:
        return None
    return Inside(whole.layers[:last], Peeled(whole.layers[last:], whole.body).around(whole.body))


def may_be_wrapped(text: str) -> bool:
    """Tell, at no cost, whether an output in a JSON string may be in `text`."""
    return text[:1] in ("{", "[") or _OPENS_DOCUMENT.search(text, 0, HEAD_CHARS_MAX) is not None


def line_breaks(text: str) -> int:
    """Return at least how many line breaks `text`, or the output in it, has."""
    return text.count("\n") + (text.count("\\n") if may_be_wrapped(text) else 0)
