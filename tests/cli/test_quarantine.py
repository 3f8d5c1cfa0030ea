"""`goral quarantine`: what was held back, why, and trying it again once the mapping was mended."""

import csv
import json
from pathlib import Path

import pytest

from goral_pipeline.sources import MAPPINGS
from tests.cli.conftest import Main
from tests.conftest import goral
from tests.support_files import HEADERS, requests, workbook_file

REQUESTS = "vattenfall/requests"
APRIL = ("vattenfall/requests", "--partition", "2022-04")


def test_the_list_counts_records_by_rule(main: Main, home: Path) -> None:
    told = json.loads(main("quarantine", "list", *APRIL, "--json").out)
    (status,) = (
        row
        for row in json.loads(main("status", "--json").out)["partitions"]
        if (row["dataset"], row["partition"]) == (REQUESTS, "2022-04")
    )
    assert {row["rule"]: row["records"] for row in told} == {
        entry["rule"]: entry["violations"]
        for entry in status["rules_broken"]
        if entry["rule"] != "is_sound"
    }
    assert {row["delivery"] for row in told} == {status["newest"]}
    (outside,) = (row for row in told if row["rule"] == "municipality_takes_part")
    assert outside["expected"] == "The municipality takes part in the concession."
    everything = json.loads(main("quarantine", "list", "--json").out)
    assert {row["dataset"] for row in everything} > {REQUESTS, "ndw_dotnl/locations"}


def test_records_are_shown_with_rule_place_and_shape(main: Main, home: Path) -> None:
    shown = json.loads(
        main("quarantine", "show", *APRIL, "--rule", "requested_on_type", "--format", "json").out
    )
    assert shown
    for row in shown:
        assert (row["partition"], row["table"], row["rule"], row["column_name"]) == (
            *("2022-04", "requests", "requested_on_type", "requested_on"),
        )
        assert set(row["found"]) <= set("x9-/ :")
    few = main("quarantine", "show", REQUESTS, "--limit", "3", "--format", "json")
    assert len(json.loads(few.out)) == 3
    assert few.err.startswith("3 of ")


def test_an_export_is_a_new_csv_file(main: Main, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "held back.csv"
    ran = main("quarantine", "export", *APRIL[:1], file, *APRIL[1:])
    assert ran.code == 0
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.DictReader(lines))
    shown = json.loads(main("quarantine", "show", *APRIL, "--limit", "0", "--format", "json").out)
    assert [int(row["record_number"]) for row in rows] == [row["record_number"] for row in shown]
    again = main("quarantine", "export", *APRIL[:1], file)
    assert again.code == 2
    assert "is there already" in again.err


def test_what_is_not_there_is_said(main: Main, home: Path) -> None:
    for words, arguments in {
        "there is no dataset 'a/b'": ("a/b",),
        "nothing was delivered for 2021-01 of vattenfall": (REQUESTS, "--partition", "2021-01"),
    }.items():
        ran = main("quarantine", "list", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err


@pytest.mark.slow
def test_a_mended_mapping_reads_the_same_delivery_again(demo_home: Path, tmp_path: Path) -> None:
    other = "Plaats van aanvraag"
    headers = [other if name == "Gemeente" else name for name in HEADERS]
    rows = [row | {other: row["Gemeente"]} for row in requests(20)]
    file = workbook_file(tmp_path / "export.xlsx", rows, headers)
    december = (REQUESTS, "--partition", "2022-12")
    assert goral("deliver", REQUESTS, file, *december[1:]).code == 1
    for command in ("list", "show"):
        told = goral("quarantine", command, *december)
        assert f"{REQUESTS} 2022-12: no row was read: " in told.err
        assert "missing column: 'Gemeente'" in told.err
    still = goral("quarantine", "retry", *december)
    assert still.code == 1
    assert "missing column: 'Gemeente'" in still.err

    mended = demo_home / "mappings" / "vattenfall.requests.yaml"
    mended.parent.mkdir()
    own = (MAPPINGS / "vattenfall.requests.yaml").read_text()
    mended.write_text(own.replace("Gemeente", other))
    ran = goral("quarantine", "retry", *december)
    assert ran.code == 0, ran.err
    assert f"{REQUESTS} 2022-12 new: requests 20 accepted" in ran.err
    assert "verifying" in ran.err, "a new drop"
    assert goral("quarantine", "retry", *december).err.startswith("nothing to retry")
