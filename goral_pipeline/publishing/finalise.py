"""Making a drop final: what was provisional is published once more, as what will not change.

Does not belong here: deciding that it may be; who runs the programme does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from goral_pipeline.contracts import Table
from goral_pipeline.contracts.model import quote
from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.parquet import ROWS_A_GROUP
from goral_pipeline.publishing import changes, drop, verify
from goral_pipeline.publishing.drop import Published, Rows
from goral_pipeline.publishing.manifest import Manifest
from goral_pipeline.publishing.products import KPI, Product

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from goral_pipeline.settings import Settings


def release(
    settings: Settings,
    ledger: Ledger,
    product: Product = KPI,
    progress: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish the latest drop once more, as final: the same rows, none of them provisional.

    Raises:
        GoralError: when there is none, or it is one that cannot be final.
        VerificationFailed: when it is not what its manifest says, to the last page.
        Overtaken: when another publisher was first.
    """
    import duckdb

    drops = product.open_store(settings)
    with drops.reaching():
        seen = drops.seen()
        before = drop.latest(drops)
        if before is None:
            raise GoralError("nothing is published yet; `goral drop publish` does so")
        product.refuse_other(before)
        if before.status == "final":
            return drop.told(drops, before, is_new=False)
        _check_can_be_final(before, product)
        progress(f"verifying {before.drop}")
        sha256 = before.pointer().manifest_sha256
        if problems := verify.problems(drops.place, before.drop, sha256, deep=True):
            raise VerificationFailed(problems)
        draft = final(before)
        with duckdb.connect() as con, drop.held(drops, before) as old:
            made = drop.write_release(drops, con, draft, old, final_rows(old), progress)
        drop.point(drops, ledger, made, seen, progress)
    return drop.told(drops, made, is_new=True)


def final(before: Manifest) -> Manifest:
    """The draft of a final drop after a provisional one."""
    draft = replace(
        before,
        status="final",
        sequence=before.sequence + 1,
        previous=before.pointer(),
    )
    return replace(draft, drop=drop.drop_id(draft, before.drop.rpartition("-")[0]))


def final_rows(old: changes.Release) -> Rows:
    """How to read the rows of a drop as those of a final one."""

    def rows(con: duckdb.DuckDBPyConnection, table: Table) -> pa.RecordBatchReader:
        columns = ", ".join(
            f"case {c.name} when 'provisional' then 'final' else {c.name} end as {c.name}"
            if "provisional" in c.codes
            else c.name
            for c in table.columns
        )
        path = quote(str(old.path(table.name)))
        query = f"select {columns} from read_parquet({path}) order by {', '.join(table.key)}"
        con.execute("set TimeZone = 'UTC'")
        return con.execute(query).to_arrow_reader(ROWS_A_GROUP)

    return rows


def _check_can_be_final(before: Manifest, product: Product) -> None:
    if before.demo:
        raise GoralError(f"{before.drop} is a demo: what is invented is never final")
    if before.left_out:
        raise GoralError(
            f"{before.drop} cannot be final, for it was published without the newest delivery of "
            "these partitions:\n" + "\n".join(before.left_out)
        )
    if before.lock_sha256 != drop.lock_sha256():
        raise GoralError(
            f"the program's libraries changed since {before.drop} was published, and a final drop "
            "says which made it: publish anew, then release"
        )
    now = {contract.dataset: contract.version for contract, _ in product.tables()}
    if before.contracts != now:
        raise GoralError(
            f"contracts changed since {before.drop} was published: publish anew, then release"
        )
