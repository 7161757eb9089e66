"""Facts: planted ones are found in the text that holds them, and missed in one that lost them."""

import json
from random import Random

import pytest

from bench.baselines import BASELINES
from bench.compression_corpus import READS, Block
from bench.facts import NATURAL, Fact, View, natural
from bench.facts_planted import CLASSES, IN_PLACE, Planted, Sheet, plant
from tests.compressors.inverse_tables import json_values

LOG = "".join(
    f"2024-03-{day:02d} 10:11:{second:02d} INFO worker-{day * 7}: took {day * 13 + second} ms for r{day}{second}\n"
    for day in range(1, 10)
    for second in range(5)
)
SHEETS = {
    "logs": LOG,
    "tests and builds": "".join(f"tests/test_area{n}.py::test_case_{n * n} PASSED\n" for n in range(30)),
    "CSV": "code,city,visitors\n" + "".join(f"A{n:03d},Town {n % 7},{n * 31 + 7}\n" for n in range(30)),
    "JSON": '{"rows": [\n'
    + ",\n".join(f'  {{"id": "x{n:04d}", "status": "ok", "visitors": {n * 17 + 3}}}' for n in range(30))
    + "\n]}",
    "JSON beyond ASCII": '[{"name": "Zoë 0", "id": "é0"}, '
    + ", ".join(f'{{"name": "Anna {n}", "id": "k{n:04d}"}}' for n in range(30))
    + "]",
    "HTML": "<html><body>\n"
    + "".join(f"<p>Paragraph number{n} tells of release{n * 3} in short words.</p>\n" for n in range(12))
    + "</body></html>",
    READS: "".join(f"{n:6d}→    total{n} = measure{n}(width, height)\n" for n in range(1, 40)),
    "diffs": "@@ -1,9 +1,9 @@\n" + "".join(f"-    old{n} = call({n})\n+    new{n} = call({n})\n" for n in range(12)),
}
COULD_BE = {
    "logs": set(CLASSES),
    "tests and builds": {"err", "ask", "mute"},
    "CSV": {"ask", "outlier", "mute"},
    "JSON": set(CLASSES),
    "JSON beyond ASCII": {"ask", "mute"},
    "HTML": {"ask", "mute"},
    READS: {"ask", "mute"},
    "diffs": {"ask", "mute"},
}


def sheet(name: str) -> Sheet:
    return Sheet(Block(name.removesuffix(" beyond ASCII"), name, SHEETS[name]))


def planted(name: str, class_: str) -> list[Planted]:
    chance = Random(5)
    drawn = [plant(sheet(name), class_, chance) for _ in range(12)]
    return [one for one in drawn if one is not None]


@pytest.mark.parametrize("name", SHEETS)
def test_a_kind_lends_itself_to_the_classes_that_it_can_have(name: str) -> None:
    assert {class_ for class_ in CLASSES if planted(name, class_)} == COULD_BE[name]


@pytest.mark.parametrize("name", SHEETS)
def test_a_planted_fact_is_seen_in_its_text_and_not_in_the_one_before(name: str) -> None:
    for class_ in COULD_BE[name]:
        for one in planted(name, class_):
            text = sheet(name).with_units({one.place: one.unit})
            assert View(text).shows(one.fact), one
            assert not View(SHEETS[name]).shows(one.fact), one


@pytest.mark.parametrize("name", SHEETS)
def test_a_planted_unit_leaves_every_other_unit_as_it_was(name: str) -> None:
    one = planted(name, "ask")[0]
    before = sheet(name)
    units = [before.unit(index) for index in range(len(before.units))]
    now = Sheet(Block(before.kind, name, before.with_units({one.place: one.unit})))
    found = [now.unit(index) for index in range(len(now.units))]
    end = one.place + (before.kind in IN_PLACE)
    assert found == [*units[: one.place], one.unit, *units[end:]]


def test_only_an_asked_fact_names_what_was_asked() -> None:
    assert all(one.asked and one.asked in one.unit for one in planted("logs", "ask"))
    assert all(not one.asked for class_ in ("err", "outlier", "mute") for one in planted("logs", class_))


def test_the_same_seed_plants_the_same() -> None:
    assert planted("JSON", "outlier") == planted("JSON", "outlier")


def test_an_outlier_is_twenty_times_its_neighbour() -> None:
    values = {int(line.rsplit(",", 1)[1]) for line in SHEETS["CSV"].splitlines()[1:]}
    assert all(int(one.fact.parts[1]) / 20 in values for one in planted("CSV", "outlier"))


def test_parts_count_only_on_one_line() -> None:
    fact = Fact(("k17", "42"))
    assert View("a k17 b 42 c").shows(fact)
    assert not View("a k17 b\n42 c").shows(fact)
    assert View("a k17 b\n42 c").shows(Fact(fact.parts, lines=2))
    assert not View("a k17 b\n\n42 c").shows(Fact(fact.parts, lines=2))


def test_a_part_counts_only_as_a_whole_word() -> None:
    assert not View("k17 is 142").shows(Fact(("k17", "42")))
    assert not View("k17 is 420").shows(Fact(("k17", "42")))
    assert View("k17 is 142, then 42.").shows(Fact(("k17", "42")))


def test_parts_count_only_in_one_record() -> None:
    rows = {"rows": [{"id": "k17", "n": "42"}, {"id": "k18", "n": "7"}]}
    assert View(rows).shows(Fact(("k17", "42")))
    assert not View(rows).shows(Fact(("k17", "7")))
    assert View(rows).shows(Fact(("k18",)))


def test_a_line_that_is_a_record_is_found_by_its_values() -> None:
    rows = [{"id": "k17", "n": [1, 2]}, {"id": "k18", "n": []}]
    array = json_values(json.dumps(rows))
    for view in (View(array), View(tuple(array))):
        assert view.shows(Fact(('{"n": [1,2], "id": "k17"}',)))
        assert not view.shows(Fact(('{"n": [1,3], "id": "k17"}',)))


def test_a_line_counts_as_a_terminal_shows_it() -> None:
    fact = Fact(("10%\r99%\r\x1b[31mdone\x1b[0m",))
    assert View("first\ndone").shows(fact)
    assert not View("first\nfailed").shows(fact)


@pytest.mark.parametrize("kind", NATURAL)
def test_every_kind_has_natural_facts_and_shows_them(kind: str) -> None:
    text = (
        'src/app.py:12: def read(path): ERROR 3 rows\n+ added 17 lines, \'status\': "id": "x0001"\n'
        "def write(path):\nFAILED test_x\n<p>one two three four five six seven eight nine ten</p>\n"
    )
    facts = natural(kind, text)
    assert facts
    assert all(View(text).shows(fact) for fact in facts)
    assert not any(View("nothing of it").shows(fact) for fact in facts)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_keeps_to_its_budget_and_uses_it(name: str) -> None:
    costs = [3, 5, 2, 8, 4, 6, 1, 7] * 5
    for budget in (0, 10, 60, sum(costs)):
        kept = BASELINES[name](costs, budget, Random(1))
        spent = sum(cost for cost, is_kept in zip(costs, kept, strict=True) if is_kept)
        assert budget - 16 <= spent <= budget


def test_head_and_tail_leaves_a_gap_in_the_middle() -> None:
    assert bytes(BASELINES["head+tail"]([1] * 10, 4, Random(0))) == bytes([1, 1, 0, 0, 0, 0, 0, 0, 1, 1])
