"""The invented requests in the concession of Vattenfall InCharge, and their lives.

Belongs here: who asked what when, and what became of it. The totals at 1 December 2022 are those
that the progress report publishes; everything else is invented. Not: how the concession writes
requests down, and its mistakes (`vattenfall_requests`), nor placing (`placement_lives`).
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache

from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.months import END_OF_YEAR
from goral_pipeline.demo.request_lives import (
    DATA_DRIVEN,
    DEMAND_DRIVEN,
    LAST_BEFORE_REFERENCE,
    PROACTIVE,
    REFERENCE_DATE,
    Request,
    a_reason,
    after,
    between,
    weighted_participants,
)

CONCESSION = "vattenfall"
FIRST_REQUEST = date(2022, 4, 1)
FIRST_REALISATION = date(2022, 7, 1)

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

OCCASIONS = ((DEMAND_DRIVEN, 88), (PROACTIVE, 7), (DATA_DRIVEN, 5))
REQUESTS_PER_SECOND_REQUEST = 25


@cache
def requests() -> tuple[Request, ...]:
    """All requests of 2022 in their state at its end, numbered by the day they were made."""
    return tuple(request.at_end_of(END_OF_YEAR) for request in whole_lives())


@cache
def whole_lives() -> tuple[Request, ...]:
    """The same requests with what became of them after 2022."""
    draw = random.Random("requests of the Vattenfall concession")
    kinds: tuple[tuple[int, Callable[[random.Random, int], Request]], ...] = (
        (REJECTED, _rejected),
        (WITHDRAWN_BEFORE_ASSESSMENT, _withdrawn_before_assessment),
        (WITHDRAWN_AFTER_APPROVAL, _withdrawn_after_approval),
        (APPROVED, _approved),
        (PENDING, _pending),
        (AFTER_REFERENCE_DATE, _after_reference_date),
    )
    lives = [kind(draw, index) for number, kind in kinds for index in range(number)]
    lives.sort(key=lambda request: request.requested)
    return _identified(draw, lives)


def _identified(draw: random.Random, lives: Sequence[Request]) -> tuple[Request, ...]:
    """Give each life a number, a municipality, an applicant and an occasion."""
    home_of: list[str] = []
    identified = []
    for index, life in enumerate(lives):
        if index % REQUESTS_PER_SECOND_REQUEST == REQUESTS_PER_SECOND_REQUEST - 1:
            person = draw.randrange(len(home_of))
        else:
            person = len(home_of)
            home_of.append(pick(draw, weighted_participants(CONCESSION)))
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
    requested = between(draw, FIRST_REQUEST, date(2022, 11, 25))
    rejected = min(after(draw, requested, 5, 20), LAST_BEFORE_REFERENCE)
    if index < ON_THE_DAY:
        requested, rejected = date(2022, 11, 18), LAST_BEFORE_REFERENCE
    return Request(requested, rejected=rejected, rejection_reason=a_reason(draw))


def _withdrawn_before_assessment(draw: random.Random, index: int) -> Request:
    requested = between(draw, FIRST_REQUEST, date(2022, 11, 25))
    withdrawn = min(after(draw, requested, 1, 18), LAST_BEFORE_REFERENCE)
    if index < ON_THE_DAY:
        requested, withdrawn = date(2022, 11, 18), LAST_BEFORE_REFERENCE
    return Request(requested, withdrawn=withdrawn)


def _withdrawn_after_approval(draw: random.Random, _: int) -> Request:
    requested = between(draw, FIRST_REQUEST, date(2022, 9, 15))
    approved = after(draw, requested, 5, 25)
    return Request(requested, approved=approved, withdrawn=after(draw, approved, 5, 45))


def _approved(draw: random.Random, index: int) -> Request:
    requested = between(draw, FIRST_REQUEST, date(2022, 11, 20))
    approved = min(after(draw, requested, 5, 25), LAST_BEFORE_REFERENCE)
    realised = max(after(draw, requested, 95, 185), FIRST_REALISATION)
    if index < ON_THE_DAY:
        requested, approved, realised = date(2022, 7, 11), date(2022, 7, 25), REFERENCE_DATE
    elif index < 2 * ON_THE_DAY:
        requested, approved, realised = date(2022, 7, 11), date(2022, 7, 25), LAST_BEFORE_REFERENCE
    return Request(requested, approved=approved, realised=realised)


def _pending(draw: random.Random, index: int) -> Request:
    """Received before the reference date, assessed on it or later, or not at all this year."""
    requested = between(draw, date(2022, 11, 12), LAST_BEFORE_REFERENCE)
    if index < ON_THE_DAY:
        return _assessed(draw, date(2022, 11, 20), REFERENCE_DATE)
    if index < 2 * ON_THE_DAY:
        requested = LAST_BEFORE_REFERENCE
    if index >= PENDING - ON_THE_DAY:
        return Request(date(2022, 9, 20))
    return _assessed(draw, requested, max(after(draw, requested, 5, 20), REFERENCE_DATE))


def _after_reference_date(draw: random.Random, index: int) -> Request:
    requested = between(draw, REFERENCE_DATE, END_OF_YEAR)
    if index < ON_THE_DAY:
        requested = REFERENCE_DATE
    return _assessed(draw, requested, after(draw, requested, 5, 20))


def _assessed(draw: random.Random, requested: date, day: date) -> Request:
    outcome = pick(draw, (("rejected", 43), ("approved", 50), ("withdrawn", 7)))
    if outcome == "rejected":
        return Request(requested, rejected=day, rejection_reason=a_reason(draw))
    if outcome == "approved":
        return Request(requested, approved=day)
    return Request(requested, withdrawn=day)
