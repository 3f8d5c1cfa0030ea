"""Where columns are from, read off SQL; and off what dbt compiled of this project."""

import pytest

from goral_pipeline.warehouse.lineage import origins

TYPES = {
    ("staged", "stations"): {"id": "VARCHAR", "kw": "DECIMAL(9,3)", "town": "VARCHAR"},
    ("reference", "towns"): {"town": "VARCHAR", "province": "VARCHAR"},
}


def of(table: str, *columns: str) -> list[tuple[tuple[str, str], str]]:
    schema, name = table.split(".")
    return [((schema, name), column) for column in columns]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "select * from w.staged.stations",
            {c: of("staged.stations", c) for c in ("id", "kw", "town")},
        ),
        (
            "with a as (select * from w.staged.stations), b as (select town, sum(kw) as kw, "
            "1 as one from a group by town) select b.kw / 2 as half, one, towns.province from b "
            "left join w.reference.towns as towns on b.town = towns.town",
            {
                "half": of("staged.stations", "kw"),
                "one": [],
                "province": of("reference.towns", "province"),
            },
        ),
        (
            "select id as name from w.staged.stations union all select town from w.reference.towns",
            {"name": of("reference.towns", "town") + of("staged.stations", "id")},
        ),
    ],
)
def test_columns_are_followed_through_a_query(
    sql: str, expected: dict[str, list[tuple[tuple[str, str], str]]]
) -> None:
    assert origins(sql, "w", TYPES) == expected


def test_what_the_parser_does_not_know_has_no_lineage_and_fails_nothing() -> None:
    assert origins("select frobnicate ((", "w", TYPES) == {}
