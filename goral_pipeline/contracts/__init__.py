"""Contracts: one ODCS 3.2 file a dataset, and everything that is generated from them.

`staged/` is what deliveries are typed into, `derived/` what the pipeline computes beside dbt,
`published/` the marts, `cdr/` single sessions, which are published on instruction only. A change of
a column begins in one of these files; see `generate`.
"""

from goral_pipeline.contracts.model import (
    Column,
    Contract,
    Rule,
    Table,
    cdr,
    derived,
    published,
    staged,
)

__all__ = ["Column", "Contract", "Rule", "Table", "cdr", "derived", "published", "staged"]
