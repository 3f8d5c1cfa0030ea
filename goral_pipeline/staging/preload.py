"""What the server of staging processes loads once, so that each process has it at hand."""

import duckdb
import fastexcel
import numpy

# DuckDB looks for it whenever parameters are bound.
import pandas
import pyarrow.parquet
import shapely

import goral_pipeline.staging.stage
from goral_pipeline.contracts import staged

__all__ = ["duckdb", "fastexcel", "goral_pipeline", "numpy", "pandas", "pyarrow", "shapely"]

staged()
