"""Every example of OCPI's specification, as each of the datasets: read, or refused rightly.

The files lie beside the project and are no part of it; where they are absent nothing is tested.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.settings import PROJECT_ROOT
from tests.support_files import Staged, stage_file

EXAMPLES = PROJECT_ROOT.parent / "shared" / "data" / "ocpi_examples"
FILES = sorted(EXAMPLES.rglob("*.json"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not FILES,
        reason=f"THE EXAMPLES OF OCPI ARE ABSENT ({EXAMPLES}): nothing was held against them",
    ),
]


Content = dict[str, Any]
DATASETS = ("sessions", "locations", "tariffs")
MEMBERS = {
    "sessions": {"id", "cdr_token", "cdr_location", "end_date_time"},
    "locations": {"id", "coordinates", "last_updated"},
    "tariffs": {"id", "elements", "last_updated"},
}
"""What makes an object one of a kind, by none of the project's code."""
REFUSED = {
    # In France: a concession's charge points lie in or near the Netherlands.
    "location_example_parking_garage_opening_hours.json": "latitude_range",
    # How a tariff is sent to a peer; one in a list says when it was last changed.
    "tariff_put_example.json": "last_updated_required",
}


def is_of_kind(content: Any, dataset: str) -> bool:
    return isinstance(content, dict) and MEMBERS[dataset] <= content.keys()


def check_sessions(made: Staged, content: Content) -> None:
    (row,) = made.accepted("sessions")
    assert row["cdr_id"] == content["id"]
    assert float(row["energy_kwh"]) == content["total_energy"]
    assert content["cdr_token"]["uid"] not in str(row)


def check_locations(made: Staged, content: Content) -> None:
    (row,) = made.accepted("locations")
    keys = ("country_code", "party_id", "id", "publish")
    assert [row[name] for name in ("country_code", "party_id", "location_id", "publish")] == [
        content[name] for name in keys
    ]
    assert float(row["latitude"]) == float(content["coordinates"]["latitude"])
    points = [(row["evse_uid"], row["status"]) for row in made.accepted("charge_points")]
    assert points == sorted((evse["uid"], evse["status"]) for evse in content["evses"])
    plugs = [(row["evse_uid"], row["connector_id"]) for row in made.accepted("connectors")]
    assert plugs == sorted(
        (e["uid"], plug["id"]) for e in content["evses"] for plug in e["connectors"]
    )


def check_tariffs(made: Staged, content: Content) -> None:
    (row,) = made.accepted("tariffs")
    assert (row["tariff_id"], row["currency"]) == (content["id"], content["currency"])
    prices = [
        (place, component["type"], component["price"], component["step_size"])
        for place, element in enumerate(content["elements"], start=1)
        for component in element["price_components"]
    ]
    columns = ("element", "component_type", "price", "step_size")
    rows = [tuple(row[name] for name in columns) for row in made.accepted("price_components")]
    assert [(at, kind, float(price), step) for at, kind, price, step in rows] == prices


CHECKS: dict[str, Callable[[Staged, Content], None]] = {
    "sessions": check_sessions,
    "locations": check_locations,
    "tariffs": check_tariffs,
}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_is_read_or_rightly_refused(path: Path, dataset: str, tmp_path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    if is_of_kind(content, dataset) and path.name not in REFUSED:
        CHECKS[dataset](stage_file(tmp_path, f"vattenfall/{dataset}", path), content)
        return
    with pytest.raises(DeliveryRejected) as refused:
        stage_file(tmp_path, f"vattenfall/{dataset}", path)
    assert re.search(rf"{dataset} break a rule|has `elements`", str(refused.value))
    if path.name in REFUSED and path.name.startswith(dataset.removesuffix("s")):
        assert REFUSED[path.name] in str(refused.value)


@pytest.mark.parametrize(
    ("dataset", "number"), [("sessions", 1), ("locations", 5), ("tariffs", 19)]
)
def test_so_many_examples_are_read(dataset: str, number: int) -> None:
    read = [
        path
        for path in FILES
        if is_of_kind(json.loads(path.read_text(encoding="utf-8-sig")), dataset)
        and path.name not in REFUSED
    ]
    assert len(read) == number
