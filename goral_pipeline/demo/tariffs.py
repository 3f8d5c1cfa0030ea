"""Tariffs as NDW publishes them in its open data (DOT-NL), invented for the last months of 2022.

Belongs here: the array of a month and its compressed file, dirt included. The first tariff of an
operator is the one its connectors name (`ocpi`). Not: stations and operators themselves.
"""

import copy
import json
from functools import cache
from typing import Any

from goral_pipeline.demo import LABEL
from goral_pipeline.demo.charge_points import compressed
from goral_pipeline.demo.months import MONTHS
from goral_pipeline.demo.ocpi import Json
from goral_pipeline.demo.stations import OPERATORS, Operator

PUBLISHED_MONTHS = MONTHS[9:]
PRICE_A_KWH = 0.35
# Prices rose: by so much a month, in EUR.
RISE_A_MONTH = 0.02
FAST_SURCHARGE = 0.3
TARIFFS_AN_OPERATOR = 12
STEP = 0.005
VAT_PCT = 21


def tariffs(month: str) -> list[Json | str]:
    """The array of a month; KeyError if it is not published. One element is a text: dirt."""
    if month not in PUBLISHED_MONTHS:
        raise KeyError(month)
    clean = [tariff for one, _ in OPERATORS for tariff in tariffs_of(one, month)]
    return [*clean, *_dirty(clean[0])]


@cache
def tariffs_gz(month: str) -> bytes:
    """The file of a month: the bare array, compressed; the same bytes every time."""
    return compressed(json.dumps(tariffs(month), ensure_ascii=False, separators=(",", ":")))


def tariffs_of(operator: Operator, month: str) -> list[Json]:
    """All tariffs of an operator, without dirt."""
    return [_tariff(number, operator, month) for number in range(1, TARIFFS_AN_OPERATOR + 1)]


def first_tariff(operator: Operator, month: str) -> Json:
    """The tariff that an operator's connectors name, in any month of the year."""
    return _tariff(1, operator, month)


def _tariff(number: int, operator: Operator, month: str) -> Json:
    price = _price(month) + STEP * (number - 1) + FAST_SURCHARGE * operator.fast
    return {
        "id": f"DEMO-{operator.party_id}-{number}",
        "country_code": operator.country_code,
        "party_id": operator.party_id,
        "currency": "EUR",
        "type": None,
        "tariff_alt_text": [{"language": "nl", "text": LABEL}],
        "tariff_alt_url": None,
        "min_price": None,
        "max_price": None,
        "elements": [
            {
                "price_components": [
                    _component("ENERGY", round(price, 4)),
                    _component("FLAT", 0),
                ],
                "restrictions": None,
            }
        ],
        "energy_mix": None,
        "start_date_time": None,
        "end_date_time": None,
        "last_updated": f"{month}-01T06:00:00Z",
    }


def _price(month: str) -> float:
    """EUR a kWh; prices rose in the published months only."""
    months_of_rise = MONTHS.index(month) - MONTHS.index(PUBLISHED_MONTHS[0])
    return PRICE_A_KWH + RISE_A_MONTH * max(months_of_rise, 0)


def _component(kind: str, price: float) -> Json:
    return {"type": kind, "price": price, "vat": VAT_PCT, "step_size": 1}


def _dirty(clean: Json) -> list[Json | str]:
    """Mistakes, each at a tariff of its own; one that is none: a tariff that is there twice."""

    def variant(name: str, **changes: Any) -> Json:
        return {**copy.deepcopy(clean), "id": f"DEMO-{name}", **changes}

    without_price = variant("no-price")
    del without_price["elements"][0]["price_components"][0]["price"]
    return [
        variant("no-elements", elements=[]),
        variant("nameless", id=None),
        variant("euro", currency="EURO"),
        without_price,
        copy.deepcopy(clean),
        "DEMO: dit is tekst en geen tarief",
    ]
