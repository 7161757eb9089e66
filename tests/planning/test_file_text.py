"""What may be a file's text comes back byte for byte; only of what is known to be none, more may change."""

import msgspec
import pytest

from proxy_pkg.compressors.producers import Tools
from proxy_pkg.model import Grade, Producer
from proxy_pkg.planning.policy import Rules, decide
from tests.fakes.tokens import FourCharacters

ROWS = msgspec.json.encode([{"id": number, "name": f"name {number}", "is_on": True} for number in range(60)]).decode()
PAGE = "<html>\n" + "".join(f'  <div class="row">\n    <a href="/items/{n}">{n}</a>\n  </div>\n' for n in range(60))
COLOURED = "".join(f"\x1b[32mtest {number} passed\x1b[0m\n" for number in range(60))
BETWEEN = 'for f in a b; do ./show "$f"; done'


def shell(command: str) -> Producer:
    return Producer("Bash", {"command": command})


def grade(text: str, producer: Producer, tools: Tools = Tools()) -> Grade | None:  # noqa: B008  # frozen
    return decide(text, producer, Rules(5, 1 << 20, tools=tools), FourCharacters()).grade


@pytest.mark.parametrize("text", [ROWS, PAGE], ids=["json", "html"])
@pytest.mark.parametrize(
    "producer",
    [
        Producer(),
        Producer("mystery", {"path": "a"}),
        Producer("mcp__x__render"),
        shell("./show a"),
        shell(BETWEEN),
        shell("python3 report.py"),
        shell("uv run show a"),
    ],
    ids=lambda producer: str(producer.arguments) if producer.name == "Bash" else producer.name,
)
def test_what_an_unknown_producer_prints_may_be_a_file(text: str, producer: Producer) -> None:
    assert grade(text, producer) in (None, Grade.INVERTIBLE)


@pytest.mark.parametrize(
    "producer",
    [shell("curl -s https://example.test"), Producer("WebFetch"), Producer("mcp__db__query_rows")],
    ids=lambda producer: producer.name,
)
def test_what_is_no_file_may_keep_its_values_alone(producer: Producer) -> None:
    assert grade(ROWS, producer) is Grade.VALUE_EQUAL
    assert grade(PAGE, producer) is Grade.PRESENTATION


def test_operators_name_tools_that_hold_no_file() -> None:
    producer = Producer("mcp__crm__render")
    assert grade(ROWS, producer) is not Grade.VALUE_EQUAL
    assert grade(ROWS, producer, Tools(data=("mcp__crm__*",))) is Grade.VALUE_EQUAL
    assert grade(ROWS, producer, Tools(files=("mcp__*",), data=("mcp__crm__*",))) is None


def test_what_a_shell_shows_in_colour_is_written_without() -> None:
    assert grade(COLOURED, shell("./run")) is Grade.PRESENTATION
    assert grade(COLOURED, shell("cat log")) is None
    assert grade(COLOURED, Producer("mystery")) is None
