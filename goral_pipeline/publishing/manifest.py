"""The manifest and pointer of a drop: what they hold, and how they are read and written.

No clock time stands in either, nor in any file of a drop: the same staged files under the same lock
give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from goral_pipeline.errors import GoralError, VerificationFailed

FORMAT = 1
MANIFEST = "manifest.json"
LATEST = "latest.json"
RELEASES = "releases"
DEMO_NOTICE = "DEMO: every figure in this drop rests on invented data"


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of a drop."""

    path: str
    """Relative to the release."""
    dataset: str
    rows: int
    bytes: int
    sha256: str
    schema_fingerprint: str
    content_hash: str
    """Of the rows alone: the same under any version of the writer."""
    months: list[str]


@dataclass(frozen=True)
class OtherFile:
    """One file of a drop that holds no rows: a contract, the dictionary."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a drop is made of and from."""

    drop: str
    fingerprint: str
    demo: bool
    status: str
    code_version: str
    lock_sha256: str | None
    contracts: dict[str, str]
    """Dataset → contract version."""
    data: list[DataFile]
    other: list[OtherFile]
    staged_files: list[dict[str, str]]
    left_out: list[str]
    """Partitions whose newest delivery is not in the drop, and why."""
    checks: dict[str, Any]
    format: int = FORMAT
    notice: str = field(default="")

    def files(self) -> list[tuple[str, int, str]]:
        """Path, bytes and SHA-256 of every file but the manifest itself."""
        data = [(file.path, file.bytes, file.sha256) for file in self.data]
        return data + [(file.path, file.bytes, file.sha256) for file in self.other]

    def to_bytes(self) -> bytes:
        """The manifest as it is written."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()


def read(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        VerificationFailed: when it is not one that this version understands.
    """
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise VerificationFailed(
                [f"{path.name} has format {content['format']}, this version reads {FORMAT}"]
            )
        made = Manifest(
            **content
            | {
                "data": [DataFile(**entry) for entry in content["data"]],
                "other": [OtherFile(**entry) for entry in content["other"]],
            }
        )
        # A manifest may come from elsewhere; it must not make anyone look outside its drop.
        outside = [name for name, _, _ in made.files() if _leads_out(name)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationFailed(
            [f"{path.name} cannot be read as a manifest ({type(error).__name__})"]
        ) from None
    if outside:
        raise VerificationFailed([f"{path.name} names files outside the drop: {outside}"])
    return made


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or "\\" in name


def latest(drops: Path) -> dict[str, str] | None:
    """What the pointer says: `drop` and `manifest_sha256`; None where nothing is published.

    Raises:
        VerificationFailed: when the pointer is damaged.
    """
    path = drops / LATEST
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        return {"drop": str(content["drop"]), "manifest_sha256": str(content["manifest_sha256"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VerificationFailed([f"{LATEST} cannot be read ({type(error).__name__})"]) from None


def pointer(drop: str, manifest_sha256: str) -> bytes:
    """The pointer as it is written."""
    return (json.dumps({"drop": drop, "manifest_sha256": manifest_sha256}) + "\n").encode()


def release(drops: Path, drop: str) -> Path:
    """Folder of a drop.

    Raises:
        GoralError: when the name is no drop's, so that no pointer leads out of the folder.
    """
    if not drop or any(sign in drop for sign in ("/", "\\", "\0")) or drop.startswith("."):
        raise GoralError(f"{drop!r} is not the name of a drop")
    return drops / RELEASES / drop


def schema_fingerprint(schema: Any) -> str:
    """Hash of a pyarrow schema's names, types and nullability."""
    described = [[f.name, str(f.type), f.nullable] for f in schema]
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
