"""RVO's counts, as Klimaatmonitor serves them over OData, and as RVO hands them over in workbooks."""

from __future__ import annotations

from goral_pipeline.sources.asking import Answer, Question
from goral_pipeline.sources.mapping import Mapping
from goral_pipeline.sources.reading import Reading


def fetch_charge_point_counts(question: Question) -> Answer | None:
    """Ask for a month's counts."""
    raise NotImplementedError


def fetch_vehicles(question: Question) -> Answer | None:
    """Ask for a year's electric cars."""
    raise NotImplementedError


def fetch_inhabitants(question: Question) -> Answer | None:
    """Ask for a year's inhabitants."""
    raise NotImplementedError


def read_charge_point_counts(reading: Reading, layouts: tuple[Mapping, ...] = ()) -> None:
    """Read pages of OData, or a workbook of RVO's."""
    raise NotImplementedError


def read_vehicles(reading: Reading, layouts: tuple[Mapping, ...] = ()) -> None:
    """Read pages of OData, or a workbook of RVO's."""
    raise NotImplementedError


def read_inhabitants(reading: Reading, layouts: tuple[Mapping, ...] = ()) -> None:
    """Read pages of OData, or a workbook of RVO's."""
    raise NotImplementedError
