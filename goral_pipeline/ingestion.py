"""Ingestion of one partition: ask, land, stage, and let the pointer move if all checks hold.

Belongs here: the order of these steps and what comes of a partition. Does not belong here: how any
of them is done, or in which order partitions go (`orchestration`, `cli`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from goral_pipeline import clock, durable
from goral_pipeline.checks import belonging, expectations
from goral_pipeline.checks.expectations import Verdict
from goral_pipeline.checks.reconciliation import reconcile, totals
from goral_pipeline.contracts import Contract
from goral_pipeline.errors import (
    DeliveryRejected,
    GoralError,
    NothingToAsk,
    PermanentHttpError,
    SettingsError,
    StagingDied,
    TransientHttpError,
)
from goral_pipeline.landing import inbox, store
from goral_pipeline.sources import Source, concessions, registry
from goral_pipeline.sources.asking import Answer, Known, Question

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from goral_pipeline.landing.ledger import Count, Delivery, Ledger, Removal, Staging
    from goral_pipeline.settings import Settings

State = Literal["new", "unchanged", "missing", "failed"]

ENOUGH_UNANSWERED = 2
"""So many partitions without an answer, and a run asks for no more of the dataset."""
DEMO_PREFIX = "DEMO_"
"""Files of the demo carry it in their name, so that they are known as such when delivered."""


def in_words(result: Ingested) -> str:
    """A line that tells what came of a partition."""
    rows = "; ".join(
        f"{table} {counts['accepted']} accepted, {counts['duplicate']} duplicate, "
        f"{counts['quarantined']} quarantined"
        for table, counts in result.rows.items()
    )
    doubts = f"doubtful: {'; '.join(result.doubts)}" if result.doubts else ""
    text = "; ".join(part for part in (rows, doubts, result.message) if part)
    return f"{result.dataset} {result.partition} {result.state}" + (f": {text}" if text else "")


@dataclass(frozen=True)
class Ingested:
    """What came of one partition.

    `new`: the pointer moved. `unchanged`: it stands where it stood, rightly. `missing`: there is
    no delivery. `failed`: something went wrong; the pointer stands where it stood.
    """

    dataset: str
    partition: str
    state: State
    message: str = ""
    delivery_id: str | None = None
    rows: dict[str, dict[str, int]] = field(default_factory=dict)
    """Rows by table and outcome."""
    verdicts: tuple[Verdict, ...] = ()
    """What became of the expectations of the delivery that it speaks of."""
    doubts: tuple[str, ...] = ()
    """Why the delivery in use may be another partition's."""
    is_unanswered: bool = False
    """Whether it failed because the publisher gave no answer."""


def sweep(settings: Settings) -> None:
    """Remove what killed processes left half done; what others are at is left alone."""
    for folder in (
        settings.landing,
        settings.staging,
        settings.quarantine,
        settings.publishing,
        settings.dbt_target,
    ):
        durable.sweep(folder)


def ingest(
    settings: Settings, ledger: Ledger, dataset: str, partition: str, *, fetch: bool
) -> Ingested:
    """Bring one partition up to date.

    What lies in the inbox is taken in, the publisher asked if `fetch`, and staged what is not yet.

    Raises:
        SettingsError: when it cannot be done at all as things are set.
    """
    message = ""
    try:
        for file in _whole(settings, dataset, partition):
            _receive(settings, ledger, dataset, partition, file.path)
            with suppress(FileNotFoundError):
                file.remove()
        if fetch:
            message = _fetch(settings, ledger, dataset, partition)
    except NothingToAsk as reason:
        message = str(reason)
    except TransientHttpError as problem:
        return Ingested(dataset, partition, "failed", str(problem), is_unanswered=True)
    except (PermanentHttpError, DeliveryRejected) as problem:
        return Ingested(dataset, partition, "failed", str(problem))
    return _bring_up_to_date(settings, ledger, dataset, partition, message)


def deliver(
    settings: Settings, ledger: Ledger, dataset: str, partition: str | None, file: Path
) -> Ingested:
    """Take in a file given by hand as the delivery of a partition, and stage it.

    Without a partition a snapshot is taken as today's.

    Raises:
        SettingsError: when the dataset, the partition or the file is not one.
    """
    contract = source_of(settings, dataset).contract
    if partition is None and not contract.is_snapshot:
        raise SettingsError(
            f"{dataset} holds events: say which {contract.partition} the file is for, with "
            f"--partition, e.g. --partition {contract.first_partition}"
        )
    partition = check_partition(contract, partition or current_partition(contract))
    if not file.is_file():
        raise SettingsError(f"{file} is not a file")
    sweep(settings)
    try:
        _receive(settings, ledger, dataset, partition, file)
    except DeliveryRejected as problem:
        return Ingested(dataset, partition, "failed", str(problem))
    return _bring_up_to_date(settings, ledger, dataset, partition, "")


def _receive(settings: Settings, ledger: Ledger, dataset: str, partition: str, file: Path) -> None:
    """Land a file."""
    with store.receiving(settings.landing, settings.max_delivery_mib) as incoming:
        with file.open("rb") as content:
            shutil.copyfileobj(content, incoming, store.MIB)
        incoming.close()
        answer = Answer(
            origin=file.name,
            content_key=incoming.sha256,
            demo=file.name.startswith(DEMO_PREFIX),
        )
        _land(settings, ledger, dataset, partition, incoming, answer)


def _whole(settings: Settings, dataset: str, partition: str) -> list[inbox.Waiting]:
    """The files in the inbox for a partition that nobody is still writing."""
    return [f for f in inbox.waiting(settings.inbox, dataset, partition) if f.is_whole]


def has_news(
    settings: Settings, ledger: Ledger, dataset: str, partition: str, *, fetch: bool
) -> bool:
    """Whether a run would do anything for a partition; nothing is written to find out.

    A publisher that does not answer properly counts as news: the run will say what is wrong.
    """
    if needs_staging(settings, ledger, dataset, partition) or _whole(settings, dataset, partition):
        return True
    if not fetch:
        return False
    try:
        with _asked(settings, ledger, dataset, partition) as (_, _, answer):
            return answer is not None
    except NothingToAsk:
        return False
    except GoralError:
        return True


def source_of(settings: Settings, dataset: str) -> Source:
    """A source dataset.

    Raises:
        SettingsError: when there is no such dataset, naming those there are.
    """
    sources = registry(settings.home_folder)
    try:
        return sources[dataset]
    except KeyError:
        known = ", ".join(sorted(sources))
        raise SettingsError(f"there is no dataset {dataset!r}; there are {known}") from None


def current_partition(contract: Contract) -> str:
    """The partition that today falls in."""
    month = clock.current_month()
    if contract.partition == "edition":
        return clock.quarter_of(month)
    return month[:4] if contract.partition == "year" else month


def check_partition(contract: Contract, partition: str) -> str:
    """A partition as the contract has them.

    Raises:
        SettingsError: when it is none, or lies before the first or in the future.
    """
    import re

    form, example = {
        "year": (r"\d{4}", "2022"),
        "edition": (r"\d{4}Q[1-4]", "2022Q3"),
        "month": (r"\d{4}-(0[1-9]|1[0-2])", "2022-07"),
    }[contract.partition]
    if not re.fullmatch(form, partition, re.ASCII):
        raise SettingsError(
            f"{contract.dataset} is kept by {contract.partition}: {partition!r} is not of the "
            f"form {example}"
        )
    if not contract.first_partition <= partition <= current_partition(contract):
        raise SettingsError(
            f"{contract.dataset} goes from {contract.first_partition} to "
            f"{current_partition(contract)}; {partition} lies outside"
        )
    return partition


def _fetch(settings: Settings, ledger: Ledger, dataset: str, partition: str) -> str:
    """Ask the publisher; land what is new. Gives what is to be said of it."""
    with _asked(settings, ledger, dataset, partition) as (fetched, incoming, answer):
        if answer is not None:
            _land(settings, ledger, dataset, partition, incoming, answer)
            return ""
        before = ledger.latest_delivery(dataset, partition)
        if fetched and before and before.content_key != fetched.content_key:
            return "the publisher has nothing new; what was delivered by hand since stays in use"
        return ""


@contextmanager
def _asked(
    settings: Settings, ledger: Ledger, dataset: str, partition: str
) -> Iterator[tuple[Delivery | None, store.Incoming, Answer | None]]:
    """Ask the publisher, given what it gave before; the answer is None without news.

    What was delivered by hand since then corrects what it gave, so that is no news.
    """
    source = source_of(settings, dataset)
    fetched = ledger.latest_fetched(dataset, partition)
    known = Known(fetched.origin, fetched.etag, fetched.last_modified) if fetched else None
    with store.receiving(settings.landing, settings.max_delivery_mib) as incoming:
        question = Question(
            partition, current_partition(source.contract), settings, incoming, known
        )
        answer = source.fetch(question)
        if answer and fetched and answer.content_key == fetched.content_key:
            answer = None
        yield fetched, incoming, answer


def _land(
    settings: Settings,
    ledger: Ledger,
    dataset: str,
    partition: str,
    incoming: store.Incoming,
    answer: Answer,
) -> None:
    before = ledger.latest_delivery(dataset, partition)
    extension = source_of(settings, dataset).extension
    # Between its place in landing and its record nothing may take it for old.
    with store.shared(settings.landing):
        if before and before.content_key == answer.content_key:
            if before.sha256 == incoming.sha256:
                # It may have been removed meanwhile; given once more, it can be staged anew.
                store.keep(settings.landing, dataset, before.extension, incoming)
            return
        store.keep(settings.landing, dataset, extension, incoming)
        ledger.add_delivery(
            dataset=dataset,
            partition=partition,
            sha256=incoming.sha256,
            content_key=answer.content_key,
            extension=extension,
            size=incoming.size,
            origin=answer.origin,
            etag=answer.etag,
            last_modified=answer.last_modified,
            demo=answer.demo,
        )


def needs_staging(settings: Settings, ledger: Ledger, dataset: str, partition: str) -> bool:
    """Whether the newest delivery is not staged as it would be today, or its files are gone.

    One in use that retention removed from landing stays as it was staged.
    """
    latest = ledger.latest_delivery(dataset, partition)
    if latest is None:
        return False
    wanted = fingerprint(settings, dataset)
    return not any(
        current.delivery.delivery_id == latest.delivery_id
        and all((settings.home_folder / file.path).is_file() for file in current.files)
        and (current.fingerprint == wanted or removal_of(settings, ledger, latest) is not None)
        for current in ledger.current(dataset, partition)
    )


def removal_of(settings: Settings, ledger: Ledger, delivery: Delivery) -> Removal | None:
    """How retention removed a delivery from landing; None where it lies there, or was lost."""
    path = landed_at(settings, delivery)
    if path.is_file():
        return None
    return ledger.removal(path.relative_to(settings.home_folder).as_posix())


def landed_at(settings: Settings, delivery: Delivery) -> Path:
    """Where a delivery lies in landing, or lay."""
    return store.place(settings.landing, delivery.dataset, delivery.sha256, delivery.extension)


def staying(
    settings: Settings, ledger: Ledger, wanted: Mapping[str, Collection[str]]
) -> dict[str, dict[str, Removal]]:
    """The partitions in use that would be staged otherwise today, were the delivery not removed.

    Args:
        settings: how they would be staged.
        ledger: what is in use.
        wanted: the partitions to look at, by dataset.

    Returns:
        By dataset and partition, how its delivery was removed.
    """
    found: dict[str, dict[str, Removal]] = {}
    for dataset in sorted(wanted.keys() & {removal.dataset for removal in ledger.removals()}):
        today = fingerprint(settings, dataset)
        for current in ledger.current(dataset):
            key, delivery = current.delivery.partition, current.delivery
            if key not in wanted[dataset] or current.fingerprint == today:
                continue
            if removal := removal_of(settings, ledger, delivery):
                found.setdefault(dataset, {})[key] = removal
    return found


def staying_in_words(dataset: str, removals: Mapping[str, Removal]) -> str:
    """What to say of the partitions of a dataset that `staying` found."""
    first, last = min(removals), max(removals)
    which = first if first == last else f"{first} to {last} ({len(removals)} partitions)"
    return f"{dataset} {which}: {_stays_in_words(dataset, first, *removals.values())}"


def _stays_in_words(dataset: str, partition: str, *removals: Removal) -> str:
    return (
        f"removed from landing by retention on {max(removal.day for removal in removals)}, so it "
        "stays as it was staged, by the contract and mapping of then; to stage it anew deliver "
        f"the same file again: goral deliver {dataset} FILE --partition {partition}"
    )


def _bring_up_to_date(
    settings: Settings, ledger: Ledger, dataset: str, partition: str, message: str
) -> Ingested:
    """Stage the latest delivery if that was not done, and move the pointer if it passes."""
    # So that what is read is not removed meanwhile, nor what is staged before it is in use.
    with store.shared(settings.landing):
        return _brought_up_to_date(settings, ledger, dataset, partition, message)


def _brought_up_to_date(
    settings: Settings, ledger: Ledger, dataset: str, partition: str, message: str
) -> Ingested:
    latest = ledger.latest_delivery(dataset, partition)
    if latest is None:
        return Ingested(dataset, partition, "missing", message or "nothing was delivered")
    if not needs_staging(settings, ledger, dataset, partition):
        current = ledger.current(dataset, partition)[0]
        for stays in staying(settings, ledger, {dataset: [partition]}).values():
            told = _stays_in_words(dataset, partition, *stays.values())
            message = "; ".join(filter(None, (message, told)))
        rows = _rows(settings, dataset, ledger.counts(current.staging_id))
        verdicts = _verdicts(settings, latest, current.fingerprint)
        doubts = _doubts(settings, ledger, latest, ledger.months(current.staging_id))
        return Ingested(
            dataset, partition, "unchanged", message, latest.delivery_id, rows, verdicts, doubts
        )
    if removal := removal_of(settings, ledger, latest):
        text = f"delivery {latest.delivery_id}: {_removed_in_words(latest, removal)}"
        return Ingested(dataset, partition, "failed", text, latest.delivery_id)
    try:
        staging = _stage(settings, latest)
        received = {file.table_name: file.received for file in staging.files}
        if problems := reconcile(received, staging.counts):
            raise DeliveryRejected(f"records are not accounted for: {'; '.join(problems)}")
    except DeliveryRejected as problem:
        text = f"delivery {latest.delivery_id}: {problem}"
        if latest.problem != text:
            ledger.reject(latest.delivery_id, text)
        verdicts = _verdicts(settings, latest, fingerprint(settings, dataset))
        return Ingested(dataset, partition, "failed", text, latest.delivery_id, verdicts=verdicts)
    except StagingDied as problem:
        text = f"delivery {latest.delivery_id}: {problem}"
        return Ingested(dataset, partition, "failed", text, latest.delivery_id)
    ledger.accept(staging)
    rows = _rows(settings, dataset, staging.counts)
    verdicts = _verdicts(settings, latest, staging.fingerprint)
    doubts = _doubts(settings, ledger, latest, sorted({month for _, month, _ in staging.months}))
    return Ingested(dataset, partition, "new", message, latest.delivery_id, rows, verdicts, doubts)


def _removed_in_words(delivery: Delivery, removal: Removal) -> str:
    before = f" (it was rejected before: {delivery.problem})" if delivery.problem else ""
    return (
        f"it was removed from landing by retention on {removal.day} and cannot be staged{before}; "
        "deliver it, or a better file, again: goral deliver "
        f"{delivery.dataset} FILE --partition {delivery.partition}"
    )


def left_behind(
    settings: Settings, ledger: Ledger, dataset: str, besides: Iterable[str] = ()
) -> list[Ingested]:
    """The partitions whose newest delivery was rejected, besides those named."""
    newest = {d.partition: d for d in ledger.deliveries() if d.dataset == dataset}
    return [
        Ingested(
            dataset,
            partition,
            "failed",
            delivery.problem or "",
            delivery.delivery_id,
            verdicts=_last_verdicts(settings, delivery),
        )
        for partition, delivery in sorted(newest.items())
        if delivery.state == "rejected" and partition not in set(besides)
    ]


def _rows(settings: Settings, dataset: str, counts: Iterable[Count]) -> dict[str, dict[str, int]]:
    """Rows by table and outcome, tables in the contract's order."""
    by_table = totals(counts)
    tables = source_of(settings, dataset).contract.tables
    return {table.name: by_table[table.name] for table in tables if table.name in by_table}


def _verdicts(settings: Settings, delivery: Delivery, fingerprint: str) -> tuple[Verdict, ...]:
    """What staging wrote of the expectations of a delivery; nothing where it could not read it."""
    name = f"{delivery.delivery_id}-{fingerprint}"
    return expectations.read(settings.quarantine / delivery.dataset / name)


def _last_verdicts(settings: Settings, delivery: Delivery) -> tuple[Verdict, ...]:
    """The same, as it was staged last, whichever way that was."""
    folders = (settings.quarantine / delivery.dataset).glob(f"{delivery.delivery_id}-*")
    last = max(folders, key=lambda folder: folder.stat().st_mtime_ns, default=None)
    return expectations.read(last) if last else ()


def _doubts(
    settings: Settings, ledger: Ledger, delivery: Delivery, months: list[str]
) -> tuple[str, ...]:
    """Why a delivery in use may be another partition's than it was given for."""
    same = ledger.partitions_with(delivery.dataset, delivery.content_key)
    others = [partition for partition in same if partition != delivery.partition]
    contract = source_of(settings, delivery.dataset).contract
    ends = {one.concession: one.requests_until for one in concessions(settings.home_folder)}
    end_day = ends.get(contract.source)
    now, before = (
        ledger.accepted(one, contract.tables[0].name) if one else 0
        for one in (delivery.delivery_id, delivery.supersedes)
    )
    return tuple(
        belonging.doubts(contract, delivery.partition, months, others, end_day, (now, before))
    )


def _stage(settings: Settings, delivery: Delivery) -> Staging:
    from goral_pipeline.staging.stage import Job
    from goral_pipeline.staging.worker import stage_apart

    job = Job(
        dataset=delivery.dataset,
        partition=delivery.partition,
        delivery_id=delivery.delivery_id,
        fingerprint=fingerprint(settings, delivery.dataset),
        landed=landed_at(settings, delivery),
        home=settings.home_folder,
        spill=durable.temporary_beside(settings.landing / "spill"),
        key=_key(settings, delivery.dataset),
        received_at=delivery.received_at,
        memory_limit=settings.duckdb_memory_limit,
        threads=settings.duckdb_threads,
    )
    try:
        return stage_apart(
            job, seconds=settings.staging_seconds, memory_mib=settings.staging_memory_mib
        )
    finally:
        # Staging removes it itself, unless it was killed.
        shutil.rmtree(job.spill, ignore_errors=True)


def _key(settings: Settings, dataset: str) -> bytes | None:
    from goral_pipeline.staging.pseudonym import programme_key

    return programme_key(settings) if source_of(settings, dataset).contract.needs_key else None


def fingerprint(settings: Settings, dataset: str) -> str:
    """Name of the way that deliveries of a dataset are staged today."""
    from goral_pipeline.staging import stage

    return stage.fingerprint(source_of(settings, dataset), _key(settings, dataset))


Progress = Callable[[Ingested], None]


def ingest_all(
    settings: Settings,
    ledger: Ledger,
    dataset: str,
    partitions: list[str],
    *,
    fetch: bool,
    progress: Progress = lambda _: None,
) -> list[Ingested]:
    """Bring partitions of a dataset up to date, several at a time, telling of each in order.

    What happens to one keeps none of the others back, but for an interruption, and a publisher that
    gives no answer: it is not waited for partition after partition.
    """
    sweep(settings)
    unanswered: list[Ingested] = []

    def one(partition: str) -> Ingested:
        if len(unanswered) >= ENOUGH_UNANSWERED:
            text = f"not asked, for there was no answer before: {unanswered[0].message}"
            return Ingested(dataset, partition, "failed", text, is_unanswered=True)
        result = ingest(each, ledger, dataset, partition, fetch=fetch)
        if result.is_unanswered:
            unanswered.append(result)
        return result

    together = max(1, min(settings.staging_processes, len(partitions)))
    threads = max(1, settings.duckdb_threads // together)
    each = settings.model_copy(update={"duckdb_threads": threads})
    results, problems = [], []
    with ThreadPoolExecutor(together, "goral-ingest") as workers:
        pending = [workers.submit(one, partition) for partition in partitions]
        try:
            for done in pending:
                if problem := done.exception():
                    problems.append(problem)
                else:
                    progress(done.result())
                    results.append(done.result())
        except KeyboardInterrupt:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    if problems:
        raise problems[0]
    return results
