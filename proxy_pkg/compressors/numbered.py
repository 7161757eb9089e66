"""Numbered file reads: every tenth line keeps its number, without padding; of the others only the text stays.

A header says so. Without a format in it the numbers were written `%6d→`, else as the printf format in
quotes (`%06d| `, `%-6d\\t`, `L%d: `); `first unpadded` says that the read lacked the blanks at its very
start, as after a strip(). Below the header, a line that starts with digits and the separator carries its
number. Lines without a number between two numbers belong to the file if they fill the gap exactly; all
others, such as those before the first and after the last number, are text around the read. Only a line
feed ends a line.

The first and last line of each run of consecutive numbers are numbered, and so is every line whose own
text starts like a number; what would still be ambiguous is left alone.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

STEP = 10
RUN_LINES_MIN = 3
"""A numbered read shows at least so many consecutive numbers."""
NUMBER_MAX = 999_999_999
HEADER = "[every 10th line numbered"

_PREFIX = re.compile(r"( *)(L?)([0-9]{1,9})( *)(→|\t|: ?| ?\| ?| ?│ ?)")


class Style(Struct, frozen=True):
    """How a tool writes a line number: `lead`, the digits filled to `width`, `mark`.

    `fill` is ` ` or `0` for numbers set to the right, `-` for numbers set to the left.
    """

    lead: str
    fill: str
    width: int
    mark: str

    def prefix(self, number: int) -> str:
        """Return what the tool writes before the text of line `number`."""
        if self.fill == "-":
            return f"{self.lead}{number:<{self.width}}{self.mark}"
        if self.fill == "0":
            return f"{self.lead}{number:0{self.width}}{self.mark}"
        return f"{self.lead}{number:>{self.width}}{self.mark}"

    def printf(self) -> str:
        """Return the style as a printf format, the tab written `\\t`."""
        flag = self.fill.strip() + str(self.width) if self.width else ""
        return f"{self.lead}%{flag}d{self.mark}".replace("\t", "\\t")


USUAL = Style("", " ", 6, "→")


class Line(Struct, frozen=True):
    """A line of the read: its number (None for text around it) and its text."""

    number: int | None
    text: str


def find_style(lines: list[str]) -> Style | None:
    """Return the style of the first RUN_LINES_MIN consecutively numbered lines, None if there are none."""
    run: list[re.Match[str]] = []
    for line in lines:
        match = _PREFIX.match(line)
        if match is None:
            run = []
            continue
        if run and int(match[3]) != int(run[-1][3]) + 1:
            run = []
        run.append(match)
        if len(run) == RUN_LINES_MIN:
            style = _common_style(run)
            if style:
                return _unfilled(style, int(run[0][3]), lines)
            del run[0]
    return None


def _unfilled(style: Style, number: int, lines: list[str]) -> Style:
    """Return the style without a width where the first number with more digits shows that it has none: `1 | `."""
    digits = len(str(number))
    if style.fill != "-" or style.width <= digits:
        return style
    plain = Style(style.lead, " ", 0, " " * (style.width - digits) + style.mark)
    longer = 10**digits
    is_plain = any(line.startswith(plain.prefix(longer)) for line in lines)
    return plain if is_plain and not any(line.startswith(style.prefix(longer)) for line in lines) else style


def _common_style(run: list[re.Match[str]]) -> Style | None:
    for style in _styles(run[0]):
        if all(match.string.startswith(style.prefix(int(match[3]))) for match in run):
            return style
    return None


def _styles(match: re.Match[str]) -> Iterator[Style]:
    """Yield the styles that could have written a numbered line, the likeliest first."""
    pad, lead, digits, gap, mark = match.groups()
    marks = (mark, mark[:-1]) if mark[1:].endswith(" ") else (mark,)
    for each in marks:
        if pad and not lead:
            yield Style(lead, " ", len(pad) + len(digits), gap + each)
        elif digits.startswith("0") and len(digits) > 1:
            yield Style(lead, "0", len(digits), gap + each)
        elif gap:
            yield Style(lead, "-", len(digits) + len(gap), each)
        if not pad:
            yield Style(lead, " ", 0, gap + each)


def parse(lines: list[str], style: Style) -> list[Line]:
    """Return `lines` with numbers taken off where `style` wrote them."""
    parsed = []
    expected, last = "", 0
    prefix = _PREFIX.match
    for line in lines:
        if expected and line.startswith(expected):
            last += 1
        else:
            match = prefix(line)
            expected = style.prefix(int(match[3])) if match else ""
            if match is None or not line.startswith(expected):
                parsed.append(Line(None, line))
                expected = ""
                continue
            last = int(match[3])
        parsed.append(Line(last, line[len(expected) :]))
        expected = style.prefix(last + 1) if last < NUMBER_MAX else ""
    return parsed


def split(lines: list[str]) -> tuple[list[int], list[str]]:
    """Return the numbers that stand before `lines`, 0 where none stands, and the lines without them.

    Where a blank behind the mark may belong to either, as behind `|`, the mark stays, behind a NUL: such lines are
    equal to none but those of the same form.
    """
    style = find_style(lines)
    if style is None:
        return [0] * len(lines), lines
    parsed = parse(lines, style)
    numbers = [line.number or 0 for line in parsed]
    if style.mark in ("→", "\t"):
        return numbers, [line.text for line in parsed]
    mark = "\0" + style.mark.lstrip()
    return numbers, [line.text if line.number is None else mark + line.text for line in parsed]


def compress(text: str) -> str | None:
    """Return `text` with nine of ten line numbers gone; None unless most of it is a numbered read."""
    if text.startswith(HEADER):
        return None
    lines = text.split("\n")
    style = find_style(lines)
    if style is None:
        return None
    padded = _padded(lines[0], style)
    unpadded = padded != lines[0]
    parsed = parse([padded, *lines[1:]], style)
    if _ambiguous(parsed, style):
        return None
    body, thinned = _thin(parsed, style)
    numbered = sum(line.number is not None for line in parsed)
    if thinned * 2 < numbered:
        return None
    result = "\n".join((_header(style, unpadded), *body))
    return result if len(result) < len(text) else None


def _padded(first: str, style: Style) -> str:
    """Return the first line with the blanks before its number that a strip() of the whole text took away."""
    match = _PREFIX.match(first)
    if match is None or match[1] or style.fill != " ":
        return first
    padded = " " * (style.width - len(match[3])) + first
    return padded if padded.startswith(style.prefix(int(match[3]))) else first


def _header(style: Style, unpadded: bool) -> str:
    form = "" if style == USUAL else f', from "{style.printf()}"'
    return HEADER + form + (", first unpadded]" if unpadded else "]")


def _short(style: Style) -> re.Pattern[str]:
    return re.compile(re.escape(style.lead) + "[0-9]{1,9}" + re.escape(style.mark))


def _ambiguous(parsed: list[Line], style: Style) -> bool:
    """Tell whether text around the read looks numbered, or fills a gap between two numbers exactly."""
    looks_numbered = _short(style).match
    last, around = None, 0
    for line in parsed:
        if line.number is None:
            if looks_numbered(line.text):
                return True
            around += 1
            continue
        if around and last is not None and line.number - last - 1 == around:
            return True
        last, around = line.number, 0
    return False


def _thin(parsed: list[Line], style: Style) -> tuple[list[str], int]:
    """Return the lines to show and how many of them lost their number."""
    looks_numbered = _short(style).match
    shown, thinned = [], 0
    before: int | None = None
    after = [line.number for line in parsed[1:]] + [None]
    for line, following in zip(parsed, after, strict=True):
        number = line.number
        if number is None:
            shown.append(line.text)
        elif number % STEP and before == number - 1 and following == number + 1 and not looks_numbered(line.text):
            shown.append(line.text)
            thinned += 1
        else:
            shown.append(f"{style.lead}{number}{style.mark}{line.text}")
        before = number
    return shown, thinned


NUMBERED = Compressor("numbered", Grade.INVERTIBLE, compress)
