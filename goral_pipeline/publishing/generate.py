"""Generates the documentation's copy of the schema of a manifest.

Run as `python -m goral_pipeline.publishing.generate` by `make generate`, with `--check` by
`make lint`. It is not in `contracts.generate`, for contracts know nothing of publishing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from goral_pipeline.contracts.generate import ROOT, keep
from goral_pipeline.publishing.metadata.schema import manifest_schema


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    return {ROOT / "docs/reference/manifest.schema.json": manifest_schema().decode()}


if __name__ == "__main__":
    sys.exit(keep(generated(), sys.argv[1:]))
