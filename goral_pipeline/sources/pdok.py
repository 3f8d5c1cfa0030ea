"""PDOK: municipality boundaries over OGC API Features, page by page.

Lands as NDJSON, one line a page: `{"page": n, "offset": o, "body": <the page as it came>}`. A plain
GeoJSON FeatureCollection delivered as a file is read too.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from goral_pipeline.errors import DeliveryRejected, NotPublished
from goral_pipeline.http_session import describe
from goral_pipeline.sources.asking import Answer, Question, at_partition, pages, session
from goral_pipeline.sources.hostile import check_json, unreadable_is_rejected
from goral_pipeline.sources.reading import Reading

EXPECTED = "a GeoJSON FeatureCollection of municipalities"

# Names of the properties: CBS's areas; the programme's own copy; Kadaster's boundaries.
_READ_FEATURES = """
create temp table features as
select
    row_number() over () as record_number,
    coalesce(field[1], field[2], field[3]) as municipality_code,
    coalesce(field[4], field[5], field[6]) as municipality_name,
    field[7] as geometry
from (
    select json_extract_string(feature, [
        '$.properties.statcode', '$.properties.gemeentecode', '$.properties.identificatie',
        '$.properties.statnaam', '$.properties.gemeentenaam', '$.properties.naam', '$.geometry'
    ]) as field
    from (
        select unnest(json_extract(coalesce(json_extract(json, '$.body'), json), '$.features[*]'))
            as feature
        from read_json_objects(
            $path, format = 'unstructured', maximum_object_size = 134217728
        )
    )
)
"""

_RAW_BOUNDARIES = """
create temp table raw_municipality_boundaries as
select
    record_number as row_id,
    null::bigint as parent_row_id,
    record_number,
    municipality_code,
    municipality_name,
    outline.geometry
from features join outline using (record_number)
"""


def fetch_municipality_boundaries(question: Question) -> Answer | None:
    """Ask for all pages of an edition.

    The pages carry the time of asking, so only the features tell whether anything is new: they
    make the content key.
    """
    url = at_partition(question.settings.pdok_boundaries_url, "edition", question)
    origin, features, found, demo = describe(url), hashlib.sha256(), 0, False
    asking = session(question.settings)
    try:
        for page in pages(
            asking, url, elements="features", following=_next_page, expected=EXPECTED
        ):
            question.incoming.write(page.line())
            for feature in page.elements:
                features.update(json.dumps(feature, sort_keys=True).encode() + b"\n")
            found += len(page.elements)
            demo = demo or page.demo
    finally:
        asking.close()
    if found == 0:
        raise NotPublished(f"{origin} has no municipalities of {question.partition}")
    return Answer(origin=origin, content_key=features.hexdigest(), demo=demo)


def read_municipality_boundaries(reading: Reading) -> None:
    """Read the features into `raw_municipality_boundaries`, outlines as hexadecimal WKB.

    Raises:
        DeliveryRejected: when it holds no features.
    """
    check_json(reading.path, EXPECTED, gzipped=False)
    con = reading.con
    with unreadable_is_rejected(EXPECTED):
        con.execute(_READ_FEATURES, {"path": str(reading.path)})
    outlines = con.execute("select record_number, geometry from features").fetchnumpy()
    if len(outlines["record_number"]) == 0:
        raise DeliveryRejected(f"it holds no features, expected {EXPECTED}")
    con.register("outline_arrays", _outlines(outlines))
    con.execute("create temp table outline as select * from outline_arrays")
    con.unregister("outline_arrays")
    con.execute(_RAW_BOUNDARIES)


def _outlines(features: dict[str, Any]) -> Any:
    """Outlines as hexadecimal WKB; null where it is no valid polygon in degrees."""
    import numpy as np
    import pyarrow as pa
    import shapely

    texts = np.ma.filled(features["geometry"].astype(object), None)
    shapes = shapely.from_geojson(texts, on_invalid="ignore")
    areal = np.isin(shapely.get_type_id(shapes), (3, 6))
    bounds = np.nan_to_num(shapely.bounds(shapes), nan=1e9)
    in_degrees = (np.abs(bounds) <= [180, 90, 180, 90]).all(axis=1)
    shapes[~(areal & in_degrees & shapely.is_valid(shapes))] = None
    return pa.table(
        {
            "record_number": np.asarray(features["record_number"]),
            "geometry": pa.array(shapely.to_wkb(shapes, hex=True), pa.string()),
        }
    )


def _next_page(content: dict[str, Any]) -> str | None:
    links = content.get("links")
    for link in links if isinstance(links, list) else []:
        if isinstance(link, dict) and link.get("rel") == "next" and link.get("href"):
            return str(link["href"])
    return None
