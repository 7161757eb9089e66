"""Inverse of the reports of search tools, from the form that compressors/reports.py documents."""

import re

_HEADER = re.compile(r'\[below "== a" was "(.*)a(:?)", "12:x" was "(.*)12(.*)x"\]')


def reports(text: str) -> str:
    """Return the report that `compressors.reports` was given."""
    header, *lines = text.split("\n")
    form = _HEADER.fullmatch(header)
    assert form, header
    before, after, lead, mark = form.groups()
    out = []
    for line in lines:
        hit = re.match(r"([0-9]+)([:-])", line)
        if line.startswith("== "):
            out.append(before + line[3:] + after)
        elif hit:
            out.append(lead + hit[1] + mark.replace(":", hit[2]) + line[hit.end() :])
        else:
            out.append(line)
    return "\n".join(out)
