"""Rows as people see them: what others wrote stays in its cell."""

import pytest

from goral_pipeline.cli_output import print_rows, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Café Ede 🔌", "Café Ede 🔌"),
        ("x9\r\nX: y", "x9\ufffd\ufffdX: y"),
        ("\x1b[31mred\x9b0m\x07", "\ufffd[31mred\ufffd0m\ufffd"),
        ("C\0\u200b\u202e1", "C\ufffd\ufffd\ufffd1"),
    ],
)
def test_nothing_commands_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_row_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"found": "x9\r\n\x1b[31m[bold]X: y"}])
    header, row = capsys.readouterr().out.splitlines()
    assert header.strip() == "found"
    assert row.strip() == "x9\ufffd\ufffd\ufffd[31m[bold]X: y"
