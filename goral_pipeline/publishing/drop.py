"""Publishing a drop: from the warehouse's marts to a release that the pointer points at.

Belongs here: what goes into a drop and the order of things: compare, write, verify, point. Does not
belong here: what makes a drop good (`verify`), how its manifest looks (`manifest`), where it goes
(`store`), which version a contract must have (`versions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline import __version__, parquet
from goral_pipeline.contracts import Contract, Table
from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import (
    changes,
    conformance,
    manifest,
    metadata,
    products,
    store,
    verify,
    versions,
)
from goral_pipeline.publishing.manifest import DataFile, Instruction, Manifest, OtherFile
from goral_pipeline.publishing.products import CDR, KPI, Product
from goral_pipeline.settings import PROJECT_ROOT
from goral_pipeline.sources import registry
from goral_pipeline.warehouse import build

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from goral_pipeline.settings import Settings

LOCK_FILE = PROJECT_ROOT / "requirements.lock"
CHANGES = "changes"

Rows = Callable[["duckdb.DuckDBPyConnection", Table], "pa.RecordBatchReader"]


@dataclass(frozen=True)
class Published:
    """A drop, and whether it is new."""

    drop: str
    where: str
    """Its folder or URL."""
    is_new: bool
    demo: bool
    files: int
    rows: int


def publish(
    settings: Settings,
    ledger: Ledger,
    product: Product = KPI,
    *,
    allow_incomplete: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Published:
    """Publish what there is of a product; the drop that the pointer points at is not made again.

    Raises:
        SettingsError: when it is not told where the product goes, or nobody instructed so.
        GoralError: when there is no warehouse, or it is not made of what the ledger points at, or a
            contract changed by more than its version says.
        VerificationFailed: when what was written is not what should have been; the pointer stays.
        Overtaken: when another publisher was first; its drop stays.
    """
    drops = product.open_store(settings)
    with drops.reaching():
        # Before anything is read that decides the drop: whoever moves the pointer after this is
        # found out when it is moved here.
        seen = drops.seen()
    on = product.instructions(settings)
    left_out = incomplete(ledger, product)
    if left_out and not allow_incomplete:
        unknown = {d.dataset for d in ledger.deliveries()} - set(registry(settings.home_folder))
        raise GoralError(
            "not published, for the newest delivery of these partitions is not in the warehouse:\n"
            + "\n".join(left_out)
            + "".join(
                f"\nno mapping tells of {dataset} any more: put it back into "
                f"{settings.home_folder / 'mappings'}"
                for dataset in sorted(unknown)
            )
            + "\nmend them, or publish without them by `goral drop publish --allow-incomplete"
            f"{product.option}`"
        )
    wanted = product.inputs(settings, ledger, on)
    with drops.reaching():
        before = latest(drops)
        product.refuse_other(before)
        if before is None:
            product.check_start(on)
        planned = draft(product, wanted, left_out, on, before)
        if before and before.fingerprint == planned.fingerprint:
            return told(drops, before, is_new=False)
        _refuse_demo_after_real(planned, before)
        drops.sweep()
        following = held(drops, before) if before else nullcontext()
        with product.opened(settings, wanted, progress) as con, following as old:
            made = write_release(drops, con, planned, old, rows_as_built(product), progress)
        point(drops, ledger, made, seen, progress)
    return told(drops, made, is_new=True)


def _refuse_demo_after_real(planned: Manifest, before: Manifest | None) -> None:
    if planned.demo and before and not before.demo:
        raise GoralError(
            f"not published: some of it is invented, and {before.drop} before it is real. Run "
            "demos in a GORAL_HOME of their own; `goral status` names the invented deliveries "
            "in use, whose place real ones of the same partitions take"
        )


def point(
    drops: store.Store,
    ledger: Ledger,
    made: Manifest,
    seen: object,
    progress: Callable[[str], None],
) -> None:
    """Verify a release as it stands, and let the pointer point at it.

    Raises:
        VerificationFailed: when it is not right; it is removed and the pointer stays.
    """
    progress(f"verifying {made.drop}")
    sha256 = made.pointer().manifest_sha256
    problems = verify.problems(drops.place, made.drop, sha256)
    problems = problems or conformance.problems(drops.place, made)
    if problems:
        # Left standing, every later run would take it for written.
        drops.remove(made.drop)
        mend = f"{made.drop} was removed; publishing again writes it anew"
        raise VerificationFailed([*problems, mend])
    # Recorded first: a run that is killed here points at it the next time, and records no second.
    ledger.add_drop(made.drop, sha256, made.fingerprint, made.demo)
    drops.point(made.pointer().to_bytes(), seen)


def is_up_to_date(settings: Settings, ledger: Ledger) -> bool:
    """Whether the warehouse, and the drop of each product that is published, are of what there is.

    Raises:
        GoralError: when it cannot be told, for an instruction or what is to be published is wrong.
    """
    wanted = build.inputs(settings, ledger)
    if not build.is_up_to_date(settings, wanted) or not _is_of(KPI, settings, ledger, wanted, []):
        return False
    if not CDR.is_published(settings):
        return True
    on = CDR.instructions(settings)
    return _is_of(CDR, settings, ledger, CDR.inputs(settings, ledger, on), on)


def _is_of(
    product: Product,
    settings: Settings,
    ledger: Ledger,
    wanted: build.Inputs,
    on: list[Instruction],
) -> bool:
    """Whether the drop that a product's pointer points at is of just this."""
    drops = product.open_store(settings)
    with drops.reaching():
        before = latest(drops)
    now = fingerprint(product, wanted, incomplete(ledger, product), on)
    return before is not None and before.fingerprint == now


def latest(drops: store.Store) -> Manifest | None:
    """The manifest of the drop that the pointer points at; None where there is none.

    A pointer at a release that is gone points at nothing.
    """
    pointed = manifest.latest(drops.place)
    if pointed is None or pointed.drop not in drops.drops():
        return None
    return manifest.read(drops.place, pointed.drop)


def incomplete(ledger: Ledger, product: Product = KPI) -> list[str]:
    """The partitions whose newest delivery did not pass, with the reason, sorted."""
    pointed = {
        (current.delivery.dataset, current.delivery.partition): current.delivery.delivery_id
        for current in ledger.current()
    }
    newest = {(d.dataset, d.partition): d for d in ledger.deliveries()}
    return sorted(
        f"{dataset} {partition}: {delivery.problem or 'received and not yet staged'}"
        for (dataset, partition), delivery in newest.items()
        if product.is_made_of(dataset) and pointed.get((dataset, partition)) != delivery.delivery_id
    )


def fingerprint(
    product: Product, wanted: build.Inputs, left_out: list[str], on: list[Instruction]
) -> str:
    """Name of all that decides a drop's tables."""
    parts = [product.name, wanted.fingerprint, *left_out, lock_sha256() or "", *map(repr, on)]
    for contract, _ in product.tables():
        parts.append(hashlib.sha256(contract.path.read_bytes()).hexdigest())
    deciding = (__file__, verify.__file__, manifest.__file__, changes.__file__, parquet.__file__)
    for module in (*map(Path, deciding), *metadata.SOURCES):
        parts.append(hashlib.sha256(module.read_bytes()).hexdigest())
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def lock_sha256() -> str | None:
    """Hash of the lock that the program runs under; None where there is none."""
    return parquet.sha256(LOCK_FILE) if LOCK_FILE.is_file() else None


# --- writing a release ---


def draft(
    product: Product,
    wanted: build.Inputs,
    left_out: list[str],
    on: list[Instruction],
    before: Manifest | None,
) -> Manifest:
    """The manifest of the drop to come, before anything of it is written."""
    contracts = _contracts(product)
    unnamed = Manifest(
        drop="",
        product=product.name,
        sequence=before.sequence + 1 if before else 1,
        previous=before.pointer() if before else None,
        fingerprint=fingerprint(product, wanted, left_out, on),
        demo=wanted.demo,
        notice=manifest.DEMO_NOTICE if wanted.demo else "",
        status="demo" if wanted.demo else "provisional",
        code_version=__version__,
        lock_sha256=lock_sha256(),
        contracts={dataset: contract.version for dataset, contract in contracts.items()},
        deprecated=versions.deprecated(contracts, before.deprecated if before else {}),
        data=[],
        other=[],
        staged_files=[
            {"relation": f.relation, "path": f.path, "sha256": f.sha256} for f in wanted.files
        ],
        left_out=left_out,
        checks={"dbt": "passed", "reconciliation": "passed"},
        instructions=on,
    )
    return replace(unnamed, drop=drop_id(unnamed, _last_period(wanted)))


def drop_id(draft: Manifest, period: str) -> str:
    """Id of a drop: of what it is made of, and of what it follows."""
    follows = draft.previous.manifest_sha256 if draft.previous else ""
    named = hashlib.sha256(f"{draft.fingerprint}|{follows}".encode()).hexdigest()
    kind = "" if draft.product == KPI.name else f"{draft.product}-"
    return f"{'demo-' if draft.demo else ''}{kind}{period}-{named[:12]}"


def _last_period(wanted: build.Inputs) -> str:
    """The last month with a delivery; the last edition where there are but editions."""
    periods = [str(delivery["partition"]) for delivery in wanted.deliveries]
    months = [period for period in periods if len(period) == len("2022-12")]
    return max(months or periods)


@contextmanager
def held(drops: store.Store, made: Manifest) -> Iterator[changes.Release]:
    """The tables and contracts of a drop that is there, for the block."""
    with drops.local(made.drop) as folder:
        contracts = conformance.contracts_of(verify.Folder(folder), "", made)
        yield changes.Release(folder, made, contracts)


def write_release(
    drops: store.Store,
    con: duckdb.DuckDBPyConnection,
    draft: Manifest,
    old: changes.Release | None,
    rows: Rows,
    progress: Callable[[str], None],
) -> Manifest:
    """Write a release whole; gives its manifest.

    Raises:
        GoralError: when a contract changed by more than its version says.
    """
    product = products.PRODUCTS[draft.product]
    contracts = _contracts(product)
    if old and (wrong := versions.problems(old.contracts, contracts, old.made.deprecated)):
        raise GoralError("\n".join(["not published:", *wrong]))
    with drops.writing(draft.drop) as folder:
        data = []
        for contract, table in product.tables():
            progress(f"writing {contract.dataset}")
            batches = rows(con, table)
            data.append(_write_table(folder, contract, table, batches, notice=draft.notice))
        written = replace(draft, data=data)
        if old:
            progress(f"comparing with {old.made.drop}")
        report = changes.compare(con, old, changes.Release(folder, written, contracts))
        other = {
            f"{CHANGES}.json": report.to_json(),
            f"{CHANGES}.md": report.to_markdown(),
            **_descriptions(product, written),
        }
        made = replace(written, other=_write_others(folder, other))
        (folder / manifest.MANIFEST).write_bytes(made.to_bytes())
    return manifest.read(drops.place, draft.drop)


def _contracts(product: Product) -> dict[str, Contract]:
    return {contract.dataset: contract for contract, _ in product.tables()}


def rows_as_built(product: Product) -> Rows:
    """How to read the rows that dbt made as they are published, sorted by key."""

    def rows(con: duckdb.DuckDBPyConnection, table: Table) -> pa.RecordBatchReader:
        columns = ", ".join(column.name for column in table.columns)
        made = f"{product.schema}.{table.name} where {table.publish_where}"
        query = f"select {columns} from {made} order by {', '.join(table.key)}"
        return con.execute(query).to_arrow_reader(parquet.ROWS_A_GROUP)

    return rows


def _write_table(
    folder: Path,
    contract: Contract,
    table: Table,
    batches: Iterable[pa.RecordBatch],
    *,
    notice: str,
) -> DataFile:
    path = folder / contract.dataset / f"{table.name}.parquet"
    path.parent.mkdir()
    schema = table.arrow_schema()
    described = {
        "contract": contract.id,
        "contract_version": contract.version,
        **({"notice": notice} if notice else {}),
    }
    digest = verify.ContentHash()
    months = _Months("month" if "month" in schema.names else None)
    # Hashed as they will be read: by the contract's types, whatever the warehouse had.
    conforming = (parquet.conform(batch, schema) for batch in batches)
    rows = parquet.write(path, schema, months.passing(digest.passing(conforming)), described)
    columns = manifest.columns_of(schema)
    return DataFile(
        path=path.relative_to(folder).as_posix(),
        dataset=contract.dataset,
        rows=rows,
        bytes=path.stat().st_size,
        sha256=parquet.sha256(path),
        columns=columns,
        schema_fingerprint=manifest.schema_fingerprint(columns),
        content_hash=digest.hexdigest(),
        months=sorted(months.seen),
    )


class _Months:
    """The months that rows are of, gathered on the way."""

    def __init__(self, column: str | None) -> None:
        self.column = column
        self.seen: set[str] = set()

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if self.column is not None:
                self.seen.update(batch.column(self.column).unique().to_pylist())
            yield batch


def _descriptions(product: Product, made: Manifest) -> dict[str, bytes]:
    """The contracts and what else describes the drop to who reads it without this project."""
    described = metadata.Release(
        drop=made.drop,
        product=made.product,
        status=made.status,
        demo=made.demo,
        notice=made.notice,
        code_version=made.code_version,
        data=tuple(made.data),
    )
    return metadata.describe(product.tables(), described)


def _write_others(folder: Path, files: dict[str, bytes]) -> list[OtherFile]:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return [
        OtherFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in sorted(files.items())
    ]


def told(drops: store.Store, made: Manifest, *, is_new: bool) -> Published:
    """What is told of a drop to who published it."""
    return Published(
        drop=made.drop,
        where=f"{drops.where}/{verify.release(made.drop)}",
        is_new=is_new,
        demo=made.demo,
        files=len(made.data),
        rows=made.rows,
    )
