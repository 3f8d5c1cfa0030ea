"""The drops there are: listing, verifying, comparing and pruning them.

Does not belong here: publishing (`drop`), or the retention of what drops are made of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.publishing import changes, conformance, drop, manifest, store, verify
from goral_pipeline.publishing.manifest import Manifest
from goral_pipeline.publishing.products import KPI, Product

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings


@dataclass(frozen=True)
class Listed:
    """A drop that is there."""

    made: Manifest
    is_latest: bool

    def row(self) -> dict[str, object]:
        """What is shown of it."""
        return {
            "drop": self.made.drop,
            "sequence": self.made.sequence,
            "latest": self.is_latest,
            "demo": self.made.demo,
            "status": self.made.status,
            "rows": self.made.rows,
            "left_out": len(self.made.left_out),
            "follows": self.made.previous.drop if self.made.previous else "",
        }


def drops_of(settings: Settings, product: Product = KPI) -> list[Listed]:
    """The drops there are, the oldest first.

    Raises:
        VerificationFailed: when one of them cannot be read.
    """
    drops = product.open_store(settings)
    with drops.reaching():
        return _listed(drops, product)


def rows_of(
    settings: Settings, product: Product = KPI
) -> tuple[list[dict[str, object]], list[str]]:
    """A row for each drop that can be read, the oldest first; and what is wrong with the others."""
    drops = product.open_store(settings)
    with drops.reaching():
        made, problems = _read_all(drops)
        return [one.row() for one in _in_order(drops, product, made)], problems


def prune(
    settings: Settings, keep: int, product: Product = KPI, *, dry_run: bool
) -> list[Manifest]:
    """Remove drops but the newest `keep`; never the latest, nor final figures. Gives those removed.

    Counted are those that the pointer once pointed at. Of others, what a killed publisher left
    goes; what would follow the latest stays, for somebody may be about to point at it.

    Raises:
        GoralError: when `keep` is less than 1.
    """
    if keep < 1:
        raise GoralError("at least one drop has to be kept")
    drops = product.open_store(settings)
    with drops.reaching():
        if not dry_run:
            drops.sweep()
        listed = _listed(drops, product)
        latest = next((one.made for one in listed if one.is_latest), None)
        stay = {made.drop for made in _followed(latest, [one.made for one in listed])[:keep]}
        old = [
            one.made
            for one in listed
            if latest
            and one.made.drop not in stay
            and one.made.sequence <= latest.sequence
            and not (product.keeps_final and one.made.status == "final")
        ]
        for made in [] if dry_run else old:
            drops.remove(made.drop)
    return old


def diff(
    settings: Settings, before: str | None, now: str | None, product: Product = KPI
) -> changes.Report:
    """What changed from one drop to another; by default from the one before to the latest.

    Raises:
        GoralError: when there is no such drop.
    """
    import duckdb

    drops = product.open_store(settings)
    with drops.reaching():
        made = named(drops, now) if now else drop.latest(drops)
        if made is None:
            raise GoralError("nothing is published yet; `goral drop publish` does so")
        if before is None and made.previous is None:
            raise GoralError(f"{made.drop} is the first drop: there is none to compare it with")
        was = named(drops, before or (made.previous.drop if made.previous else ""))
        with drop.held(drops, was) as old, drop.held(drops, made) as new, duckdb.connect() as con:
            return changes.compare(con, old, new)


def verified(drops: verify.Place, name: str | None = None, *, deep: bool = False) -> Manifest:
    """The manifest of a drop, by default the latest, once all that it says is seen to be so.

    Args:
        drops: where it lies.
        name: its id.
        deep: whether every page is decoded, and rows compared.

    Raises:
        VerificationFailed: with every problem found.
        GoralError: when there is no such drop.
    """
    pointed = manifest.latest(drops)
    if name is None and pointed is None:
        raise GoralError(f"nothing is published: there is no {verify.LATEST}")
    drop_id = name or (pointed.drop if pointed else "")
    try:
        verify.release(drop_id)
    except verify.Damaged as error:
        raise GoralError(str(error)) from None
    if name is not None and name not in drops.folders(verify.RELEASES):
        raise GoralError(f"there is no drop {name!r}; `goral drop list` names those there are")
    known = pointed.manifest_sha256 if pointed and pointed.drop == drop_id else None
    if problems := verify.problems(drops, drop_id, known, deep=deep):
        raise VerificationFailed(problems)
    made = manifest.read(drops, drop_id)
    if problems := conformance.problems(drops, made):
        raise VerificationFailed(problems)
    return made


def named(drops: store.Store, name: str) -> Manifest:
    """The manifest of the drop of that name.

    Raises:
        GoralError: when there is no such drop.
    """
    if name not in drops.drops():
        raise GoralError(f"there is no drop {name!r}; `goral drop list` names those there are")
    return manifest.read(drops.place, name)


def _followed(latest: Manifest | None, there: list[Manifest]) -> list[Manifest]:
    """The latest drop, the one that it follows, and so on as far as they are there."""
    by_name = {made.drop: made for made in there}
    found = []
    while latest:
        found.append(latest)
        latest = by_name.get(latest.previous.drop) if latest.previous else None
    return found


def _listed(drops: store.Store, product: Product) -> list[Listed]:
    made, problems = _read_all(drops)
    if problems:
        raise VerificationFailed(problems)
    return _in_order(drops, product, made)


def _read_all(drops: store.Store) -> tuple[list[Manifest], list[str]]:
    """The manifests there are, and what is wrong with those that cannot be read."""
    made, problems = [], []
    for name in drops.drops():
        try:
            made.append(manifest.read(drops.place, name))
        except VerificationFailed as error:
            problems += [f"{name}: {problem}" for problem in error.problems]
    return made, problems


def _in_order(drops: store.Store, product: Product, made: list[Manifest]) -> list[Listed]:
    pointed = manifest.latest(drops.place)
    for one in made:
        product.refuse_other(one)
    return [
        Listed(one, pointed is not None and pointed.drop == one.drop)
        for one in sorted(made, key=lambda one: (one.sequence, one.drop))
    ]
