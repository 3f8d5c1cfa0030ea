"""Verify a drop: that it is, to the bit, what its manifest says.

This file stands alone, for who takes the drops: `python verify.py DROPS` needs Python 3.11 and
pyarrow, and fsspec where DROPS is a URL. Every problem found is a line; the exit code is 0 where
there is none, 1 where there is one, 2 where there is nothing to verify.

Belongs here: how a drop is read and what makes it good. Does not belong here: any import of this
project, writing a drop, or its contracts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 2
LATEST = "latest.json"
MANIFEST = "manifest.json"
RELEASES = "releases"
LARGEST_MANIFEST = 64 * 1024 * 1024
LONGEST_NAME = 1024
FILES_AT_A_TIME = 4
READ_AT_A_TIME = 1024 * 1024


class Damaged(Exception):
    """Something cannot be read as what it should be; the text says what."""


class Place(Protocol):
    """Where drops lie, for reading; names are relative to it, with `/` between."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is no such file."""

    def open(self, name: str) -> BufferedIOBase:
        """Open a file for reading."""

    def names(self, below: str) -> list[str]:
        """Names, relative to the folder `below`, of all that is in it, and in folders of it."""

    def folders(self, below: str) -> list[str]:
        """Names of the folders directly in the folder `below`."""


class Folder:
    """Drops in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        """Read below `root`."""
        self.root = root

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is no such file, or it lies elsewhere behind a link.

        The folder of all releases may be a link itself, to another disk.
        """
        path = self.root / name
        first, *folders = PurePosixPath(name).parent.parts or (".",)
        is_own = path.parent.resolve() == (self.root / first).resolve().joinpath(*folders)
        return path.stat().st_size if path.is_file() and is_own and not path.is_symlink() else None

    def open(self, name: str) -> BufferedIOBase:
        """Open a file for reading."""
        return (self.root / name).open("rb")

    def names(self, below: str) -> list[str]:
        """Names, relative to the folder `below`, of all that is in it, and in folders of it."""
        folder = self.root / below
        # A link to a folder is no folder of the drop.
        files = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
        return sorted(path.relative_to(folder).as_posix() for path in files)

    def folders(self, below: str) -> list[str]:
        """Names of the folders directly in the folder `below`."""
        folder = self.root / below
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class Remote:
    """Drops behind a URL that fsspec knows: abfs://, s3://, sftp:// and others.

    Who may read it is said in the environment, as each of its libraries wants it.
    """

    def __init__(self, url: str) -> None:
        """Read below `url`."""
        from fsspec.core import url_to_fs

        self.files, root = url_to_fs(url)
        self.root = root.rstrip("/")

    def path(self, name: str) -> str:
        """The path of a name on its file system."""
        return f"{self.root}/{name}" if name else self.root

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is no such file."""
        self.files.invalidate_cache()
        try:
            told = self.files.info(self.path(name))
        except FileNotFoundError:
            return None
        return int(told["size"]) if told["type"] == "file" else None

    def open(self, name: str) -> BufferedIOBase:
        """Open a file for reading."""
        opened: BufferedIOBase = self.files.open(self.path(name), "rb")
        return opened

    def names(self, below: str) -> list[str]:
        """Names, relative to the folder `below`, of all that is in it, and in folders of it."""
        folder = self.path(below)
        self.files.invalidate_cache()
        try:
            found = self.files.find(folder)
        except FileNotFoundError:
            return []
        return sorted(name.removeprefix(f"{folder}/") for name in found)

    def folders(self, below: str) -> list[str]:
        """Names of the folders directly in the folder `below`."""
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.path(below), detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            PurePosixPath(entry["name"]).name for entry in found if entry["type"] == "directory"
        )


def place(where: str | Path) -> Place:
    """Where drops lie: a folder, or a URL."""
    return Remote(str(where)) if "://" in str(where) else Folder(Path(where))


# --- pointer and manifest ---


def latest(drops: Place) -> dict[str, str] | None:
    """What the pointer says: `drop` and `manifest_sha256`; None where nothing is published.

    Raises:
        Damaged: when it is no pointer.
    """
    if drops.size(LATEST) is None:
        return None
    with drops.open(LATEST) as file:
        return read_pointer(file.read(LARGEST_MANIFEST))


def read_pointer(content: bytes) -> dict[str, str]:
    """The pointer in these bytes: `drop` and `manifest_sha256`.

    Raises:
        Damaged: when it is no pointer.
    """
    try:
        said = json.loads(content)
        pointer = {name: said[name] for name in ("drop", "manifest_sha256")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(f"{LATEST} cannot be read ({type(error).__name__})") from None
    if not all(isinstance(value, str) for value in pointer.values()):
        raise Damaged(f"{LATEST} cannot be read: its values are no texts")
    return pointer


def release(drop: str) -> str:
    """Name of the folder of a drop.

    Raises:
        Damaged: when the name is no drop's, so that no pointer leads out of the folder.
    """
    if not drop or drop.startswith(".") or any(sign in drop for sign in ("/", "\\", "\0")):
        raise Damaged(f"{drop!r} is not the name of a drop")
    return f"{RELEASES}/{drop}"


def read_manifest(content: bytes) -> dict[str, Any]:
    """The manifest in these bytes, once it is seen to be one that leads nobody out of its drop.

    Raises:
        Damaged: when it is not one that this version understands.
    """
    try:
        said = json.loads(content)
        if said["format"] != FORMAT:
            raise Damaged(f"{MANIFEST} has format {said['format']!r}, this version reads {FORMAT}")
        files = [*said["data"], *said["other"]]
        outside = [file["path"] for file in files if _leads_out(file["path"])]
        whole = (
            isinstance(said["drop"], str)
            and all(isinstance(file["sha256"], str) for file in files)
            and all(isinstance(file["bytes"], int) for file in files)
            and all(isinstance(file["rows"], int) for file in said["data"])
            and all(isinstance(file["content_hash"], str) for file in said["data"])
            and all(_is_column(column) for file in said["data"] for column in file["columns"])
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{MANIFEST} cannot be read as a manifest ({type(error).__name__})") from None
    if outside:
        raise Damaged(f"{MANIFEST} names files outside the drop: {outside}")
    if not whole:
        raise Damaged(f"{MANIFEST} cannot be read as a manifest (a value of the wrong kind)")
    return dict(said)


def _is_column(column: dict[str, Any]) -> bool:
    texts = isinstance(column["name"], str) and isinstance(column["type"], str)
    return texts and isinstance(column["nullable"], bool)


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    is_odd = len(name) > LONGEST_NAME or "\\" in name or not path.parts
    return is_odd or path.is_absolute() or ".." in path.parts


def described(schema: pa.Schema) -> list[dict[str, Any]]:
    """Name, type and nullability of each column, as a manifest has them."""
    return [{"name": f.name, "type": str(f.type), "nullable": f.nullable} for f in schema]


# --- verifying ---


def problems(
    drops: Place, drop: str, manifest_sha256: str | None, *, deep: bool = False
) -> list[str]:
    """All that is wrong with a drop, in words; empty when it is right.

    Compares names, sizes and hashes of all files, and schema and row count in the Parquet footers;
    `deep` decodes every page too, with its checksum, and compares the content hash.

    Args:
        drops: where it lies.
        drop: its id.
        manifest_sha256: what the pointer says of its manifest; None where that is not known.
        deep: whether rows are read too.

    Raises:
        Damaged: when `drop` is no name of a drop.
    """
    folder = release(drop)
    if drops.size(f"{folder}/{MANIFEST}") is None:
        return [f"missing file: {drop}/{MANIFEST}"]
    with drops.open(f"{folder}/{MANIFEST}") as file:
        content = file.read(LARGEST_MANIFEST)
    found = []
    if manifest_sha256 is not None and hashlib.sha256(content).hexdigest() != manifest_sha256:
        found.append(f"changed bytes: {drop}/{MANIFEST} has another SHA-256 than the pointer says")
    try:
        said = read_manifest(content)
    except Damaged as error:
        return [*found, str(error)]
    if said["drop"] != drop:
        found.append(f"wrong drop: the manifest in {drop} is that of {said['drop']}")
    there = set(drops.names(folder))
    found += _set_problems(there, said)
    files = [file for file in _files(said) if file["path"] in there]
    with ThreadPoolExecutor(FILES_AT_A_TIME) as pool:
        for of_a_file in pool.map(lambda file: _byte_problems(drops, folder, file), files):
            found += of_a_file
    for data in said["data"]:
        found += _table_problems(drops, folder, data, deep=deep)
    return found


def _files(said: dict[str, Any]) -> list[dict[str, Any]]:
    return [*said["data"], *said["other"]]


def _set_problems(there: set[str], said: dict[str, Any]) -> list[str]:
    named = {file["path"] for file in _files(said)} | {MANIFEST}
    return [f"missing file: {name}" for name in sorted(named - there)] + [
        f"unexpected file: {name} is not in the manifest" for name in sorted(there - named)
    ]


def _byte_problems(drops: Place, folder: str, file: dict[str, Any]) -> list[str]:
    name, path = file["path"], f"{folder}/{file['path']}"
    size = drops.size(path)
    if size is None:
        return [f"no file: {name} is a link, or something else that is none"]
    if size != file["bytes"]:
        return [f"changed size: {name} has {size} bytes, the manifest says {file['bytes']}"]
    with drops.open(path) as opened:
        # In pieces, for what opens a file on another server may know nothing but reading.
        digest = hashlib.sha256()
        while piece := opened.read(READ_AT_A_TIME):
            digest.update(piece)
    if digest.hexdigest() != file["sha256"]:
        return [f"changed bytes: {name} has another SHA-256 than the manifest says"]
    return []


def _table_problems(drops: Place, folder: str, data: dict[str, Any], *, deep: bool) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = f"{folder}/{data['path']}"
    if drops.size(path) is None:
        return []
    try:
        with (
            drops.open(path) as opened,
            pq.ParquetFile(opened, page_checksum_verification=True) as file,
        ):
            found = _schema_problems(described(file.schema_arrow), data)
            if file.metadata.num_rows != data["rows"]:
                found.append(
                    f"wrong row count: {data['path']} has {file.metadata.num_rows} rows, the "
                    f"manifest says {data['rows']}"
                )
            if deep and not found:
                found += _content_problems(file, data)
            return found
    except (pa.ArrowException, OSError) as error:
        return [f"unreadable: {data['path']} cannot be read as Parquet ({type(error).__name__})"]


def _schema_problems(found: list[dict[str, Any]], data: dict[str, Any]) -> list[str]:
    there = {column["name"]: column for column in found}
    said = {column["name"]: column for column in data["columns"]}
    told = [
        f"extra column: {data['path']} has {name!r}, which the manifest does not"
        for name in there
        if name not in said
    ]
    told += [f"missing column: {data['path']} lacks {name!r}" for name in said if name not in there]
    told += [
        f"wrong type: {name} in {data['path']} is {_in_words(there[name])}, the manifest says "
        f"{_in_words(column)}"
        for name, column in said.items()
        if name in there and there[name] != column
    ]
    if not told and list(there) != list(said):
        told.append(f"wrong schema: columns of {data['path']} are not in the manifest's order")
    return told


def _in_words(column: dict[str, Any]) -> str:
    return f"{column['type']}{'' if column['nullable'] else ' not null'}"


def _content_problems(file: pa.parquet.ParquetFile, data: dict[str, Any]) -> list[str]:
    digest = ContentHash()
    for batch in file.iter_batches():
        digest.update(batch)
    if digest.hexdigest() != data["content_hash"]:
        return [f"changed content: rows of {data['path']} are not those the manifest is of"]
    return []


class ContentHash:
    """SHA-256 over the values of a table, column by column, in the order in which rows pass.

    Of the values alone, however they are stored and in whatever batches they come: the same under
    any version of the writer.
    """

    def __init__(self) -> None:
        """Start with no rows."""
        self._digests: list[list[hashlib._Hash]] = []

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Hand on the batches, hashing them on the way."""
        for batch in batches:
            self.update(batch)
            yield batch

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in more rows, with the columns of the rows before."""
        if batch.num_rows == 0:
            return
        parts = [_parts(column) for column in batch.columns]
        if not self._digests:
            self._digests = [[hashlib.sha256() for _ in of] for of in parts]
        for digests, of in zip(self._digests, parts, strict=True):
            for digest, part in zip(digests, of, strict=True):
                digest.update(part)

    def hexdigest(self) -> str:
        """The hash of all rows so far."""
        every = [digest.hexdigest() for of in self._digests for digest in of]
        return hashlib.sha256("|".join(every).encode()).hexdigest()


def _parts(column: pa.Array) -> list[memoryview]:
    """What a column is made of: which values are there, the values, of texts their lengths."""
    import pyarrow as pa
    import pyarrow.compute as pc

    there = column.is_valid().cast(pa.uint8())
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        texts = pc.fill_null(column, "" if pa.types.is_string(column.type) else b"")
        lengths = pc.binary_length(texts)
        offsets = memoryview(texts.buffers()[1]).cast("i")
        start, stop = offsets[texts.offset], offsets[texts.offset + len(texts)]
        data = texts.buffers()[2]
        held = memoryview(data)[start:stop] if data is not None else memoryview(b"")
        return [_values(there), _values(lengths), held]
    values = column.cast(_NUMBERS[str(column.type)]) if str(column.type) in _NUMBERS else column
    if values.null_count:
        zero = Decimal(0) if pa.types.is_decimal(values.type) else 0
        values = pc.fill_null(values, pa.scalar(zero, values.type))
    return [_values(there), _values(values)]


# As numbers of the same width: what they mean stands in the schema.
_NUMBERS = {"bool": "uint8", "date32[day]": "int32", "timestamp[us, tz=UTC]": "int64"}


def _values(column: pa.Array) -> memoryview:
    """The values of a column of fixed width one after the other, without copying."""
    width = column.type.bit_width // 8
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]


# --- as a program ---


def main(arguments: list[str] | None = None) -> int:
    """Verify a drop and say what was found; gives the exit code."""
    parser = argparse.ArgumentParser(
        description="Verify a GO-RAL drop: hashes of all files, schemas and row counts."
    )
    parser.add_argument("drops", help="folder or URL that holds latest.json and releases/")
    parser.add_argument("drop", nargs="?", help="id of a drop; default: the latest")
    parser.add_argument("--deep", action="store_true", help="decode every page and compare rows")
    given = parser.parse_args(arguments)
    try:
        drops = place(given.drops)
        pointed = latest(drops)
        drop = given.drop or (pointed or {}).get("drop")
        if drop is None:
            print(f"nothing is published: there is no {LATEST}", file=sys.stderr)
            return 2
        known = pointed["manifest_sha256"] if pointed and pointed["drop"] == drop else None
        found = problems(drops, drop, known, deep=given.deep)
    except Damaged as error:
        found = [str(error)]
    except Exception as error:  # noqa: BLE001
        # Each kind of storage has errors of its own, and none of them says that a drop is bad.
        print(f"{given.drops} cannot be read: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        return 1
    print(f"{drop} is right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
