"""What a piece of text costs a model, by rule of thumb: good enough to compare two spellings of it."""

import re

_PIECE = re.compile(r"[A-Za-z]{1,7}|[0-9]{1,3}|[^\sA-Za-z0-9]{1,3}|\n|[^\S\n]+(?=[^\S\n]|[^A-Za-z])")


def tokens(text: str) -> int:
    """Return roughly how many tokens `text` is. A blank before a word costs nothing, as it joins the word."""
    return len(_PIECE.findall(text))
