"""What goes wrong in practice, and what is left of it: a source that is down, a wrong delivery, a
full disk, two engineers at once, a contract that changes under partitions that are there."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from goral_pipeline import http_session, ingestion
from goral_pipeline.contracts import staged
from goral_pipeline.errors import DISK_FULL
from goral_pipeline.landing import open_ledger
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.orchestration import run as orchestration
from goral_pipeline.settings import Settings
from goral_pipeline.sources import registry
from goral_pipeline.warehouse import build
from tests.conftest import DEMO_KEY, GORAL, every_file
from tests.fetching.publisher import Publisher, Reply
from tests.support_files import request, workbook_file

REQUESTS = "vattenfall/requests"
STAGING = dg.AssetKey(["staging", "vattenfall", "requests"])
MONTHS = [f"2022-{month:02d}" for month in range(4, 13)]
SUMMER = ["2022-06", "2022-07", "2022-08"]


@pytest.fixture
def settings(demo_home: Path) -> Settings:
    return Settings.load()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with open_ledger(settings) as opened:
        yield opened


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    with Publisher() as running:
        yield running


def run(
    settings: Settings, months: list[str], *, fetch: bool = False
) -> tuple[orchestration.Outcome, str]:
    told: list[str] = []
    outcome = orchestration.run_assets(
        settings, {REQUESTS: months}, fetch=fetch, progress=told.append
    )
    return outcome, "\n".join(told)


def workbook(folder: Path, *days: str) -> Path:
    """An export of one request for each day of asking."""
    rows = [
        request(
            f"W-{day}",
            **{"Datum aanvraag": day, "Laatst gewijzigd": f"{day} 12:00:00"},
            **dict.fromkeys(("Datum goedkeuring", "Datum realisatie")),
        )
        for day in days
    ]
    return workbook_file(folder / f"{'_'.join(days)}.xlsx", rows)


def deliver(settings: Settings, ledger: Ledger, month: str, file: Path) -> ingestion.Ingested:
    return ingestion.deliver(settings, ledger, REQUESTS, month, file)


def in_mart(settings: Settings, request_id: str) -> int:
    with duckdb.connect(str(settings.warehouse / build.FILE), read_only=True) as con:
        found = con.execute(
            "select count(*) from intermediate.int_requests where request_id = ?", [request_id]
        ).fetchall()
    return int(found[0][0])


# ── a source that is down ────────────────────────────────────────────────────────────────────────


def test_a_source_that_is_down_keeps_what_it_gave_and_is_not_waited_for_month_after_month(
    settings: Settings,
    ledger: Ledger,
    publisher: Publisher,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(http_session, "FIRST_WAIT_SECONDS", 0.0)
    monkeypatch.setenv("GORAL_VATTENFALL_REQUESTS_URL", publisher.url + "/{month}.xlsx")
    down = Settings.load(http_attempts=3)
    pointers, drops = ledger.current(), every_file(settings.drops)
    publisher.answers(Reply(503))
    outcome, told = run(down, MONTHS, fetch=True)
    (problem,) = outcome.problems
    assert problem.startswith(f"{len(MONTHS)} of {len(MONTHS)} partitions of {REQUESTS} failed")
    assert "503" in problem
    assert "not asked, for there was no answer before" in told
    asked = {one.path for one in publisher.asked}
    assert len(asked) <= ingestion.ENOUGH_UNANSWERED + settings.staging_processes
    assert len(publisher.asked) == 3 * len(asked)
    assert ledger.current() == pointers
    assert every_file(settings.drops) == drops, "NDW keeps what there is, and it is whole"

    # It is up again, and has something new.
    publisher.answers(Reply(200, workbook(tmp_path, "03-12-2022").read_bytes()))
    outcome, told = run(down, ["2022-12"], fetch=True)
    assert outcome.success, outcome.problems
    assert f"{REQUESTS} 2022-12 new" in told
    assert every_file(settings.drops) != drops


# ── a delivery that is corrected, or of another month ────────────────────────────────────────────


@pytest.mark.slow
def test_a_month_delivered_twice_the_second_takes_the_place_of_the_first(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    first = deliver(settings, ledger, "2022-07", workbook(tmp_path, "01-07-2022", "02-07-2022"))
    second = deliver(settings, ledger, "2022-07", workbook(tmp_path, "02-07-2022", "03-07-2022"))
    assert (first.state, second.state) == ("new", "new")
    assert first.doubts == ("2 rows took the place of 583: a delivery is all of its month",)
    assert second.doubts == ()
    (current,) = ledger.current(REQUESTS, "2022-07")
    assert current.delivery.delivery_id == second.delivery_id
    assert current.delivery.supersedes == first.delivery_id
    outcome, _ = run(settings, ["2022-07"])
    assert outcome.success, outcome.problems
    found = [in_mart(settings, f"W-0{day}-07-2022") for day in (1, 2, 3)]
    assert found == [0, 1, 1], "the first is gone as a whole"


def test_a_delivery_of_another_month_is_doubted_and_says_of_which(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    result = deliver(settings, ledger, "2022-08", workbook(tmp_path, "05-06-2022", "06-07-2022"))
    assert result.doubts == (
        "no row is of 2022-08: they are of 2022-06 to 2022-07",
        "2 rows took the place of 629: a delivery is all of its month",
    )
    assert "doubtful: no row is of 2022-08" in ingestion.in_words(result)
    later = deliver(settings, ledger, "2022-06", workbook(tmp_path, "05-06-2022", "07-09-2022"))
    assert later.doubts == (
        "there are rows of after 2022-06: of 2022-09",
        "2 rows took the place of 551: a delivery is all of its month",
    )


@pytest.mark.slow
def test_one_delivery_for_three_months_counts_once_and_is_doubted(
    settings: Settings, ledger: Ledger, tmp_path: Path
) -> None:
    file = workbook(tmp_path, "05-06-2022", "06-07-2022", "07-08-2022")
    results = [deliver(settings, ledger, month, file) for month in SUMMER]
    assert [bool(result.doubts) for result in results] == [True, True, True]
    assert results[2].doubts == (
        "the same content is in use for 2022-06 and 1 more",
        "3 rows took the place of 629: a delivery is all of its month",
    )
    orchestration.prepare_home(settings)
    with dg.DagsterInstance.get() as instance:
        outcome, told = run(settings, SUMMER)
        assert outcome.success, "a doubt holds nothing back"
        (record,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(STAGING, "belonging"), limit=1
        )
        assert record.event is not None
        assert record.event.dagster_event is not None
        check = record.event.dagster_event.asset_check_evaluation_data
        assert not check.passed
        assert check.severity == dg.AssetCheckSeverity.WARN
        table = check.metadata["deliveries"]
        assert isinstance(table, dg.TableMetadataValue)
        assert [record.data["partition"] for record in table.records] == SUMMER
    assert told.count("doubtful: ") == len(SUMMER)
    for day in ("05-06-2022", "06-07-2022", "07-08-2022"):
        assert in_mart(settings, f"W-{day}") == 1


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────

# Mounted for this script alone, by whoever runs it; the free space is what a run needs of it.
ON_A_SMALL_DISK = """
set -eu
mount -t tmpfs -o size="$SIZE" tmpfs "$DISK"
cp -r "$HOME_OF_THE_DEMO" "$DISK/home"
export GORAL_HOME="$DISK/home"
"$GORAL" deliver vattenfall/requests "$FILE" --partition 2022-07 >&2
free=$(df -k --output=avail "$DISK" | tail -1)
head -c "$((free - LEFT_KIB))K" /dev/zero > "$DISK/ballast"
set +e
"$GORAL" run --no-fetch --from 2022-07 > "$OUT/full" 2>&1
echo $? > "$OUT/full.code"
"$GORAL" drop verify > "$OUT/verify" 2>&1
echo $? > "$OUT/verify.code"
rm "$DISK/ballast"
"$GORAL" run --no-fetch --from 2022-07 > "$OUT/again" 2>&1
echo $? > "$OUT/again.code"
"$GORAL" query --format csv "select count(*) from intermediate.int_requests \\
    where request_id = 'W-03-07-2022'" > "$OUT/query" 2>&1
"""


def can_mount() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    tried = "mount -t tmpfs tmpfs /mnt"
    return subprocess.run(["unshare", "-rm", "sh", "-c", tried], check=False).returncode == 0


# How much is left when the run begins: what it hits first is the ledger, staging or the warehouse.
@pytest.mark.slow
@pytest.mark.parametrize("left_kib", [40, 2_000, 12_000])
def test_a_full_disk_is_named_and_leaves_all_as_it_was(
    left_kib: int, demo_home: Path, tmp_path: Path
) -> None:
    if not can_mount():
        assert "GORAL_REQUIRE_TRACER" not in os.environ, "a mount of one's own is mandatory in CI"
        pytest.skip("this machine lets nobody mount a small disk of their own")
    size = sum(path.stat().st_blocks * 512 for path in demo_home.rglob("*")) + 300 * 2**20
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK],
        env=os.environ
        | {
            "SIZE": str(size),
            "DISK": str(disk),
            "OUT": str(out),
            "HOME_OF_THE_DEMO": str(demo_home),
            "FILE": str(workbook(tmp_path, "03-07-2022")),
            "LEFT_KIB": str(left_kib),
            "GORAL": str(GORAL),
            "GORAL_PSEUDONYM_KEY": DEMO_KEY,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    full = (out / "full").read_text()
    assert (out / "full.code").read_text().strip() == "1", full
    assert DISK_FULL in full
    assert "Traceback" not in full
    assert (out / "verify.code").read_text().strip() == "0", (out / "verify").read_text()
    assert (out / "again.code").read_text().strip() == "0", (out / "again").read_text()
    assert (out / "query").read_text().split()[-1] == "1"


# ── two engineers ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_two_engineers_start_one_backfill(settings: Settings, tmp_path: Path) -> None:
    for day in range(1, 6):
        folder = settings.inbox / REQUESTS / f"2022-{day + 4:02d}"
        folder.mkdir(parents=True)
        file = workbook(tmp_path, f"0{day}-{day + 4:02d}-2022").rename(folder / "export.xlsx")
        os.utime(file, (1_700_000_000, 1_700_000_000))
    command = [str(GORAL), "run", "--no-fetch", "--from", "2022-05", "--to", "2022-09"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [one.communicate()[0] for one in both]
    codes = sorted(one.returncode for one in both)
    assert codes[0] == 0, said
    for text, one in zip(said, both, strict=True):
        assert "Traceback" not in text
        if one.returncode:
            assert "another process is building the warehouse" in text
    with open_ledger(settings) as ledger:
        of_both = [d for d in ledger.deliveries() if d.origin == "export.xlsx"]
        assert len(of_both) == 5, "each file was taken in once"
        assert all(delivery.state == "accepted" for delivery in of_both)
    for day in range(1, 6):
        assert in_mart(settings, f"W-0{day}-{day + 4:02d}-2022") == 1


# ── a contract that changes ──────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_partitions_staged_under_an_earlier_contract_stay_readable_until_staged_again(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = {current.delivery.partition: current for current in ledger.current(REQUESTS)}
    source = registry(settings.home_folder)[REQUESTS]
    text = source.contract.path.read_text()
    path = tmp_path / source.contract.path.name
    path.write_text(text.replace(f"version: {source.contract.version}", "version: 99.0.0"))
    assert path.read_text() != text
    newer = dataclasses.replace(source.contract, path=path)
    monkeypatch.setitem(vars(source), "contract", newer)
    outcome, told = run(settings, ["2022-05"])
    assert outcome.success, outcome.problems
    assert f"{REQUESTS} 2022-05 new" in told
    after = {current.delivery.partition: current for current in ledger.current(REQUESTS)}
    changed = {month for month in after if after[month].fingerprint != before[month].fingerprint}
    assert changed == {"2022-05"}
    assert after["2022-05"].delivery == before["2022-05"].delivery
    for current in (before["2022-05"], after["2022-05"]):
        assert all((settings.home_folder / file.path).is_file() for file in current.files)


def test_a_file_that_lacks_a_column_of_today_s_contract_is_read_with_nulls(
    settings: Settings, ledger: Ledger
) -> None:
    wanted = build.inputs(settings, ledger)
    contract = staged()["concession/requests"]
    relation = contract.relation(contract.tables[0])
    (path, *_) = [f.path for f in wanted.files if f.relation == relation]
    file = settings.home_folder / path
    with duckdb.connect() as con:
        con.execute(f"create table old as select * exclude (occasion), 1 as gone from '{file}'")
        con.execute(f"copy old to '{file}' (format parquet)")
    building = build.prepare(settings, wanted)
    with duckdb.connect(str(building), read_only=True) as con:
        names = [row[0] for row in con.execute(f"describe staged.{relation}").fetchall()]
        assert set(names) >= {column.name for column in contract.tables[0].columns}
        counts = con.execute(
            f"select count(*) filter (where occasion is null), count(*) from staged.{relation}"
        ).fetchall()
    of_old, of_all = counts[0]
    assert 0 < of_old < of_all
