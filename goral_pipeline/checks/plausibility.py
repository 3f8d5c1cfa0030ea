"""Plausibility: what is possible, but so unlikely that someone should look at it.

A check is a query on the marts, which measures something of each area and period, and a Great
Expectations expectation, which judges what was measured by a threshold of `thresholds.yaml`. It
warns and never blocks. Belongs here: the checks, and what they find. Does not belong here: what a
contract forbids, which is judged in staging; the process that this runs in.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    import duckdb
    from great_expectations.expectations.expectation import Expectation

Severity = Literal["info", "warning"]
Bound = Literal["at most", "at least"]

THRESHOLDS = Path(__file__).with_name("thresholds.yaml")
LIMIT = "limit"


@dataclass(frozen=True)
class Check:
    """A measurement and the side of the limit it should be on.

    The query gives `dataset, period, area_code, observed, message`, and reads the thresholds that
    are not the limit as its parameters.
    """

    name: str
    mart: str
    """The mart it warns about."""
    bound: Bound
    unit: str
    sql: str


class Cell(NamedTuple):
    """What was measured of one area in one period; no area is the empty text."""

    dataset: str
    period: str
    area_code: str
    observed: float | None
    message: str


@dataclass(frozen=True)
class Finding:
    """What a check found in a period of a dataset; where it found nothing, that it looked."""

    check_name: str
    dataset: str
    period: str
    area_code: str | None
    severity: Severity
    passed: bool
    observed: float | None
    expected: str
    message: str


class Change(BaseModel):
    """One change of a threshold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: float | None = Field(alias="from")
    to: float
    when: date
    why: str = Field(min_length=10)


class Judgement(BaseModel):
    """How a check is judged: how much it matters, and each threshold with its history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Severity
    thresholds: dict[str, Annotated[tuple[Change, ...], Field(min_length=1)]]

    @model_validator(mode="after")
    def _each_change_begins_where_the_last_one_ended(self) -> Judgement:
        for name, history in self.thresholds.items():
            if [None, *(change.to for change in history[:-1])] != [c.before for c in history]:
                raise ValueError(f"{name}: each `from` must be the `to` before it, the first null")
            if [c.when for c in history] != sorted(c.when for c in history):
                raise ValueError(f"{name}: the changes are not in the order of their dates")
        if LIMIT not in self.thresholds:
            raise ValueError(f"there is no {LIMIT}")
        return self

    @property
    def limit(self) -> float:
        """What is judged by now."""
        return self.thresholds[LIMIT][-1].to

    @property
    def parameters(self) -> dict[str, float]:
        """The other thresholds of now, for the query."""
        return {name: history[-1].to for name, history in self.thresholds.items() if name != LIMIT}


# ── the checks ───────────────────────────────────────────────────────────────────────────────────

# Of RVO and DOT-NL, which count what stands; a concession's are what it placed.
_COUNTS = """
    counts as (
        select
            case source
                when 'rvo' then 'rvo/charge_point_counts'
                when 'ndw_dotnl' then 'ndw_dotnl/locations'
            end as dataset,
            month,
            definition,
            municipality_code,
            sum(charge_points)::bigint as number,
            sum(if(access = 'public', charge_points, 0))::bigint as public
        from marts.mart_charge_points
        where source in ('rvo', 'ndw_dotnl')
        group by all
    )
"""

# A factor, upwards or downwards, from the median of two months before and two after.
_FAR_FROM_NEIGHBOURS = """
    near as (
        select
            *,
            median(number) over around as usual,
            count(*) over around as neighbours
        from numbers
        window around as (
            partition by dataset order by month
            rows between 2 preceding and 2 following exclude current row
        )
    )
    select
        dataset,
        month as period,
        '' as area_code,
        round(greatest(
            greatest(number, 1) / greatest(usual, 1), greatest(usual, 1) / greatest(number, 1)
        ), 2) as observed,
        format('{}, where the months around it have {:.0f}', number, usual) as message
    from near
    where neighbours >= 2
"""

CHECKS = (
    Check(
        name="charge_points_fall",
        mart="mart_charge_points",
        bound="at most",
        unit="% less than the month before",
        sql=f"""
            with {_COUNTS},
            -- The municipality a month later may be missing, the month itself not.
            months as (
                select
                    *,
                    lead(month) over following as next_month,
                    lead(definition) over following as next_definition
                from (select distinct dataset, month, definition from counts)
                window following as (partition by dataset order by month)
            )
            select
                months.dataset,
                months.next_month as period,
                before.municipality_code as area_code,
                round(
                    100 * (before.number - coalesce(after.number, 0)) / before.number, 1
                ) as observed,
                format(
                    '{{}} charge points, in {{}} still {{}}',
                    coalesce(after.number, 0), before.month, before.number
                ) as message
            from months
            inner join counts as before
                on months.dataset = before.dataset and months.month = before.month
            left join counts as after
                on
                    months.dataset = after.dataset
                    and months.next_month = after.month
                    and before.municipality_code = after.municipality_code
            where
                before.number >= $smallest
                -- Across a change of definition counts may fall.
                and months.definition = months.next_definition
        """,
    ),
    Check(
        name="no_public_charge_points",
        mart="mart_charge_points",
        bound="at least",
        unit="public charge points",
        sql=f"""
            with {_COUNTS},
            months as (
                select distinct dataset, month from counts where dataset like 'rvo/%'
            )
            select
                months.dataset,
                months.month as period,
                municipality.municipality_code as area_code,
                coalesce(counts.public, 0) as observed,
                'none in ' || municipality.municipality_name as message
            from months
            cross join marts.dim_municipality as municipality
            left join counts
                on
                    months.dataset = counts.dataset
                    and months.month = counts.month
                    and municipality.municipality_code = counts.municipality_code
        """,
    ),
    Check(
        name="charge_points_far_from_neighbours",
        mart="mart_charge_points",
        bound="at most",
        unit="times as many or as few as the months around it",
        sql=f"""
            with {_COUNTS},
            numbers as (
                select dataset, month, sum(number)::bigint as number
                from counts
                group by dataset, month
            ),
            {_FAR_FROM_NEIGHBOURS}
        """,
    ),
    Check(
        name="sources_differ",
        mart="mart_charge_point_comparison",
        bound="at most",
        unit="% more or less than RVO",
        sql="""
            -- Of the whole region: in the mart itself it is seen by municipality.
            with totals as (
                select
                    month,
                    sum(ndw_dotnl)::bigint as ndw_dotnl,
                    sum(rvo)::bigint as rvo
                from marts.mart_charge_point_comparison
                where kind = 'total' and ndw_dotnl is not null and rvo is not null
                group by month
            )
            select
                'ndw_dotnl/locations' as dataset,
                month as period,
                '' as area_code,
                round(100 * abs(ndw_dotnl - rvo) / rvo, 1) as observed,
                format('{} charge points by DOT-NL, {} by RVO', ndw_dotnl, rvo) as message
            from totals
            where rvo > 0
        """,
    ),
    Check(
        name="rejected_share",
        mart="mart_requests",
        bound="at most",
        unit="% of requests rejected",
        sql="""
            with shares as (
                select
                    concession,
                    reference_date,
                    sum(if(state = 'rejected', requests, 0))::bigint as rejected,
                    sum(requests)::bigint as received
                from marts.mart_requests
                group by concession, reference_date
            )
            select
                concession || '/requests' as dataset,
                reference_date::varchar as period,
                concession as area_code,
                round(100 * rejected / received, 1) as observed,
                format('{} of {} requests', rejected, received) as message
            from shares
            where received >= $smallest
        """,
    ),
    Check(
        name="requests_far_from_neighbours",
        mart="mart_requests",
        bound="at most",
        unit="times as many or as few as the months around it",
        sql=f"""
            with latest as (
                select concession, max(reference_date) as reference_date
                from marts.mart_requests
                group by concession
            ),
            requests as (
                select
                    concession || '/requests' as dataset,
                    request_month as month,
                    sum(requests)::bigint as number
                from marts.mart_requests
                inner join latest using (concession, reference_date)
                group by all
            ),
            spans as (
                select dataset, min(month) as first_month, max(month) as last_month
                from requests
                group by dataset
            ),
            -- A month without a single request is what this is to find.
            numbers as (
                select spans.dataset, dim_month.month, coalesce(requests.number, 0) as number
                from spans
                inner join marts.dim_month
                    on dim_month.month between spans.first_month and spans.last_month
                left join requests
                    on spans.dataset = requests.dataset and dim_month.month = requests.month
            ),
            {_FAR_FROM_NEIGHBOURS} and usual >= $smallest
        """,
    ),
    Check(
        name="scenarios_out_of_order",
        mart="mart_forecast",
        bound="at most",
        unit="% above the next higher scenario",
        sql="""
            with scenarios as (
                select
                    edition,
                    municipality_code,
                    year,
                    quantity,
                    max(forecast) filter (where scenario = 'low')::double as low,
                    max(forecast) filter (where scenario = 'middle')::double as middle,
                    max(forecast) filter (where scenario = 'high')::double as high
                from marts.mart_forecast
                group by all
            )
            select
                'elaadnl/passenger_outlook' as dataset,
                edition as period,
                municipality_code as area_code,
                round(
                    100 * greatest(low - middle, middle - high, low - high)
                    / least(low, middle, high), 1
                ) as observed,
                format(
                    '{} in {}: low {:.1f}, middle {:.1f}, high {:.1f}',
                    quantity, year, low, middle, high
                ) as message
            from scenarios
            where least(low, middle, high) >= $smallest
        """,
    ),
)


# ── judging ──────────────────────────────────────────────────────────────────────────────────────


@lru_cache
def judgements(path: Path = THRESHOLDS) -> dict[str, Judgement]:
    """How each check is judged, by its name.

    Raises:
        ValueError: when the file is not as it should be, or does not have just the checks.
    """
    found = {
        name: Judgement.model_validate(written)
        for name, written in yaml.safe_load(path.read_text(encoding="utf-8")).items()
    }
    if set(found) != {check.name for check in CHECKS}:
        raise ValueError(f"{path.name} has {sorted(found)}, which are not the checks there are")
    return found


def fingerprint() -> str:
    """Hash of the checks and of what they are judged by."""
    contents = [file.read_bytes() for file in (Path(__file__), THRESHOLDS)]
    return hashlib.sha256(b"".join(contents)).hexdigest()


def find(path: Path, memory_limit: str, threads: int) -> list[Finding]:
    """What all checks find in a warehouse file, in an order that depends on nothing else."""
    import duckdb

    with duckdb.connect(
        str(path), read_only=True, config={"memory_limit": memory_limit, "threads": threads}
    ) as con:
        return [
            finding
            for check in CHECKS
            for finding in findings(con, check, judgements()[check.name])
        ]


def findings(con: duckdb.DuckDBPyConnection, check: Check, judgement: Judgement) -> list[Finding]:
    """What one check finds: each cell beyond its limit, and the periods that have none.

    The newest period comes first.
    """
    columns = "dataset, period, area_code, observed::double, message"
    measured = con.execute(f"select {columns} from ({check.sql})", judgement.parameters)
    cells = sorted(Cell(*row) for row in measured.fetchall())
    beyond = [cells[place] for place in _beyond(cells, check.bound, judgement)]
    judged = Counter((cell.dataset, cell.period) for cell in cells)
    for cell in beyond:
        judged.pop((cell.dataset, cell.period), None)
    quiet = [Cell(*place, "", None, f"{number} judged") for place, number in judged.items()]
    told = sorted(sorted(beyond + quiet), key=lambda cell: cell.period, reverse=True)
    return [
        Finding(
            check_name=check.name,
            dataset=cell.dataset,
            period=cell.period,
            area_code=cell.area_code or None,
            severity=judgement.severity,
            passed=cell.observed is None,
            observed=cell.observed,
            expected=f"{check.bound} {judgement.limit:g} {check.unit}",
            message=cell.message,
        )
        for cell in told
    ]


def _beyond(cells: list[Cell], bound: Bound, judgement: Judgement) -> list[int]:
    """The places of the cells that Great Expectations finds on the wrong side of the limit."""
    if not cells:
        return []
    import pandas as pd

    from goral_pipeline.checks import gx

    frame = pd.DataFrame({"observed": [cell.observed for cell in cells]})
    (result,) = gx.validate(frame, [_expectation(bound, judgement)], {"result_format": "COMPLETE"})
    return list(result.result["unexpected_index_list"] or ())


def _expectation(bound: Bound, judgement: Judgement) -> Expectation:
    from great_expectations import expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    return gxe.ExpectColumnValuesToBeBetween(
        column="observed",
        min_value=judgement.limit if bound == "at least" else None,
        max_value=judgement.limit if bound == "at most" else None,
        severity=FailureSeverity(judgement.severity),
    )
