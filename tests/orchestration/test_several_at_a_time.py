"""Partitions of a dataset go several at a time; what is told of them does not show it."""

import threading
import time
from typing import Any

import pytest

from goral_pipeline import ingestion
from goral_pipeline.ingestion import Ingested, ingest_all
from goral_pipeline.settings import Settings

MONTHS = [f"2022-{month:02d}" for month in range(1, 9)]
DATASET = "vattenfall/requests"
LEDGER: Any = None


def all_of(settings: Settings, told: list[Ingested]) -> list[Ingested]:
    return ingest_all(settings, LEDGER, DATASET, MONTHS, fetch=False, progress=told.append)


@pytest.mark.parametrize("processes", [1, 3])
def test_no_more_at_a_time_than_set_and_told_in_order(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    running, most, lock = 0, 0, threading.Lock()

    def ingest(_s: Settings, _l: Any, dataset: str, month: str, *, fetch: bool) -> Ingested:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        # The first take longest, so that the last are done before them.
        time.sleep(0.002 * (13 - int(month[-2:])))
        with lock:
            running -= 1
        return Ingested(dataset, month, "new")

    monkeypatch.setattr(ingestion, "ingest", ingest)
    told: list[Ingested] = []
    results = all_of(Settings.load(staging_processes=processes), told)
    assert [result.partition for result in results] == MONTHS
    assert told == results
    assert most == processes


def test_a_fault_in_one_month_does_not_keep_the_others_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ingest(_s: Settings, _l: Any, dataset: str, month: str, *, fetch: bool) -> Ingested:
        if month in ("2022-02", "2022-05"):
            raise RuntimeError(f"a fault of the program in {month}")
        return Ingested(dataset, month, "new")

    monkeypatch.setattr(ingestion, "ingest", ingest)
    told: list[Ingested] = []
    with pytest.raises(RuntimeError, match="2022-02"):
        all_of(Settings.load(), told)
    assert [one.partition for one in told] == [
        month for month in MONTHS if month not in ("2022-02", "2022-05")
    ]
