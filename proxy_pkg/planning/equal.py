"""Outputs that are equal as a whole: which part of a text is compared, and what is sent for one that came before.

    [same output as result …4kQzRt (Bash ls -laR)]

What stands around an output, an exit code before it or reminders that a client adds below it, is not compared and
goes out as it came. The output itself is that of the earlier call, in whichever form that one was sent.
"""

from hashlib import blake2b

from msgspec import Struct

from proxy_pkg.compressors.json_wrapper import Inside, inside, peel
from proxy_pkg.model import DIGEST_BYTES

OUTPUT_CHARS_MIN = 200
"""A shorter output saves too little over the words that would stand for it."""
SAME = "[same output as result "
SAME_ANEW = "[read anew, same output as result "
_OPENS, _CLOSES = "<system-reminder>", "</system-reminder>"


class Parts(Struct, frozen=True):
    """A text in three parts, as compressors/wrapping.py has it, but that reminders of any length are in the tail."""

    head: str
    body: str
    tail: str
    inside: Inside | None

    def around(self, body: str) -> str:
        """Return the text with another output in it."""
        whole = self.head + body + self.tail
        return whole if self.inside is None else self.inside.around(whole)


def may_be_equal(text: str) -> bool:
    """Tell, at no cost, whether a text is long enough to be pointed at as a whole."""
    return len(text) >= OUTPUT_CHARS_MIN


def parts(text: str) -> Parts:
    """Take apart `text`, and the output of a tool that sends it in a JSON object likewise."""
    held = inside(text)
    if held is not None and not may_be_equal(held.output):
        held = None  # what matters stands elsewhere in the object
    output = text if held is None else held.output
    cut = reminders_start(output)
    whole = peel(output[:cut], is_quoted=False)
    head = "".join(layer.head for layer in whole.layers)
    tail = "".join(layer.tail for layer in reversed(whole.layers))
    return Parts(head, whole.body, tail + output[cut:], held)


def reminders_start(text: str) -> int:
    """Where the reminders at the end of `text` begin, the line breaks before them included; its length if none does."""
    end = len(text)
    while True:
        ended = _ended(text, end)
        if not text.endswith(_CLOSES, 0, ended):
            return end
        start = text.rfind(_OPENS, 0, ended)
        if start < 0:
            return end
        end = start
        while end and text[end - 1] == "\n":
            end -= 1


def _ended(text: str, end: int) -> int:
    while end and text[end - 1].isspace():
        end -= 1
    return end


def output_digest(text: str) -> bytes:
    """What the output in `text` is told from others by; empty if it is too short to be pointed at."""
    if not may_be_equal(text):
        return b""
    body = parts(text).body
    if not may_be_equal(body):
        return b""
    return blake2b(body.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def with_same(text: str, name: str, *, anew: bool) -> str:
    """The text with its output replaced by a reference to the result `name`. `anew`: a file may have changed since."""
    return parts(text).around(f"{SAME_ANEW if anew else SAME}{name}]")
