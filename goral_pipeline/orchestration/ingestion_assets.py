"""Assets of the deliveries: for each dataset what landed, and what was staged of it."""

# No postponed annotations here: Dagster reads those of context and config.

import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import dagster as dg

from goral_pipeline.checks.expectations import Verdict
from goral_pipeline.contracts import Contract, Table
from goral_pipeline.ingestion import Ingested, in_words, ingest_all
from goral_pipeline.landing import open_ledger
from goral_pipeline.orchestration.event_log import held_open
from goral_pipeline.orchestration.partitions import partitions_of
from goral_pipeline.orchestration.telling import teller
from goral_pipeline.orchestration.vanished import mark_process
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts

EXPECTATIONS = "expectations"
RECONCILIATION = "reconciliation"
BELONGING = "belonging"
BLOCKING = (EXPECTATIONS, RECONCILIATION)
MOST_SHOWN = 100
MOST_EXPLAINED = 12
OWNERS = ["team:go-ral"]


class IngestConfig(dg.Config):
    """How a run ingests."""

    fetch: bool = True
    """Ask the publishers; without it only what was delivered is staged."""


def ingest_config(datasets: Iterable[str], *, fetch: bool) -> dict[str, Any]:
    """The configuration of a run that ingests datasets."""
    ops = (_op_name(dataset) for dataset in datasets)
    return {"ops": {op: {"config": {"fetch": fetch}} for op in sorted(ops)}}


def _op_name(dataset: str) -> str:
    return f"ingest__{dataset.replace('/', '__')}"


def landing_key(dataset: str) -> dg.AssetKey:
    """Asset of a dataset's deliveries as they came."""
    return dg.AssetKey(["landing", *dataset.split("/")])


def staging_key(dataset: str) -> dg.AssetKey:
    """Asset of a dataset's accepted rows."""
    return dg.AssetKey(["staging", *dataset.split("/")])


def ingestion_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Two assets a dataset, landing and staging, and the check between them and all else."""
    datasets = contracts(settings.home_folder).values()
    return [_dataset_assets(settings, contract) for contract in datasets]


def _dataset_assets(settings: Settings, contract: Contract) -> dg.AssetsDefinition:
    dataset = contract.dataset
    landing, staging = landing_key(dataset), staging_key(dataset)
    partitions = partitions_of(contract)

    @dg.multi_asset(
        name=_op_name(dataset),
        specs=[
            # Skippable, for which partitions are there is said by an event for each.
            dg.AssetSpec(
                landing,
                group_name="landing",
                kinds={"file"},
                description=f"Deliveries of {dataset} as they came. {contract.name}.",
                partitions_def=partitions,
                skippable=True,
                owners=OWNERS,
                tags=_tags(contract),
            ),
            dg.AssetSpec(
                staging,
                deps=[landing],
                group_name="staging",
                kinds={"parquet", "duckdb"},
                description=contract.description["purpose"],
                partitions_def=partitions,
                skippable=True,
                owners=OWNERS,
                tags=_tags(contract),
                metadata={
                    "contract": contract.id,
                    "contract_version": contract.version,
                    "dagster/column_schema": _column_schema(contract.tables[0]),
                },
            ),
        ],
        check_specs=_check_specs(staging, partitions),
        backfill_policy=dg.BackfillPolicy.single_run(),
        # A publisher is asked by one run at a time.
        pool=contract.source,
    )
    def ingest_dataset(
        context: dg.AssetExecutionContext, config: IngestConfig
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        mark_process(context)
        tell = teller(context)

        def progress(result: Ingested) -> None:
            tell(in_words(result))
            # Now, while others are staged, for an event takes its time.
            if result.verdicts and not context.has_partition_key:
                context.log_event(_evaluation(result, staging))

        months = [key for key in context.partition_keys if key >= contract.first_partition]
        with held_open(context.instance):
            with open_ledger(settings) as ledger:
                results = ingest_all(
                    settings,
                    ledger,
                    dataset,
                    months,
                    fetch=config.fetch,
                    progress=progress,
                )
            yield from _check_results(results, staging)
            yield from _materializations(context, results, landing, staging)
        failed = [result for result in results if result.state == "failed"]
        if failed:
            raise dg.Failure(_failure(dataset, failed, len(results)), allow_retries=False)

    return ingest_dataset


def _failure(dataset: str, failed: Sequence[Ingested], number: int) -> str:
    """All partitions that failed, and of the first of them why: the others say it themselves."""
    shown = failed[:MOST_EXPLAINED]
    lines = [
        f"{len(failed)} of {number} partitions of {dataset} failed; they keep their previous "
        "version:",
        *(in_words(result) for result in shown),
    ]
    if rest := failed[len(shown) :]:
        lines.append(f"and {', '.join(result.partition for result in rest)}")
    return "\n".join(lines)


def _tags(contract: Contract) -> dict[str, str]:
    """What assets can be searched by."""
    return {
        "source": contract.source,
        "cadence": contract.cadence,
        "temporality": "snapshot" if contract.is_snapshot else "event",
        "personal_data": "pseudonymised" if contract.needs_key else "none",
    }


def _column_schema(table: Table) -> dg.TableSchema:
    """The columns that are staged, as the contract describes them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=not column.required),
            )
            for column in table.columns
        ]
    )


def _check_specs(
    staging: dg.AssetKey, partitions: dg.PartitionsDefinition[str]
) -> list[dg.AssetCheckSpec]:
    """What is checked of a partition, and holds it back or warns."""
    descriptions = {
        EXPECTATIONS: (
            "There are records, and no more than the contract's share is bad; and what each rule "
            "of the contract found: rows that break one are quarantined."
        ),
        RECONCILIATION: (
            "The newest delivery could be read, and every record of it is accounted for."
        ),
        BELONGING: (
            "Dates and content of the delivery fit the partition that it was given for. Warns only."
        ),
    }
    with warnings.catch_warnings():
        # Checks by partition are new; should they change, so does the pinned version.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return [
            dg.AssetCheckSpec(
                name,
                asset=staging,
                blocking=name in BLOCKING,
                partitions_def=partitions,
                description=description,
            )
            for name, description in descriptions.items()
        ]


def _evaluation(result: Ingested, staging: dg.AssetKey) -> dg.AssetCheckEvaluation:
    """How a partition of a run of several fared; in a run of one the result says it."""
    return dg.AssetCheckEvaluation(
        asset_key=staging,
        check_name=EXPECTATIONS,
        passed=not _is_held_back(result),
        partition=result.partition,
        metadata=_found([result]),
    )


def _check_results(results: list[Ingested], staging: dg.AssetKey) -> Iterator[dg.AssetCheckResult]:
    """How the checks ended for the run."""
    held_back = [result for result in results if _is_held_back(result)]
    otherwise = [r for r in results if r.state == "failed" and r not in held_back]
    for name, bad in ((EXPECTATIONS, held_back), (RECONCILIATION, otherwise)):
        yield dg.AssetCheckResult(
            check_name=name,
            asset_key=staging,
            passed=not bad,
            metadata={result.partition: result.message for result in bad}
            | {"partitions_checked": len(results)}
            | (_found(results) if name == EXPECTATIONS else {}),
        )
    doubtful = {result.partition: "; ".join(result.doubts) for result in results if result.doubts}
    yield dg.AssetCheckResult(
        check_name=BELONGING,
        asset_key=staging,
        passed=not doubtful,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=doubtful | {"partitions_checked": len(results)},
    )


def _is_held_back(result: Ingested) -> bool:
    """Whether the gate did not let the delivery pass."""
    return any(v.severity == "critical" and not v.success for v in result.verdicts)


def _found(results: Sequence[Ingested]) -> dict[str, Any]:
    """What expectations found: how many, and of those that failed which, how often and where."""
    broken = [(r.partition, v) for r in results for v in r.verdicts if not v.success]
    shown = sorted(broken, key=lambda entry: entry[1].severity)[:MOST_SHOWN]
    facts: dict[str, Any] = {
        "evaluated": sum(len(result.verdicts) for result in results),
        "failed": len(broken),
        "violations": sum(v.violations for _, v in broken if v.severity == "warning"),
    }
    if shown:
        facts["what_failed"] = dg.MetadataValue.table([_record(*entry) for entry in shown])
    return facts


def _record(partition: str, verdict: Verdict) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "partition": partition,
            "table": verdict.table,
            "rule": verdict.rule,
            "severity": verdict.severity,
            "violations": verdict.violations,
            "first_records": ", ".join(map(str, verdict.records)),
        }
    )


def _materializations(
    context: dg.AssetExecutionContext,
    results: list[Ingested],
    landing: dg.AssetKey,
    staging: dg.AssetKey,
) -> Iterator[dg.MaterializeResult]:
    """Tell Dagster of just those partitions that are there; the others stay missing.

    A result speaks for every partition of the run, and lets what comes after in the run go on. So
    it is given only where all partitions are there; else each is told by an event of its own.
    """
    landed = {r.partition: _facts(r) for r in results if r.delivery_id is not None}
    passed = {r.partition: _facts(r) for r in results if r.state in ("new", "unchanged")}
    for key, there in ((landing, landed), (staging, passed)):
        if set(there) == set(context.partition_keys):
            for partition, facts in there.items():
                context.add_asset_metadata(facts, asset_key=key, partition_key=partition)
            yield dg.MaterializeResult(asset_key=key)
        else:
            for partition, facts in there.items():
                context.log_event(dg.AssetMaterialization(key, partition=partition, metadata=facts))


def _facts(result: Ingested) -> dict[str, str | int | float]:
    """What is shown of a partition: its delivery, and its rows by table and outcome.

    Of the first table, whose rows are the records, the two that are looked at over the months.
    """
    counts = {
        f"{table}_{outcome}": number
        for table, outcomes in result.rows.items()
        for outcome, number in outcomes.items()
    }
    records = next(iter(result.rows.values()), {})
    series: dict[str, int | float] = {}
    if total := sum(records.values()):
        series = {
            "dagster/row_count": records.get("accepted", 0),
            "quarantined_pct": round(100 * records.get("quarantined", 0) / total, 3),
        }
    return {"delivery": result.delivery_id or "", "state": result.state, **series, **counts}
