"""Terminal output as a person would see it: colours gone, each rewritten line as it looked in the end.

Removed are sequences that leave no text: colours, titles, links' addresses, cursor shapes, modes. A line
that carriage returns, backspaces or erasures wrote over is replaced by its last state. Text with bare
carriage returns is not always that: where it does not look like progress, it is data and stays. So does
every line with a sequence not known here, such as a move to another line. Carriage returns at the end of a
line are part of the line end.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice, pairwise

from msgspec import Struct

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

COLUMNS_MAX = 1000
"""A cursor move further than this is not followed, and the line stays."""
STEPS_PER_CHAR_MAX = 8
"""A line whose erasures cost more than this stays."""
TOKENS_MAX = 100_000
"""A line of more sequences and runs of text than this stays."""

_CONTROL = re.compile("[\x07\x08\x1b]|\r(?=[^\r\n])")
_UNSEEN = r"""\x07
    |\x1b\[[<>=?]?[0-9;:]*m                  # colours and weights
    |\x1b\[\?(?:1|7|12|25|2004|2026)[hl]    # keypad, wrapping, cursor, paste, synchronized output
    |\x1b\[[0-9]*\x20q                      # cursor shape
    |\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)      # titles, links
    |\x1b[PX^_][^\x1b]*\x1b\\               # device strings
    |\x1b[()][0AB]|\x1b[=>]                 # character sets, keypad
    """
_UNSEEN_RUN = re.compile(_UNSEEN, re.VERBOSE)
_TOKEN = re.compile(
    rf"""(?P<text>[^\x07\x08\r\x1b]+)
    |(?P<unseen>{_UNSEEN})
    |(?P<move>\r|\x08|\x1b\[(?P<count>[0-9]{{0,4}})(?P<verb>[KGCD]))
    |(?P<other>\x1b)""",
    re.VERBOSE,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_PROGRESS = re.compile(
    r"""%|\.\.\.|…|[#=]{3}|[█━▓▒░─■⠀-⣿◐◓◑◒]
    |(?<![0-9/])[0-9]+\ ?/\ ?[0-9]+(?![0-9/])|[0-9]\ of\ [0-9]   # 3/9, but no date
    |[0-9]\ ?[kKMG]i?B\b
    |(?:^|\s)[|/\\-]\s*\Z                                     # a turning bar""",
    re.VERBOSE,
)


class Token(Struct, frozen=True):
    """A run of text (`verb` empty), or a move: carriage return, backspace, K, G, C or D with its `count`."""

    text: str
    verb: str = ""
    count: str = ""


def compress(text: str) -> str | None:
    """Return `text` as it looks on a screen; None where that is what it is already."""
    if not _CONTROL.search(text):
        return None
    lines = [_line(line) if _CONTROL.search(line) else line for line in text.split("\n")]
    result = "\n".join(lines)
    return result if len(result) < len(text) else None


def _line(line: str) -> str:
    """Return `line` as shown, or itself where its remains would read as a sequence again."""
    shown = _shown(line)
    return shown if not _CONTROL.search(shown) or _shown(shown) == shown else line


def _shown(line: str) -> str:
    body = line.rstrip("\r")
    plain, line_end = _UNSEEN_RUN.sub("", body), line[len(body) :]
    if not _CONTROL.search(plain):
        return plain + line_end
    tokens = list(islice(_tokens(body), TOKENS_MAX + 1))
    return line if len(tokens) > TOKENS_MAX else _final(plain, tokens) + line_end


def _final(plain: str, tokens: list[Token]) -> str:
    """Return the last state of a line, or `plain`, its text and moves, where that is not known."""
    texts = [token.text for token in tokens if not token.verb]
    if all(token.verb in ("", "K") and token.count in ("", "0") for token in tokens):
        return "".join(texts)  # erases what follows the cursor, where nothing is: grep's colours do so
    if any("\x1b" in text or "\t" in text for text in texts) or not _is_rewriting(plain, tokens):
        return plain
    final = _overwritten(tokens, len(plain))
    return plain if final is None else final


def _tokens(body: str) -> Iterator[Token]:
    """Yield the tokens of a line but for sequences that show nothing; unknown ones are text."""
    for match in _TOKEN.finditer(body):
        if match["move"]:
            yield Token(match[0], match["verb"] or match[0], match["count"] or "")
        elif match["unseen"] is None:
            yield Token(match[0])


def _is_rewriting(plain: str, tokens: list[Token]) -> bool:
    """Tell whether a program redrew this line: by moves other than `\\r`, or by texts that look like progress."""
    if any(token.verb not in ("", "\r") for token in tokens):
        return True
    texts = [text for text in plain.split("\r") if text]
    return all(_follows(before, after) for before, after in pairwise(texts))


def _follows(before: str, after: str) -> bool:
    covers = len(after) >= len(before)
    if covers and after.endswith("  "):
        return True
    if not (_PROGRESS.search(before) or _PROGRESS.search(after)):
        return False
    words_before, words_after = _WORD.findall(before), _WORD.findall(after)
    if words_before == words_after:
        return True
    return covers and (not words_before or not words_after or not set(words_before).isdisjoint(words_after))


def _overwritten(tokens: list[Token], length: int) -> str | None:
    """Return what the line shows at its end, None if the moves go too far or cost too much."""
    cells: list[str] = []
    at = 0
    steps = STEPS_PER_CHAR_MAX * length
    for token in tokens:
        if not token.verb:
            at = _put(cells, at, _cells(token.text))
        elif token.verb == "K":
            steps -= at
            if steps < 0 or token.count not in ("", "0", "1", "2"):
                return None
            _erase(cells, at, token.count)
        else:
            at = _moved(at, token)
            if at > max(len(cells), COLUMNS_MAX):
                return None
    return "".join(cells).rstrip(" ")


def _moved(at: int, token: Token) -> int:
    count = int(token.count or 1) or 1
    if token.verb == "\r":
        return 0
    if token.verb == "G":
        return count - 1
    return at + count if token.verb == "C" else max(0, at - count)


def _erase(cells: list[str], at: int, count: str) -> None:
    if count == "2":
        cells.clear()
    elif count == "1":
        _put(cells, 0, [" "] * min(at + 1, len(cells)))
    else:
        _split(cells, at)
        del cells[at:]


def _split(cells: list[str], at: int) -> None:
    """Blank the wide character that lies across the left edge of column `at`, if one does."""
    if at < len(cells) and cells[at] == "":
        cells[at - 1] = cells[at] = " "


def _cells(text: str) -> list[str]:
    """Return the screen cells of `text`: a wide character takes two, the second empty; a mark joins a letter."""
    if text.isascii():
        return list(text)
    cells: list[str] = []
    for char in text:
        if cells and (unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf")):
            cells[-2 if cells[-1] == "" else -1] += char
        else:
            cells += (char, "") if unicodedata.east_asian_width(char) in "WF" else (char,)
    return cells


def _put(cells: list[str], at: int, new: list[str]) -> int:
    """Write `new` over `cells` from column `at`, and return the column after it."""
    end = at + len(new)
    cells += [" "] * (at - len(cells))
    _split(cells, at)
    _split(cells, end)
    cells[at:end] = new
    return end


TERMINAL = Compressor("terminal", Grade.PRESENTATION, compress)
