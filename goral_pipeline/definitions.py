"""What Dagster loads: `workspace.yaml` and `dg` point here."""

from __future__ import annotations

from goral_pipeline.orchestration.build import build_defs
from goral_pipeline.settings import Settings

defs = build_defs(settings=Settings.load())
