"""A small screen of one line, to tell what a person would see: one cell for each character."""

import re

SEQUENCE = re.compile(r"\x1b\[([0-9]*)([KGCD])|\x1b\[[<>=?]?[0-9;:]*[mhl]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x07")


def seen(line: str) -> str:
    """Return what `line` leaves on the screen, blanks at its end apart."""
    cells: dict[int, str] = {}
    at = position = 0
    while position < len(line):
        found = SEQUENCE.match(line, position)
        if found:
            position = found.end()
            count, verb = int(found[1] or 0), found[2]
            if verb == "K":
                keep = {"": range(at), "0": range(at), "1": range(at + 1, 10_000), "2": range(0)}[found[1]]
                cells = {column: char for column, char in cells.items() if column in keep}
            elif verb:
                at = {"G": max(count, 1) - 1, "C": at + max(count, 1), "D": max(0, at - max(count, 1))}[verb]
            continue
        char = line[position]
        position += 1
        if char == "\r":
            at = 0
        elif char == "\b":
            at = max(0, at - 1)
        else:
            cells[at] = char
            at += 1
    return "".join(cells.get(column, " ") for column in range(max(cells, default=-1) + 1)).rstrip(" ")
