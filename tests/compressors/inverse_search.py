"""Inverses of the forms of searches, path lists and diffs, written from their documented rules."""

import itertools
import re


def search(text: str) -> str:
    """Return the hits that `compressors.search` was given."""
    header, _, body = text.partition("\n")
    lines = body.rstrip("\n").split("\n")
    said = header[1:-1].split("; ")
    prefix = said[0].partition(", paths start with ")[2]
    root = next((part.partition(" paths below ")[2] for part in said if " had paths below " in part), "")
    marked, headed = ": hits, - context" in said, "blank lines between" in said
    out: list[str] = []
    path: str | None = "" if said[0] == "[hits"[1:] else None
    last = 0
    for line in lines:
        if line == "==":
            path = None
        elif line.startswith("== "):
            path, last = prefix + line[3:], 0
            if headed:
                out += [""] * bool(out) + [path]
        elif path is None:
            out.append(line)
        elif found := re.match("([1-9][0-9]{0,8})([:-])", line):
            last = int(found[1])
            out.append(_hit(path, found[2], found[1], line[found.end() :], root, headed))
        elif line == "--":
            out.append(line)
            last = 0
        elif last:
            last += 1
            out.append(_hit(path, "-", str(last), line, root, headed))
        else:
            out.append(path + line if marked else f"{path}:{line}")
    return "\n".join(out) + "\n" * (len(text) - len(text.rstrip("\n")))


def _hit(path: str, mark: str, number: str, text: str, root: str, headed: bool) -> str:
    if headed:
        return number + mark + text
    line = (path + mark if path else "") + number + mark + text
    return root + line if ":" not in line else line


def paths(text: str) -> str:
    """Return the list that `compressors.paths` was given."""
    before, count, prefix, body = re.fullmatch(
        r"((?s:.*?\n)??)\[([0-9]+) paths by directory(?:, all below (.*))?\]\n((?s:.*))", text
    ).groups()  # type: ignore[union-attr]
    left = int(count)
    mark = "/" if "/" in (prefix or "") + body else "\\"
    lines = body.split("\n")
    out: list[str] = []
    folder = ""
    at = 0
    while left:
        line = lines[at]
        at += 1
        if line.startswith(" "):
            out.append((prefix or "") + folder + line[1:])
        elif line.endswith(mark) and left > 1 and lines[at].startswith(" "):
            folder = line
            continue
        else:
            out.append((prefix or "") + line)
        left -= 1
    return before + "\n".join(out + lines[at:])


def tree(text: str) -> str:
    """Return the tree that `compressors.tree` was given."""
    header, *lines = text.split("\n")
    found = re.fullmatch(r"\[tree: (\d+) entries below line (\d+), indented instead of (.*)\]", header)
    assert found, header
    start = int(found[2])
    entries = lines[start : start + int(found[1])]
    depths = [len(line) - len(line.lstrip(" ")) for line in entries]
    bar = {"├──": "│   ", "|--": "|   "}.get(found[3], "│\xa0\xa0 ")
    branch, last = ("|-- ", "`-- ") if found[3] == "|--" else ("├── ", "└── ")
    for at, depth in enumerate(depths):
        later = [_comes_again(depths[at + 1 :], level) for level in range(depth + 1)]
        lead = "".join(bar if each else "    " for each in later[:-1])
        entries[at] = lead + (branch if later[-1] else last) + entries[at][depth:]
    return "\n".join(lines[:start] + entries + lines[start + len(entries) :])


def _comes_again(depths: list[int], level: int) -> bool:
    return next((depth == level for depth in depths if depth <= level), False)


def diff(text: str) -> str:
    """Return the diff that `compressors.diffs` was given."""
    header, *lines = text.split("\n")
    found = re.search(r"diff --git (.*?)PATH (.*?)PATH,", header)
    if "hunk lengths left out" in header:
        lines = _with_lengths(lines)
    return "\n".join(_with_file_headers(lines, found[1], found[2]) if found else lines)


def _with_lengths(lines: list[str]) -> list[str]:
    out = []
    for at, line in enumerate(lines):
        hunk = re.match(r"@@ -([0-9]+) \+([0-9]+) @@", line)
        if hunk:
            body = list(itertools.takewhile(re.compile(r"[ +\-\\]|\[[1-9][0-9]{0,8}\]$").match, lines[at + 1 :]))
            left_out = sum(int(each[1:-1]) for each in body if each[0] == "[")
            old = left_out + sum(each[0] in " -" for each in body)
            new = left_out + sum(each[0] in " +" for each in body)
            line = f"@@ -{hunk[1]}{_length(old)} +{hunk[2]}{_length(new)} @@{line[hunk.end() :]}"
        out.append(line)
    return out


def _length(count: int) -> str:
    return "" if count == 1 else f",{count}"


def _with_file_headers(lines: list[str], old: str, new: str) -> list[str]:
    known = ("old mode ", "new mode ", "deleted file mode ", "new file mode ", "similarity index ")
    known += ("dissimilarity index ", "rename from ", "rename to ", "copy from ", "copy to ", "index ")
    out: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if (line != "diff" and not line.startswith("diff ")) or line.startswith("diff --"):
            out.append(line)
            continue
        start = at
        while at < len(lines) and (lines[at].startswith(known) or re.fullmatch(r"\[[1-9][0-9]{0,8}\]", lines[at])):
            at += 1
        extended = lines[start:at]
        before = after = line[5:]
        if line == "diff":
            before, after = (each.split(" ", 2)[2] for each in extended if each.startswith(("rename ", "copy ")))
        out += [f"diff --git {old}{before} {new}{after}", *extended]
        if at < len(lines) and lines[at].startswith("@@"):
            created = any(each.startswith("new file mode ") for each in extended)
            deleted = any(each.startswith("deleted file mode ") for each in extended)
            out.append("--- /dev/null" if created else f"--- {old}{before}")
            out.append("+++ /dev/null" if deleted else f"+++ {new}{after}")
    return out
