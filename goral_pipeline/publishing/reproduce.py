"""Reproducing a drop: from the staged files that it was made of, whatever came since.

Belongs here: making its tables anew and comparing them. Does not belong here: keeping what it needs
(`retention`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from goral_pipeline import durable, parquet
from goral_pipeline.errors import GoralError
from goral_pipeline.landing.ledger import Current, Ledger
from goral_pipeline.publishing import drop, finalise, products, store, upkeep
from goral_pipeline.publishing.manifest import Manifest
from goral_pipeline.publishing.products import KPI, Product
from goral_pipeline.warehouse import dbt_command

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.settings import Settings

Outcome = Literal["same bytes", "same content", "differs", "missing", "new"]


@dataclass(frozen=True)
class Reproduced:
    """What came of making the tables of a drop anew."""

    drop: str
    is_same_program: bool
    """Whether code, contracts and lock are those that made it."""
    tables: dict[str, Outcome]
    """By dataset."""

    @property
    def is_good(self) -> bool:
        """Whether each table is as far the same as it has to be.

        To the bit by the program that made it, in content by another.
        """
        good = {"same bytes"} if self.is_same_program else {"same bytes", "same content"}
        return set(self.tables.values()) <= good


def reproduce(
    settings: Settings,
    ledger: Ledger,
    name: str | None = None,
    product: Product = KPI,
    progress: Callable[[str], None] = lambda _: None,
) -> Reproduced:
    """Make the tables of a drop anew, by default the latest's, and compare them with it.

    Raises:
        GoralError: when there is no such drop, or staged files that it was made of are gone or are
            not what they were.
    """
    drops = product.open_store(settings)
    with drops.reaching():
        latest = drop.latest(drops)
        made = upkeep.named(drops, name) if name else latest
    if made is None:
        raise GoralError("nothing is published yet; `goral drop publish` does so")
    pointed = _staged(settings, ledger, made)
    workplace = durable.make_folder(settings.publishing, durable.PRIVATE)
    with TemporaryDirectory(dir=workplace, prefix=durable.temporary_prefix()) as folder:
        path = Path(folder) / dbt_command.BUILDING
        progress(f"building the tables of {made.drop} from {len(made.staged_files)} staged files")
        wanted = product.make_anew(settings, ledger, pointed, made.instructions, path)
        again = store.FolderStore(Path(folder) / "drops")
        anew = drop.draft(product, wanted, made.left_out, made.instructions, None)
        rows = drop.rows_as_built(product)
        with products.open_tables(settings, path) as con:
            done = drop.write_release(again, con, anew, None, rows, progress)
            if made.status == "final":
                done = _final(again, con, done, progress)
        same = anew.fingerprint == made.fingerprint
    return Reproduced(made.drop, same, _compared(made, done))


def _staged(settings: Settings, ledger: Ledger, made: Manifest) -> list[Current]:
    """The stagings that a drop was made of, once it is seen that their files are what they were."""
    # A placement has no hash: it is computed anew.
    files = {file["path"]: file["sha256"] for file in made.staged_files if file["sha256"]}
    pointed = ledger.staged({PurePosixPath(path).parent.name for path in files})
    known = {file.path for current in pointed for file in current.files}
    gone = [path for path in files if not (settings.home_folder / path).is_file()]
    gone += [path for path in files if path not in known and path not in gone]
    changed = [
        path
        for path, sha256 in files.items()
        if path not in gone and parquet.sha256(settings.home_folder / path) != sha256
    ]
    if gone or changed:
        lost = [f"gone: {path}" for path in gone] + [f"changed: {path}" for path in changed]
        raise GoralError(
            f"{made.drop} cannot be reproduced, for staged files that it was made of are not what "
            "they were; put them back from a copy of GORAL_HOME:\n" + "\n".join(sorted(lost))
        )
    return pointed


def _final(
    drops: store.Store,
    con: duckdb.DuckDBPyConnection,
    provisional: Manifest,
    progress: Callable[[str], None],
) -> Manifest:
    with drop.held(drops, provisional) as old:
        draft = finalise.final(provisional)
        return drop.write_release(drops, con, draft, old, finalise.final_rows(old), progress)


def _compared(made: Manifest, anew: Manifest) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    for dataset in sorted({file.dataset for file in (*made.data, *anew.data)}):
        was, became = made.file_of(dataset), anew.file_of(dataset)
        if became is None:
            outcomes[dataset] = "missing"
        elif was is None:
            outcomes[dataset] = "new"
        elif was.sha256 == became.sha256:
            outcomes[dataset] = "same bytes"
        else:
            same = was.content_hash == became.content_hash
            outcomes[dataset] = "same content" if same else "differs"
    return outcomes
