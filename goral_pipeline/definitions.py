"""What Dagster loads: `workspace.yaml` and `dg` point here."""

from __future__ import annotations

import gc

# Looking for garbage among what is only just being imported is a fifth of the time it takes.
gc.disable()

from goral_pipeline.orchestration.build import build_defs  # noqa: E402
from goral_pipeline.settings import Settings  # noqa: E402

defs = build_defs(settings=Settings.load())
gc.freeze()
gc.enable()
