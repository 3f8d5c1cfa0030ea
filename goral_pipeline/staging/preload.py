"""What the server of staging processes loads once, so that each process has it at hand."""

import gc
from importlib import import_module

LIBRARIES = (
    "duckdb",
    "fastexcel",
    "numpy",
    # DuckDB looks for it whenever parameters are bound.
    "pandas",
    "pyarrow.parquet",
    "shapely",
)
OWN = ("goral_pipeline.staging.stage", "goral_pipeline.checks.gx")


def load() -> None:
    """Load all of it without looking for garbage in it, which takes a third longer."""
    gc.disable()
    for name in (*LIBRARIES, *OWN):
        import_module(name)

    from goral_pipeline.checks import gx
    from goral_pipeline.contracts import staged
    from goral_pipeline.sources import own_mappings

    staged()
    own_mappings()
    gx.whole_frame()
    gc.freeze()
    gc.enable()


load()
