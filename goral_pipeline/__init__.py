"""The GO-RAL pipeline: publishers' deliveries in, a verified Parquet drop for NDW out.

Each step of the way is a folder: `sources`, `landing`, `staging`, `checks`, `warehouse`,
`publishing`; `contracts` says what every dataset must look like and `orchestration` is the only
place that knows Dagster.
"""

__version__ = "0.1.0"
