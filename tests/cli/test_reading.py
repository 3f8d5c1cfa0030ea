"""What the command line shows of a finished home: status, queries, drops."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from tests.cli.conftest import Main
from tests.conftest import GORAL, Demo, every_file, goral

DEMO_WAREHOUSE = "DEMO: this warehouse holds invented data\n"


# ── goral status ─────────────────────────────────────────────────────────────────────────────────


def test_status_as_json_accounts_for_every_record(main: Main, home: Path, demo: Demo) -> None:
    ran = main("status", "--json")
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)
    assert told["published"] == json.loads((demo.drops / "latest.json").read_bytes())
    datasets = Counter(row["dataset"] for row in told["partitions"])
    assert (datasets["ndw_dotnl/locations"], datasets["vattenfall/requests"]) == (12, 9)
    for row in told["partitions"]:
        assert {"dataset", "partition", "state", "newest", "in_use", "demo", "problem"} <= set(row)
        assert (row["state"], row["demo"], row["problem"]) == ("accepted", True, None)
        assert row["newest"] == row["in_use"]
        assert row["received"] == row["accepted"] + row["duplicate"] + row["quarantined"] > 0
        assert datetime.fromisoformat(row["received_at"]).utcoffset() is not None
    (april,) = (
        row
        for row in told["partitions"]
        if (row["dataset"], row["partition"]) == ("vattenfall/requests", "2022-04")
    )
    outcomes = ("received", "accepted", "duplicate", "quarantined")
    assert [april[name] for name in outcomes] == [362, 351, 1, 10]
    broken = {rule["rule"]: rule["violations"] for rule in april["rules_broken"]}
    assert broken["municipality_takes_part"] == 1


def test_status_tells_what_is_implausible(main: Main, home: Path) -> None:
    told = json.loads(main("status", "--json").out)["implausible"]
    (rejected,) = (
        one
        for one in told
        if (one["check_name"], one["period"]) == ("rejected_share", "2022-12-01")
    )
    assert rejected == {
        "check_name": "rejected_share",
        "dataset": "ecotap_allego/requests",
        "period": "2022-12-01",
        "area_code": "ecotap_allego",
        "severity": "warning",
        "observed": 97.3,
        "expected": "at most 90 % of requests rejected",
        "message": "549 of 564 requests",
    }
    number = sum(one["check_name"] == "rejected_share" for one in told)
    ran = main("status")
    head = f"rejected_share (warning): {number} found, expected at most 90 % of requests rejected"
    assert head in ran.out.splitlines()
    assert "549 of 564 requests (97.3)" in ran.out
    assert 'goral query "from plausibility where not passed"' in ran.err
    asked = main("query", "--format", "json", "from plausibility where not passed")
    assert len(json.loads(asked.out)) == len(told)


def test_status_as_a_table_has_a_line_a_partition(main: Main, home: Path, demo: Demo) -> None:
    ran = main("status")
    assert ran.code == 0
    table, *_ = ran.out.split("\n\n")
    lines = table.splitlines()
    assert lines[0].split()[:3] == ["dataset", "partition", "state"]
    partitions = json.loads(main("status", "--json").out)["partitions"]
    assert [line.split()[:2] for line in lines[1:]] == [
        [row["dataset"], row["partition"]] for row in partitions
    ]
    assert ran.err.splitlines()[-1] == f"published: {demo.drop}"


# ── goral query ──────────────────────────────────────────────────────────────────────────────────

NUMBERS = (
    "select indicator, value from indicator_values where indicator = 'requests_received' "
    "and period = '2022-12-01' and area_name = 'Vattenfall InCharge'"
)


def test_a_query_as_json(main: Main, home: Path) -> None:
    ran = main("query", "--format", "json", NUMBERS)
    assert ran.code == 0
    # Exact numbers stay exact, as text.
    assert json.loads(ran.out) == [{"indicator": "requests_received", "value": "2996.0000"}]
    assert ran.err == DEMO_WAREHOUSE


def test_a_query_as_csv(main: Main, home: Path) -> None:
    ran = main("query", "--format", "csv", NUMBERS)
    assert ran.code == 0
    assert ran.out == "indicator,value\nrequests_received,2996.0000\n"
    assert ran.err == DEMO_WAREHOUSE


def test_a_query_as_a_table(main: Main, home: Path) -> None:
    ran = main("query", NUMBERS)
    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()] == [
        ["indicator", "value"],
        ["requests_received", "2996.0000"],
    ]
    assert "\x1b" not in ran.out, "no colours where nobody sees them"


def test_a_table_is_not_cut_and_markup_is_text(main: Main, home: Path) -> None:
    ran = main("query", "select repeat('x', 500) as long, '[red]text[/red]' as markup")
    assert "x" * 500 in ran.out
    assert "[red]text[/red]" in ran.out


@pytest.mark.parametrize(
    ("format_", "out", "said"),
    [("table", "", "no rows\n"), ("csv", "month\n", ""), ("json", "[]\n", "")],
)
def test_a_query_without_rows(main: Main, home: Path, format_: str, out: str, said: str) -> None:
    ran = main("query", "--format", format_, "select month from dim_month where false")
    assert (ran.code, ran.out, ran.err) == (0, out, DEMO_WAREHOUSE + said)


def test_cells_that_a_spreadsheet_would_run_are_made_text(main: Main, home: Path) -> None:
    ran = main(
        "query",
        "--format",
        "csv",
        "select '=1+1' as a, '+1' as b, '-1+1' as c, '@sum(a)' as d, chr(9) || 'x' as e, "
        "chr(13) || 'x' as f, 'a=b' as g, '=\"a\",\"b\"' as h, null as i, '=x' as \"=head\"",
    )
    assert ran.code == 0
    head, row = csv.reader(io.StringIO(ran.out, newline=""))
    assert head == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "'=head"]
    assert row == [
        *("'=1+1", "'+1", "'-1+1", "'@sum(a)", "'\tx", "'\rx"),
        *("a=b", '\'="a","b"', "", "'=x"),
    ]


@pytest.mark.parametrize("end", ["chr(13)", "chr(10)", "chr(13) || chr(10)"])
def test_a_cell_cannot_begin_a_row_of_its_own(main: Main, home: Path, end: str) -> None:
    ran = main("query", "--format", "csv", f"select 'a' || {end} || '=1+1' as cell, 2 as b")
    head, row = csv.reader(io.StringIO(ran.out, newline=""))
    assert (head, len(row), row[1]) == (["cell", "b"], 2, "2")


def test_negative_numbers_stay_numbers(main: Main, home: Path) -> None:
    ran = main("query", "--format", "csv", "select -5 as a, -1.50::decimal(9, 2) as b, -2e0 as c")
    assert ran.out == "a,b,c\n-5,-1.50,-2.0\n"


def test_columns_of_one_name_are_all_shown(main: Main, home: Path) -> None:
    ran = main("query", "--format", "csv", "select 1 as a, 2 as a")
    assert ran.out == "a,a_2\n1,2\n"


@pytest.mark.parametrize("sql", ["", "selec 1", "drop table marts.dim_month", "from '/etc/passwd'"])
def test_a_refused_query_is_a_message(main: Main, home: Path, sql: str) -> None:
    ran = main("query", sql)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("goral: the query ")


def test_reading_changes_nothing(main: Main, home: Path) -> None:
    before = every_file(home)
    for command in (["status"], ["query", NUMBERS], ["drop", "list"], ["drop", "verify", "--deep"]):
        assert main(*command).code == 0
    assert every_file(home) == before


@pytest.mark.parametrize(("format_", "rows"), [("csv", 50_000), ("json", 20_000), ("table", 9_000)])
def test_a_reader_that_goes_away_is_no_traceback(home: Path, format_: str, rows: int) -> None:
    # More than a pipe holds, so that writing to it fails.
    query = ["query", "--format", format_, f"select range + 10000000 as n from range({rows})"]
    with subprocess.Popen(
        [GORAL, *query], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said
    assert "Exception ignored" not in said


def test_output_can_go_to_a_file(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    with out.open("wb") as file:
        done = subprocess.run(
            [GORAL, "query", "--format", "csv", "from dim_month"],
            stdout=file,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C", "TERM": "dumb"},
            check=False,
        )
    assert done.returncode == 0
    rows = list(csv.DictReader(out.open()))
    assert rows[-1]["month"] == "2022-12"


# ── goral drop ───────────────────────────────────────────────────────────────────────────────────


def test_a_good_drop_is_said_to_be_right(main: Main, home: Path, demo: Demo) -> None:
    for arguments in ([], ["--deep"], [demo.drop]):
        ran = main("drop", "verify", *arguments)
        assert (ran.code, ran.out) == (0, "")
        first, second = ran.err.splitlines()
        assert first.startswith(f"{demo.drop} is right: 10 data files, ")
        assert second == "DEMO: every figure in this drop rests on invented data"


def test_a_damaged_drop_fails_with_every_fault(main: Main, demo_drops: Path, demo: Demo) -> None:
    release = demo_drops / "releases" / demo.drop
    (release / "dictionary.en.md").write_bytes(b"")
    (release / "notes.txt").write_bytes(b"")
    ran = main("drop", "verify")
    assert (ran.code, ran.out) == (1, "")
    first, *faults = ran.err.splitlines()
    assert first == "goral: verification failed"
    assert faults[0] == "goral: unexpected file: notes.txt is not in the manifest"
    assert faults[1].startswith(
        "goral: changed size: dictionary.en.md has 0 bytes, the manifest says"
    )
    assert len(faults) == 2


def test_the_list_of_drops(main: Main, home: Path, demo: Demo) -> None:
    told = json.loads(main("drop", "list", "--json").out)
    assert [(entry["drop"], entry["latest"]) for entry in told] == [(demo.drop, True)]
    shown = main("drop", "list").out.splitlines()
    assert shown[0].split()[:3] == ["drop", "sequence", "latest"]
    assert shown[1].split()[:3] == [demo.drop, "1", "True"]


def test_what_a_killed_publisher_left_is_no_drop_and_goes_with_pruning(
    main: Main, demo_drops: Path, demo: Demo
) -> None:
    left = demo_drops / "releases" / f".tmp-{2**22 + 1}-killed"
    shutil.copytree(demo.release, left)
    assert [one["drop"] for one in json.loads(main("drop", "list", "--json").out)] == [demo.drop]
    assert main("drop", "prune", "--dry-run").code == 0
    assert left.exists()
    assert main("drop", "prune").code == 0
    assert not left.exists()


def test_the_list_shows_the_others_where_one_cannot_be_read(
    main: Main, demo_drops: Path, demo: Demo
) -> None:
    torn = demo_drops / "releases" / "torn"
    torn.mkdir()
    (torn / "manifest.json").write_text("{")
    ran = main("drop", "list", "--json")
    assert ran.code == 1
    assert [entry["drop"] for entry in json.loads(ran.out)] == [demo.drop]
    assert ran.err.startswith("goral: torn: manifest.json ")
    pruned = main("drop", "prune", "--keep", "1")
    assert (pruned.code, pruned.out) == (1, ""), "what goes is decided by all of them"


def test_what_is_published_already_is_said(main: Main, demo_home: Path, demo: Demo) -> None:
    ran = main("drop", "publish")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines()[0] == f"{demo.drop} is published already"


def test_a_rejected_month_holds_the_drop_back(
    main: Main, demo_home: Path, demo: Demo, tmp_path: Path
) -> None:
    broken = tmp_path / "export.xlsx"
    broken.write_bytes(b"not a workbook")
    assert main("deliver", "vattenfall/requests", broken, "--partition", "2022-06").code == 1
    held = main("drop", "publish")
    assert held.code == 1
    assert held.err.startswith("goral: not published, for the newest delivery of these partitions")
    status = main("status")
    assert re.search(r"vattenfall/requests 2022-06.* delivery [0-9a-f]{16}: found", status.out)
    (june,) = (
        row
        for row in json.loads(main("status", "--json").out)["partitions"]
        if (row["dataset"], row["partition"]) == ("vattenfall/requests", "2022-06")
    )
    assert june["state"] == "rejected"
    assert june["in_use"] != june["newest"]
    assert june["problem"]
    assert june["accepted"] == 551, "of the delivery in use"
    allowed = main("drop", "publish", "--allow-incomplete")
    assert allowed.code == 0
    assert "published" in allowed.err
    (new,) = (one for one in json.loads(main("drop", "list", "--json").out) if one["latest"])
    assert new["drop"] != demo.drop
    assert new["left_out"] == 1


# ── anywhere ─────────────────────────────────────────────────────────────────────────────────────


def test_a_home_with_spaces_and_quotes_in_its_name(demo_home: Path, demo: Demo) -> None:
    home = demo_home.rename(demo_home.with_name("Rob's home, été"))
    ran = goral("run", "--from", "2022-01", "--to", "2022-12", "--no-fetch", home=home)
    assert (ran.code, ran.err) == (
        0,
        "nothing new: every delivery, the warehouse and the drop are up to date\n",
    )
    rows = goral(
        "query", "--format", "csv", "select count(*) as n from dim_municipality", home=home
    )
    assert rows.out == "n\n77\n"


def test_a_relative_home(demo_home: Path, main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(demo_home.parent)
    monkeypatch.setenv("GORAL_HOME", demo_home.name)
    assert main("drop", "verify").code == 0
    assert main("run", "--from", "2022-04", "--no-fetch").err.startswith("nothing new")
