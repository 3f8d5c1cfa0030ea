"""Planning a run: which partitions a range of months means, and whether there is any news.

Belongs here: reading a range, asking without writing. Does not belong here: ingesting.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from goral_pipeline import clock
from goral_pipeline.contracts import Contract
from goral_pipeline.errors import SettingsError
from goral_pipeline.ingestion import current_partition, has_news, source_of
from goral_pipeline.sources import contracts

if TYPE_CHECKING:
    from goral_pipeline.landing.ledger import Ledger
    from goral_pipeline.settings import Settings


def partitions(
    settings: Settings, from_: str | None, to: str | None, only: list[str]
) -> dict[str, list[str]]:
    """The partitions of each dataset that a range of months touches, in order.

    Raises:
        SettingsError: when a month or dataset is none, or the range is empty or in the future.
    """
    first = _month(from_ or to or clock.current_month(), "--from")
    last = _month(to or (from_ if from_ else clock.current_month()), "--to")
    if first > last:
        raise SettingsError(f"--from {first} lies after --to {last}")
    if first > clock.current_month():
        raise SettingsError(f"--from {first} lies in the future")
    wanted = [source_of(settings, dataset).contract for dataset in only] or list(
        contracts(settings.home_folder).values()
    )
    return {contract.dataset: _touched(contract, first, last) for contract in wanted}


def first_news(
    settings: Settings, ledger: Ledger, wanted: dict[str, list[str]], *, fetch: bool
) -> tuple[str, str] | None:
    """The first partition that a run would do something for; nothing is written to find out."""
    for dataset, keys in wanted.items():
        for key in keys:
            if has_news(settings, ledger, dataset, key, fetch=fetch):
                return dataset, key
    return None


def _touched(contract: Contract, first: str, last: str) -> list[str]:
    """The partitions that a range of months touches, between the first there is and today's."""
    months = _months(first, last)
    spelled = {
        "month": lambda month: month,
        "year": lambda month: month[:4],
        "edition": clock.quarter_of,
    }[contract.partition]
    low, high = contract.first_partition, current_partition(contract)
    return [key for key in dict.fromkeys(map(spelled, months)) if low <= key <= high]


def _months(first: str, last: str) -> list[str]:
    start, stop = (int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last))
    return [f"{number // 12}-{number % 12 + 1:02d}" for number in range(start, stop + 1)]


def _month(text: str, option: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
        raise SettingsError(f"{option} {text!r} is no month of the form 2022-07")
    return text
