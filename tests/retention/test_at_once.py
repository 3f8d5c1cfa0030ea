"""Two at a time, and beside one who takes deliveries in."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from goral_pipeline import retention
from goral_pipeline.errors import GoralError
from goral_pipeline.landing import open_ledger, store
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.settings import Settings
from tests.retention.conftest import At, Take


def test_two_at_a_time_remove_each_thing_once(
    settings: Settings, ledger: Ledger, at: At, take: Take
) -> None:
    for rows in range(1, 5):
        at(rows)
        take(rows)
    at(5000)

    def apply() -> list[str]:
        with open_ledger(settings) as own:
            found = retention.apply(settings, own)
        assert found.problems == ()
        return [one.name for one in found.due]

    with ThreadPoolExecutor(2) as workers:
        done = [worker.result() for worker in [workers.submit(apply), workers.submit(apply)]]
    # Four raw deliveries; staging and quarantine of the three that were superseded.
    assert sorted(map(len, done)) == [0, 10]
    assert sorted(r.path for r in ledger.removals()) == sorted(name for of in done for name in of)
    assert all(removal.removed_at for removal in ledger.removals())


def test_it_does_not_come_between_taking_in_and_staging(
    settings: Settings, ledger: Ledger, at: At, take: Take, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(3)
    at(600)
    really = store.alone
    monkeypatch.setattr(store, "alone", lambda landing: really(landing, seconds=0.1))
    with store.shared(settings.landing):
        with pytest.raises(GoralError, match=r"being taken in.*nothing was removed"):
            retention.apply(settings, ledger)
        assert ledger.removals() == []
    assert len(retention.apply(settings, ledger).due) == 1
