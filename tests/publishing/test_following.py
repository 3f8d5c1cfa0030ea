"""One drop after another: compared, versioned, of two publishers, final, reproduced, pruned."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from goral_pipeline import ingestion
from goral_pipeline.contracts import Contract, Table
from goral_pipeline.errors import GoralError, Overtaken, VerificationFailed
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import (
    drop,
    finalise,
    manifest,
    reproduce,
    store,
    upkeep,
    verify,
    versions,
)
from goral_pipeline.publishing.manifest import Manifest
from goral_pipeline.publishing.products import KPI
from goral_pipeline.settings import Settings
from goral_pipeline.warehouse import build
from tests.conftest import Demo, every_byte, every_file, goral
from tests.publishing.test_drop import REQUESTS, data_file, reject_june

CHARGE_POINTS = "mart_charge_points"


def latest(settings: Settings) -> Manifest:
    found = drop.latest(KPI.open_store(settings))
    assert found
    return found


def follow(settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, mark: str) -> str:
    """Publish the same marts as if they were made of something else."""
    really = drop.fingerprint
    with monkeypatch.context() as patch:
        patch.setattr(drop, "fingerprint", lambda *made_of: mark + really(*made_of)[len(mark) :])
        return drop.publish(settings, ledger).drop


# ── one after another ────────────────────────────────────────────────────────────────────────────


def test_a_drop_names_the_one_it_follows(
    settings: Settings, ledger: Ledger, demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = latest(settings)
    assert (first.sequence, first.previous) == (1, None)
    second = follow(settings, ledger, monkeypatch, "second")
    made = latest(settings)
    assert (made.drop, made.sequence, made.previous) == (second, 2, first.pointer())
    assert made.drop != first.drop
    sha256 = json.loads((settings.drops / "latest.json").read_bytes())["manifest_sha256"]
    assert made.pointer().manifest_sha256 == sha256


def test_going_back_to_what_was_published_before_is_a_drop_of_its_own(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = latest(settings)
    follow(settings, ledger, monkeypatch, "second")
    again = drop.publish(settings, ledger)
    assert again.is_new
    made = latest(settings)
    assert (made.fingerprint, made.sequence) == (first.fingerprint, 3)
    assert made.drop != first.drop
    assert {f.path: f.sha256 for f in made.data} == {f.path: f.sha256 for f in first.data}


def test_the_report_tells_what_changed(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb.connect(str(settings.warehouse / build.FILE)) as con:
        con.execute(
            "update marts.mart_charge_points set charge_points = charge_points + 1 "
            "where source = 'rvo' and month = '2022-11' and municipality_code = 'GM0202'"
        )
        con.execute("delete from marts.mart_charge_points where month = '2022-01'")
        con.execute(
            "update marts.indicator_values set value = value + 9 "
            "where indicator = 'requests_received' and area_type = 'nal_region' "
            "and period = '2022-12-01'"
        )
    name = follow(settings, ledger, monkeypatch, "second")
    release = settings.drops / "releases" / name
    told = json.loads((release / "changes.json").read_bytes())
    tables = {table["dataset"]: table for table in told["tables"]}
    changed = tables[CHARGE_POINTS]
    assert changed["changed"] > 0
    assert changed["removed"] > 0
    assert changed["columns"] == {"charge_points": changed["changed"]}
    assert set(changed["months"]) == {"2022-01", "2022-11"}
    assert tables["dim_municipality"]["changed"] == 0
    assert told["indicators_shifted"] == 2, "gross and net"
    assert {shift["indicator"] for shift in told["shifts"]} == {"requests_received"}
    assert "| mart_charge_points |" in (release / "changes.md").read_text()
    ran = goral("drop", "diff", "--json")
    assert ran.code == 0, ran.said
    assert json.loads(ran.out) == told


def test_of_two_publishers_one_is_told_that_it_was_overtaken(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    won: list[str] = []
    really = drop.write_release

    def while_another_publishes(*arguments: object, **named: object) -> Manifest:
        if not won:
            won.append("")
            won[0] = follow(settings, ledger, monkeypatch, "other")
        return really(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(drop, "write_release", while_another_publishes)
    with pytest.raises(Overtaken, match="another publisher moved the pointer"):
        follow(settings, ledger, monkeypatch, "mine")
    assert latest(settings).drop == won[0]
    upkeep.verified(verify.Folder(settings.drops), deep=True)
    # Again, it follows the other.
    follow(settings, ledger, monkeypatch, "mine")
    made = latest(settings)
    assert made.previous
    assert made.previous.drop == won[0]


def test_who_read_older_inputs_does_not_publish_over_a_newer_drop(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    won: list[str] = []
    really = drop.incomplete

    def while_another_publishes(*of: Any) -> list[str]:
        if not won:
            won.append("")
            won[0] = follow(settings, ledger, monkeypatch, "other")
        return really(*of)

    monkeypatch.setattr(drop, "incomplete", while_another_publishes)
    with pytest.raises(Overtaken):
        follow(settings, ledger, monkeypatch, "mine")
    assert latest(settings).drop == won[0]


def test_a_warehouse_that_is_built_anew_meanwhile_is_not_published(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = latest(settings)

    def then_built_anew(*of: Any, **named: Any) -> None:
        with duckdb.connect(str(settings.warehouse / build.FILE)) as con:
            con.execute("update main.build_info set fingerprint = 'another'")

    monkeypatch.setattr(drop, "_refuse_demo_after_real", then_built_anew)
    with pytest.raises(GoralError, match="was built anew while this drop was being made"):
        follow(settings, ledger, monkeypatch, "mine")
    assert latest(settings) == before


# ── versions ─────────────────────────────────────────────────────────────────────────────────────


def published_with(
    monkeypatch: pytest.MonkeyPatch, folder: Path, change: Callable[[str], str]
) -> None:
    """Publish mart_charge_points under a contract whose text is changed."""
    from goral_pipeline.contracts import model

    def tables() -> list[tuple[Contract, Table]]:
        return [(changed if c.dataset == CHARGE_POINTS else c, c.tables[0]) for c, _ in really()]

    really = KPI.tables
    (contract,) = (c for c, _ in really() if c.dataset == CHARGE_POINTS)
    path = folder / contract.path.name
    path.write_text(change(contract.path.read_text()))
    changed = model.read(path)
    monkeypatch.setattr(KPI, "tables", lambda: [(c, c.tables[0]) for c, _ in tables()])


def test_an_under_declared_change_stops_publication_and_names_the_column(
    settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = every_file(settings.drops)
    published_with(monkeypatch, tmp_path, lambda text: text.replace("BIGINT", '"DECIMAL(18,0)"'))
    with pytest.raises(GoralError) as refusal:
        drop.publish(settings, ledger)
    first, second = str(refusal.value).splitlines()
    assert first == "not published:"
    assert "charge_points was BIGINT and is DECIMAL(18,0): that is a major change" in second
    assert every_file(settings.drops) == before


def test_a_declared_change_is_published(
    settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = latest(settings).contracts[CHARGE_POINTS]
    major = f"{int(version.split('.')[0]) + 1}.0.0"
    published_with(
        monkeypatch,
        tmp_path,
        lambda text: text.replace("BIGINT", '"DECIMAL(19,0)"').replace(
            f"version: {version}", f"version: {major}"
        ),
    )
    assert drop.publish(settings, ledger).is_new
    made = upkeep.verified(verify.Folder(settings.drops), deep=True)
    assert made.contracts[CHARGE_POINTS] == major
    report = (settings.drops / "releases" / made.drop / "changes.md").read_text()
    assert f"| {CHARGE_POINTS} | {version} → {major} |" in report


def test_deprecations_are_counted_from_drop_to_drop(
    settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = latest(settings).contracts[CHARGE_POINTS]
    major, minor, _ = version.split(".")
    published_with(
        monkeypatch,
        tmp_path,
        lambda text: text.replace("status: active", "status: deprecated").replace(
            f"version: {version}", f"version: {major}.{int(minor) + 1}.0"
        ),
    )
    for times in range(1, versions.DROPS_OF_NOTICE + 1):
        follow(settings, ledger, monkeypatch, f"number {times}")
        assert latest(settings).deprecated == {CHARGE_POINTS: times}
    really = KPI.tables()
    monkeypatch.setattr(
        KPI,
        "tables",
        lambda: [(c, t) for c, t in really if c.dataset != CHARGE_POINTS],
    )
    assert drop.publish(settings, ledger).is_new
    assert CHARGE_POINTS not in latest(settings).contracts


# ── final ────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def real(settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The demo, taken for real, and published so."""
    monkeypatch.setattr(build.Inputs, "demo", False)
    follow(settings, ledger, monkeypatch, "real")
    assert latest(settings).status == "provisional"
    return settings


def test_a_final_drop_holds_the_same_figures_none_provisional(
    real: Settings, ledger: Ledger
) -> None:
    before = latest(real)
    result = finalise.release(real, ledger)
    assert result.is_new
    made = upkeep.verified(verify.Folder(real.drops), deep=True)
    assert (made.status, made.sequence, made.previous) == (
        "final",
        before.sequence + 1,
        before.pointer(),
    )
    values = pq.read_table(data_file(real.drops / "releases" / made.drop, "indicator_values"))
    statuses = set(values["status"].to_pylist())
    assert "final" in statuses
    assert "provisional" not in statuses
    was = {file.dataset: file.content_hash for file in before.data}
    assert {f.dataset for f in made.data if f.content_hash != was[f.dataset]} == {
        "indicator_values"
    }
    assert not finalise.release(real, ledger).is_new, "once is enough"


def test_nothing_new_after_a_final_drop_publishes_nothing(
    real: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalise.release(real, ledger)
    made = latest(real)
    assert follow(real, ledger, monkeypatch, "real") == made.drop


def test_a_demo_is_never_final(settings: Settings, ledger: Ledger) -> None:
    with pytest.raises(GoralError, match="is a demo: what is invented is never final"):
        finalise.release(settings, ledger)


def test_what_is_invented_never_follows_what_is_real(
    real: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = latest(real)
    monkeypatch.setattr(build.Inputs, "demo", True)
    with pytest.raises(GoralError, match=f"is invented, and {before.drop} before it is real"):
        follow(real, ledger, monkeypatch, "demo")
    assert latest(real) == before


def test_an_incomplete_drop_is_never_final(real: Settings, ledger: Ledger, tmp_path: Path) -> None:
    reject_june(real, ledger, tmp_path)
    drop.publish(real, ledger, allow_incomplete=True)
    with pytest.raises(GoralError, match="without the newest delivery") as refusal:
        finalise.release(real, ledger)
    assert f"{REQUESTS} 2022-06: " in str(refusal.value)


def test_a_drop_of_other_libraries_is_published_anew_before_it_is_final(
    real: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(drop, "lock_sha256", lambda: "another")
        with pytest.raises(GoralError, match="publish anew, then release"):
            finalise.release(real, ledger)
        drop.publish(real, ledger)
        made = finalise.release(real, ledger)
    assert latest(real).drop == made.drop
    assert (latest(real).status, latest(real).lock_sha256) == ("final", "another")


def test_a_damaged_drop_is_never_final(real: Settings, ledger: Ledger) -> None:
    path = data_file(real.drops / "releases" / latest(real).drop, CHARGE_POINTS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VerificationFailed, match="changed size"):
        finalise.release(real, ledger)
    assert latest(real).status == "provisional"


# ── reproduced ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_an_old_drop_is_reproduced_after_newer_deliveries(
    settings: Settings, ledger: Ledger, tmp_path: Path, demo: Demo
) -> None:
    july = next(c for c in ledger.current(REQUESTS) if c.delivery.partition == "2022-07")
    august = next(c for c in ledger.current(REQUESTS) if c.delivery.partition == "2022-08")
    # Another month's file is a newer delivery of July that is read well.
    source = settings.landing / "vattenfall" / "requests"
    (file,) = source.glob(f"{august.delivery.sha256}*")
    newer = tmp_path / f"DEMO_{file.name}"
    shutil.copy(file, newer)
    result = ingestion.deliver(settings, ledger, REQUESTS, "2022-07", newer)
    assert result.state in ("new", "accepted"), result
    assert ledger.current(REQUESTS, "2022-07") != [july]
    ran = goral("run", "--no-fetch", "--from", "2022-07", "--to", "2022-07", "--only", REQUESTS)
    assert ran.code == 0, ran.said
    now = latest(settings)
    assert now.drop != demo.drop
    for name in (demo.drop, now.drop):
        done = reproduce.reproduce(settings, ledger, name)
        assert done.is_same_program, name
        assert set(done.tables.values()) == {"same bytes"}, name
    before = every_byte(settings.drops)
    ran = goral("drop", "reproduce", demo.drop, "--json", TZ="Asia/Tokyo", GORAL_DUCKDB_THREADS="1")
    assert ran.code == 0, ran.said
    assert json.loads(ran.out)["tables"][CHARGE_POINTS] == "same bytes"
    assert every_byte(settings.drops) == before


def test_what_it_was_made_of_is_gone_or_changed(settings: Settings, ledger: Ledger) -> None:
    files = [f["path"] for f in latest(settings).staged_files if f["sha256"]]
    (settings.home_folder / files[0]).unlink()
    path = settings.home_folder / files[1]
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(GoralError) as refusal:
        reproduce.reproduce(settings, ledger)
    assert "cannot be reproduced" in str(refusal.value)
    assert f"gone: {files[0]}" in str(refusal.value)
    assert f"changed: {files[1]}" in str(refusal.value)


def test_what_counts_as_reproduced() -> None:
    same, content = {"a": "same bytes"}, {"a": "same bytes", "b": "same content"}
    good: list[tuple[bool, dict[str, reproduce.Outcome]]]
    good = [(True, same), (False, same), (False, content)]  # type: ignore[list-item]
    bad = [(True, content)] + [
        (is_same, {"a": outcome})
        for is_same in (True, False)
        for outcome in ("differs", "missing", "new")
    ]
    assert all(reproduce.Reproduced("x", *one).is_good for one in good)
    assert not any(reproduce.Reproduced("x", *one).is_good for one in bad)  # type: ignore[arg-type]


# ── pruned ───────────────────────────────────────────────────────────────────────────────────────


def test_pruning_keeps_the_newest_the_latest_and_the_final(
    real: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = upkeep.drops_of(real)[0].made.drop
    finalise.release(real, ledger)
    final = latest(real).drop
    later = [follow(real, ledger, monkeypatch, f"later {number}") for number in range(3)]
    there = [one.made.drop for one in upkeep.drops_of(real)]
    assert len(there) == 6
    before = every_file(real.drops)
    tried = goral("drop", "prune", "--keep", "2", "--dry-run")
    assert (tried.code, "would remove" in tried.err) == (0, True), tried.said
    assert every_file(real.drops) == before
    gone = [made.drop for made in upkeep.prune(real, 2, dry_run=False)]
    assert first in gone
    assert [one.made.drop for one in upkeep.drops_of(real)] == [final, *later[1:]]
    upkeep.verified(verify.Folder(real.drops), deep=True)
    assert upkeep.prune(real, 2, dry_run=False) == []


def test_the_latest_stays_though_newer_ones_are_there(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = latest(settings)
    # One that was written, and killed before it was pointed at.
    with monkeypatch.context() as patch:
        patch.setattr(store.FolderStore, "point", lambda *_: None)
        second = follow(settings, ledger, patch, "second")
    assert [one.made.drop for one in upkeep.drops_of(settings)] == [first.drop, second]
    assert upkeep.prune(settings, 1, dry_run=False) == []
    assert latest(settings) == first
    # Nobody will any more, once the pointer has moved past it: then it counts as none.
    third = follow(settings, ledger, monkeypatch, "third")
    gone = upkeep.prune(settings, 1, dry_run=False)
    assert {made.drop for made in gone} == {first.drop, second}
    assert [one.made.drop for one in upkeep.drops_of(settings)] == [third]


# ── verifying without this project ───────────────────────────────────────────────────────────────


def test_the_verifier_stands_alone(demo_drops: Path, tmp_path: Path) -> None:
    import subprocess
    import sys

    alone = tmp_path / "verify.py"
    shutil.copy(verify.__file__, alone)
    # Isolated: neither this project nor its folder is on the path.
    run = [sys.executable, "-I", str(alone), str(demo_drops)]
    right = subprocess.run([*run, "--deep"], capture_output=True, text=True, check=False)
    assert (right.returncode, right.stderr) == (0, "")
    assert right.stdout.endswith("is right\n")
    name = json.loads((demo_drops / "latest.json").read_bytes())["drop"]
    data = data_file(demo_drops / "releases" / name, CHARGE_POINTS)
    data.write_bytes(data.read_bytes()[:-1])
    wrong = subprocess.run(run, capture_output=True, text=True, check=False)
    assert wrong.returncode == 1
    assert wrong.stderr.startswith(f"changed size: {CHARGE_POINTS}/{CHARGE_POINTS}.parquet has")
    none = subprocess.run([*run[:-1], str(tmp_path)], capture_output=True, text=True, check=False)
    assert (none.returncode, none.stderr) == (
        2,
        "nothing is published: there is no latest.json\n",
    )


def test_the_verifier_imports_nothing_of_this_project() -> None:
    assert "goral_pipeline" not in Path(verify.__file__).read_text()


def test_the_manifest_is_not_more_than_its_drop(demo: Demo) -> None:
    made = manifest.parse((demo.release / "manifest.json").read_bytes())
    assert replace(made, data=[]).rows == 0
    assert made.rows == sum(pq.read_metadata(p).num_rows for p in demo.release.rglob("*.parquet"))
