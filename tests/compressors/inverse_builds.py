"""Inverse of the forms that tests and steps of builds take, written from the documented rules of each."""

import re

_SIGN = r"(?P<sign>[ +*=~^])"
_TESTS = re.compile(
    rf'\[below, "{_SIGN}a\|9" was "(?P<mark>.) a(?P<before>.*)9(?P<after>.*)", a test that passed, '
    r"(?P<blanks>\d+) blanks? (?P<place>deeper than the heading above|deep)\]"
)
_STEPS = re.compile(
    rf'\[below, "{_SIGN}a\|7" was "\[(?P<seven> *7)(?P<of>.+)\] a", "(?P=sign)a" the same with the '
    r"(?P<next>next number|number above)\]"
)
_CTEST = re.compile(
    rf'\[below, "{_SIGN}(?P<name>\S+)\|(?P<time>[\d.]+)" was " {{6}}Start +\d+: (?P=name)" and '
    r'" *\d+/(?P<all>\d+) Test +#\d+: (?P=name) (?P<dots>\.+)   Passed +(?P=time) sec", '
    r'each number one more than in the result above; "(?P=sign)#9 a\|0\.01" was the second line alone, of test 9\]'
)
_SHORT = re.compile(r"""[ +*=~^](?P<name>[\w#@$&<(./'"`-].*?)(?:\|(?P<number>\d+(?:\.\d+)?))?""")


def built(text: str) -> str:
    """Return what the text stood for whose first line is the header of such a form, others as they are."""
    first, _, rest = text.partition("\n")
    for header, undo in ((_TESTS, _tests), (_STEPS, _steps), (_CTEST, _ctest)):
        found = header.fullmatch(first)
        if found:
            return "\n".join(undo(found, rest.split("\n")))
    return text


NAMES = "_#@$&<(./'\"`-"


def _name(line: str, sign: str) -> tuple[str, str] | None:
    found = _SHORT.fullmatch(line) if line[:1] == sign else None
    if found is None or not (found["name"][0].isalnum() or found["name"][0] in NAMES):
        return None
    return found["name"], found["number"] or ""


def _tests(header: re.Match[str], lines: list[str]) -> list[str]:
    blanks = int(header["blanks"])
    depth = blanks if header["place"] == "deep" else 0
    out = []
    for line in lines:
        short = _name(line, header["sign"])
        if short:
            time = f"{header['before']}{short[1]}{header['after']}" if short[1] else ""
            line = f"{' ' * depth}{header['mark']} {short[0]}{time}"
        elif line.strip() and header["place"] != "deep":
            depth = len(re.match(" *", line)[0])  # type: ignore[index]
            is_of_a_test = re.match(r" *([✓✔√✕×✗✘○✎↓-]|\d+\)) ", line)
            depth += 0 if is_of_a_test else blanks
        out.append(line)
    return out


def _steps(header: re.Match[str], lines: list[str]) -> list[str]:
    number = 0
    out = []
    for line in lines:
        short = _name(line, header["sign"])
        if short:
            number = int(short[1]) if short[1] else number + (header["next"] == "next number")
            line = f"[{str(number).rjust(len(header['seven']))}{header['of']}] {short[0]}"
        else:
            whole = re.match(rf"\[ *(\d+){re.escape(header['of'])}\] \S", line)
            number = int(whole[1]) if whole else number
        out.append(line)
    return out


def _ctest(header: re.Match[str], lines: list[str]) -> list[str]:
    count = 1
    width = len(header["all"])
    out = []
    for line in lines:
        short = _name(line, header["sign"])
        if short is None:
            result = re.match(r" *(\d+)/\d+ Test +#\d+: \S+ ", line)
            count = int(result[1]) + 1 if result else count
            out.append(line)
            continue
        alone = re.fullmatch(r"#(\d+) (\S+)", short[0])
        number, name = (int(alone[1]), alone[2]) if alone else (count, short[0])
        if not alone:
            out.append(f"      Start {str(number).rjust(width)}: {name}")
        dots = "." * (len(header["name"]) + len(header["dots"]) - len(name))
        place = f"#{number}".rjust(width + 1)
        out.append(
            f"{str(count).rjust(width)}/{header['all']} Test {place}: {name} {dots}   Passed {short[1].rjust(7)} sec"
        )
        count += 1
    return out
