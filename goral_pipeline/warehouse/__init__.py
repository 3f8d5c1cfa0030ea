"""The warehouse: dbt's marts in one DuckDB file, built apart and swapped in whole.

Does not belong here: SQL that computes a figure, which is in `dbt_project/`.
"""

SINGLE_SESSIONS = "tag:cdr"
"""The models of single sessions, for dbt: no part of the warehouse that analysts query."""
