"""Whether what a reducer of JSON sent is what was there, but for gaps with their marks: from the documented form."""

import re
from typing import Any

from tests.compressors.inverse_tables import json_values

_MARK = re.compile(r"\[([0-9]+) (records|items) left out: ([0-9]+)(?:-([0-9]+))?\]")
_CUT = re.compile(r"(.{64})\[([0-9]+) characters left out: 65-([0-9]+)\]", re.DOTALL)


def has_only_records_of(before: str, after: str) -> bool:
    """Whether the values of `after` are those of `before`, in order, and each mark names just what went."""
    try:
        whole, left = json_values(before), json_values(after)
    except ValueError:
        return False
    return _is_left_of(whole, left)


def _is_left_of(whole: Any, left: Any) -> bool:
    if isinstance(whole, list | tuple) and type(left) is type(whole):
        return _elements_are_left(list(whole), list(left))
    if isinstance(whole, dict) and isinstance(left, dict):
        return _members_are_left(whole, left)
    if type(whole) is str and type(left) is str and whole != left:
        cut = _CUT.fullmatch(left)
        if cut:
            return whole.startswith(cut[1]) and len(whole) == int(cut[3]) == int(cut[2]) + 64
        return has_only_records_of(whole, left)
    return bool(whole == left)


def _elements_are_left(whole: list[Any], left: list[Any]) -> bool:
    at = 0
    for each in left:
        mark = _MARK.fullmatch(each) if type(each) is str else None
        if mark and not (at < len(whole) and whole[at] == each):
            at = _behind(mark, at)
            if not at:
                return False
        elif at < len(whole) and _is_left_of(whole[at], each):
            at += 1
        else:
            return False
    return at == len(whole)


def _members_are_left(whole: dict[str, Any], left: dict[str, Any]) -> bool:
    names, at = list(whole), 0
    for name, each in left.items():
        mark = _MARK.fullmatch(name) if each is None and name not in whole else None
        if mark:
            at = _behind(mark, at)
            if not at:
                return False
        elif at < len(names) and names[at] == name and _is_left_of(whole[name], each):
            at += 1
        else:
            return False
    return at == len(names)


def _behind(mark: re.Match[str], at: int) -> int:
    """Where what `mark` stands for ends, 0 if it does not begin at `at`, or counts otherwise."""
    first, last = int(mark[3]), int(mark[4] or mark[3])
    return last if first == at + 1 and last - first + 1 == int(mark[1]) else 0
