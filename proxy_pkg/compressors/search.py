"""Search hits of grep, rg and their kin: each file's path once above its lines, runs of context numbered once.

    [hits by file (== path), paths start with src/; unnumbered lines are context and count on]
    == cli/main.py
    41:    except OSError:
            raise
    --

Below `== path` a line begins with its number and `:` for a hit or `-` for context, as it came. A context line
right below line n is line n + 1 and stands without number and mark, but for every tenth, the last of all, and
those whose text could be misread. Where the tool printed no numbers, lines below `== path` stand as they are,
or, where there is context or something to misread, behind the `:` or `-` that told hit from context. `--` are the
tool's own separators. Text of no file stands before the first `== path` or below a bare `==`. Blank lines at the end
stay.

Further words in the header: `blank lines between` says that the tool wrote each path on its own line, a blank
line before all but the first line of the text; `lines without a colon had paths below X` that some client shortened
paths only in lines with a colon, and wrote X before the path in all others. The hits of one file without a path
have a header of their own, and no `==` unless there are other words around them: these below `==`, hits below `== `.
"""

import re

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.compressors.hits import Hits, Line, read
from proxy_pkg.compressors.paths import shared_folder
from proxy_pkg.model import Grade

STEP = 10
HEADER = "[hits by file (== path)"
ONE_FILE = "[hits"
COUNTING = "unnumbered lines are context and count on"
MARKED = ": hits, - context"
BLANKS = "blank lines between"
ROOTED = "lines without a colon had paths below "

_STRUCTURE = re.compile(r"[1-9][0-9]{0,8}[:-]|==(?: |\Z)|--\Z")
_FORGED = re.compile(r"==(?: |\Z)")


def compress(text: str) -> str | None:
    """Return the hits in `text` below the paths of their files; None where it is no search or not shorter so."""
    if text.startswith((HEADER, ONE_FILE + "; ")):
        return None
    body = text.rstrip("\n")
    hits = read(body.split("\n"))
    if hits is None or _is_forged(hits):
        return None
    result = _write(hits)
    if result.endswith("\n"):
        return None  # an empty hit is last, and could not be told from the blank lines at the end
    result += text[len(body) :]
    return result if len(result) < len(text) else None


def _is_forged(hits: Hits) -> bool:
    """Tell whether a line that would stand as it is looks like one of ours."""
    for item in hits.items:
        if isinstance(item, str):
            if _FORGED.match(item):
                return True
        elif not item.number and item.mark + item.text == "--":
            return True
    return False


def _write(hits: Hits) -> str:
    found = [item for item in hits.items if isinstance(item, Line)]
    prefix = shared_folder({item.path for item in found}, "/\\")
    marked = any(not item.number and (item.mark == "-" or _STRUCTURE.match(item.text)) for item in found)
    body, counted = _below_paths(hits, len(prefix), marked)
    return "\n".join((_header(hits, prefix, marked, counted), *body))


def _header(hits: Hits, prefix: str, marked: bool, counted: bool) -> str:
    words = [HEADER if hits.form != "number:text" else ONE_FILE]
    if prefix:
        words[0] += f", paths start with {prefix}"
    if hits.form == "numbers below a path":
        words.append(BLANKS)
    if marked:
        words.append(MARKED)
    if counted:
        words.append(COUNTING)
    if hits.root:
        words.append(ROOTED + hits.root)
    return "; ".join(words) + "]"


def _below_paths(hits: Hits, prefix_length: int, marked: bool) -> tuple[list[str], bool]:
    """Return the lines below the header, and whether context lines lost their numbers."""
    out: list[str] = []
    path: str | None = "" if hits.form == "number:text" else None
    counted = False
    expected = 0
    end = len(hits.items) - 1
    misread = _STRUCTURE.match
    for index, item in enumerate(hits.items):
        if isinstance(item, str):
            if item != "--" and path is not None:
                out.append("==")
                path = None
            expected = 0
            out.append(item)
            continue
        if item.path != path:
            path = item.path
            out.append("== " + path[prefix_length:])
            expected = 0
        number = item.number
        if not number:
            out.append(item.mark + item.text if marked else item.text)
            continue
        if number == expected and item.mark == "-" and number % STEP and index != end and not misread(item.text):
            out.append(item.text)
            counted = True
        else:
            out.append(f"{number}{item.mark}{item.text}")
        expected = number + 1
    return out, counted


SEARCH = Compressor("search", Grade.INVERTIBLE, compress)
