"""What a check-up found out."""

from msgspec import Struct


class Finding(Struct, frozen=True):
    """`state` is ok, warning or problem; `advice` says what to do, and is empty where nothing is to be done."""

    state: str
    subject: str
    text: str
    advice: str = ""


def ok(subject: str, text: str) -> Finding:
    """All is well."""
    return Finding("ok", subject, text)


def warning(subject: str, text: str, advice: str) -> Finding:
    """It works, but not as somebody would want it."""
    return Finding("warning", subject, text, advice)


def problem(subject: str, text: str, advice: str) -> Finding:
    """It does not work."""
    return Finding("problem", subject, text, advice)
