"""Retention: what has been kept for its time, and removing it so that the ledger tells of it.

Raw deliveries that hold personal data go when they are old, in use or not, with what else lies in
landing and inbox of them. Staged rows and quarantine go when they are out of use for long; what a
pointer points at or a drop names stays. Belongs here: which files that is, and their removal. Does
not belong here: how long (`settings`), or what is said of a delivery that is gone (`ingestion`).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from goral_pipeline import clock, durable, parquet
from goral_pipeline.errors import GoralError
from goral_pipeline.ingestion import landed_at, sweep
from goral_pipeline.landing import inbox, store
from goral_pipeline.landing.ledger import Removal
from goral_pipeline.publishing import upkeep
from goral_pipeline.publishing.products import PRODUCTS
from goral_pipeline.sources import contracts

if TYPE_CHECKING:
    from goral_pipeline.contracts import Contract
    from goral_pipeline.landing.ledger import Delivery, Ledger
    from goral_pipeline.settings import Settings

Kind = Literal["delivery", "rest", "inbox", "staging", "quarantine"]
PART = "crawl-*.part"
# What is in no folder of ours by its name is somebody else's, and left alone.
_LANDED = re.compile(r"[0-9a-f]{64}(\.\w+)*")
_DIGITS = 16
_STAGED = re.compile(rf"[0-9a-f]{{{_DIGITS}}}-[0-9a-f]{{16}}")
_DERIVED = "derived/"
"""Made of other staged rows; a folder is named by the delivery that it is made of."""


@dataclass(frozen=True)
class Due:
    """A file or folder whose time has passed."""

    kind: Kind
    path: Path
    name: str
    """What it is called in the ledger and on the screen: its path below GORAL_HOME, but for a file
    in the inbox, whose name may name a person."""
    dataset: str
    partition: str
    delivery: str
    since: datetime
    """From when its time counts."""
    bytes: int
    reason: str

    def row(self) -> dict[str, str | int]:
        """What is shown of it."""
        return {
            "kind": self.kind,
            "dataset": self.dataset,
            "partition": self.partition,
            "delivery": self.delivery,
            "age_days": (clock.now() - self.since).days,
            "bytes": self.bytes,
            "reason": self.reason,
            "path": self.name,
        }


@dataclass(frozen=True)
class Found:
    """What is to be removed, or was; and what was left alone though it may have to go, and why."""

    due: tuple[Due, ...]
    problems: tuple[str, ...]


def plan(settings: Settings, ledger: Ledger) -> Found:
    """What would be removed now; nothing is written to find out."""
    deliveries = ledger.deliveries()
    if not deliveries:
        # Of an empty ledger, such as one at a wrong address, nothing can be told to be out of use.
        return Found((), ())
    problems = []
    personal = _Personal(settings)
    found = [
        *_in_landing(settings, deliveries, personal),
        *_in_inbox(settings, deliveries, personal),
    ]
    try:
        found += _staged(settings, ledger, deliveries)
    except GoralError as problem:
        problems.append(f"no staged rows were looked at, for a drop may need them: {problem}")
    within = [one for one in found if _lies_within(one.path)]
    linked = {one.path.parent for one in found if not _lies_within(one.path)}
    problems += [
        f"what is due in {folder} is behind a symbolic link and was left alone: remove it by hand"
        for folder in sorted(linked)
    ]
    return Found(tuple(within), tuple(problems))


def apply(settings: Settings, ledger: Ledger) -> Found:
    """Remove what is due. Killed at any moment, the next time finishes it.

    Raises:
        GoralError: when deliveries are being taken in, or removed by another process.
    """
    with store.alone(settings.landing):
        sweep(settings)
        found = plan(settings, ledger)
        _confirm_earlier(settings, ledger, found)
        if found.due:
            ledger.decide_removals(_recorded(one) for one in found.due)
        gone, problems = [], list(found.problems)
        for one in found.due:
            try:
                if _remove(one):
                    gone.append(one)
            except OSError as error:
                problems.append(f"{one.name} could not be removed ({type(error).__name__})")
        if gone:
            ledger.confirm_removals(one.name for one in gone)
        _remove_empty(settings)
    return Found(tuple(gone), tuple(problems))


def _recorded(one: Due) -> Removal:
    return Removal(
        path=one.name,
        kind=one.kind,
        dataset=one.dataset,
        delivery_id=one.delivery,
        bytes=one.bytes,
        reason=one.reason,
        decided_at=clock.now(),
        removed_at=None,
    )


def _confirm_earlier(settings: Settings, ledger: Ledger, found: Found) -> None:
    """Record of what was decided by a process that was killed whether it did it."""
    there = {one.name for one in found.due}
    gone = [
        removal.path
        for removal in ledger.removals()
        if removal.removed_at is None
        and removal.path not in there
        and not (settings.home_folder / removal.path).exists()
    ]
    if gone:
        ledger.confirm_removals(gone)


def _remove(one: Due) -> bool:
    """Remove it; False where another process is at it."""
    if one.path.is_dir():
        durable.remove_folder(one.path)
    elif one.path.match(PART):
        return store.remove_part(one.path)
    else:
        durable.remove_file(one.path)
    return True


def _remove_empty(settings: Settings) -> None:
    """Remove folders of sources and datasets that nothing lies in any more."""
    for root in (settings.landing, settings.staging, settings.quarantine):
        for folder in (*sorted(root.glob("[!.]*/[!.]*")), *sorted(root.glob("[!.]*"))):
            # Placements are made by the build, which is not kept out meanwhile.
            is_derived = folder.is_relative_to(settings.staging / _DERIVED)
            is_ours = folder.is_dir() and _lies_within(folder) and not is_derived
            if is_ours and not any(folder.iterdir()):
                folder.rmdir()
                durable.flush_folder(folder.parent)


def _lies_within(path: Path) -> bool:
    """Whether it is in GORAL_HOME itself, and not behind a link."""
    # GORAL_HOME is resolved, so a folder that resolves to another lies behind a link.
    return not path.is_symlink() and path.parent.resolve() == path.parent


# --- landing and inbox ---


def _in_landing(
    settings: Settings, deliveries: list[Delivery], personal: _Personal
) -> Iterator[Due]:
    days = settings.landing_retention_days
    before = clock.now() - timedelta(days=days)
    by_file: dict[Path, list[Delivery]] = {}
    for delivery in deliveries:
        by_file.setdefault(landed_at(settings, delivery), []).append(delivery)
    for path, of in sorted(by_file.items()):
        # The same content may have come several times; the last time counts.
        last = max(of, key=lambda delivery: delivery.received_at)
        if last.received_at < before and personal.may_hold(last.dataset) and path.is_file():
            yield Due(
                kind="delivery",
                path=path,
                name=_name(settings, path),
                dataset=last.dataset,
                partition=last.partition,
                delivery=last.delivery_id,
                since=last.received_at,
                bytes=_size(path),
                reason=f"personal data, received more than {days} days ago",
            )
    for path in _rests(settings, personal, by_file):
        if (since := _changed(path)) < before:
            folder = path.relative_to(settings.landing).parent.as_posix()
            yield Due(
                kind="rest",
                path=path,
                name=_name(settings, path),
                dataset="" if folder == "." else folder,
                partition="",
                delivery="",
                since=since,
                bytes=_size(path),
                reason=f"of no delivery, and not written to for more than {days} days",
            )


def _rests(settings: Settings, personal: _Personal, known: Mapping[Path, object]) -> Iterator[Path]:
    """What killed processes left in landing: parts, spill files, content that was not recorded."""
    temporary = f"{durable.TEMPORARY_PREFIX}*"
    for pattern in (temporary, f"*/*/{temporary}", f"*/*/{PART}"):
        yield from sorted(settings.landing.glob(pattern))
    for path in sorted(settings.landing.glob("*/*/*")):
        dataset = path.parent.relative_to(settings.landing).as_posix()
        if path not in known and _LANDED.fullmatch(path.name) and personal.may_hold(dataset):
            yield path


def _in_inbox(settings: Settings, deliveries: list[Delivery], personal: _Personal) -> Iterator[Due]:
    """Files that were taken in, but not away; what was never taken in is not ours to remove."""
    days = settings.landing_retention_days
    before = clock.now() - timedelta(days=days)
    taken = {(d.dataset, d.partition, d.sha256): d for d in deliveries}
    for file in inbox.waiting(settings.inbox):
        if not personal.may_hold(file.dataset) or (since := _put_down(file.path)) >= before:
            continue
        delivery = taken.get((file.dataset, file.partition, parquet.sha256(file.path)))
        if delivery is not None:
            yield Due(
                kind="inbox",
                path=file.path,
                name=f"inbox/{file.dataset}/{file.partition}/{file.identity[:16]}",
                dataset=file.dataset,
                partition=file.partition,
                delivery=delivery.delivery_id,
                since=since,
                bytes=file.size,
                reason=f"personal data, taken in and left in the inbox for more than {days} days",
            )


class _Personal:
    """Which datasets may hold personal data."""

    def __init__(self, settings: Settings) -> None:
        self._contracts: dict[str, Contract] = contracts(settings.home_folder)

    def may_hold(self, dataset: str) -> bool:
        """Whether it holds any by its contract; one that nothing describes any more may."""
        contract = self._contracts.get(dataset)
        return contract is None or contract.holds_personal_data


# --- staging and quarantine ---


def _staged(settings: Settings, ledger: Ledger, deliveries: list[Delivery]) -> list[Due]:
    """Folders of stagings that are out of use.

    Raises:
        GoralError: when the drops cannot be read, or one does not tell what it is made of.
    """
    days = settings.staging_retention_days
    before = clock.now() - timedelta(days=days)
    by_id = {delivery.delivery_id: delivery for delivery in deliveries}
    kept = _Kept(settings, ledger, deliveries)
    out_of_use = ledger.out_of_use()
    found = []
    for kind, path, dataset in _folders(settings):
        name = path.name
        since = out_of_use.get(name) or _changed(path)
        if since >= before or kept.keeps(dataset, name):
            continue
        delivery = by_id.get(name[:_DIGITS])
        state = "out of use" if name in out_of_use else "never in use, and kept"
        found.append(
            Due(
                kind=kind,
                path=path,
                name=_name(settings, path),
                dataset=dataset,
                partition=delivery.partition if delivery else "",
                delivery=delivery.delivery_id if delivery else "",
                since=since,
                bytes=_size(path),
                reason=f"{state} for more than {days} days",
            )
        )
    return found


def _folders(settings: Settings) -> Iterator[tuple[Kind, Path, str]]:
    """Each folder of a staging: kind, folder, dataset."""
    roots: tuple[tuple[Kind, Path], ...] = (
        ("staging", settings.staging),
        ("quarantine", settings.quarantine),
    )
    for kind, root in roots:
        for path in sorted(root.glob("*/*/*")):
            if _STAGED.fullmatch(path.name) and path.is_dir():
                yield kind, path, path.parent.relative_to(root).as_posix()


class _Kept:
    """Which stagings stay, whatever their age."""

    def __init__(self, settings: Settings, ledger: Ledger, deliveries: list[Delivery]) -> None:
        current = ledger.current()
        self._stagings = {one.staging_id for one in current}
        self._deliveries = {one.delivery.delivery_id for one in current}
        self._named = _named_by_drops(settings, ledger)
        newest = {(one.dataset, one.partition): one for one in deliveries}
        self._rejected = {d.delivery_id for d in newest.values() if d.state == "rejected"}

    def keeps(self, dataset: str, name: str) -> bool:
        """Whether a folder of that dataset is in use, named by a drop, or waits to be mended."""
        delivery_id = name[:_DIGITS]
        if dataset.startswith(_DERIVED) and delivery_id in self._deliveries:
            return True
        if name in self._stagings or delivery_id in self._rejected:
            return True
        return f"staging/{dataset}/{name}" in self._named


def _named_by_drops(settings: Settings, ledger: Ledger) -> set[str]:
    """Folders of the staged files that the drops there are were made from, below GORAL_HOME.

    Raises:
        GoralError: when drops were published and none is there: a place that is not mounted, or a
            setting that is missing, is not to be taken for no drops.
    """
    drops = [
        one.made
        for product in PRODUCTS.values()
        if product.is_published(settings)
        for one in upkeep.drops_of(settings, product)
    ]
    if not drops and (published := ledger.drops()):
        raise GoralError(
            f"none of {len(published)} published drops is where drops are published now, and what "
            "they were made of has to stay: is the place mounted, and are GORAL_DROPS_URL and "
            "GORAL_CDR_DROPS_URL set as they are for publishing?"
        )
    return {
        PurePosixPath(file["path"]).parent.as_posix()
        for made in drops
        for file in made.staged_files
    }


# --- files ---


def _name(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.home_folder).as_posix()


def _contents(path: Path) -> list[os.stat_result]:
    """Of a file, or of a folder and all in it; links are not followed."""
    inside = [
        Path(folder) / name
        for folder, folders, files in os.walk(path)
        for name in (*folders, *files)
    ]
    return [each.lstat() for each in (path, *inside)]


def _size(path: Path) -> int:
    """Bytes of a file, or of the files in a folder."""
    return sum(one.st_size for one in _contents(path) if stat.S_ISREG(one.st_mode))


def _changed(path: Path) -> datetime:
    """When a file, or anything in a folder, was last written to."""
    return datetime.fromtimestamp(max(one.st_mtime for one in _contents(path)), UTC)


def _put_down(path: Path) -> datetime:
    """When a file came to lie where it does: a copy may have kept the time of its original."""
    state = path.lstat()
    return datetime.fromtimestamp(max(state.st_mtime, state.st_ctime), UTC)
