"""How the sources stand, as an asset with the checks that say what to do.

Belongs here: showing it in Dagster. Does not belong here: judging it (`standing`).
"""

# No postponed annotations here: Dagster reads those of context.

from collections.abc import Iterator

import dagster as dg

from goral_pipeline.landing import open_ledger
from goral_pipeline.settings import Settings
from goral_pipeline.standing import Standing, standings

HEALTH_KEY = dg.AssetKey(["operations", "source_health"])
LEFT_BEHIND = "nothing_left_behind"
OVERDUE = "nothing_overdue"


def operations_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The health of the sources."""

    @dg.multi_asset(
        name="source_health",
        specs=[
            dg.AssetSpec(
                HEALTH_KEY,
                group_name="operations",
                kinds={"python"},
                description="Of each dataset what came last, what is overdue or left behind.",
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                LEFT_BEHIND,
                asset=HEALTH_KEY,
                description="The newest delivery of every partition is in use.",
            ),
            dg.AssetCheckSpec(
                OVERDUE,
                asset=HEALTH_KEY,
                description="What the contracts' cadence says should be there by now is there.",
            ),
        ],
    )
    def source_health() -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        with open_ledger(settings) as ledger:
            found = standings(settings, ledger)
        yield dg.MaterializeResult(
            asset_key=HEALTH_KEY,
            metadata={
                "datasets": dg.MetadataValue.table([_record(one) for one in found])
                if found
                else "none",
                "left_behind": sum(len(one.left_behind) for one in found),
                "overdue": sum(one.is_overdue for one in found),
            },
        )
        behind = [one for one in found if one.left_behind]
        late = [one for one in found if one.is_overdue]
        yield _check(LEFT_BEHIND, behind, dg.AssetCheckSeverity.ERROR)
        yield _check(OVERDUE, late, dg.AssetCheckSeverity.WARN)

    return [source_health]


def _check(name: str, bad: list[Standing], severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=HEALTH_KEY,
        passed=not bad,
        severity=severity,
        metadata={one.dataset: "\n".join([*one.left_behind, *one.commands]) for one in bad},
    )


def _record(one: Standing) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "dataset": one.dataset,
            "newest": one.newest or "",
            "received_at": f"{one.received_at:%Y-%m-%d %H:%M}" if one.received_at else "",
            "expected": one.expected or "",
            "overdue": one.is_overdue,
            "left_behind": len(one.left_behind),
            "to_do": "; ".join(one.commands),
        }
    )
