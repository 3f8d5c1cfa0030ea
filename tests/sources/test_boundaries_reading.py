"""How boundaries are read: as one GeoJSON file or as landed pages, outlines valid or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.staging.stage import stage
from tests.support_files import (
    BOUNDARIES,
    Row,
    feature,
    geojson_file,
    job_of,
    quarantine_of,
    square,
    stage_file,
)

BESIDE = {"type": "MultiPolygon", "coordinates": [square(5.7, 52.0)["coordinates"]]}
FEATURES = [feature(), feature("GM0200", "Apeldoorn", BESIDE)]


def _rows(tmp_path: Path, file: Path) -> list[Row]:
    return stage_file(tmp_path, BOUNDARIES, file).accepted("municipality_boundaries")


def _shape(outline: Row) -> Any:
    return shapely.from_geojson(json.dumps(outline))


def test_outlines_are_staged_as_well_known_binary(tmp_path: Path) -> None:
    rows = _rows(tmp_path, geojson_file(tmp_path / "file.json", FEATURES))
    found = {row["municipality_code"]: shapely.from_wkb(row["geometry"]) for row in rows}
    assert found["GM0228"].equals(_shape(square(5.6, 52.0)))
    assert found["GM0200"].equals(_shape(BESIDE))
    assert [row["municipality_name"] for row in rows] == ["Apeldoorn", "Ede"]
    assert [row["record_number"] for row in rows] == [2, 1]


def test_landed_pages_give_the_same_rows_as_one_file(tmp_path: Path) -> None:
    pages = tmp_path / "pages.ndjson"
    lines = [
        {"page": 1, "offset": 0, "body": {"type": "FeatureCollection", "features": FEATURES[:1]}},
        {"page": 2, "offset": 1, "body": {"features": FEATURES[1:], "links": []}},
        {"page": 3, "offset": 2, "body": {"features": []}},
    ]
    pages.write_text("".join(json.dumps(line) + "\n" for line in lines))
    whole = geojson_file(tmp_path / "whole.json", FEATURES)
    assert _rows(tmp_path / "pages", pages) == _rows(tmp_path / "whole", whole)


@pytest.mark.parametrize(
    ("code", "name"),
    [("statcode", "statnaam"), ("gemeentecode", "gemeentenaam"), ("identificatie", "naam")],
)
def test_each_publishers_names_of_the_properties_are_known(
    code: str, name: str, tmp_path: Path
) -> None:
    named = feature() | {"properties": {code: "GM0228", name: "Ede"}}
    (row,) = _rows(tmp_path, geojson_file(tmp_path / "file.json", [named]))
    assert (row["municipality_code"], row["municipality_name"]) == ("GM0228", "Ede")


RD_METRES = square(174000, 450000, 1000)
BOW_TIE = [[5.6, 52.0], [5.7, 52.1], [5.7, 52.0], [5.6, 52.1], [5.6, 52.0]]
WRONG_OUTLINES: dict[str, Any] = {
    "none at all": {},
    "a point": {"type": "Point", "coordinates": [5.6, 52.0]},
    "a line": {"type": "LineString", "coordinates": BOW_TIE},
    "crossing itself": {"type": "Polygon", "coordinates": [BOW_TIE]},
    "not closed": {"type": "Polygon", "coordinates": [BOW_TIE[:3]]},
    "empty": {"type": "Polygon", "coordinates": []},
    "in metres": RD_METRES,
    "not a number": {"type": "Polygon", "coordinates": [[["a", "b"], ["c", "d"]]]},
    "text": "POLYGON EMPTY",
    "unknown kind": {"type": "Blob", "coordinates": [[5.6, 52.0]]},
}


def test_outlines_that_are_none_are_quarantined_each_with_its_number(tmp_path: Path) -> None:
    bad = [
        feature(f"GM{place:04}", name, outline)
        for place, (name, outline) in enumerate(WRONG_OUTLINES.items())
    ]
    without: Row = feature("GM0900", "no geometry") | {"geometry": None}
    file = geojson_file(tmp_path / "file.json", [*FEATURES, *bad, without])
    job = job_of(tmp_path, BOUNDARIES, file)
    with pytest.raises(DeliveryRejected, match=f"{len(bad) + 1} of {len(bad) + 3} "):
        stage(job)
    found = quarantine_of(job, "municipality_boundaries")
    assert [row["record_number"] for row in found] == [*range(3, len(bad) + 4)]
    assert {(row["rule"], row["found"]) for row in found} == {("geometry_required", None)}


def test_an_outline_with_a_hole_and_an_exclave_is_kept_whole(tmp_path: Path) -> None:
    outer, hole = square(5.6, 52.0)["coordinates"][0], square(5.63, 52.03, 0.02)["coordinates"][0]
    outline = {
        "type": "MultiPolygon",
        "coordinates": [[outer, hole], [square(6, 52)["coordinates"][0]]],
    }
    (row,) = _rows(tmp_path, geojson_file(tmp_path / "f.json", [feature(geometry=outline)]))
    shape = shapely.from_wkb(row["geometry"])
    assert shape.equals(_shape(outline))
    assert not shape.contains(shapely.Point(5.64, 52.04))


def test_a_municipality_twice_is_kept_once_where_both_say_the_same(tmp_path: Path) -> None:
    twice = [feature(), feature()]
    made = stage_file(tmp_path, BOUNDARIES, geojson_file(tmp_path / "file.json", twice))
    assert made.counts["municipality_boundaries"] == {"accepted": 1, "duplicate": 1}
    (row,) = made.accepted("municipality_boundaries")
    assert row["record_number"] == 1


def test_a_municipality_with_two_outlines_is_refused(tmp_path: Path) -> None:
    twice = [feature(), feature(name="Ede again", geometry=square(6, 52))]
    with pytest.raises(DeliveryRejected, match=r"\(conflicting_key 2 times\), expected at most 0"):
        stage_file(tmp_path, BOUNDARIES, geojson_file(tmp_path / "file.json", twice))
