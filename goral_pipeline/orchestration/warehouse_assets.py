"""Assets of the warehouse and the drop: placement, dbt's models, plausibility, publication."""

# No postponed annotations here: Dagster reads those of context and config.

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    dbt_assets,
)

from goral_pipeline.checks.plausibility import CHECKS, Check
from goral_pipeline.contracts import Contract, derived, published, staged
from goral_pipeline.landing import open_ledger
from goral_pipeline.orchestration.ingestion_assets import OWNERS, staging_key
from goral_pipeline.orchestration.telling import teller
from goral_pipeline.orchestration.vanished import mark_process
from goral_pipeline.settings import DBT_PROJECT, Settings
from goral_pipeline.sources import contracts
from goral_pipeline.warehouse import SINGLE_SESSIONS, dbt_command

PLACEMENT_KEY = dg.AssetKey(["staging", "derived", "location_municipality"])
DROP_KEY = dg.AssetKey(["publishing", "drop"])
CDR_DROP_KEY = dg.AssetKey(["publishing", "cdr_drop"])
FIRST_FEW = 5
SHOWN_OF_A_FINDING = ("dataset", "period", "area_code", "observed", "expected", "message")
WAREHOUSE = "warehouse"
"""The pool of what writes the warehouse or publishes from it: one step at a time."""
COLUMN_SCHEMA = "dagster/column_schema"
TABLE_NAME = "dagster/table_name"
COLUMN_LINEAGE = "dagster/column_lineage"
ROW_COUNT = "dagster/row_count"
"""What Dagster shows of a table under these names."""
MANIFEST = DBT_PROJECT / "target" / "manifest.json"


class Translator(DagsterDbtTranslator):
    """Names of dbt's models as assets; its sources are the staged datasets."""

    def __init__(self, settings: Settings) -> None:
        """Several of dbt's sources are tables of one dataset, which is one asset."""
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self._datasets = _datasets_by_form(settings)

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetSpec:
        """The model's spec; what reads a form of dataset depends on every dataset of that form."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        upstream = [
            key for dep in spec.deps for key in self._datasets.get(dep.asset_key, [dep.asset_key])
        ]
        # Without the file that dbt parsed or builds it in.
        table = {TABLE_NAME: ".".join(spec.key.path[1:])}
        return spec.replace_attributes(
            deps=dict.fromkeys(upstream), owners=OWNERS, metadata={**spec.metadata, **table}
        )

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """What the project says of it; its SQL is in the project."""
        return str(dbt_resource_props.get("description") or "")

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """`warehouse/<schema>/<model>`; for a source the staged dataset that holds it."""
        name = dbt_resource_props["name"]
        if dbt_resource_props["resource_type"] == "source":
            return _source_keys().get(name, dg.AssetKey(["ledger", name]))
        return dg.AssetKey(["warehouse", dbt_resource_props["schema"], name])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The layer the model belongs to."""
        layer = dbt_resource_props["schema"]
        return "warehouse_staging" if layer == "staging" else str(layer)


def _datasets_by_form(settings: Settings) -> dict[dg.AssetKey, list[dg.AssetKey]]:
    """For each contract that several datasets share: the datasets that stand behind it."""
    datasets: Iterable[Contract] = contracts(settings.home_folder).values()
    return {
        staging_key(form.dataset): [
            staging_key(own.dataset) for own in datasets if own.id == form.id
        ]
        for form in staged().values()
        if form.is_per_concession
    }


def _source_keys() -> dict[str, dg.AssetKey]:
    keys = {
        contract.relation(table): staging_key(contract.dataset)
        for contract in staged().values()
        for table in contract.tables
    }
    return keys | {
        contract.relation(table): PLACEMENT_KEY
        for contract in derived().values()
        for table in contract.tables
    }


def warehouse_assets(settings: Settings) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Placement, dbt, plausibility and drop: not by month, for each looks at all pointers."""

    @dg.asset(
        key=PLACEMENT_KEY,
        owners=OWNERS,
        deps=[
            staging_key("ndw_dotnl/locations"),
            *_datasets_by_form(settings)[staging_key("concession/sessions")],
            staging_key("pdok/municipality_boundaries"),
        ],
        group_name="staging",
        kinds={"python", "parquet"},
        pool=WAREHOUSE,
        description=derived()["derived/location_municipality"].description["purpose"],
    )
    def location_municipality(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from goral_pipeline.warehouse.placement import place_all

        mark_process(context)
        with open_ledger(settings) as ledger:
            placed, number = place_all(settings, ledger)
        teller(context)(f"placed {placed} of {number} deliveries in municipalities")
        return dg.MaterializeResult(metadata={"placed": placed, "deliveries": number})

    @dbt_assets(
        manifest=MANIFEST,
        exclude=SINGLE_SESSIONS,
        name="warehouse",
        dagster_dbt_translator=Translator(settings),
        pool=WAREHOUSE,
    )
    def warehouse(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        from goral_pipeline.warehouse import build

        mark_process(context)
        if context.is_subset:
            raise dg.Failure(
                "the warehouse is built whole, into a new file: select all assets of the step "
                "`warehouse`, or run the job `publish`",
                allow_retries=False,
            )
        with open_ledger(settings) as ledger:
            wanted = build.inputs(settings, ledger)
        if build.is_up_to_date(settings, wanted):
            teller(context)("the warehouse is made of just these inputs: nothing to build")
            # Dagster takes them in the order of what each is made from, and in no other.
            made_from = {s.key: [d.asset_key for d in s.deps] for s in context.assets_def.specs}
            for key in TopologicalSorter(made_from).static_order():
                if key in context.selected_asset_keys:
                    yield dg.MaterializeResult(asset_key=key, metadata=_as_before(context, key))
            yield from _still_passed(context)
            return
        teller(context)("building the warehouse with dbt")
        with build.one_builder(settings):
            building = build.prepare(settings, wanted, onto=settings.warehouse / build.FILE)
            os.environ |= dbt_command.environment(settings, building)
            dbt_command.lend_parsed_project(settings.dbt_target)
            invocation = dbt.cli(
                list(dbt_command.BUILD),
                context=context,
                # Kept between runs, so that dbt takes in only what changed of its project.
                target_path=settings.dbt_target,
            )
            # Told when all is built: what a table consists of is known only then.
            made: list[Any] = []
            try:
                made.extend(invocation.stream())
            except Exception:
                yield from made
                raise
            facts = _facts(settings, building, invocation.target_path)
            for event in made:
                yield _with_facts(context, event, facts)
            build.swap_in(settings, wanted)

    # Judged when the warehouse was built; here it is told. It blocks nothing.
    @dg.multi_asset_check(
        name="plausibility",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=_mart_key(check),
                description=(
                    f"Plausible is {check.bound} the threshold (in {check.unit}) that "
                    "goral_pipeline/checks/thresholds.yaml gives. It warns and blocks nothing."
                ),
            )
            for check in CHECKS
        ],
        can_subset=True,
    )
    def plausibility(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        from goral_pipeline.warehouse import build

        found = build.findings(settings.warehouse / build.FILE)
        selected = {key.name for key in context.selected_asset_check_keys}
        for check in CHECKS:
            if check.name in selected:
                yield _check_result(check, [f for f in found if f["check_name"] == check.name])

    return [
        *_ledger_specs(),
        location_municipality,
        warehouse,
        plausibility,
        _drop(
            settings,
            "kpi",
            DROP_KEY,
            _published_keys(),
            "The drop for NDW: written whole, verified, then pointed to in one step.",
        ),
        *_single_sessions(settings),
    ]


def _single_sessions(settings: Settings) -> list[dg.AssetsDefinition]:
    """The drop of single sessions, where it is told where that goes."""
    if settings.cdr_drops_url is None:
        return []
    datasets = _datasets_by_form(settings)
    return [
        _drop(
            settings,
            "cdr",
            CDR_DROP_KEY,
            [
                *datasets[staging_key("concession/sessions")],
                *datasets[staging_key("ocpi/locations")],
                staging_key("pdok/municipality_boundaries"),
            ],
            "Single sessions for NDW, of municipalities whose data owner instructed so.",
        )
    ]


def _drop(
    settings: Settings,
    product: Literal["kpi", "cdr"],
    key: dg.AssetKey,
    made_of: list[dg.AssetKey],
    description: str,
) -> dg.AssetsDefinition:
    @dg.asset(
        key=key,
        deps=made_of,
        group_name="publishing",
        pool=WAREHOUSE,
        kinds={"parquet"},
        owners=OWNERS,
        description=description,
    )
    def drop(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from goral_pipeline.publishing.drop import publish
        from goral_pipeline.publishing.products import PRODUCTS

        mark_process(context)
        with open_ledger(settings) as ledger:
            result = publish(settings, ledger, PRODUCTS[product], progress=teller(context))
        return dg.MaterializeResult(
            metadata={
                "drop": result.drop,
                "new": result.is_new,
                "holds_demo_data": result.demo,
                "files": result.files,
                "rows": result.rows,
            }
        )

    return drop


def _as_before(context: dg.AssetExecutionContext, key: dg.AssetKey) -> dict[str, Any]:
    """What was told of a table when it was built, for Dagster shows what was told last."""
    before = context.instance.get_latest_materialization_event(key)
    told = before.asset_materialization if before else None
    return {**(told.metadata if told else {}), "unchanged": True}


def _still_passed(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """The checks without which the warehouse that stays would not have been swapped in."""
    for spec in context.assets_def.check_specs:
        if spec.blocking and spec.key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                check_name=spec.name,
                asset_key=spec.asset_key,
                passed=True,
                description="unchanged since it was built, when this passed",
            )


def _facts(settings: Settings, building: Path, target: Path) -> dict[dg.AssetKey, dict[str, Any]]:
    """Of each model what Dagster shows of a table: columns, rows, and where each column is from."""
    from goral_pipeline.warehouse.lineage import describe

    manifest = json.loads(MANIFEST.read_bytes())
    compiled = {
        (node["schema"], node["name"]): target / "compiled" / node["package_name"] / path
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and (path := node["original_file_path"])
    }
    described = {
        (node["schema"], node["name"]): {
            name: column["description"] for name, column in node["columns"].items()
        }
        for node in manifest["nodes"].values()
    }
    datasets = _datasets_by_form(settings)
    return {
        _relation_keys(relation, datasets)[0]: {
            COLUMN_SCHEMA: dg.TableSchema(
                columns=[
                    dg.TableColumn(name, kind, description=described[relation].get(name))
                    for name, kind in table.columns.items()
                ]
            ),
            COLUMN_LINEAGE: dg.TableColumnLineage(
                {
                    column: [
                        dg.TableColumnDep(key, name)
                        for origin, name in origins
                        for key in _relation_keys(origin, datasets)
                    ]
                    for column, origins in table.origins.items()
                }
            ),
        }
        | ({} if table.rows is None else {ROW_COUNT: table.rows})
        for relation, table in describe(building, compiled).items()
    }


def _relation_keys(
    relation: tuple[str, str], datasets: Mapping[dg.AssetKey, list[dg.AssetKey]]
) -> list[dg.AssetKey]:
    """The assets behind a relation of the warehouse: of a form of dataset, every dataset of it."""
    schema, name = relation
    if schema != "staged":
        return [dg.AssetKey(["warehouse", schema, name])]
    key = _source_keys().get(name, dg.AssetKey(["ledger", name]))
    return datasets.get(key, [key])


def _with_facts(
    context: dg.AssetExecutionContext, event: Any, facts: Mapping[dg.AssetKey, dict[str, Any]]
) -> Any:
    """An event of dbt with what is known of the table that it tells of."""
    if not isinstance(event, dg.Output):
        return event
    known = facts.get(context.asset_key_for_output(event.output_name), {})
    return event.with_metadata({**event.metadata, **known})


def _published_keys() -> list[dg.AssetKey]:
    """The marts that a drop is made of."""
    every = (contract for contract in published().values() if contract.is_published)
    return [dg.AssetKey(["warehouse", "marts", contract.tables[0].name]) for contract in every]


def _ledger_specs() -> list[dg.AssetSpec]:
    """What the warehouse reads of the ledger and the mappings, which no asset makes."""
    described = {
        "deliveries": "The deliveries that the ledger points at: what the warehouse is made from.",
        "delivery_months": "The months that the rows of each of those deliveries fall in.",
        "session_months_before": "What each month of sessions was made of when it was made last.",
        "concessions": "What the mappings say of each concession.",
    }
    return [
        dg.AssetSpec(
            ["ledger", name], group_name="ledger", description=text, owners=OWNERS, kinds={"sql"}
        )
        for name, text in described.items()
    ]


def _mart_key(check: Check) -> dg.AssetKey:
    return dg.AssetKey(["warehouse", "marts", check.mart])


def _check_result(check: Check, found: list[dict[str, Any]]) -> dg.AssetCheckResult:
    """What one check found, the first of it as metadata."""
    implausible = [finding for finding in found if not finding["passed"]]
    metadata: dict[str, Any] = {"found": len(implausible)}
    if implausible:
        metadata["first"] = dg.MetadataValue.table(
            [
                dg.TableRecord({name: str(finding[name]) for name in SHOWN_OF_A_FINDING})
                for finding in implausible[:FIRST_FEW]
            ]
        )
        metadata["docs"] = "docs/how-to/a-plausibility-warning.md"
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=_mart_key(check),
        passed=not implausible,
        severity=dg.AssetCheckSeverity.WARN,
        description=implausible[0]["message"] if implausible else "nothing implausible",
        metadata=metadata,
    )
