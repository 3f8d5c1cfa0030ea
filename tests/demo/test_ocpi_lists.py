"""The concession's own lists: the places of its sessions, said as DOT-NL says them, and no dirt."""

from pathlib import Path

import pytest

from goral_pipeline.demo import charge_points, ocpi_lists, sessions, tariffs
from goral_pipeline.demo.ocpi import Json
from tests.support_files import stage_file

MONTH = "2022-12"


def objects(kind: str, month: str = MONTH) -> list[Json]:
    return [one for _, one in ocpi_lists.listed(kind, month)]


def by_key(records: list[Json | str]) -> dict[tuple[str, str], Json]:
    return {
        (one["party_id"], one["id"]): {name: at for name, at in one.items() if at is not None}
        for one in records
        if isinstance(one, dict)
    }


def test_every_place_of_a_session_is_listed() -> None:
    listed = {one["id"]: {evse["uid"] for evse in one["evses"]} for one in objects("locations")}
    places = [record["cdr_location"] for _, record in sessions.cdrs()]
    assert all(place["evse_uid"] in listed[place["id"]] for place in places)


@pytest.mark.parametrize("month", ocpi_lists.PUBLISHED_MONTHS)
def test_a_list_says_what_dot_nl_says(month: str) -> None:
    lists: dict[str, list[Json | str]] = {
        "locations": charge_points.locations(month),
        "tariffs": tariffs.tariffs(month),
    }
    for kind, dot_nl in lists.items():
        known = by_key(dot_nl)
        assert all(one == known[one["party_id"], one["id"]] for one in objects(kind, month))
        assert {one["party_id"] for one in objects(kind, month)} == {"NUO"}
        moments = [at for at, _ in ocpi_lists.listed(kind, month)]
        assert moments == sorted(moments)


@pytest.mark.parametrize("kind", ocpi_lists.KINDS)
def test_a_list_is_read_whole(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"DEMO_{kind}.json"
    file.write_bytes(ocpi_lists.file_of(kind, MONTH))
    made = stage_file(tmp_path / "home", f"vattenfall/{kind}", file, partition=MONTH)
    assert made.counts[kind] == {"accepted": len(objects(kind))}
    assert all(outcomes.keys() == {"accepted"} for outcomes in made.counts.values())


def test_other_months_are_not_published() -> None:
    for month in ("2022-09", "2023-01", ""):
        with pytest.raises(KeyError):
            ocpi_lists.listed("locations", month)
