"""A form changes only with the version of its compressor."""

from msgspec.structs import replace

from tests.compressors.golden import Golden, changed, current, kept

NOW = current()


def test_no_form_changed_without_a_new_version() -> None:
    assert changed(kept(), NOW) == [], "raise `version` there, then run `python -m tests.compressors.golden`"


def test_every_form_is_written_down() -> None:
    """Else the test above could not see a change of it."""
    assert kept() == NOW, "run `python -m tests.compressors.golden`"


def test_a_changed_form_is_seen_and_a_raised_version_allows_it() -> None:
    before = {"logs": Golden(1, {"text": "form", "other": "same"})}
    after = {"logs": Golden(1, {"text": "another form", "other": "same"})}
    assert changed(before, after) == ["logs"]
    assert changed(before, {"logs": replace(after["logs"], version=2)}) == []
    assert changed(before, before | {"new": Golden(1, {"text": "x"})}) == []
