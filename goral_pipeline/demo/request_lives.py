"""The invented requests for charging stations in the Vattenfall concession, and their lives.

Belongs here: who asked what when, what became of it, and the totals that follow. The totals at
1 December 2022 are those that the progress report publishes; everything else is invented. Not:
how the concession writes requests down, and its mistakes (`requests_export`).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.regions import municipalities

FIRST_REQUEST = date(2022, 4, 1)
FIRST_REALISATION = date(2022, 7, 1)
REFERENCE_DATE = date(2022, 12, 1)
LAST_BEFORE_REFERENCE = date(2022, 11, 30)
END_OF_YEAR = date(2022, 12, 31)

# How many requests there are of each kind, by what became of them before the reference date.
# Published are: 2,996 received, 1,276 rejected, 111 pending. The division of the rest is invented.
REJECTED = 1_276
WITHDRAWN_BEFORE_ASSESSMENT = 120
WITHDRAWN_AFTER_APPROVAL = 30
APPROVED = 1_459
PENDING = 111
AFTER_REFERENCE_DATE = 300

# Of each of these kinds, so many have their event on the very day.
ON_THE_DAY = 5

# Invented: which municipalities of Gelderland take part is not published, only how many.
PARTICIPANTS_IN_GELDERLAND = 43
VEENENDAAL = "GM0345"

DEMAND_DRIVEN = "Aanvraag bewoner"
OCCASIONS = ((DEMAND_DRIVEN, 88), ("Proactief", 7), ("Datagedreven", 5))
REJECTION_REASONS = (
    ("Eigen parkeergelegenheid", 45),
    ("Laadpaal binnen 250 meter", 30),
    ("Geen geldig bewijs elektrische auto", 20),
    ("Woont of werkt niet in gemeente", 5),
)
REQUESTS_PER_SECOND_REQUEST = 25


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
        rejected = _until(self.rejected, day)
        return replace(
            self,
            rejected=rejected,
            rejection_reason=self.rejection_reason if rejected else None,
            withdrawn=_until(self.withdrawn, day),
            approved=_until(self.approved, day),
            realised=_until(self.realised, day),
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


def totals(reference_date: date = REFERENCE_DATE) -> Totals:
    """Counts of the generated requests by events dated strictly before the reference date."""
    day_before = reference_date - timedelta(days=1)
    received = [one.at_end_of(day_before) for one in requests() if one.requested <= day_before]
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
def participants() -> tuple[str, ...]:
    """Codes of the 69 municipalities that take part; which of Gelderland's is invented."""
    inside = [one for one in municipalities() if one.in_region]
    gelderland = [one.code for one in inside if one.province == "Gelderland"]
    overijssel = [one.code for one in inside if one.province == "Overijssel"]
    return (*gelderland[:PARTICIPANTS_IN_GELDERLAND], *overijssel, VEENENDAAL)


@cache
def requests() -> tuple[Request, ...]:
    """All requests of 2022, numbered in order of the day they were made."""
    draw = random.Random("requests of the Vattenfall concession")
    kinds: tuple[tuple[int, Callable[[random.Random, int], Request]], ...] = (
        (REJECTED, _rejected),
        (WITHDRAWN_BEFORE_ASSESSMENT, _withdrawn_before_assessment),
        (WITHDRAWN_AFTER_APPROVAL, _withdrawn_after_approval),
        (APPROVED, _approved),
        (PENDING, _pending),
        (AFTER_REFERENCE_DATE, _after_reference_date),
    )
    lives = [kind(draw, index) for count, kind in kinds for index in range(count)]
    lives.sort(key=lambda request: request.requested)
    this_year = [request.at_end_of(END_OF_YEAR) for request in lives]
    return _identified(draw, this_year)


def _identified(draw: random.Random, lives: Sequence[Request]) -> tuple[Request, ...]:
    """Give each life a number, a municipality, an applicant and an occasion."""
    weights = {one.code: one.weight for one in municipalities()}
    places = [(code, weights[code]) for code in participants()]
    home_of: list[str] = []
    identified = []
    for index, life in enumerate(lives):
        if index % REQUESTS_PER_SECOND_REQUEST == REQUESTS_PER_SECOND_REQUEST - 1:
            person = draw.randrange(len(home_of))
        else:
            person = len(home_of)
            home_of.append(pick(draw, places))
        identified.append(
            replace(
                life,
                number=f"VF-2022-{index + 1:06d}",
                municipality_code=home_of[person],
                person=person + 1,
                occasion=DEMAND_DRIVEN if life.rejected else pick(draw, OCCASIONS),
            )
        )
    return tuple(identified)


def _rejected(draw: random.Random, index: int) -> Request:
    requested = _day(draw, FIRST_REQUEST, date(2022, 11, 25))
    rejected = min(_after(draw, requested, 5, 20), LAST_BEFORE_REFERENCE)
    if index < ON_THE_DAY:
        requested, rejected = date(2022, 11, 18), LAST_BEFORE_REFERENCE
    return Request(requested, rejected=rejected, rejection_reason=pick(draw, REJECTION_REASONS))


def _withdrawn_before_assessment(draw: random.Random, index: int) -> Request:
    requested = _day(draw, FIRST_REQUEST, date(2022, 11, 25))
    withdrawn = min(_after(draw, requested, 1, 18), LAST_BEFORE_REFERENCE)
    if index < ON_THE_DAY:
        requested, withdrawn = date(2022, 11, 18), LAST_BEFORE_REFERENCE
    return Request(requested, withdrawn=withdrawn)


def _withdrawn_after_approval(draw: random.Random, _: int) -> Request:
    requested = _day(draw, FIRST_REQUEST, date(2022, 9, 15))
    approved = _after(draw, requested, 5, 25)
    return Request(requested, approved=approved, withdrawn=_after(draw, approved, 5, 45))


def _approved(draw: random.Random, index: int) -> Request:
    requested = _day(draw, FIRST_REQUEST, date(2022, 11, 20))
    approved = min(_after(draw, requested, 5, 25), LAST_BEFORE_REFERENCE)
    realised = max(_after(draw, requested, 95, 185), FIRST_REALISATION)
    if index < ON_THE_DAY:
        requested, approved, realised = date(2022, 7, 11), date(2022, 7, 25), REFERENCE_DATE
    elif index < 2 * ON_THE_DAY:
        requested, approved, realised = date(2022, 7, 11), date(2022, 7, 25), LAST_BEFORE_REFERENCE
    return Request(requested, approved=approved, realised=realised)


def _pending(draw: random.Random, index: int) -> Request:
    """Received before the reference date, assessed on it or later, or not at all this year."""
    requested = _day(draw, date(2022, 11, 12), LAST_BEFORE_REFERENCE)
    if index < ON_THE_DAY:
        return _assessed(draw, date(2022, 11, 20), REFERENCE_DATE)
    if index < 2 * ON_THE_DAY:
        requested = LAST_BEFORE_REFERENCE
    if index >= PENDING - ON_THE_DAY:
        return Request(date(2022, 9, 20))
    return _assessed(draw, requested, max(_after(draw, requested, 5, 20), REFERENCE_DATE))


def _after_reference_date(draw: random.Random, index: int) -> Request:
    requested = _day(draw, REFERENCE_DATE, END_OF_YEAR)
    if index < ON_THE_DAY:
        requested = REFERENCE_DATE
    return _assessed(draw, requested, _after(draw, requested, 5, 20))


def _assessed(draw: random.Random, requested: date, day: date) -> Request:
    outcome = pick(draw, (("rejected", 43), ("approved", 50), ("withdrawn", 7)))
    if outcome == "rejected":
        reason = pick(draw, REJECTION_REASONS)
        return Request(requested, rejected=day, rejection_reason=reason)
    if outcome == "approved":
        return Request(requested, approved=day)
    return Request(requested, withdrawn=day)


def _until(happened: date | None, day: date) -> date | None:
    return happened if happened and happened <= day else None


def _day(draw: random.Random, first: date, last: date) -> date:
    return first + timedelta(days=draw.randint(0, (last - first).days))


def _after(draw: random.Random, day: date, least: int, most: int) -> date:
    return day + timedelta(days=draw.randint(least, most))
