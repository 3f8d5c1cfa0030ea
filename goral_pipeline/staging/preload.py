"""What the server of staging processes loads once, so that each process has it at hand."""

import duckdb
import fastexcel
import numpy
import pyarrow.parquet
import shapely

import goral_pipeline.staging.stage

__all__ = ["duckdb", "fastexcel", "goral_pipeline", "numpy", "pyarrow", "shapely"]
