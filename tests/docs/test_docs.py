"""The documentation is true: links, commands, settings, queries and examples are tried."""

import csv
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer.main
from pydantic import SecretStr

from goral_pipeline.cli import app
from goral_pipeline.settings import Settings, url_variable
from goral_pipeline.sources import registry
from goral_pipeline.warehouse import build, dbt_command
from goral_pipeline.warehouse import query as warehouse
from tests.conftest import REPOSITORY, Demo, goral

DOCS = REPOSITORY / "docs"
README = REPOSITORY / "README.md"
PAGES = [README, REPOSITORY / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]

FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = typer.main.get_command(app)


def _name(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def _blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(page.read_text()) if found == language]


# --- links ---


def _anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, made as GitHub makes them."""
    prose = FENCED.sub("", page.read_text())
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_resolves(page: Path) -> None:
    broken = []
    for link in LINK.findall(FENCED.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in _anchors(goal)):
            broken.append(link)
    assert not broken


def test_every_page_is_linked_from_the_map() -> None:
    index = DOCS / "index.md"
    linked = {
        (DOCS / link.partition("#")[0]).resolve()
        for link in LINK.findall(index.read_text())
        if "://" not in link
    }
    assert set(DOCS.rglob("*.md")) - {index} == {path for path in linked if DOCS in path.parents}


def test_every_path_of_the_repository_that_is_named_exists() -> None:
    named = re.compile(r"`((?:goral_pipeline|dbt_project|tests)/[^`<>*…]*)`")
    missing = [
        (_name(page), path)
        for page in PAGES
        for path in named.findall(page.read_text())
        if not (REPOSITORY / path).exists()
    ]
    assert not missing


# --- commands ---


def _leaves(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name."""
    subcommands = getattr(command, "commands", None)
    if not subcommands:
        yield " ".join(names), command
    for name, subcommand in (subcommands or {}).items():
        yield from _leaves(subcommand, *names, name)


COMMANDS = dict(_leaves(COMMAND, "goral"))


def _options(command: Any) -> set[str]:
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-")
    }


def _shown_commands(page: Path) -> Iterator[str]:
    text = page.read_text()
    for block in _blocks(page, "sh"):
        for line in block.splitlines():
            if found := re.match(r"(?:[A-Z_]+=\S+ )*(goral .*)", line):
                yield found[1]
    yield from re.findall(r"`(goral [^`]*)`", FENCED.sub("", text))


def _problem(shown: str) -> str | None:
    words = [word for word in shlex.split(shown, comments=True) if word != "…"]
    command: Any = COMMAND
    rest = words[1:]
    while rest and getattr(command, "commands", None):
        if rest[0].startswith("-"):
            break
        if rest[0] not in command.commands:
            return f"{shown}: there is no {rest[0]}"
        command = command.commands[rest.pop(0)]
    known = _options(command) | {"--help"}
    unknown = [word for word in rest if re.match(r"--[a-z]", word) and word not in known]
    return f"{shown}: there is no {unknown}" if unknown else None


@pytest.mark.parametrize(
    "page", [page for page in PAGES if "CHANGELOG" not in page.name], ids=_name
)
def test_every_command_shown_exists(page: Path) -> None:
    problems = [problem for shown in _shown_commands(page) if (problem := _problem(shown))]
    assert not problems


def test_a_command_that_does_not_exist_is_noticed() -> None:
    assert _problem("goral drop nosuch")
    assert _problem("goral run --nosuch")
    assert _problem('goral run --from 2022-01 "$(date)"') is None


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_target_of_make_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    prose = FENCED.sub("", page.read_text())
    shown = set(re.findall(r"`make ([a-z-]+)", prose))
    shown |= set(re.findall(r"^make ([a-z-]+)", "\n".join(_blocks(page, "sh")), re.MULTILINE))
    assert shown <= targets


def test_the_reference_has_every_command_with_exactly_its_options() -> None:
    sections = re.split(r"^## ", (DOCS / "reference" / "cli.md").read_text(), flags=re.MULTILINE)
    written = {}
    for section in sections:
        title, _, text = section.partition("\n")
        if title.startswith("goral "):
            rows = [line for line in text.splitlines() if line.startswith("| `--")]
            written[title] = set(re.findall(r"`(--[a-z-]+)", "\n".join(row for row in rows)))
    # An option may be spoken of in the row of another.
    own = {name: _options(command) - {"--help"} for name, command in COMMANDS.items()}
    assert written == own


# --- settings ---


def _settings_written() -> dict[str, str]:
    text = (DOCS / "reference" / "settings.md").read_text()
    return dict(re.findall(r"^\| `(GORAL_\w+)` \| ([^|]+) \|", text, re.MULTILINE))


def _default(value: object) -> str:
    if isinstance(value, SecretStr):
        raise AssertionError("a secret has no default")
    return "none" if value is None else f"`{value}`"


def test_settings_are_exactly_those_there_are_with_their_defaults() -> None:
    there_are = {
        f"GORAL_{name.upper()}": _default(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert _settings_written() == there_are


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_setting_named_exists(page: Path) -> None:
    named = set(re.findall(r"GORAL_[A-Z_]+(?!<)", page.read_text()))
    assert named - set(_settings_written()) <= {dbt_command.BUILD_VARIABLE} | _of_datasets()


def _of_datasets() -> set[str]:
    """Variables that are made of the names of datasets; `GORAL_` stands before a place for one."""
    # The third is that of the how-tos.
    third = [f"third/{kind}" for kind in ("placements", "locations", "tariffs", "sessions")]
    datasets = [*registry(REPOSITORY / "no home"), *third]
    tokens = {f"GORAL_{dataset.split('/')[0].upper()}_TOKEN" for dataset in datasets}
    return {url_variable(dataset) for dataset in datasets} | tokens | {"GORAL_"}


# --- what can be tried on the demo ---


def _queries() -> list[tuple[str, str | None]]:
    """Each query, and the rows it is said to give."""
    text = (DOCS / "how-to" / "explain-a-figure.md").read_text()
    shown = re.findall(
        r"^```sql\n(.*?)^```\n(?:```csv\n(.*?)^```)?", text, re.MULTILINE | re.DOTALL
    )
    return [(sql, rows or None) for sql, rows in shown]


def test_every_query_gives_the_rows_that_are_shown(demo: Demo) -> None:
    queries = _queries()
    assert len(queries) > 10
    path = demo.home / "warehouse" / build.FILE
    with warehouse.connect(path, memory_limit="1GB", threads=1) as con:
        for sql, shown in queries:
            table = warehouse.query(con, sql)
            assert table.num_rows > 0, sql
            if shown is not None:
                rows = [
                    ["" if value is None else str(value) for value in row.values()]
                    for row in table.to_pylist()
                ]
                assert [table.column_names, *rows] == list(csv.reader(io.StringIO(shown))), sql


def test_a_query_is_shown_as_the_command_line_prints_it(demo: Demo) -> None:
    sql, shown = _queries()[0]
    assert goral("query", sql, "--format", "csv", home=demo.home).out == shown


def test_the_excerpt_in_the_readme_is_what_the_demo_prints(demo: Demo) -> None:
    said = [" ".join(line.split()) for line in f"{demo.out}\n{demo.err}".splitlines()]
    excerpt = next(block for block in _blocks(README, "text") if "requests_received" in block)
    for line in excerpt.splitlines():
        parts = [" ".join(part.split()) for part in line.split("...")]
        assert any(all(part in text for part in parts) for text in said), line


def _taken(folder: Path) -> subprocess.CompletedProcess[str]:
    """The example for taking a drop, run in the folder that holds `drops`."""
    (example,) = _blocks(DOCS / "how-to" / "take-a-drop.md", "python")
    return subprocess.run(
        [sys.executable, "-c", example],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_example_takes_a_drop(demo: Demo) -> None:
    done = _taken(demo.home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{demo.drop} demo ")
    assert "'dim_municipality': 77" in done.stdout


@pytest.mark.parametrize(
    "name", ["manifest.json", "dictionary.en.md", "dim_month/dim_month.parquet"]
)
def test_the_example_refuses_a_changed_drop(demo: Demo, demo_drops: Path, name: str) -> None:
    path = demo_drops / "releases" / demo.drop / name
    path.write_bytes(path.read_bytes() + b" ")
    done = _taken(demo_drops.parent)
    assert done.returncode == 1
    assert f"{path.name} is not what was published" in done.stderr
