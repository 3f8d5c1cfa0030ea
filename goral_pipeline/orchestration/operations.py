"""How the sources and the drop stand, as an asset and checks that say what to do.

Belongs here: showing it in Dagster. Does not belong here: judging it (`standing`).
"""

# No postponed annotations here: Dagster reads those of context.

from collections.abc import Callable, Iterator

import dagster as dg

from goral_pipeline.contracts import Contract
from goral_pipeline.errors import GoralError
from goral_pipeline.landing import open_ledger
from goral_pipeline.orchestration.ingestion_assets import OWNERS, staging_key
from goral_pipeline.orchestration.vanished import mark_process
from goral_pipeline.orchestration.warehouse_assets import DROP_KEY
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts
from goral_pipeline.standing import Standing, standings

HEALTH_KEY = dg.AssetKey(["operations", "source_health"])
LEFT_BEHIND = "nothing_left_behind"
MISSING = "nothing_missing"
OVERDUE = "nothing_overdue"
FRESH = "fresh"
CURRENT = "current"


def operations_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The health of the sources, how fresh each dataset is, and whether the drop is current."""
    return [_source_health(settings), _freshness(settings)]


def _source_health(settings: Settings) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="source_health",
        specs=[
            dg.AssetSpec(
                HEALTH_KEY,
                group_name="operations",
                kinds={"python"},
                owners=OWNERS,
                description=(
                    "Of each dataset what came last, what is overdue, missing or left behind, and "
                    "the command that mends it."
                ),
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                LEFT_BEHIND,
                asset=HEALTH_KEY,
                description="The newest delivery of every partition is in use.",
            ),
            dg.AssetCheckSpec(
                MISSING,
                asset=HEALTH_KEY,
                description=(
                    "No month is without a delivery between others that have one; of the demo's "
                    "nothing is missed."
                ),
            ),
            dg.AssetCheckSpec(
                OVERDUE,
                asset=HEALTH_KEY,
                description="What the contracts' cadence says should be there by now is there.",
            ),
        ],
    )
    def source_health(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        mark_process(context)
        with open_ledger(settings) as ledger:
            found = standings(settings, ledger)
        yield dg.MaterializeResult(
            asset_key=HEALTH_KEY,
            metadata={
                "datasets": dg.MetadataValue.table(
                    [_record(one) for one in sorted(found, key=lambda one: not one.commands)]
                ),
                "left_behind": sum(len(one.left_behind) for one in found),
                "missing": sum(len(one.missing) for one in found),
                "overdue": sum(one.is_overdue for one in found),
            },
        )
        error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
        yield _check(
            LEFT_BEHIND, found, lambda one: one.left_behind, lambda one: one.to_mend, error
        )
        yield _check(MISSING, found, lambda one: one.missing, lambda one: one.to_complete, warn)
        yield _check(OVERDUE, found, _overdue, lambda one: one.to_catch_up, warn)
        if behind := [one.dataset for one in found if one.left_behind]:
            # A run that succeeds wakes nobody.
            raise dg.Failure(
                f"left behind: {', '.join(behind)}; the check {LEFT_BEHIND} says what to do",
                allow_retries=False,
            )

    return source_health


def freshness_checks(settings: Settings) -> dg.AssetSelection:
    """The checks that tell how fresh all is: they say something of today, not of what a run did."""
    keys = [dg.AssetCheckKey(staging_key(contract.dataset), FRESH) for contract in _dated(settings)]
    return dg.AssetSelection.checks(*keys)


def currency_check() -> dg.AssetSelection:
    """The check that tells whether the drop is of what there is."""
    return dg.AssetSelection.checks(dg.AssetCheckKey(DROP_KEY, CURRENT))


def _freshness(settings: Settings) -> dg.AssetsDefinition:
    """Dagster's own freshness looks at when an asset was made, not at which partition is there."""
    dated = _dated(settings)

    @dg.multi_asset_check(
        name="freshness",
        specs=[
            *(
                dg.AssetCheckSpec(
                    FRESH,
                    asset=staging_key(contract.dataset),
                    description=(
                        f"What a {contract.cadence} cadence says should be there by now is there."
                    ),
                )
                for contract in dated
            ),
            dg.AssetCheckSpec(
                CURRENT,
                asset=DROP_KEY,
                description="The published drop is of just what the ledger points at.",
            ),
        ],
        can_subset=True,
    )
    def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        mark_process(context)
        with open_ledger(settings) as ledger:
            found = {one.dataset: one for one in standings(settings, ledger)}
        selected = context.selected_asset_check_keys
        for contract in dated:
            one = found[contract.dataset]
            if dg.AssetCheckKey(staging_key(contract.dataset), FRESH) not in selected:
                continue
            yield dg.AssetCheckResult(
                check_name=FRESH,
                asset_key=staging_key(contract.dataset),
                passed=not one.is_overdue,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "expected": one.expected or "none",
                    "newest": one.newest or "never delivered",
                    "to_do": "\n".join(one.to_catch_up) or "nothing",
                },
            )
        if dg.AssetCheckKey(DROP_KEY, CURRENT) in selected:
            to_do = _to_publish(settings)
            yield dg.AssetCheckResult(
                check_name=CURRENT,
                asset_key=DROP_KEY,
                passed=to_do is None,
                severity=dg.AssetCheckSeverity.ERROR,
                metadata={"to_do": to_do or "nothing"},
            )

    return freshness


def _to_publish(settings: Settings) -> str | None:
    """What to do before the drop is of what the ledger points at; None where it is."""
    from goral_pipeline.publishing import drop

    with open_ledger(settings) as ledger:
        try:
            if not ledger.current() or drop.is_up_to_date(settings, ledger):
                return None
        except GoralError as problem:
            return str(problem)
        if left_out := drop.incomplete(ledger):
            return (
                f"mend {'; '.join(left_out)}; or publish without: "
                "goral drop publish --allow-incomplete"
            )
        return "goral run --no-fetch"


def _dated(settings: Settings) -> list[Contract]:
    """Datasets whose cadence names a day: what comes once a quarter or year comes on none."""
    every = contracts(settings.home_folder).values()
    return [contract for contract in every if contract.cadence in ("daily", "monthly")]


def _overdue(one: Standing) -> tuple[str, ...]:
    return (f"{one.expected} was expected; the newest is {one.newest}",) if one.is_overdue else ()


def _check(
    name: str,
    found: list[Standing],
    wrong: Callable[[Standing], tuple[str, ...]],
    mend: Callable[[Standing], tuple[str, ...]],
    severity: dg.AssetCheckSeverity,
) -> dg.AssetCheckResult:
    """Whether nothing is wrong with any dataset; of those with which, what it is and the mend."""
    bad = [one for one in found if wrong(one)]
    table = [
        dg.TableRecord(
            {
                "dataset": one.dataset,
                "what": "; ".join(wrong(one)),
                "to_do": "; ".join(mend(one)),
            }
        )
        for one in bad
    ]
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=HEALTH_KEY,
        passed=not bad,
        severity=severity,
        metadata={"found": len(bad)}
        | ({"datasets": dg.MetadataValue.table(table)} if table else {}),
    )


def _record(one: Standing) -> dg.TableRecord:
    """One dataset as a row, what matters most first."""
    troubles = {
        "left behind": one.left_behind,
        "missing": one.missing,
        "overdue": one.is_overdue,
    }
    state = [name for name, is_so in troubles.items() if is_so]
    if not state:
        state = ["never delivered" if one.newest is None else "demo" if one.is_demo else "good"]
    received = one.received_at
    return dg.TableRecord(
        {
            "dataset": one.dataset,
            "state": ", ".join(state),
            "newest": one.newest or "",
            "expected": one.expected or "",
            "received_at": f"{received:%Y-%m-%d %H:%M} UTC" if received else "",
            "to_do": "; ".join(one.commands),
        }
    )
