"""All files that describe a release, by name."""

from __future__ import annotations

from pathlib import Path

from goral_pipeline.contracts import Contract, Table
from goral_pipeline.publishing.metadata import datapackage, dcat, dictionary, schema
from goral_pipeline.publishing.metadata.release import Release

SOURCES = tuple(sorted(Path(__file__).parent.glob("*.py")))
"""The modules that decide the bytes of these files: a part of the fingerprint of a drop."""


def describe(tables: list[tuple[Contract, Table]], release: Release) -> dict[str, bytes]:
    """The bytes of every file that describes the release, by path below its folder.

    Args:
        tables: What the release publishes, each table with its contract.
        release: What the manifest says of it.
    """
    return {
        "datapackage.json": datapackage.data_package(tables, release),
        "dcat.jsonld": dcat.catalogue(tables, release),
        "dictionary.en.md": dictionary.english(tables),
        "dictionary.nl.md": dictionary.dutch(tables),
        "manifest.schema.json": schema.manifest_schema(),
        **{f"contracts/{contract.path.name}": contract.path.read_bytes() for contract, _ in tables},
    }
