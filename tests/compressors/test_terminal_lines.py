"""What of terminal output stays at the level `balanced`."""

from proxy_pkg.compressors.terminal_lines import TERMINAL_LINES


def test_lines_are_chosen_by_how_they_look_and_kept_as_they_came() -> None:
    passed = [f"\x1b[32m  ✓ adds {n} items\x1b[0m" for n in range(100)]
    lines = [*passed, "\x1b[31m  ✕ removes items\x1b[0m", "    Expected: 2"]
    assert TERMINAL_LINES.reduce("\n".join(lines), ()) == "\n".join(
        [passed[0], "[98 lines left out: 2-99]", passed[99], *lines[100:]]
    )


def test_colours_do_not_hide_an_error_of_a_log() -> None:
    lines = [f"\x1b[2m2024-05-01 10:00:{n % 60:02d}\x1b[0m \x1b[32m INFO\x1b[0m job {n} is done" for n in range(500)]
    lines[250] = lines[250].replace(" INFO", "ERROR")
    reduced = TERMINAL_LINES.reduce("\n".join(lines), ())
    assert reduced is not None
    assert lines[250] in reduced.split("\n")


def test_other_output_stays() -> None:
    assert TERMINAL_LINES.reduce("\n".join(f"\x1b[1mchapter {n}\x1b[0m of a book" for n in range(500)), ()) is None
