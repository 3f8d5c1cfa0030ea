"""Benchmarks: how long the pipeline takes beside the least that DuckDB needs for the same.

Belongs here: making the input, the bare alternative, the measuring (`measuring`), the list of what
is measured (`__main__`). Does not belong here: tests; what is slow today fails no build.
"""
