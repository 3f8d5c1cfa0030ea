"""The JSON Schema of a manifest, from the classes that it is written with.

It tells a reader that knows no Python what may stand there. In a drop it lies beside the manifest,
in the documentation `make generate` puts it.
"""

from __future__ import annotations

import json
from typing import Any

from goral_pipeline.publishing import manifest

SHA256 = "^[0-9a-f]{64}$"


def manifest_schema() -> bytes:
    """The bytes of `manifest.schema.json`: JSON Schema 2020-12."""
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    schema = TypeAdapter(manifest.Manifest).json_schema(mode="serialization")
    for described in (schema, *schema.get("$defs", {}).values()):
        _as_written(described)
    schema["properties"]["format"]["const"] = manifest.FORMAT
    schema = {
        "$schema": GenerateJsonSchema.schema_dialect,
        **schema,
        "title": "Manifest of a GO-RAL drop",
    }
    return (json.dumps(schema, indent=2) + "\n").encode()


def _as_written(described: dict[str, Any]) -> None:
    """What holds of every object that we write, but cannot be said in a dataclass."""
    # A manifest is written whole, and a field that the class does not have is somebody else's.
    described["required"] = list(described["properties"])
    described["additionalProperties"] = False
    for name, field in described["properties"].items():
        field.pop("default", None)
        # The name again, in capitals.
        field.pop("title", None)
        for variant in (field, *field.get("anyOf", [])):
            if variant.get("type") == "integer":
                variant["minimum"] = 0
            if name.endswith("sha256") and variant.get("type") == "string":
                variant["pattern"] = SHA256
