"""Personal data stays in landing: not a byte of it is anywhere else, whatever comes."""

import hmac
import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from goral_pipeline import ingestion, quarantine
from goral_pipeline.demo.write import write
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import drop
from goral_pipeline.settings import Settings
from goral_pipeline.sources import registry
from goral_pipeline.status import report
from tests import support_files
from tests.conftest import goral
from tests.kill import scene
from tests.landing import planted
from tests.landing.personal import (
    MARKS,
    PERSON,
    found,
    misplaced,
    of_person,
    places,
)
from tests.sources.test_cdrs_reading import SESSIONS, cdr, pages_file
from tests.support_files import BOUNDARIES, HEADERS, LOCATIONS, REQUESTS, Row

GOOD = [of_person(f"R{number}") for number in range(300)]


def acceptable(folder: Path) -> Path:
    """Mostly good rows, and bad ones with personal data in the wrong columns."""
    return support_files.workbook_file(folder / "good.xlsx", [*GOOD, *misplaced()])


def rejectable(folder: Path) -> Iterator[tuple[str, Path]]:
    """Workbooks that are refused, each for another reason and full of personal data."""
    folder.mkdir(exist_ok=True)

    def workbook(name: str, rows: list[Row], *layout: object, **layouts: object) -> Path:
        return support_files.workbook_file(folder / f"{name}.xlsx", rows, *layout, **layouts)  # type: ignore[arg-type]

    yield "too many bad rows", workbook("bad", misplaced())
    # The first person where the headers should be.
    names = [str(cell) if cell else None for cell in of_person("R1").values()]
    yield "no headers", workbook("headless", [], names)
    extra = [*HEADERS, PERSON["Naam aanvrager"]]
    yield "a header missing", workbook("missing", GOOD, extra[1:])
    yield "a header twice", workbook("twice", GOOD, [*HEADERS, "Gemeente"])
    yield "another sheet", workbook("sheet", GOOD, sheet=PERSON["Naam aanvrager"])
    whole = workbook("whole", GOOD).read_bytes()
    cut = folder / "cut.xlsx"
    cut.write_bytes(whole[: len(whole) // 2])
    yield "cut off", cut
    text = folder / "text.xlsx"
    text.write_text("\n".join(";".join(PERSON.values()) for _ in range(20)))
    yield "a text file", text
    damaged = folder / "damaged.xlsx"
    middle = len(whole) // 3
    damaged.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    yield "damaged", damaged


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Else the other tests would prove nothing."""
    home = tmp_path / "home"
    staged = support_files.stage_requests(home, GOOD)
    assert {mark for mark in MARKS if mark in str(places(home))} >= {
        "Quux",
        "canarymail",
        "Kanariepiet",
        "QX-987",
    }
    assert staged.counts == {"requests": {"accepted": len(GOOD)}}
    assert found("ZWAANTJE quux".encode("utf-16-le")) == ["Quux", "Zwaantje"]


def test_nothing_of_a_person_leaves_landing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = support_files.settings(tmp_path / "home")
    rejected = dict(rejectable(tmp_path / "files"))
    with open_ledger(settings) as ledger:
        good = ingestion.deliver(settings, ledger, REQUESTS, "2022-07", acceptable(tmp_path))
        assert good.state == "new", good.message
        assert good.rows["requests"] == {"accepted": 300, "duplicate": 0, "quarantined": 12}
        messages = [ingestion.in_words(good)]
        for number, (reason, file) in enumerate(rejected.items()):
            result = ingestion.deliver(settings, ledger, REQUESTS, f"2023-{number + 1:02d}", file)
            assert result.state == "failed", reason
            messages.append(ingestion.in_words(result))
        scene.build_warehouse(settings, ledger)
        drop.publish(settings, ledger, allow_incomplete=True, progress=messages.append)
        messages.append(str(report(settings, ledger)))
        messages += refused_publication(settings, ledger)
    printed = capfd.readouterr()
    for text in (*messages, printed.out, printed.err, caplog.text):
        assert found(text.encode()) == [], text
    assert len(list(settings.landing.rglob("*.xlsx"))) == 1 + len(rejected)
    assert places(settings.home_folder, settings.landing) == []


def refused_publication(settings: Settings, ledger: Ledger) -> list[str]:
    with pytest.raises(Exception, match="not published") as caught:
        drop.publish(settings, ledger)
    return [str(caught.value)]


def test_nothing_of_a_driver_leaves_landing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = support_files.settings(tmp_path / "home")
    name, mail = PERSON["Naam aanvrager"], PERSON["E-mailadres"]
    token = {"uid": "QX987KANARIEPIET", "type": "RFID", "contract_id": f"NL-{name}"}
    good = [cdr(f"C{n}", cdr_token=token, remark=name) for n in range(100)]
    wrong = [
        cdr(name, total_energy=-1, cdr_token=token),
        cdr("B1", session_id=mail, cdr_token=token),
        cdr("B2", auth_method=name, cdr_token={**token, "type": mail}),
        cdr("B3", start_date_time=name, cdr_token=name, currency=mail),
        cdr(mail, party_id=name, country_code=mail, total_fixed_cost=None),
    ]
    messages = []
    with open_ledger(settings) as ledger:
        for month, records in (("2022-07", [*good, *wrong]), ("2022-08", wrong)):
            file = pages_file(tmp_path, records)
            taken = ingestion.deliver(settings, ledger, SESSIONS, month, file)
            messages.append(ingestion.in_words(taken))
            assert taken.state == ("new" if month == "2022-07" else "failed")
        for one in quarantine.held(settings, ledger):
            messages += [str(quarantine.quality(one)), str(quarantine.quality_by_rule(one))]
        messages.append(str(report(settings, ledger)))
    printed = capfd.readouterr()
    for text in (*messages, printed.out, printed.err, caplog.text):
        assert found(text.encode()) == [], text
    assert places(settings.home_folder, settings.landing) == []


@pytest.mark.slow
def test_nothing_of_a_person_is_left_by_the_command_line(tmp_path: Path) -> None:
    home, demo = tmp_path / "home", tmp_path / "demo"
    write(demo)
    environment = {"GORAL_PSEUDONYM_KEY": support_files.KEY}

    def run(*arguments: str | Path, code: int) -> str:
        ran = goral(*arguments, home=home, **environment)
        assert ran.code == code, ran.said
        assert found(ran.said.encode()) == [], ran.said
        return ran.said

    run("deliver", BOUNDARIES, demo / "DEMO_pdok_municipality_boundaries_2022.geojson",
        "--partition", "2022", code=0)  # fmt: skip
    run("deliver", LOCATIONS, demo / "DEMO_ndw_dotnl_locations_2022-07.json.gz",
        "--partition", "2022-07", code=0)  # fmt: skip
    run("deliver", REQUESTS, acceptable(tmp_path), "--partition", "2022-07", code=0)
    refused = dict(rejectable(tmp_path / "files"))
    for month, reason in (("2022-08", "too many bad rows"), ("2022-09", "damaged")):
        run("deliver", REQUESTS, refused[reason], "--partition", month, code=1)
    # Two partitions fail, the third gets into the warehouse, and no drop is published unasked.
    run("run", "--no-fetch", "--from", "2022-07", "--to", "2022-09", code=1)
    run("status", "--json", code=0)
    run("drop", "publish", "--allow-incomplete", code=0)
    run("query", "select * from mart_requests", code=0)
    for place in ("dagster", "dbt", "ledger.sqlite", "quarantine", "staging", "warehouse", "drops"):
        assert (home / place).exists(), place
    assert places(home, home / "landing") == []


@pytest.mark.slow
def test_a_person_planted_in_every_source_is_nowhere_but_in_landing(tmp_path: Path) -> None:
    """Names, plates, e-mail addresses and tokens; where nobody reads them, too."""
    home, files, cdr_drops = tmp_path / "home", tmp_path / "files", tmp_path / "cdr-drops"
    datasets = put_into_inbox(home, write(files))
    assert datasets == set(registry(home)), "every source"
    (home / "instructions.yaml").write_text(
        "- {municipality_code: GM0202, data_owner: DEMO, date: 2022-03-01, reference: DEMO-1}\n"
    )
    environment = {
        "GORAL_PSEUDONYM_KEY": support_files.KEY,
        "GORAL_CDR_DROPS_URL": str(cdr_drops),
    }
    commands = (
        ("run", "--no-fetch", "--from", "2022-01", "--to", "2022-12"),
        ("status", "--json"),
        ("quarantine", "list", "--json"),
        ("query", "from int_requests"),
        ("drop", "verify", "--deep"),
        ("drop", "verify", "--deep", "--product", "cdr"),
        ("drop", "diff"),
        ("retention", "apply"),
    )
    said = {}
    for command in commands:
        ran = goral(*command, home=home, **environment)
        said[command] = ran.said
        assert ran.code == (1 if command == ("drop", "diff") else 0), ran.said
    for text in said.values():
        assert found(text.encode(), [*MARKS, *pseudonyms()]) == [], text

    landing, inbox, staging = home / "landing", home / "inbox", home / "staging"
    assert {place.split(": ")[-1] for place in places(landing)} == {*MARKS} - {"9876QX"}
    assert places(home, landing, inbox) == []
    assert places(cdr_drops) == []
    # Who she is without her name: told only where persons are told apart, and where so instructed.
    assert {place.split("/")[1] for place in places(staging, marks=pseudonyms())} == {
        "requests",
        "sessions",
    }
    assert places(home, landing, inbox, staging, marks=pseudonyms()) == []
    told = places(cdr_drops, marks=pseudonyms())
    assert told
    assert all("/cdr_sessions/cdr_sessions.parquet" in place for place in told)


def put_into_inbox(home: Path, written: list[Path]) -> set[str]:
    """Put the last two files of each dataset, with her planted in them, where they are taken in."""
    by_name = {dataset.replace("/", "_"): dataset for dataset in registry(home)}
    of: dict[str, list[tuple[str, Path]]] = {}
    for path in written:
        named, _, rest = path.name.removeprefix("DEMO_").rpartition("_")
        of.setdefault(by_name[named], []).append((rest.partition(".")[0], path))
    long_ago = time.time() - 60
    for dataset, files in of.items():
        for partition, path in sorted(files)[-2:]:
            planted.plant(path)
            goal = home / "inbox" / dataset / partition / path.name
            goal.parent.mkdir(parents=True)
            shutil.move(path, goal)
            os.utime(goal, (long_ago, long_ago))
    return set(of)


def pseudonyms() -> list[str]:
    """Her pseudonyms: as a driver, and as an applicant."""
    key = support_files.KEY.encode()
    return [
        hmac.new(key, text.lower().encode(), "sha256").hexdigest()
        for text in (planted.TOKEN, PERSON["E-mailadres"])
    ]
