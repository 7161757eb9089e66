"""Inverse of `compressors.go_test`, written from its documented rules: events in the spelling of Go's encoder."""

import json
import re

_EVENT = re.compile(
    r"(?P<time>[0-9][0-9.]*)?(?: ?(?P<action>[a-z-]+)(?: (?P<elapsed>\S+))?|\|(?P<output>.*))", re.DOTALL
)


def go_test(text: str) -> str:
    """Return the events that `compressors.go_test` was given."""
    _, *lines = text.split("\n")
    times = package = test = ""
    out = []
    for line in lines:
        if not line or line[0] in " {":
            out.append(line.removeprefix(" "))
        elif line[0] == "@":
            times = line[1:]
        elif line.startswith("=="):
            package, test = line[3:], ""
        elif line.startswith("--"):
            test = line[3:]
        else:
            out.append(_event(line, times, package, test))
    return "\n".join(out)


def _event(line: str, times: str, package: str, test: str) -> str:
    found = _EVENT.fullmatch(line)
    assert found, line
    day, _, zone = times.partition("…")
    fields = [f'"Time":"{day}{found["time"]}{zone}"'] if found["time"] else []
    fields.append(f'"Action":"{found["action"] or "output"}"')
    fields += [f'"Package":"{package}"'] if package else []
    fields += [f'"Test":"{test}"'] if test else []
    fields += [f'"Elapsed":{found["elapsed"]}'] if found["elapsed"] else []
    if found["output"] is not None:
        spelled = json.dumps(found["output"] + "\n", ensure_ascii=False)
        for char in "<>&":
            spelled = spelled.replace(char, f"\\u{ord(char):04x}")
        fields.append(f'"Output":{spelled}')
    return "{" + ",".join(fields) + "}"
