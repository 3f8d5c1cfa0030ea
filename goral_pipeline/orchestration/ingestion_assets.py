"""Assets of the deliveries: for each dataset what landed, and what was staged of it."""

# No postponed annotations here: Dagster reads those of context and config.

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
from pydantic import Field

from goral_pipeline.contracts import Contract, Table
from goral_pipeline.errors import SettingsError
from goral_pipeline.ingestion import Ingested, in_words, ingest_all, left_behind
from goral_pipeline.landing import open_ledger
from goral_pipeline.orchestration.event_log import held_open
from goral_pipeline.orchestration.ingestion_checks import check_specs, evaluations
from goral_pipeline.orchestration.partitions import partitions_of
from goral_pipeline.orchestration.telling import TELLING
from goral_pipeline.orchestration.vanished import mark_process
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts

MOST_EXPLAINED = 12
OWNERS = ["team:go-ral"]


class IngestConfig(dg.Config):
    """How a run ingests."""

    fetch: bool = Field(
        True, description="Ask the publisher; without it only what was delivered is staged."
    )


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
                # The source too, for a node of the graph shows only the end of its key.
                kinds={contract.source, "file"},
                description=f"{contract.name}: deliveries of {dataset} as they came.",
                partitions_def=partitions,
                skippable=True,
                owners=OWNERS,
                tags=_tags(contract),
            ),
            dg.AssetSpec(
                staging,
                deps=[landing],
                group_name="staging",
                kinds={contract.source, "parquet"},
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
        check_specs=check_specs(staging, partitions),
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
        # A publisher is asked by one run at a time.
        pool=contract.source,
    )
    def ingest_dataset(
        context: dg.AssetExecutionContext, config: IngestConfig
    ) -> Iterator[dg.MaterializeResult]:
        mark_process(context)
        months = [key for key in context.partition_keys if key >= contract.first_partition]
        # Only staging was chosen: what there is, again.
        fetch = config.fetch and landing in context.selected_asset_keys
        with held_open(context.instance):
            with open_ledger(settings) as ledger, _settings_first():
                results = ingest_all(
                    settings, ledger, dataset, months, fetch=fetch, progress=_progress(context)
                )
                behind = left_behind(settings, ledger, dataset, besides=months)
            yield from _materializations(context, results, landing, staging)
            for evaluation in evaluations(context.instance, staging, results, behind):
                context.log_event(evaluation)
            context.log.info(_summary(results))
        failed = [result for result in results if result.state == "failed"]
        if failed:
            raise dg.Failure(_failure(dataset, failed, len(results)), allow_retries=False)

    return ingest_dataset


@contextmanager
def _settings_first() -> Iterator[None]:
    """Let what is wrong with the settings stand first, and no traceback around it."""
    try:
        yield
    except SettingsError as problem:
        raise dg.Failure(str(problem), allow_retries=False) from None


def _progress(context: dg.AssetExecutionContext) -> Callable[[Ingested], None]:
    """Tell of each partition; to Dagster's log only what is not as it was, for each line costs."""

    def tell(result: Ingested) -> None:
        text = in_words(result)
        TELLING.info(text)
        if result.state == "failed":
            context.log.error(text)
        elif result.doubts:
            context.log.warning(text)
        elif result.state == "new":
            context.log.info(text)

    return tell


def _summary(results: Sequence[Ingested]) -> str:
    """How many partitions ended how, and which have no delivery."""
    states = Counter(result.state for result in results)
    text = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    missing = [result.partition for result in results if result.state == "missing"]
    return f"{text}; no delivery: {', '.join(missing)}" if missing else text or "no partition"


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
        if set(there) == set(context.partition_keys) and key in context.selected_asset_keys:
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
            "dagster/partition_row_count": records.get("accepted", 0),
            "quarantined_pct": round(100 * records.get("quarantined", 0) / total, 3),
        }
    return {"delivery": result.delivery_id or "", **series, **counts}
