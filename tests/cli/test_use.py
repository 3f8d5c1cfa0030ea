"""Right and wrong use: help, exit codes, and messages instead of tracebacks."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer

from goral_pipeline import cli
from goral_pipeline.demo import vattenfall_requests
from tests.cli.conftest import Main
from tests.conftest import goral

DONE, FAILED, WRONG_USE = 0, 1, 2
KEY = "a key of the tests that is long enough"


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command there is, with the groups it is in."""
    found = group or typer.main.get_command(cli.app)
    yield before
    for name, command in getattr(found, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from commands(command, (*before, name))
        else:
            yield (*before, name)


def test_the_commands_that_scripts_rely_on_are_there() -> None:
    there = {" ".join(command) for command in commands()}
    assert {
        *("run", "deliver", "status", "query", "dev"),
        *("drop publish", "drop verify", "drop list"),
        *("demo run", "demo serve", "demo write"),
        *("sources list", "sources draft-mapping", "sources check"),
    } <= there


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_explains_itself(main: Main, command: tuple[str, ...]) -> None:
    ran = main(*command, "--help")
    assert ran.code == DONE
    assert "Usage:" in ran.out
    assert len(ran.out.splitlines()) > 4


def test_without_a_command_it_shows_what_there_is(main: Main) -> None:
    ran = main()
    assert "deliver" in ran.out + ran.err


# ── wrong use ────────────────────────────────────────────────────────────────────────────────────

UNKNOWN = (
    "goral: there is no dataset 'rvo/nothing'; there are ecotap_allego/placements, "
    "ecotap_allego/requests, elaadnl/logistics_outlook, elaadnl/passenger_outlook, "
    "ndw_dotnl/locations, ndw_dotnl/tariffs, pdok/municipality_boundaries, "
    "rvo/charge_point_counts, rvo/coverage, rvo/inhabitants, rvo/vehicles, "
    "vattenfall/locations, vattenfall/placements, vattenfall/requests, vattenfall/sessions, "
    "vattenfall/tariffs\n"
)
WRONG = {
    "dataset of deliver": (["deliver", "rvo/nothing", "FILE"], UNKNOWN),
    "dataset of run": (["run", "--only", "rvo/nothing"], UNKNOWN),
    "month": (
        ["run", "--from", "2022-13"],
        "goral: --from '2022-13' is no month of the form 2022-07\n",
    ),
    "order": (
        ["run", "--from", "2022-05", "--to", "2022-04"],
        "goral: --from 2022-05 lies after --to 2022-04\n",
    ),
    "future": (["run", "--from", "2999-01"], "goral: --from 2999-01 lies in the future\n"),
    "as of and from": (
        ["run", "--as-of", "2022-01-01", "--from", "2022-01"],
        "goral: --as-of takes all months and datasets as they were known then\n",
    ),
    "no partition for events": (
        ["deliver", "vattenfall/requests", "FILE"],
        "goral: vattenfall/requests holds events: say which month the file is for, with "
        "--partition, e.g. --partition 2022-04\n",
    ),
    "partition of another form": (
        ["deliver", "vattenfall/requests", "FILE", "--partition", "2022"],
        "goral: vattenfall/requests is kept by month: '2022' is not of the form 2022-07\n",
    ),
    "year of another form": (
        ["deliver", "pdok/municipality_boundaries", "FILE", "--partition", "2022-07"],
        "goral: pdok/municipality_boundaries is kept by year: '2022-07' is not of the form 2022\n",
    ),
    "edition of another form": (
        ["deliver", "elaadnl/passenger_outlook", "FILE", "--partition", "2024"],
        "goral: elaadnl/passenger_outlook is kept by edition: '2024' is not of the form 2022Q3\n",
    ),
    "missing file": (
        ["deliver", "vattenfall/requests", "nowhere.xlsx", "--partition", "2022-05"],
        "goral: nowhere.xlsx is not a file\n",
    ),
    "folder": (
        ["deliver", "vattenfall/requests", "/", "--partition", "2022-05"],
        "goral: / is not a file\n",
    ),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_wrong_use_is_said_and_nothing_is_done(
    main: Main, tmp_path: Path, arguments: list[str], said: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    ran = main(*(str(file) if argument == "FILE" else argument for argument in arguments))
    assert (ran.code, ran.out, ran.err) == (WRONG_USE, "", said)
    assert not (tmp_path / "home" / "landing").exists()


def test_a_partition_in_the_future_is_wrong_use(main: Main, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    ran = main("deliver", "vattenfall/requests", file, "--partition", "2999-01")
    assert ran.code == WRONG_USE
    assert re.fullmatch(
        r"goral: vattenfall/requests goes from 2022-04 to \d{4}-\d{2}; 2999-01 lies outside\n",
        ran.err,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["query"],
        ["query", "select 1", "--format", "xml"],
        ["run", "--as-of", "2022-13-01"],
        ["run", "--nonsense"],
        ["deliver", "vattenfall/requests"],
        ["dev", "--port", "0"],
        ["demo", "serve", "--port", "65536"],
    ],
    ids=" ".join,
)
def test_what_the_command_line_does_not_know_is_wrong_use(main: Main, arguments: list[str]) -> None:
    ran = main(*arguments)
    assert ran.code == WRONG_USE
    assert "Traceback" not in ran.said
    assert "Usage:" in ran.err


@pytest.mark.parametrize("key", [None, "", "too short"])
def test_without_the_programme_key_personal_data_are_not_read(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    if key is not None:
        monkeypatch.setenv("GORAL_PSEUDONYM_KEY", key)
    file = tmp_path / "export.xlsx"
    file.write_bytes(vattenfall_requests.export("2022-04"))
    ran = main("deliver", "vattenfall/requests", file, "--partition", "2022-04")
    assert ran.code == WRONG_USE
    assert "goral: GORAL_PSEUDONYM_KEY must hold at least 32 characters" in ran.err
    assert "secrets.token_hex(32)" in ran.err, "the mend"
    assert "too short" not in ran.err
    assert not (tmp_path / "home" / "staging").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("DUCKDB_THREADS", "0"), ("DUCKDB_THREADS", "s3cret"), ("HTTP_ATTEMPTS", "99")],
)
def test_a_wrong_setting_is_named_without_its_value(
    main: Main, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"GORAL_{name}", value)
    ran = main("status")
    assert ran.code == WRONG_USE
    assert ran.err.startswith(f"goral: settings are wrong: GORAL_{name}: ")
    assert "s3cret" not in ran.err


def test_a_ledger_that_cannot_be_reached_is_named_without_its_password(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_LEDGER_URL", "sqlite:////dev/null/s3cret/ledger.sqlite")
    ran = main("status")
    assert ran.code == WRONG_USE
    assert "the ledger cannot be opened" in ran.err
    assert "GORAL_LEDGER_URL" in ran.err
    assert "s3cret" not in ran.err


# ── right use that fails ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["query", "select 1"], "there is no warehouse yet; `goral run` builds it"),
        (["drop", "verify"], "nothing is published: there is no latest.json"),
        (["drop", "verify", "x"], "there is no drop 'x'; `goral drop list` names those there are"),
        (["drop", "verify", "../x"], "'../x' is not the name of a drop"),
    ],
)
def test_in_an_empty_home_it_says_what_to_do(main: Main, arguments: list[str], said: str) -> None:
    ran = main(*arguments)
    assert (ran.code, ran.out, ran.err) == (FAILED, "", f"goral: {said}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status"], "nothing was delivered yet: see `goral run`, or `goral demo run`\n"),
        (["drop", "list"], "nothing is published yet; `goral run` does so\n"),
    ],
)
def test_an_empty_home_is_no_failure(main: Main, arguments: list[str], said: str) -> None:
    ran = main(*arguments)
    assert (ran.code, ran.out, ran.err) == (DONE, "", said)


def test_an_empty_home_is_not_published(main: Main, tmp_path: Path) -> None:
    ran = main("drop", "publish")
    assert (ran.code, ran.out) == (FAILED, "")
    assert re.match(r"goral: there is no(thing| warehouse) to publish", ran.err)
    assert not (tmp_path / "home" / "drops").exists()


def test_a_rejected_delivery_says_what_was_found_and_expected(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_PSEUDONYM_KEY", KEY)
    file = tmp_path / "export.xlsx"
    file.write_bytes(b"<html>please log in</html>")
    ran = main("deliver", "vattenfall/requests", file, "--partition", "2022-05")
    assert ran.code == FAILED
    assert ran.out == ""
    assert re.match(
        r"goral: vattenfall/requests 2022-05 failed: .*delivery [0-9a-f]{16}: "
        r"found HTML or XML, expected a workbook",
        ran.err,
    )
    assert "log in" not in ran.err, "what is delivered may be personal"
    told = main("status")
    assert (told.code, "rejected" in told.out, "found" in told.out) == (DONE, True, True)


def test_several_files_go_on_after_a_bad_one(main: Main, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.json.gz", tmp_path / "good.json.gz"
    bad.write_bytes(b"")
    good.write_bytes(b"x")
    ran = main("deliver", "ndw_dotnl/locations", bad, good)
    assert ran.code == FAILED
    lines = [line for line in ran.err.splitlines() if line.startswith("goral: ")]
    assert len(lines) == 2
    assert "found an empty file, expected a JSON array of OCPI locations in gzip" in lines[0]


# ── the system refuses ───────────────────────────────────────────────────────────────────────────


def test_a_place_that_cannot_be_written_is_told_without_a_traceback(
    main: Main, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"")
    ran = main("demo", "write", taken)
    assert ran.code == FAILED
    assert ran.err.startswith("goral: the system refuses: ")
    assert str(taken) in ran.err


def test_a_port_that_is_taken_is_told_without_a_traceback(main: Main) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ran = main("demo", "serve", "--port", other.getsockname()[1])
    assert ran.code == FAILED
    assert ran.err.startswith("goral: the system refuses: ")


# ── in a process of its own ──────────────────────────────────────────────────────────────────────


def test_exit_codes_and_streams_are_those_of_the_process(tmp_path: Path) -> None:
    wrong = goral("run", "--from", "2022-13")
    assert (wrong.code, wrong.out) == (WRONG_USE, "")
    failed = goral("drop", "verify")
    assert (failed.code, failed.out) == (FAILED, "")
    assert failed.err == "goral: nothing is published: there is no latest.json\n"
    done = goral("status", "--json")
    assert (done.code, done.err) == (DONE, "")
    assert json.loads(done.out) == {
        "partitions": [],
        "overdue": [],
        "implausible": [],
        "published": None,
        "published_sessions": None,
    }


def test_the_demo_s_deliveries_can_be_written_and_delivered(main: Main, tmp_path: Path) -> None:
    folder = tmp_path / "demo files"
    ran = main("demo", "write", folder)
    assert ran.code == DONE
    assert ran.err == f"72 invented deliveries written to {folder}\n"
    assert len(list(folder.glob("DEMO_*"))) == 72
    boundaries = folder / "DEMO_pdok_municipality_boundaries_2022.geojson"
    told = main("deliver", "pdok/municipality_boundaries", boundaries, "--partition", "2022")
    assert told.code == DONE
    assert told.err == (
        "pdok/municipality_boundaries 2022 new: municipality_boundaries 79 accepted, "
        "0 duplicate, 0 quarantined\n"
    )
    again = main("deliver", "pdok/municipality_boundaries", boundaries, "--partition", "2022")
    assert again.code == DONE
    assert again.err.startswith("pdok/municipality_boundaries 2022 unchanged: ")
    (row,) = json.loads(main("status", "--json").out)["partitions"]
    assert row["demo"] is True, "the name of the file tells"


def test_click_s_own_errors_are_not_shown_as_tracebacks() -> None:
    assert issubclass(click.exceptions.UsageError, click.ClickException)
    ran = goral("deliver")
    assert ran.code == WRONG_USE
    assert "Traceback" not in ran.said


def test_a_demo_goes_nowhere_but_into_its_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GORAL_DROPS_URL", "s3://what-ndw-reads/drops")
    monkeypatch.setenv("GORAL_CDR_DROPS_URL", "s3://what-ndw-reads/sessions")
    monkeypatch.setenv("GORAL_LEDGER_URL", "postgresql+psycopg://real/ledger")
    settings = cli._demo_settings("http://127.0.0.1:1")
    assert (settings.ledger_url, settings.drops_url, settings.cdr_drops_url) == (None, None, None)
