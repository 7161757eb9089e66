"""Texts with lines that look like headers or marks of ours: a reader could not tell them from those that we write.

Each form checks what it needs itself; but forms follow one another, and the header of one below that of another would
be read as the other's. So such a text takes no form at all.
"""

import re

_LIKE_OURS = (
    r"[ \t]*+[\[{](?:In tables: |diff; |tree: |short names, each |every 10th line numbered|hits(?: by file|; )"
    r"|below,? ?\"|each \"=== RUN\"|percentages of pytest left out|go test -json events: "
    r"|rows printed '|printed '|\u2026 in [{\[]"
    r"|[0-9]+ (?:[^\s:]+ ){0,3}(?:rows|JSON lines)[ :,]|[0-9]+ paths by directory|block [0-9]"
    r"|the (?:[0-9]+ )?lines? above)"
)
_ANYWHERE = ("[rows printed '", " rows, printed '")
_FIRST = re.compile(_LIKE_OURS)
_LATER = re.compile("\n" + _LIKE_OURS)


def is_forged(text: str) -> bool:
    """Tell whether some line of `text` begins like a header or a mark of a compressor. Linear.

    What says how rows were printed is looked for inside lines too: it stands in quotes, and cells may hold its end.
    """
    return any(sign in text for sign in _ANYWHERE) or _FIRST.match(text) is not None or _LATER.search(text) is not None
