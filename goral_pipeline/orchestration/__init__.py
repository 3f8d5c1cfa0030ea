"""Orchestration: the only place that knows Dagster. Each body calls one function of elsewhere.

Does not belong here: logic.
"""
