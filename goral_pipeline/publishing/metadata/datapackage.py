"""A release as a Frictionless Data Package, version 2: one tabular resource a Parquet file."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from goral_pipeline.contracts import Column, Contract, Table
from goral_pipeline.publishing.manifest import DataFile
from goral_pipeline.publishing.metadata.release import KEYWORDS, LICENCE, PUBLISHER, URN, Release

PROFILES = "https://datapackage.org/profiles/2.0/"
MEDIA_TYPE = "application/vnd.apache.parquet"
FIELD_TYPES = {
    "VARCHAR": "string",
    "INTEGER": "integer",
    "BIGINT": "integer",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMPTZ": "datetime",
}
CONSTRAINTS = ("pattern", "minimum", "maximum", "minLength", "maxLength")
"""What a contract and a table schema call by the same name."""


def data_package(tables: list[tuple[Contract, Table]], release: Release) -> bytes:
    """The bytes of `datapackage.json`."""
    package = {
        "$schema": f"{PROFILES}datapackage.json",
        "name": f"go-ral-{release.product}",
        "id": f"{URN}drop:{release.drop}",
        "title": release.title.en,
        "description": release.description.en,
        "version": release.drop,
        "status": release.status,
        "demo": release.demo,
        "codeVersion": release.code_version,
        "keywords": [keyword.en for keyword in KEYWORDS],
        # The Open Definition's name for a licence that is not told.
        "licenses": [{"name": "notspecified", "title": LICENCE}],
        "contributors": [{"title": PUBLISHER, "roles": ["publisher"]}],
        "resources": [
            _resource(contract, table, file, name, foreign_keys(table, tables))
            for contract, table in tables
            for name, file in _named(release.files(contract.dataset), contract.dataset)
        ],
    }
    return (json.dumps(package, indent=2, ensure_ascii=False) + "\n").encode()


def foreign_keys(table: Table, tables: list[tuple[Contract, Table]]) -> dict[str, Table]:
    """The columns that are the whole key of another table, with that table.

    Contracts do not name foreign keys; but a column has one meaning over all of them, so that a
    `municipality_code` is one of `dim_municipality`.
    """
    whole = {other.key[0]: other for _, other in tables if len(other.key) == 1}
    return {
        column.name: whole[column.name]
        for column in table.columns
        if column.name in whole and whole[column.name].name != table.name
    }


def _named(files: list[DataFile], dataset: str) -> list[tuple[str, DataFile]]:
    """The files of a dataset, each with a name: the dataset's where it is in one file."""
    if len(files) == 1:
        return [(dataset, files[0])]
    return [
        (PurePosixPath(file.path).with_suffix("").as_posix().replace("/", "."), file)
        for file in files
    ]


def _resource(
    contract: Contract, table: Table, file: DataFile, name: str, references: dict[str, Table]
) -> dict[str, Any]:
    return {
        "$schema": f"{PROFILES}dataresource.json",
        "name": name,
        "type": "table",
        "path": file.path,
        "title": contract.name,
        "description": contract.description["purpose"],
        "format": "parquet",
        "mediatype": MEDIA_TYPE,
        "bytes": file.bytes,
        "hash": f"sha256:{file.sha256}",
        "schema": {
            "$schema": f"{PROFILES}tableschema.json",
            "fields": [_field(column) for column in table.columns],
            "primaryKey": list(table.key),
            **(
                {"foreignKeys": [_foreign_key(name, to) for name, to in references.items()]}
                if references
                else {}
            ),
        },
    }


def _field(column: Column) -> dict[str, Any]:
    constraints = {
        **({"required": True} if column.required else {}),
        **({"enum": list(column.codes)} if column.codes else {}),
        **{name: column.options[name] for name in CONSTRAINTS if name in column.options},
    }
    return {
        "name": column.name,
        "type": FIELD_TYPES.get(column.type, "number"),
        "description": column.description,
        **({"unit": column.unit} if column.unit else {}),
        **({"constraints": constraints} if constraints else {}),
    }


def _foreign_key(name: str, to: Table) -> dict[str, Any]:
    return {"fields": [name], "reference": {"resource": to.name, "fields": [name]}}
