"""A reload compares what it reads with what the server runs with, also where the server answers late."""

from typing import Any

import pytest

from proxy_pkg.cli import reload as command
from proxy_pkg.config.load import Examined, examine

SECTION = {"settings": {"backlog": {"value": 100, "source": "default"}}}


@pytest.fixture
def examined(tmp_path: Any) -> Examined:
    file = tmp_path / "settings.toml"
    file.write_text("backlog = 200\n")
    return examine({"HEADROOM_CONFIG": str(file)})


@pytest.mark.parametrize(("late", "held", "silence"), [(0, 1, ""), (2, 1, ""), (3, 0, "it does not answer")])
def test_a_server_that_answers_late_is_asked_again(
    late: int, held: int, silence: str, examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([({}, "it does not answer")] * late + [(SECTION, "")])
    monkeypatch.setattr(command, "asked", lambda _: next(answers))
    found, why = command._held(examined)
    assert (len(found), why) == (held, silence)
