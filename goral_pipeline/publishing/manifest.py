"""The manifest and pointer of a drop, as they are written and as the pipeline reads its own.

No clock time stands in either, nor in any file of a drop: the same staged files under the same lock
give the same bytes. Does not belong here: whether what a manifest says is so (`verify`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from goral_pipeline.errors import VerificationFailed
from goral_pipeline.publishing import verify
from goral_pipeline.publishing.verify import FORMAT, LATEST, MANIFEST, RELEASES, Place

Product = Literal["kpi", "cdr"]
Status = Literal["demo", "provisional", "final"]

DEMO_NOTICE = "DEMO: every figure in this drop rests on invented data"

__all__ = ["FORMAT", "LATEST", "MANIFEST", "RELEASES"]


@dataclass(frozen=True)
class Column:
    """One column of a Parquet file, as Arrow has it."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a drop."""

    path: str
    """Relative to the release."""
    dataset: str
    rows: int
    bytes: int
    sha256: str
    columns: list[Column]
    schema_fingerprint: str
    """Of the columns."""
    content_hash: str
    """Of the rows alone: the same under any version of the writer."""
    months: list[str]


@dataclass(frozen=True)
class OtherFile:
    """One file of a drop that holds no rows: a contract, a dictionary, metadata."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Instruction:
    """What the data owner of a municipality instructed: that its single sessions are published."""

    municipality_code: str
    data_owner: str
    """Municipality or grantor of the concession: who may decide."""
    date: str
    """Day of the instruction, as `2026-03-01`."""
    reference: str
    """Under which it is found in the records of the owner or the programme."""
    leave_out: list[str]
    """Columns that are null in its rows."""


@dataclass(frozen=True)
class Pointer:
    """A drop, and which manifest is its own."""

    drop: str
    manifest_sha256: str

    def to_bytes(self) -> bytes:
        """The pointer as it is written."""
        return (json.dumps(asdict(self)) + "\n").encode()


@dataclass(frozen=True)
class Manifest:
    """What a drop is made of and from."""

    drop: str
    product: Product
    sequence: int
    """1 for the first drop of a product, one more than that of the drop before for any other."""
    previous: Pointer | None
    """The drop that the pointer pointed at before."""
    fingerprint: str
    """Of all that decides what is in it, but the drop before."""
    demo: bool
    status: Status
    code_version: str
    lock_sha256: str | None
    contracts: dict[str, str]
    """Dataset → contract version."""
    deprecated: dict[str, int]
    """`dataset.column` of each deprecated column → in how many drops it was that so far."""
    data: list[DataFile]
    other: list[OtherFile]
    staged_files: list[dict[str, str]]
    """`relation`, `path` and `sha256` of each file of accepted rows that it was made from."""
    left_out: list[str]
    """Partitions whose newest delivery is not in the drop, and why."""
    checks: dict[str, str]
    instructions: list[Instruction] = field(default_factory=list)
    """Of each municipality in it, where single sessions are."""
    format: int = FORMAT
    notice: str = field(default="")

    @property
    def rows(self) -> int:
        """Rows of all its tables together."""
        return sum(file.rows for file in self.data)

    def file_of(self, dataset: str) -> DataFile | None:
        """The file of a dataset; None where the drop does not hold it."""
        return next((file for file in self.data if file.dataset == dataset), None)

    def to_bytes(self) -> bytes:
        """The manifest as it is written."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()

    def pointer(self) -> Pointer:
        """What points at this drop."""
        return Pointer(self.drop, hashlib.sha256(self.to_bytes()).hexdigest())


def read(drops: Place, drop: str) -> Manifest:
    """Read the manifest of a drop.

    Raises:
        VerificationFailed: when it is not one that this version understands.
    """
    try:
        with drops.open(f"{verify.release(drop)}/{MANIFEST}") as file:
            return parse(file.read(verify.LARGEST_MANIFEST))
    except (verify.Damaged, FileNotFoundError) as error:
        raise VerificationFailed([str(error)]) from None


def parse(content: bytes) -> Manifest:
    """The manifest in these bytes.

    Raises:
        VerificationFailed: when it is not one that this version understands.
    """
    try:
        said = verify.read_manifest(content)
        return Manifest(**said | _typed(said))
    except verify.Damaged as error:
        raise VerificationFailed([str(error)]) from None
    except (KeyError, TypeError) as error:
        problem = f"{MANIFEST} cannot be read as a manifest ({type(error).__name__})"
        raise VerificationFailed([problem]) from None


def _typed(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "previous": Pointer(**said["previous"]) if said["previous"] else None,
        "other": [OtherFile(**entry) for entry in said["other"]],
        "instructions": [Instruction(**entry) for entry in said.get("instructions", [])],
        "data": [
            DataFile(**entry | {"columns": [Column(**column) for column in entry["columns"]]})
            for entry in said["data"]
        ],
    }


def latest(drops: Place) -> Pointer | None:
    """What the pointer says; None where nothing is published.

    Raises:
        VerificationFailed: when the pointer is damaged.
    """
    try:
        said = verify.latest(drops)
    except verify.Damaged as error:
        raise VerificationFailed([str(error)]) from None
    return Pointer(**said) if said else None


def columns_of(schema: Any) -> list[Column]:
    """The columns of a pyarrow schema."""
    return [Column(**column) for column in verify.described(schema)]


def schema_fingerprint(columns: list[Column]) -> str:
    """Hash of names, types and nullability, in their order."""
    described = [[c.name, c.type, c.nullable] for c in columns]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
