"""The how-to "add a concession", followed to the letter."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import GORAL, REPOSITORY

PAGE = REPOSITORY / "docs" / "how-to" / "add-a-concession.md"
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DRAFT = "third.placements.yaml"


def _squeezed(text: str) -> str:
    return " ".join(text.split())


def _edit(path: Path, difference: str) -> None:
    """Change lines as the page says; what it shows of a line is its beginning."""
    text = path.read_text()
    lines = difference.splitlines()
    for before, after in zip(lines[::2], lines[1::2], strict=True):
        assert (before[0], after[0]) == ("-", "+")
        assert text.count(f"\n{before[1:]}") == 1, before
        text = text.replace(f"\n{before[1:]}", f"\n{after[1:]}")
    path.write_text(text)


def test_the_rules_that_the_page_names_are_there() -> None:
    from goral_pipeline.contracts import staged

    rules = {
        rule.name
        for contract in staged().values()
        for table in contract.tables
        for rule in table.rules
    }
    section = PAGE.read_text().split("## 3. Check it")[1].split("## 4.")[0]
    named = {
        name
        for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", row)
    }
    assert len(named) > 4
    assert named <= rules


@pytest.mark.slow
def test_who_follows_the_page_gets_what_it_says(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{GORAL.parent}{os.pathsep}{os.environ['PATH']}"}
    text = PAGE.read_text().split("## 6.")[0]
    exports, said, followed = "", "", 0
    for language, block in FENCED.findall(text):
        if language == "diff":
            _edit(tmp_path / DRAFT, block)
        elif language == "text":
            for line in block.splitlines():
                assert _squeezed(line) in said
            followed += 1
        elif language == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", exports + block],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            said = _squeezed(done.stdout + done.stderr)
            exports += "".join(f"{line}\n" for line in block.splitlines() if "export " in line)
    assert followed == 2
