"""What Dagster is told of the checks of a partition: which there are, and how each ended.

Belongs here: names, specs and evaluations. Does not belong here: checking (`checks`, `ingestion`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_type_hints

import dagster as dg

from goral_pipeline.checks.expectations import Verdict
from goral_pipeline.ingestion import Ingested

EXPECTATIONS = "expectations"
RECONCILIATION = "reconciliation"
BELONGING = "belonging"
MOST_SHOWN = 100
NO_DELIVERY = "there is no delivery"

# Dagster names this type nowhere but in what it is a field of.
(_Target, _) = get_args(get_type_hints(dg.AssetCheckEvaluation)["target_materialization_data"])


def check_keys(staging: dg.AssetKey) -> list[dg.AssetCheckKey]:
    """The checks that ingesting a dataset makes."""
    return [dg.AssetCheckKey(staging, name) for name in (EXPECTATIONS, RECONCILIATION, BELONGING)]


def check_specs(
    staging: dg.AssetKey, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """What holds a partition back, evaluated partition by partition; and what only warns."""
    blocking = {
        EXPECTATIONS: (
            "There are records, and no more than the contract's share is bad. With each rule of "
            "the contract that rows broke: those rows are quarantined."
        ),
        RECONCILIATION: (
            "The newest delivery could be read, and every record of it is accounted for."
        ),
    }
    with warnings.catch_warnings():
        # Checks by partition are new; should they change, so does the pinned version.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                name,
                asset=staging,
                blocking=True,
                partitions_def=partitions,
                description=description,
            )
            for name, description in blocking.items()
        ]
    warning = dg.AssetCheckSpec(
        BELONGING,
        asset=staging,
        description=(
            "Dates and content of each delivery of the last run fit the partition that it was "
            "given for. Warns only."
        ),
    )
    return [*specs, warning]


def evaluations(
    instance: dg.DagsterInstance,
    staging: dg.AssetKey,
    results: Sequence[Ingested],
    left_behind: Sequence[Ingested],
) -> Iterator[dg.AssetCheckEvaluation]:
    """How the checks ended of each partition of a run; and, again, of those left behind before.

    To be told after the partitions were materialized, for an evaluation is of the newest one. What
    Dagster shows of an asset is what was told last, so what is wrong comes last.
    """
    # Of one that was not answered nothing was checked: what is in use stays as it was found.
    answered = [result for result in results if not result.is_unanswered]
    told = [*sorted(answered, key=lambda result: result.state == "failed"), *left_behind]
    targets = _newest(instance, staging, [result.partition for result in told])
    for result in told:
        for name, passed, description, metadata in (_gate(result), _accounts(result)):
            yield dg.AssetCheckEvaluation(
                asset_key=staging,
                check_name=name,
                passed=passed,
                partition=result.partition,
                blocking=True,
                description=description,
                metadata=metadata,
                target_materialization_data=targets.get(result.partition),
            )
    yield _belonging(staging, [result for result in answered if result.state != "missing"])


def _newest(
    instance: dg.DagsterInstance, staging: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, Any]:
    """The newest materialization of each partition that has one."""
    if not partitions:
        return {}
    of = dg.AssetRecordsFilter(staging, asset_partitions=list(partitions))
    # A run tells of each but once; more are wanted only where one was materialized by hand since.
    records = instance.fetch_materializations(of, limit=2 * len(partitions)).records
    found: dict[str, Any] = {}
    for record in records:
        if record.partition_key is not None:
            target = _Target(
                storage_id=record.storage_id, run_id=record.run_id, timestamp=record.timestamp
            )
            found.setdefault(record.partition_key, target)
    return found


def _gate(result: Ingested) -> tuple[str, bool, str, dict[str, Any]]:
    if result.state == "missing":
        return EXPECTATIONS, True, NO_DELIVERY, {}
    if not result.verdicts:
        text = f"not evaluated, for no rows could be read: see {RECONCILIATION}"
        return EXPECTATIONS, result.state != "failed", text, {}
    broken = [verdict for verdict in result.verdicts if not verdict.success]
    is_held_back = any(verdict.severity == "critical" for verdict in broken)
    accepted = "; ".join(
        f"{table}: {counts['accepted']} of {sum(counts.values())} rows accepted"
        for table, counts in result.rows.items()
    )
    metadata: dict[str, Any] = {
        "rules_evaluated": len(result.verdicts),
        "rules_broken": len(broken),
        "rows_in_breach": sum(v.violations for v in broken if v.severity == "warning"),
    }
    if broken:
        shown = sorted(broken, key=lambda verdict: verdict.severity)[:MOST_SHOWN]
        metadata["rules"] = dg.MetadataValue.table([_record(verdict) for verdict in shown])
        metadata["look"] = f"goral quarantine show {result.dataset} --partition {result.partition}"
    return EXPECTATIONS, not is_held_back, result.message if is_held_back else accepted, metadata


def _record(verdict: Verdict) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "table": verdict.table,
            "rule": verdict.rule,
            "severity": verdict.severity,
            "violations": verdict.violations,
            "first_records": ", ".join(map(str, verdict.records)),
        }
    )


def _accounts(result: Ingested) -> tuple[str, bool, str, dict[str, Any]]:
    if result.state == "missing":
        return RECONCILIATION, True, NO_DELIVERY, {}
    if result.state == "failed" and not result.verdicts:
        metadata = {
            "delivery": result.delivery_id or "none",
            "to_do": f"goral deliver {result.dataset} FILE --partition {result.partition}",
            "docs": "docs/how-to/a-delivery-was-rejected.md",
        }
        return RECONCILIATION, False, result.message, metadata
    rows = {table: sum(counts.values()) for table, counts in result.rows.items()}
    return RECONCILIATION, True, "every record is accounted for", rows


def _belonging(staging: dg.AssetKey, results: Sequence[Ingested]) -> dg.AssetCheckEvaluation:
    doubtful = [result for result in results if result.doubts]
    records = [
        dg.TableRecord({"partition": result.partition, "doubt": "; ".join(result.doubts)})
        for result in doubtful
    ]
    return dg.AssetCheckEvaluation(
        asset_key=staging,
        check_name=BELONGING,
        passed=not doubtful,
        severity=dg.AssetCheckSeverity.WARN,
        blocking=False,
        description=f"{len(doubtful)} of {len(results)} deliveries are doubtful",
        metadata={"deliveries": dg.MetadataValue.table(records)} if records else {},
    )
