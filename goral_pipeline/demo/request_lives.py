"""What a request for a charging station is in the demo, and how requests are counted.

Belongs here: what the requests of both concessions have in common. The words for occasion and
reason are those of the data contracts; each export writes its own. Not: the requests themselves
(`vattenfall_lives`, `ecotap_allego_lives`), nor how a concession writes them down.
"""

import csv
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.regions import SEED_FILE, municipalities

# Which municipalities take part is invented, and written once: where the pipeline reads it too.
PARTICIPANTS_FILE = SEED_FILE.with_name("concession_municipalities.csv")

REFERENCE_DATE = date(2022, 12, 1)
LAST_BEFORE_REFERENCE = date(2022, 11, 30)

DEMAND_DRIVEN, PROACTIVE, DATA_DRIVEN = "demand_driven", "proactive", "data_driven"
REJECTION_REASONS = (
    ("own_parking_place", 45),
    ("charge_point_nearby", 30),
    ("no_valid_proof", 20),
    ("not_in_municipality", 5),
)


@dataclass(frozen=True)
class Request:
    """One request; a date is None if that has not happened. `person` numbers the applicant."""

    requested: date
    rejected: date | None = None
    rejection_reason: str | None = None
    withdrawn: date | None = None
    approved: date | None = None
    realised: date | None = None
    number: str = ""
    municipality_code: str = ""
    person: int = 0
    occasion: str = DEMAND_DRIVEN

    @property
    def events(self) -> list[date]:
        """The dates of everything that has happened, in no order."""
        dates = (self.requested, self.rejected, self.withdrawn, self.approved, self.realised)
        return [happened for happened in dates if happened]

    def at_end_of(self, day: date) -> "Request":
        """The same request as it was known at the end of a day."""
        rejected = until(self.rejected, day)
        return replace(
            self,
            rejected=rejected,
            rejection_reason=self.rejection_reason if rejected else None,
            withdrawn=until(self.withdrawn, day),
            approved=until(self.approved, day),
            realised=until(self.realised, day),
        )


@dataclass(frozen=True)
class Totals:
    """Counts of requests at a reference date, by their state."""

    received: int
    rejected: int
    withdrawn: int
    pending: int
    in_realisation: int
    realised: int


def count(requests: Iterable[Request], reference_date: date = REFERENCE_DATE) -> Totals:
    """Counts of requests by events dated strictly before the reference date."""
    day_before = reference_date - timedelta(days=1)
    received = [one.at_end_of(day_before) for one in requests if one.requested <= day_before]
    states = [_state(request) for request in received]
    return Totals(
        received=len(received),
        rejected=states.count("rejected"),
        withdrawn=states.count("withdrawn"),
        pending=states.count("pending"),
        in_realisation=states.count("in_realisation"),
        realised=states.count("realised"),
    )


def _state(request: Request) -> str:
    """Rejected and withdrawn are final; a request withdrawn after approval is withdrawn."""
    if request.rejected:
        return "rejected"
    if request.withdrawn:
        return "withdrawn"
    if request.realised:
        return "realised"
    return "in_realisation" if request.approved else "pending"


@cache
def participants(concession: str) -> tuple[str, ...]:
    """Codes of the municipalities that take part in a concession, in order."""
    with Path(PARTICIPANTS_FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        sorted(row["municipality_code"] for row in rows if row["concession"] == concession)
    )


@cache
def outsiders(concession: str) -> tuple[str, ...]:
    """Codes of the region's municipalities that do not take part in a concession, in order."""
    inside = [one.code for one in municipalities() if one.in_region]
    return tuple(code for code in inside if code not in participants(concession))


@cache
def weighted_participants(concession: str) -> tuple[tuple[str, float], ...]:
    """The municipalities that take part in a concession, with their weights."""
    weights = {one.code: one.weight for one in municipalities()}
    return tuple((code, weights[code]) for code in participants(concession))


def a_reason(draw: random.Random) -> str:
    """A reason of rejection."""
    return pick(draw, REJECTION_REASONS)


def until(happened: date | None, day: date) -> date | None:
    """What has happened by the end of a day."""
    return happened if happened and happened <= day else None


def between(draw: random.Random, first: date, last: date) -> date:
    """A day of a range, both ends included."""
    return first + timedelta(days=draw.randint(0, (last - first).days))


def after(draw: random.Random, day: date, least: int, most: int) -> date:
    """A day so many days after another."""
    return day + timedelta(days=draw.randint(least, most))
