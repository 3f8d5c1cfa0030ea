"""What starts by itself: asking by cadence, the inbox, and publication after ingestion.

Belongs here: when runs start, and of which partitions. Does not belong here: what they do, or what
became of runs that were killed (`vanished`).
"""

# No postponed annotations here: Dagster reads those of context.

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from goral_pipeline import clock, ingestion, planning
from goral_pipeline.contracts import Contract
from goral_pipeline.contracts.model import Cadence, Partition
from goral_pipeline.errors import GoralError, SettingsError
from goral_pipeline.landing import inbox, open_ledger
from goral_pipeline.orchestration.ingestion_assets import ingest_config, landing_key, staging_key
from goral_pipeline.orchestration.ingestion_checks import check_keys
from goral_pipeline.orchestration.partitions import RANGE_END, RANGE_START
from goral_pipeline.orchestration.vanished import end_vanished_runs
from goral_pipeline.settings import Settings
from goral_pipeline.sources import contracts

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Ledger
    from goral_pipeline.warehouse import build

# What `dg.define_asset_job` makes, which has no public name.
Job = Any
Jobs = Mapping[Partition, Job]

INBOX_SECONDS = 30
PUBLISH_SECONDS = 60
CRON: dict[Cadence, str] = {
    "daily": "0 5 * * *",
    "biweekly": "30 5 * * *",
    "monthly": "0 6 * * *",
    "quarterly": "15 6 * * *",
    "yearly": "30 6 * * *",
}
"""When schedules look whether to ask, in Amsterdam."""
DAYS_OF_MONTH: dict[Cadence, tuple[int, ...]] = {
    "biweekly": (2, 16),
    "monthly": (3,),
    "quarterly": (4,),
    "yearly": (5,),
}
"""The days on which publishers are asked, who are not asked daily. What comes once a quarter or
year does so on no known day, so it is asked for once a month: an answer that says nothing new costs
nothing."""
AGAIN_DAYS = 14
"""For so many days after it is asked again, once a day, what failed: a publisher that was down, or
that puts a better file in the place of one that was rejected."""
DATASET = "goral/dataset"
"""Tag of a run that a schedule started. A run each: what fails of one is not shown of another."""
SCHEDULE = "dagster/schedule_name"
"""Dagster's own tag of such a run."""

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def schedules(settings: Settings, jobs: Jobs) -> list[dg.ScheduleDefinition]:
    """One a cadence and kind of partition: asks from as far back as the contracts say until now."""
    groups: dict[tuple[Cadence, Partition], list[Contract]] = defaultdict(list)
    for contract in contracts(settings.home_folder).values():
        groups[contract.cadence, contract.partition].append(contract)
    return [
        _schedule(settings, cadence, jobs[kind], of_group)
        for (cadence, kind), of_group in groups.items()
    ]


def look_after(job: Job) -> dg.ScheduleDefinition:
    """Once a day, after the daily asking: how the sources stand."""
    return dg.ScheduleDefinition(
        job=job,
        cron_schedule="0 7 * * *",
        execution_timezone=str(clock.PROGRAMME_ZONE),
        description="Checks that no partition is left behind and none is overdue.",
    )


def sensors(settings: Settings, jobs: Jobs, publish: Job) -> list[Any]:
    """The inbox, and publication."""
    return [_inbox(settings, jobs), _publication(settings, publish)]


def _schedule(
    settings: Settings, cadence: Cadence, job: Job, asked: list[Contract]
) -> dg.ScheduleDefinition:
    datasets = sorted(contract.dataset for contract in asked)
    days = DAYS_OF_MONTH.get(cadence, ())
    on_days = f"day {' and '.join(map(str, days))} of the month"
    when = (
        f"Looks daily, asks on {on_days}, and for {AGAIN_DAYS} days again what failed."
        if days
        else "Asks daily."
    )
    name = f"{job.name}_{cadence}"

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=CRON[cadence],
        execution_timezone=str(clock.PROGRAMME_ZONE),
        description=f"{when} A run each for {', '.join(datasets)}: land, stage, check what is new.",
    )
    def ask(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        moment = context.scheduled_execution_time.astimezone(clock.PROGRAMME_ZONE)
        month = moment.strftime("%Y-%m")
        requests = 0
        for contract in sorted(asked, key=lambda one: one.dataset):
            tags = {DATASET: contract.dataset}
            if days and not _is_due(context, moment, days, tags | {SCHEDULE: name}):
                continue
            first = clock.months_before(month, contract.late_months)
            partitions = planning.partitions(settings, first, month, [contract.dataset])
            if keys := partitions[contract.dataset]:
                requests += 1
                yield dg.RunRequest(
                    run_key=f"{moment:%Y-%m-%d}/{contract.dataset}",
                    run_config=ingest_config([contract.dataset], fetch=True),
                    asset_selection=[
                        landing_key(contract.dataset),
                        staging_key(contract.dataset),
                    ],
                    asset_check_keys=check_keys(staging_key(contract.dataset)),
                    tags=tags | {RANGE_START: keys[0], RANGE_END: keys[-1]},
                )
        if not requests:
            yield dg.SkipReason(f"asked on {on_days}, and again only what failed")

    return ask


def _is_due(
    context: dg.ScheduleEvaluationContext,
    moment: datetime,
    days: tuple[int, ...],
    tags: dict[str, str],
) -> bool:
    """Whether to ask: not asked since the last such day of this month, or asked then and failed."""
    day = max((day for day in days if day <= moment.day), default=None)
    if day is None:
        return False
    since = moment.replace(day=day, hour=0, minute=0, second=0, microsecond=0)
    asked = dg.RunsFilter(tags=tags, created_after=since)
    last = context.instance.get_runs(asked, limit=1)
    if not last:
        return True
    return moment.day - day <= AGAIN_DAYS and last[0].status == dg.DagsterRunStatus.FAILURE


def _inbox(settings: Settings, jobs: Jobs) -> dg.SensorDefinition:
    @dg.sensor(
        name="inbox",
        jobs=[*jobs.values()],
        minimum_interval_seconds=INBOX_SECONDS,
        description=(
            "Takes in files put down in GORAL_HOME/inbox/<source>/<dataset>/<partition>: a run for "
            "each of these partitions, and no other. A file starts one run, whatever comes of it."
        ),
    )
    def taking_in(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        requests: list[dg.RunRequest] = []
        problems: list[str] = []
        # Not their names, nor those of folders that anybody made: they may name a person.
        if misplaced := len(inbox.misplaced(settings.inbox)):
            problems.append(f"{misplaced} file(s) in no folder <source>/<dataset>/<partition>")
        whole: dict[tuple[str, str], list[str]] = defaultdict(list)
        for file in inbox.waiting(settings.inbox):
            if file.is_whole:
                whole[file.dataset, file.partition].append(file.identity)
        for (dataset, partition), files in whole.items():
            try:
                contract = ingestion.source_of(settings, dataset).contract
                ingestion.check_partition(contract, partition)
            except SettingsError:
                problems.append(
                    f"{len(files)} file(s) in a folder of no dataset or partition that there is; "
                    "`goral sources list` tells which there are"
                )
                continue
            requests.append(
                dg.RunRequest(
                    job_name=jobs[contract.partition].name,
                    # The last, for a run takes in all that lie there.
                    run_key=files[-1],
                    run_config=ingest_config([dataset], fetch=False),
                    asset_selection=[landing_key(dataset), staging_key(dataset)],
                    asset_check_keys=check_keys(staging_key(dataset)),
                    partition_key=partition,
                )
            )
        for told in problems:
            context.log.warning(f"inbox: {told}")
        nothing = "; ".join(problems) or "nothing lies in the inbox"
        return dg.SensorResult(
            run_requests=requests, skip_reason=None if requests else dg.SkipReason(nothing)
        )

    return taking_in


def _published(
    settings: Settings, ledger: "Ledger", wanted: "build.Inputs"
) -> tuple[str, bool, bool]:
    """What warehouse and drop there are; whether they are current; whether the marts are.

    One that cannot be read is as good as none: it is built anew.
    """
    from goral_pipeline.publishing import drop, manifest
    from goral_pipeline.publishing.products import KPI
    from goral_pipeline.warehouse import build

    try:
        there = build.current_fingerprint(settings.warehouse / build.FILE) or "none"
        latest = manifest.latest(KPI.open_store(settings).place)
        return (
            f"{there} {latest}",
            drop.is_up_to_date(settings, ledger),
            build.is_up_to_date(settings, wanted),
        )
    except GoralError:
        return "unreadable", False, False


def _publication(settings: Settings, publish: Job) -> dg.SensorDefinition:
    @dg.sensor(
        name="publication",
        job=publish,
        minimum_interval_seconds=PUBLISH_SECONDS,
        description=(
            "Builds marts and drop anew when what the ledger points at is no more what they are "
            "made of, and no run is under way. What fails is tried again once a day, or when "
            "something changes."
        ),
    )
    def publishing(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        from goral_pipeline.publishing import drop
        from goral_pipeline.warehouse import build

        end_vanished_runs(context.instance)
        unfinished = context.instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        if unfinished:
            return dg.SkipReason(f"{len(unfinished)} run(s) to be waited for")
        with open_ledger(settings) as ledger:
            try:
                wanted = build.inputs(settings, ledger)
            except GoralError as problem:
                return dg.SkipReason(str(problem))
            if not wanted.deliveries:
                return dg.SkipReason("no delivery was accepted yet")
            warehouse, is_current, are_marts_current = _published(settings, ledger, wanted)
            if is_current:
                return dg.SkipReason("the drop is of what the ledger points at")
            left_out = drop.incomplete(ledger)
            if left_out and are_marts_current:
                # The marts are, and a drop would be refused.
                return dg.SkipReason(
                    f"not published, for of these the newest is not in use: {left_out}"
                )
        # What there is stands in it too, for what was built before may have to be again; and the
        # day, for what failed may pass tomorrow.
        day = f"{clock.now().astimezone(clock.PROGRAMME_ZONE):%Y-%m-%d}"
        return dg.RunRequest(run_key="\n".join([wanted.fingerprint, warehouse, day, *left_out]))

    return publishing
