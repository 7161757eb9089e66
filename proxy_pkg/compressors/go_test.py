r"""Events of `go test -json` as the lines that they print, under their package and test.

    [go test -json events: @ start and end of times, == package, -- test; ...]
    @2022-06-19T13:44:…-04:00
    == example.org/shop/cart
    -- TestAdd
    44.859682146 run
    44.859690198|=== RUN   TestAdd
    44.859699224 pass 0

Each line below stands for one event in the spelling of `go test`. Output is shown as printed, without the line
feed at its end. A bare `--` or `==` takes the test or package away, a bare `@` the times. Lines that are
no such event stay: as they are where they begin with `{`, else behind one blank.
"""

import re
from collections.abc import Iterator

from proxy_pkg.compressors.contract import Compressor
from proxy_pkg.model import Grade

HEADER = (
    "[go test -json events: @ start and end of times, == package, -- test; "
    "then time, action and elapsed seconds, or | output]"
)
EVENTS_MIN = 3
_ACTION = "start|run|pause|cont|pass|bench|fail|output|skip|attr|build-output|build-fail"
_PLAIN = r'(?:[^"\\\n]|\\.)*'

_EVENT = re.compile(
    rf'\{{(?:"Time":"(?P<day>\d{{4}}-\d\d-\d\dT\d\d:\d\d:)(?P<time>\d\d(?:\.\d+)?)(?P<zone>Z|[+-]\d\d:\d\d)",)?'
    rf'"Action":"(?P<action>{_ACTION})"(?:,"Package":"(?P<package>{_PLAIN})")?(?:,"Test":"(?P<test>{_PLAIN})")?'
    rf'(?:,"Elapsed":(?P<elapsed>[0-9.eE+-]+))?(?:,"Output":"(?P<output>{_PLAIN})")?\}}'
)
_START = re.compile(rf'\{{(?:"Time":"[^"\n]{{1,40}}",)?"Action":"(?:{_ACTION})"[,}}]')
_ESCAPE = re.compile(r'\\(u00(?:3c|3e|26)|["\\t])')
_CONTROL = re.compile(r"[\x00-\x1f]")
_SHOWN = {"u003c": "<", "u003e": ">", "u0026": "&", "t": "\t", '"': '"', "\\": "\\"}
_ESCAPED = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\t": "\\t", '"': '\\"', "\\": "\\\\"})


def looks_like(sample: str) -> str:
    """Return why a text that starts with `sample` is taken for events of go test, "" if it is not."""
    if '"Action":"' not in sample:
        return ""
    found = sum(_START.match(line) is not None for line in sample.split("\n"))
    return f"{found} of the first lines are events of go test" if found >= EVENTS_MIN else ""


def compress(text: str) -> str | None:
    """Return the events in `text` as lines, None unless most lines are events."""
    if not _START.match(text):
        return None
    result = "\n".join((HEADER, *_shown(text.split("\n"))))
    return result if len(result) < len(text) else None


def _shown(lines: list[str]) -> Iterator[str]:
    times = package = test = ""
    for line in lines:
        found = _EVENT.fullmatch(line)
        printed = _printed(found) if found else None
        if found is None or printed is None:
            yield line if line.startswith("{") or not line else " " + line
            continue
        day, zone = found["day"], found["zone"]
        if (stamp := f"{day}…{zone}" if day else "") != times:
            yield "@" + (times := stamp)
        if (name := found["package"] or "") != package:
            yield f"== {name}".rstrip()
            package, test = name, ""
        if (name := found["test"] or "") != test:
            yield f"-- {name}".rstrip()
            test = name
        yield printed


def _printed(event: re.Match[str]) -> str | None:
    """Return the line of an event, None where it could not be told from others or spelled again."""
    if event["package"] == "" or event["test"] == "" or " " in (event["package"] or "") + (event["test"] or ""):
        return None
    time, action, elapsed, output = event["time"] or "", event["action"], event["elapsed"], event["output"]
    if output is None:
        return " ".join(filter(None, (time, action, elapsed)))
    if action != "output" or elapsed is not None or not output.endswith("\\n"):
        return None
    body = output[:-2]
    text = _ESCAPE.sub(_unescaped, body) if "\\" in body else body
    is_faithful = text.translate(_ESCAPED) == body and not _CONTROL.search(body)
    return f"{time}|{text}" if is_faithful else None


def _unescaped(escape: re.Match[str]) -> str:
    return _SHOWN[escape[1]]


GO_TEST = Compressor("go-test", Grade.INVERTIBLE, compress)
