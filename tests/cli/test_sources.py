"""`goral sources …`: what there is, drafting a mapping, trying it, keeping nothing."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline import connecting, durable
from goral_pipeline.sources import mapping, registry
from goral_pipeline.staging import worker
from goral_pipeline.staging.stage import Job
from tests.cli.conftest import Main
from tests.conftest import every_file
from tests.sources import third_concession

DONE, FAILED, WRONG_USE = 0, 1, 2
KEY = "a key of the tests that is long enough"
NO_KEY = "GORAL_PSEUDONYM_KEY is not set; tried with a key made for this check alone\n"


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    return third_concession.requests(tmp_path / "requests.csv")


@pytest.fixture
def placements(tmp_path: Path) -> Path:
    return third_concession.placements(tmp_path / "placements.xlsx")


@pytest.fixture
def finished(main: Main, requests: Path, tmp_path: Path) -> Path:
    """The mapping of the requests, drafted and finished."""
    target = tmp_path / "third.requests.yaml"
    ran = main("sources", "draft-mapping", requests, "--dataset", "third/requests",
               "--output", target)  # fmt: skip
    assert ran.code == DONE, ran.said
    target.write_text(target.read_text().replace("{constant: FILL_IN}", "{constant: proactive}"))
    return target


# ── list ─────────────────────────────────────────────────────────────────────────────────────────


def test_every_dataset_is_listed_and_how_it_is_asked(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_VATTENFALL_REQUESTS_URL", "https://u:s3cret@example.invalid/{month}")
    monkeypatch.setenv("GORAL_VATTENFALL_TOKEN", "t0ken")
    listed = {row["dataset"]: row for row in json.loads(main("sources", "list", "--json").out)}
    assert set(listed) >= {
        *("vattenfall/requests", "vattenfall/placements"),
        *("ecotap_allego/requests", "ecotap_allego/placements"),
        *("rvo/charge_point_counts", "rvo/vehicles", "rvo/inhabitants", "rvo/coverage"),
        *("elaadnl/passenger_outlook", "elaadnl/logistics_outlook"),
        *("ndw_dotnl/locations", "ndw_dotnl/tariffs", "pdok/municipality_boundaries"),
    }
    assert listed["vattenfall/requests"] == {
        "dataset": "vattenfall/requests",
        "partition": "month",
        "kind": "event",
        "from": "2022-04",
        "asked": "by URL",
        "contract": "concession.requests",
        "mappings": ["built in: vattenfall.requests.yaml"],
    }
    assert listed["vattenfall/placements"]["asked"] == (
        "by hand, as GORAL_VATTENFALL_PLACEMENTS_URL is not set"
    )
    assert listed["rvo/vehicles"]["asked"] == "by hand, as GORAL_KLIMAATMONITOR_API_KEY is not set"
    assert (listed["ndw_dotnl/tariffs"]["kind"], listed["ndw_dotnl/tariffs"]["asked"]) == (
        *("snapshot", "by URL"),
    )
    shown = main("sources", "list").out
    assert len(shown.splitlines()) == 1 + len(listed)
    assert "s3cret" not in shown
    assert "t0ken" not in shown


def test_a_mapping_of_the_user_makes_a_dataset(main: Main, finished: Path, tmp_path: Path) -> None:
    own = tmp_path / "home" / "mappings" / finished.name
    own.parent.mkdir(parents=True)
    own.write_bytes(finished.read_bytes())
    # This process has read the folder before the mapping was in it.
    registry.cache_clear()
    rows = json.loads(main("sources", "list", "--json").out)
    (third,) = (row for row in rows if row["dataset"] == "third/requests")
    assert third["mappings"] == ["mappings/third.requests.yaml"]
    assert third["from"] == "2023-05"


def test_a_wrong_mapping_of_the_user_is_named(main: Main, tmp_path: Path) -> None:
    own = tmp_path / "home" / "mappings" / "mine.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("dataset: third\n")
    ran = main("sources", "list")
    assert (ran.code, ran.out) == (WRONG_USE, "")
    assert ran.err.startswith("goral: mapping mine.yaml: dataset 'third' is not of the form")


# ── draft-mapping ────────────────────────────────────────────────────────────────────────────────


def test_a_draft_goes_to_the_screen(main: Main, placements: Path, tmp_path: Path) -> None:
    ran = main("sources", "draft-mapping", placements, "--dataset", "third/placements")
    assert ran.code == DONE
    target = tmp_path / "shown.yaml"
    target.write_text(ran.out)
    assert mapping.load(target).dataset == "third/placements"
    assert ran.err.startswith("120 records; contract concession.placements: 18 columns found, ")
    assert not (tmp_path / "home").exists(), "nothing is kept"


def test_a_draft_overwrites_nothing(main: Main, placements: Path, tmp_path: Path) -> None:
    target = tmp_path / "mine.yaml"
    target.write_text("mine")
    ran = main("sources", "draft-mapping", placements, "--output", target)
    assert (ran.code, ran.out) == (WRONG_USE, "")
    assert ran.err == f"goral: {target} is there already and is not overwritten\n"
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--contract", "none"], "there is no contract 'none'; there are concession.placements, "),
        (
            ["--dataset", "third/nothing"],
            "'third/nothing' is no dataset that a mapping can be for: a concession's are "
            "<concession>/placements and <concession>/requests and <concession>/sessions, the "
            "others elaadnl/",
        ),
        (["--dataset", "Third/requests"], "'Third/requests' is no dataset"),
    ],
)
def test_what_a_draft_cannot_be_for(
    main: Main, placements: Path, options: list[str], said: str
) -> None:
    ran = main("sources", "draft-mapping", placements, *options)
    assert (ran.code, ran.out) == (WRONG_USE, "")
    assert ran.err.startswith(f"goral: {said}")


def test_a_file_that_is_no_table_gives_no_draft(main: Main, tmp_path: Path) -> None:
    file = tmp_path / "page.xlsx"
    file.write_bytes(b"<html>please log in, Jan</html>")
    ran = main("sources", "draft-mapping", file)
    assert (ran.code, ran.out) == (FAILED, "")
    assert ran.err == (
        "goral: found HTML or XML, expected a workbook (.xlsx) or a text file with separators "
        "(.csv)\n"
    )
    assert main("sources", "draft-mapping", tmp_path / "nowhere").code == WRONG_USE


# ── check ────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_file_would_be_accepted(
    main: Main, finished: Path, requests: Path, tmp_path: Path
) -> None:
    ran = main("sources", "check", finished, requests, "--partition", "2023-05")
    assert (ran.code, ran.out) == (DONE, ""), ran.said
    assert ran.err == (
        f"{NO_KEY}third/requests 2023-05 would be accepted: requests 90 accepted, 0 duplicate, "
        "0 quarantined\n"
    )
    assert every_file(tmp_path / "home") == {}
    assert not [*(tmp_path / "home" / "landing").iterdir()]


def test_a_bad_file_is_told_by_rule_record_and_shape(
    main: Main, finished: Path, requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_PSEUDONYM_KEY", KEY)
    text = requests.read_bytes().decode("windows-1252")
    for line in range(10):
        text = text.replace(f"D{230000 + line};", f"Jan Bedacht {line}!;")
    requests.write_bytes(text.replace("Bijzonderheden", "Wat anders").encode("windows-1252"))
    finished.write_text(finished.read_text().replace("  remarks:", "  # remarks:"))
    ran = main("sources", "check", finished, requests, "--partition", "2023-05", "--json")
    assert ran.code == FAILED
    told = json.loads(ran.out)
    assert told["problem"].startswith(
        "10 of 90 requests break a rule (request_id_pattern 10 times)"
    )
    (broken,) = told["broken"]
    assert (broken["rule"], broken["column"], broken["rows"]) == (
        *("request_id_pattern", "request_id", 10),
    )
    assert broken["records"] == [2, 3, 4, 5, 6]
    assert broken["found"] == ["xxx xxxxxxx 9!"]
    assert told["unused"] == ["'Wat anders'"]
    assert told["notes"] == []
    shown = main("sources", "check", finished, requests, "--partition", "2023-05")
    assert shown.code == FAILED
    assert "request_id_pattern" in shown.out
    assert "headers that the mapping does not name: 'Wat anders'" in shown.err
    assert "third/requests 2023-05 would be rejected: 10 of 90" in shown.err
    assert "Bedacht" not in shown.said + ran.said


def test_a_draft_that_is_not_finished_accepts_nothing(
    main: Main, requests: Path, tmp_path: Path
) -> None:
    target = tmp_path / "draft.yaml"
    target.write_text(main("sources", "draft-mapping", requests).out)
    ran = main("sources", "check", target, requests)
    assert ran.code == WRONG_USE
    assert "mapping draft.yaml: columns.occasion: 'FILL_IN' is no code of it" in ran.err


def test_a_mapping_of_another_layout_says_what_is_missing(
    main: Main, finished: Path, placements: Path, requests: Path
) -> None:
    ran = main("sources", "check", finished, placements, "--partition", "2023-05")
    assert (ran.code, ran.out) == (FAILED, "")
    assert "would be rejected: " in ran.err
    finished.write_text(finished.read_text().replace("[Dossiernummer]}", "[Nummer]}"))
    ran = main("sources", "check", finished, requests, "--partition", "2023-05")
    assert ran.code == FAILED
    assert "'Nummer'" in ran.err


@pytest.mark.parametrize(
    ("mapping_text", "said"),
    [
        ("dataset: [", "mapping m.yaml is no YAML in line 1"),
        ("dataset: third/requests\n", "mapping m.yaml: columns is no table of keys and values"),
    ],
)
def test_a_mapping_that_is_none_is_wrong_use(
    main: Main, requests: Path, tmp_path: Path, mapping_text: str, said: str
) -> None:
    target = tmp_path / "m.yaml"
    target.write_text(mapping_text)
    ran = main("sources", "check", target, requests)
    assert (ran.code, ran.out) == (WRONG_USE, "")
    assert ran.err.startswith(f"goral: {said}")


@pytest.mark.parametrize("partition", ["2023", "2999-01", "2020-01"])
def test_a_partition_that_is_none_is_wrong_use(
    main: Main, finished: Path, requests: Path, partition: str
) -> None:
    ran = main("sources", "check", finished, requests, "--partition", partition)
    assert (ran.code, ran.out) == (WRONG_USE, "")
    assert partition in ran.err


def test_a_check_works_in_a_private_folder_that_is_swept(
    main: Main, finished: Path, requests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = tmp_path / "home" / "landing"
    seen: list[Job] = []

    def killed(job: Job, **_: Any) -> None:
        seen.append(job)
        assert job.home.parent == landing
        assert stat.S_IMODE(job.home.stat().st_mode) == 0o700
        (job.home / "clear.txt").write_text("what a killed process leaves")
        raise KeyboardInterrupt

    monkeypatch.setattr(worker, "stage_apart", killed)
    main("sources", "check", finished, requests, "--partition", "2023-05")
    assert not [*landing.iterdir()], "an interrupt leaves nothing"
    # A kill leaves it, under the name of a process that is no more.
    name = seen[0].home.name.replace(f"-{os.getpid()}-", "-999999999-")
    assert re.match(rf"{re.escape(durable.TEMPORARY_PREFIX)}\d+-", name)
    (landing / name).mkdir()
    durable.sweep(landing)
    assert not [*landing.iterdir()]


def test_a_large_file_is_not_tried(
    main: Main, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GORAL_MAX_DELIVERY_MIB", "1")
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (connecting.MIB + 1))
    ran = main("sources", "check", finished, large)
    assert ran.code == WRONG_USE
    assert "larger than 1 MiB (GORAL_MAX_DELIVERY_MIB)" in ran.err
