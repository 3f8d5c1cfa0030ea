"""Verifying a drop: that it is, to the bit, what its manifest says, and fits its contracts.

Everything found is reported, each fault with a message of its own. Belongs here: reading a drop.
Does not belong here: writing one, or the ledger; this runs on a copy far away too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline import parquet
from goral_pipeline.contracts import model as contracts
from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.publishing import manifest
from goral_pipeline.publishing.content import ContentHash
from goral_pipeline.publishing.manifest import DataFile, Manifest

if TYPE_CHECKING:
    import pyarrow as pa


def verify(drops: Path, drop: str | None = None, *, deep: bool = False) -> Manifest:
    """Verify the drop that the pointer points at, or the one named.

    Checks names, sizes and hashes of all files, and schema and row count in the Parquet footers;
    `deep` decodes every page too, with its checksum, and compares the content hash.

    Raises:
        VerificationFailed: with every problem found.
        GoralError: when there is no such drop.
    """
    pointed = manifest.latest(drops)
    if drop is None:
        if pointed is None:
            raise GoralError(f"nothing is published: there is no {manifest.LATEST}")
        drop = pointed["drop"]
    elif not manifest.release(drops, drop).is_dir():
        raise GoralError(f"there is no drop {drop!r}; `goral drop list` names those there are")
    known = pointed["manifest_sha256"] if pointed and pointed["drop"] == drop else None
    if problems := release_problems(drops, drop, known, deep=deep):
        raise VerificationFailed(problems)
    return manifest.read(manifest.release(drops, drop) / manifest.MANIFEST)


def release_problems(
    drops: Path, drop: str, manifest_sha256: str | None, *, deep: bool = False
) -> list[str]:
    """All that is wrong with a release, in words; empty when it is right."""
    folder = manifest.release(drops, drop)
    path = folder / manifest.MANIFEST
    if not path.is_file():
        return [f"missing file: {drop}/{manifest.MANIFEST}"]
    problems = []
    if manifest_sha256 is not None and parquet.sha256(path) != manifest_sha256:
        problems.append(
            f"changed bytes: {drop}/{manifest.MANIFEST} has another SHA-256 than the pointer says"
        )
    try:
        read = manifest.read(path)
    except VerificationFailed as error:
        return problems + error.problems
    if read.drop != drop:
        problems.append(f"wrong drop: the manifest in {drop} is that of {read.drop}")
    problems += _file_set_problems(folder, read)
    for name, size, sha256 in read.files():
        problems += _byte_problems(folder / name, name, size, sha256)
    for data in read.data:
        problems += _table_problems(folder, data, deep=deep)
    return problems


def _file_set_problems(folder: Path, read: Manifest) -> list[str]:
    named = {name for name, _, _ in read.files()} | {manifest.MANIFEST}
    # A link to a folder is no folder of the drop.
    files = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    there = {path.relative_to(folder).as_posix() for path in files}
    return [f"missing file: {name}" for name in sorted(named - there)] + [
        f"unexpected file: {name} is not in the manifest" for name in sorted(there - named)
    ]


def _byte_problems(path: Path, name: str, size: int, sha256: str) -> list[str]:
    if not path.is_file():
        return []
    found = path.stat().st_size
    if found != size:
        return [f"changed size: {name} has {found} bytes, the manifest says {size}"]
    if parquet.sha256(path) != sha256:
        return [f"changed bytes: {name} has another SHA-256 than the manifest says"]
    return []


def _table_problems(folder: Path, data: DataFile, *, deep: bool) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / data.path
    if not path.is_file():
        return []
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            problems = _schema_problems(file.schema_arrow, data, _contract_schema(folder, data))
            if file.metadata.num_rows != data.rows:
                problems.append(
                    f"wrong row count: {data.path} has {file.metadata.num_rows} rows, the "
                    f"manifest says {data.rows}"
                )
            if deep and not problems:
                problems += _content_problems(file, data)
            return problems
    except (pa.ArrowException, OSError) as error:
        return [f"unreadable: {data.path} cannot be read as Parquet ({type(error).__name__})"]
    except VerificationFailed as error:
        return error.problems


def _contract_schema(folder: Path, data: DataFile) -> pa.Schema:
    """The schema that the contract in the drop itself asks for."""
    import yaml

    path = folder / "contracts" / f"{data.dataset}.odcs.yaml"
    damaged = (StopIteration, ValueError, AttributeError, yaml.YAMLError)
    try:
        return contracts.read(path).table(data.dataset).arrow_schema()
    except (OSError, GoralError, *damaged) as error:
        raise VerificationFailed(
            [f"no contract: {data.dataset} has none in the drop ({type(error).__name__})"]
        ) from None


def _schema_problems(schema: pa.Schema, data: DataFile, expected: pa.Schema) -> list[str]:
    problems = [
        f"extra column: {data.path} has {name!r}, which its contract does not"
        for name in schema.names
        if name not in expected.names
    ]
    problems += [
        f"missing column: {data.path} lacks {name!r}"
        for name in expected.names
        if name not in schema.names
    ]
    for field in expected:
        if field.name not in schema.names:
            continue
        found = schema.field(field.name)
        if (found.type, found.nullable) != (field.type, field.nullable):
            problems.append(
                f"wrong type: {field.name} in {data.path} is {_described(found)}, the contract "
                f"says {_described(field)}"
            )
    if not problems and manifest.schema_fingerprint(schema) != data.schema_fingerprint:
        problems.append(f"wrong schema: columns of {data.path} are not in the manifest's order")
    return problems


def _content_problems(file: pa.parquet.ParquetFile, data: DataFile) -> list[str]:
    digest = ContentHash()
    for batch in file.iter_batches():
        digest.update(batch)
    if digest.hexdigest() != data.content_hash:
        return [f"changed content: rows of {data.path} are not those the manifest was made from"]
    return []


def _described(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"
