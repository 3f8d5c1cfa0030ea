"""Partitions: calendar months in Europe/Amsterdam, years, and editions by quarter."""

from __future__ import annotations

import dagster as dg

from goral_pipeline import clock
from goral_pipeline.contracts import Contract, staged

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
"""Tags by which one run takes a range of partitions."""

# The running month and year are partitions too: a snapshot is received in them.
_RUNNING = 1


def partitions_of(contract: Contract) -> dg.PartitionsDefinition[str]:
    """The partitions of a dataset; datasets of one kind share theirs, so that they run together."""
    first = min(c.first_partition for c in staged().values() if c.partition == contract.partition)
    if contract.partition == "edition":
        # Dagster knows no quarters by name: the list grows when the definitions are loaded anew.
        last = int(clock.current_month()[:4])
        quarters = [f"{y}Q{q}" for y in range(int(first[:4]), last + 1) for q in (1, 2, 3, 4)]
        return dg.StaticPartitionsDefinition(quarters)
    if contract.partition == "year":
        return dg.TimeWindowPartitionsDefinition(
            start=first,
            fmt="%Y",
            cron_schedule="0 0 1 1 *",
            timezone=str(clock.PROGRAMME_ZONE),
            end_offset=_RUNNING,
        )
    return dg.MonthlyPartitionsDefinition(
        start_date=first, fmt="%Y-%m", timezone=str(clock.PROGRAMME_ZONE), end_offset=_RUNNING
    )
