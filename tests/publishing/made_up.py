"""Made-up drops, small and of any contract, for who reads drops."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from goral_pipeline import parquet
from goral_pipeline.contracts import model
from goral_pipeline.publishing import manifest
from goral_pipeline.publishing.manifest import DataFile, Manifest, OtherFile, Pointer, Product
from goral_pipeline.publishing.verify import ContentHash

LOGICAL = {"VARCHAR": "string", "DATE": "date", "BOOLEAN": "boolean", "TIMESTAMPTZ": "timestamp"}


def column(
    name: str,
    type_: str = "VARCHAR",
    *,
    key: int | None = None,
    required: bool = False,
    unit: str | None = None,
    description: str = "What stands in it.",
) -> dict[str, Any]:
    """A column as a contract describes it; `key` is its place in the key."""
    return {
        "name": name,
        "logicalType": LOGICAL.get(type_, "number"),
        "physicalType": type_,
        "required": required or key is not None,
        "classification": "none",
        "description": description,
        **({"primaryKey": True, "primaryKeyPosition": key} if key else {}),
        **({"customProperties": [{"property": "unit", "value": unit}]} if unit else {}),
    }


@dataclass(frozen=True)
class Mart:
    """One dataset: version of its contract, columns, and rows: a list a file."""

    version: str
    columns: list[dict[str, Any]]
    files: list[Iterable[dict[str, Any]] | pa.Table] = field(default_factory=lambda: [[]])
    description: str = "What it is."

    def contract(self, name: str) -> bytes:
        content = {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": f"published.{name}",
            "name": name,
            "version": self.version,
            "status": "active",
            "description": {"purpose": "To be tested."},
            "customProperties": [
                {"property": "dataset", "value": name},
                {"property": "publish", "value": True},
            ],
            "schema": [
                {
                    "name": name,
                    "physicalType": "table",
                    "description": self.description,
                    "dataGranularityDescription": "One row a key.",
                    "properties": self.columns,
                }
            ],
        }
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def write_drop(
    drops: Path,
    drop: str,
    sequence: int,
    marts: dict[str, Mart],
    *,
    product: Product = "kpi",
    demo: bool = False,
) -> Path:
    """Write a release and point at it; gives its folder."""
    folder = drops / manifest.RELEASES / drop
    (folder / "contracts").mkdir(parents=True)
    data: list[DataFile] = []
    other: list[OtherFile] = []
    for name, mart in marts.items():
        text = mart.contract(name)
        path = folder / "contracts" / f"{name}.odcs.yaml"
        path.write_bytes(text)
        sha256 = hashlib.sha256(text).hexdigest()
        other.append(OtherFile(f"contracts/{path.name}", len(text), sha256))
        schema = model.read(path).table(name).arrow_schema()
        for number, rows in enumerate(mart.files):
            data.append(_write_file(folder, name, number, schema, rows))
    made = Manifest(
        drop=drop,
        product=product,
        sequence=sequence,
        previous=None,
        fingerprint=hashlib.sha256(drop.encode()).hexdigest(),
        demo=demo,
        notice=manifest.DEMO_NOTICE if demo else "",
        status="demo" if demo else "provisional",
        code_version="0",
        lock_sha256=None,
        contracts={name: mart.version for name, mart in marts.items()},
        deprecated={},
        data=data,
        other=other,
        staged_files=[],
        left_out=[],
        checks={},
    )
    (folder / manifest.MANIFEST).write_bytes(made.to_bytes())
    (drops / manifest.LATEST).write_bytes(made.pointer().to_bytes())
    return folder


def _write_file(
    folder: Path,
    name: str,
    number: int,
    schema: pa.Schema,
    rows: Iterable[dict[str, Any]] | pa.Table,
) -> DataFile:
    path = folder / name / f"{number}.parquet"
    path.parent.mkdir(exist_ok=True)
    table = rows.cast(schema) if isinstance(rows, pa.Table) else pa.Table.from_pylist(rows, schema)
    pq.write_table(table, path, write_page_checksum=True, row_group_size=parquet.ROWS_A_GROUP)
    digest = ContentHash()
    for batch in table.to_batches():
        digest.update(batch)
    return DataFile(
        path=path.relative_to(folder).as_posix(),
        dataset=name,
        rows=table.num_rows,
        bytes=path.stat().st_size,
        sha256=parquet.sha256(path),
        columns=(columns := manifest.columns_of(schema)),
        schema_fingerprint=manifest.schema_fingerprint(columns),
        content_hash=digest.hexdigest(),
        months=[],
    )


def change_manifest(drops: Path, drop: str, **entries: Any) -> None:
    """Change what a manifest says, and let the pointer know."""
    path = drops / manifest.RELEASES / drop / manifest.MANIFEST
    content = json.loads(path.read_bytes()) | entries
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    (drops / manifest.LATEST).write_bytes(Pointer(drop, parquet.sha256(path)).to_bytes())
