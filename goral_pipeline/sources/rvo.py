"""RVO's counts, as Klimaatmonitor serves them over OData, and as RVO hands them over in workbooks.

Each dataset is asked for by a few variables, one list of values a variable. It lands as NDJSON, one
line a page: `{"page": n, "offset": o, "variable": code, "period": p, "body": <as it came>}`. Any
other file is read by the mappings of the dataset.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import DeliveryRejected, NoAddress, NotPublished
from goral_pipeline.http_session import HttpSession, Token, describe
from goral_pipeline.sources import tabular
from goral_pipeline.sources.asking import Answer, Page, Question, pages, session
from goral_pipeline.sources.hostile import check_json, looks_like, unreadable_is_rejected
from goral_pipeline.sources.mapping import Mapping
from goral_pipeline.sources.reading import Reading

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

EXPECTED = "pages of values of Klimaatmonitor"
YEAR_LEVEL = "year"


@dataclass(frozen=True)
class Served:
    """What Klimaatmonitor serves of one dataset: its variables, and what each of them counts."""

    period: str
    """Column of the contract with the month or year."""
    counted: str
    """Column of the contract with the value."""
    variables: dict[str, dict[str, str]]
    """Code of a variable → columns of the contract that tell the variables apart."""


CHARGE_POINT_COUNTS = Served(
    period="month",
    counted="charge_points",
    variables={
        "kern342a_lpt_pbreg": {"access": "public", "speed": "regular"},
        "kern342b_lpt_pbsnl": {"access": "public", "speed": "fast"},
        "kern342c_lpt_spreg": {"access": "semi_public", "speed": "regular"},
        "kern342d_lpt_spsnl": {"access": "semi_public", "speed": "fast"},
    },
)
VEHICLES = Served(
    period="year",
    counted="vehicles",
    variables={
        "pers_autos_herv_ev": {"kind": "passenger_cars_end_user"},
        "elekvoert_bev": {"kind": "bev_owner"},
        "elekvoert_phev": {"kind": "phev_owner"},
    },
)
INHABITANTS = Served(period="year", counted="inhabitants", variables={"inwoners": {}})

# An area that is no municipality, or a period that is none, is handed on as it came.
_READ_VALUES = r"""
create temp table served as
select
    row_number() over () as record_number,
    variable,
    case
        when regexp_full_match(period, 'm([1-9]|1[0-2])y[0-9]{4}')
            then right(period, 4) || '-' || lpad(regexp_extract(period, 'm([0-9]+)y', 1), 2, '0')
        else period
    end as period,
    case
        when regexp_full_match(field[1], 'gemeente_[0-9]{1,4}')
            then 'GM' || lpad(split_part(field[1], '_', 2), 4, '0')
        else field[1]
    end as municipality_code,
    field[2] as value
from (
    select variable, period,
        json_extract_string(value, ['$.ExternalCode', '$.ValueString']) as field
    from (
        select
            json_extract_string(json, '$.variable') as variable,
            json_extract_string(json, '$.period') as period,
            unnest(json_extract(json, '$.body.value[*]')) as value
        from read_json_objects($path, format = 'unstructured', maximum_object_size = 134217728)
    )
)
"""

# Only what has the form of a period is compared, and shown; anything else breaks a rule.
_OTHER_PERIODS = """
select distinct period from served
where regexp_full_match(period, '[0-9]{4}(-[0-9]{2})?') and period <> $partition
    and len(period) = len($partition)
order by all limit 5
"""


def fetch_charge_point_counts(question: Question) -> Answer | None:
    """Ask for a month's counts."""
    level = question.settings.klimaatmonitor_month_level
    return _fetch(question, CHARGE_POINT_COUNTS, level, month_as_asked(question.partition))


def fetch_vehicles(question: Question) -> Answer | None:
    """Ask for a year's electric cars."""
    return _fetch(question, VEHICLES, YEAR_LEVEL, question.partition)


def fetch_inhabitants(question: Question) -> Answer | None:
    """Ask for a year's inhabitants."""
    return _fetch(question, INHABITANTS, YEAR_LEVEL, question.partition)


def month_as_asked(month: str) -> str:
    """A month as Klimaatmonitor's catalogue writes it: `2022-07` is m7y2022."""
    year, number = month.split("-")
    return f"m{int(number)}y{year}"


def read_charge_point_counts(reading: Reading, layouts: tuple[Mapping, ...] = ()) -> None:
    """Read pages of OData, or a workbook of RVO's."""
    _read(reading, layouts, CHARGE_POINT_COUNTS)


def read_vehicles(reading: Reading, layouts: tuple[Mapping, ...] = ()) -> None:
    """Read pages of OData, or a workbook of RVO's."""
    _read(reading, layouts, VEHICLES)


def read_inhabitants(reading: Reading, layouts: tuple[Mapping, ...] = ()) -> None:
    """Read pages of OData, or a workbook of RVO's."""
    _read(reading, layouts, INHABITANTS)


def _fetch(question: Question, served: Served, level: str, period: str) -> Answer:
    """Ask for all variables of a period; nothing lands unless all of them are there.

    Only the values make the content key: pages may be cut otherwise, and areas come in any order.

    Raises:
        NotPublished: naming the variables that are not there.
    """
    settings = question.settings
    asking = session(settings, _key(settings))
    values, missing, demo = hashlib.sha256(), [], False
    try:
        for code in served.variables:
            found = _variable(asking, settings, code, level, period)
            for page in found:
                question.incoming.write(page.line(variable=code, period=period))
                demo = demo or page.demo
            elements = [json.dumps(one, sort_keys=True) for page in found for one in page.elements]
            values.update("\n".join([code, *sorted(elements), ""]).encode())
            if not elements:
                missing.append(code)
    finally:
        asking.close()
    if missing:
        raise NotPublished(_not_published(served, missing, level, period))
    return Answer(
        origin=describe(settings.klimaatmonitor_url), content_key=values.hexdigest(), demo=demo
    )


def _key(settings: Settings) -> Token:
    key = settings.klimaatmonitor_api_key
    if key is None:
        raise NoAddress(
            "GORAL_KLIMAATMONITOR_API_KEY is not set, and Klimaatmonitor answers only with a key; "
            "without one files are delivered by hand"
        )
    return Token(key.get_secret_value(), settings.klimaatmonitor_url, header="apikey")


def _variable(
    asking: HttpSession, settings: Settings, code: str, level: str, period: str
) -> list[Page]:
    """The pages of one variable; none when it is not published at that level."""
    url = (
        f"{settings.klimaatmonitor_url.rstrip('/')}/Variables('{code}')/GeoLevels('gemeente')"
        f"/PeriodLevels('{level}')/Periods('{period}')/Values"
    )
    try:
        return list(
            pages(asking, url, elements="value", following=_next_page, expected="a list of values")
        )
    except NotPublished:
        return []


def _next_page(content: dict[str, Any]) -> str | None:
    link = content.get("@odata.nextLink")
    return str(link) if link else None


def _not_published(served: Served, missing: list[str], level: str, period: str) -> str:
    if len(missing) < len(served.variables):
        return (
            f"Klimaatmonitor has only a part of {period}: {', '.join(missing)} of "
            f"{len(served.variables)} variables not yet; nothing was taken, ask again later"
        )
    hint = (
        ""
        if level == YEAR_LEVEL
        else ", or months have another name there (GORAL_KLIMAATMONITOR_MONTH_LEVEL)"
    )
    return (
        f"Klimaatmonitor has no {', '.join(missing)} by municipality and {level} for {period}: it "
        f"is not published at that level{hint}"
    )


def _read(reading: Reading, layouts: tuple[Mapping, ...], served: Served) -> None:
    with reading.path.open("rb") as file:
        is_json = looks_like(file.read(512)) == "JSON"
    if layouts and not is_json:
        tabular.read(reading, layouts)
    else:
        _read_pages(reading, served)


def _read_pages(reading: Reading, served: Served) -> None:
    """Read landed pages.

    Raises:
        DeliveryRejected: when they hold no values, or those of another period than the delivery is
            for.
    """
    check_json(reading.path, EXPECTED, gzipped=False)
    con = reading.con
    with unreadable_is_rejected(EXPECTED):
        con.execute(_READ_VALUES, {"path": str(reading.path)})
    if con.execute("select count(*) from served").fetchone() == (0,):
        raise DeliveryRejected(f"it holds no values, expected {EXPECTED}")
    if other := con.execute(_OTHER_PERIODS, {"partition": reading.partition}).fetchall():
        told = ", ".join(period for (period,) in other)
        raise DeliveryRejected(
            f"it holds values of {told}, expected those of {reading.partition} alone, for which it "
            "was delivered"
        )
    (table,) = reading.contract.tables
    con.execute(_raw_table(table.name, served))


def _raw_table(name: str, served: Served) -> str:
    """SQL for the table; the columns that tell variables apart are null for an unknown one."""
    told = {column for values in served.variables.values() for column in values}
    cases = {
        column: " ".join(
            f"when {quote(code)} then {quote(values[column])}"
            for code, values in served.variables.items()
        )
        for column in sorted(told)
    }
    dimensions = "".join(f"case variable {whens} end as {c}, " for c, whens in cases.items())
    known = ", ".join(quote(code) for code in served.variables)
    return f"""
create temp table raw_{name} as
select record_number as row_id, null::bigint as parent_row_id, record_number, municipality_code,
    period as {served.period}, {dimensions}
    case when variable in ({known}) then value end as {served.counted}
from served
"""
