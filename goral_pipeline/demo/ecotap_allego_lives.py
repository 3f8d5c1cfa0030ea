"""The invented requests in the concession of Ecotap/Allego, and their lives.

Belongs here: who asked what when, and what became of it. The totals at 1 December 2022 are those
that the progress report publishes; everything else is invented. Not: how the concession writes
requests down, and its mistakes (`ecotap_allego_exports`), nor placing (`placement_lives`).

Some applicants asked in both concessions while both took requests, from 1 April to 30 June 2022:
with the same e-mail address, for the same municipality. They are counted once for the region.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from goral_pipeline.demo import vattenfall_lives
from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.request_lives import (
    DEMAND_DRIVEN,
    LAST_BEFORE_REFERENCE,
    Request,
    a_reason,
    after,
    between,
    participants,
    weighted_participants,
)

CONCESSION = "ecotap_allego"
FIRST_REQUEST = date(2020, 11, 1)
FIRST_OVERLAP = date(2022, 4, 1)
LAST_REQUEST = date(2022, 6, 30)

# How many requests there are of each kind. Published are: 564 received, 549 rejected, 8 pending.
# The division of the other 7 is invented, and so is the number of those who asked twice.
ASKED_IN_BOTH = 45
REJECTED_LATE = 4
REJECTED = 549 - ASKED_IN_BOTH - REJECTED_LATE
WITHDRAWN = 3
REALISED = 4
PENDING = 8

# Invented: a third of the requests was made in the last half year.
LAST_HALF_YEAR = date(2022, 1, 1)

FIRST_PERSON = 5_000
REQUESTS_PER_SECOND_REQUEST = 30


@cache
def requests() -> tuple[Request, ...]:
    """All requests in their state at the end of 2022, numbered by the day they were made."""
    draw = random.Random("requests of the Ecotap/Allego concession")
    kinds: tuple[tuple[int, Callable[[random.Random], Request]], ...] = (
        (REJECTED, _rejected),
        (REJECTED_LATE, _rejected_late),
        (WITHDRAWN, _withdrawn),
        (REALISED, _realised),
        (PENDING, _pending),
    )
    lives = [kind(draw) for number, kind in kinds for _ in range(number)]
    lives.sort(key=lambda request: request.requested)
    everything = [*_identified(draw, lives), *_asked_in_both(draw)]
    everything.sort(key=lambda request: request.requested)
    return tuple(
        replace(request, number=f"EA/{request.requested.year}/{index + 1:04d}")
        for index, request in enumerate(everything)
    )


@cache
def overlapping() -> tuple[Request, ...]:
    """The requests at Vattenfall of those who asked here too."""
    times = Counter(request.person for request in vattenfall_lives.requests())
    here = set(participants(CONCESSION))
    candidates = [
        request
        for request in vattenfall_lives.requests()
        if FIRST_OVERLAP <= request.requested <= LAST_REQUEST
        and request.municipality_code in here
        and request.occasion == DEMAND_DRIVEN
        and times[request.person] == 1
    ]
    return tuple(candidates[:: len(candidates) // ASKED_IN_BOTH][:ASKED_IN_BOTH])


def _asked_in_both(draw: random.Random) -> list[Request]:
    """One request here for each of them, made some days before or after the one there."""
    found = []
    for there in overlapping():
        day = there.requested + timedelta(days=draw.randint(-20, 20))
        requested = min(max(day, FIRST_OVERLAP), LAST_REQUEST)
        found.append(
            Request(
                requested,
                rejected=after(draw, requested, 5, 25),
                rejection_reason=a_reason(draw),
                municipality_code=there.municipality_code,
                person=there.person,
            )
        )
    return found


def _identified(draw: random.Random, lives: Sequence[Request]) -> list[Request]:
    """Give each life a municipality and an applicant, none of whom asked elsewhere."""
    home_of: list[str] = []
    identified = []
    for index, life in enumerate(lives):
        if index % REQUESTS_PER_SECOND_REQUEST == REQUESTS_PER_SECOND_REQUEST - 1:
            person = draw.randrange(len(home_of))
        else:
            person = len(home_of)
            home_of.append(pick(draw, weighted_participants(CONCESSION)))
        identified.append(
            replace(life, municipality_code=home_of[person], person=FIRST_PERSON + person)
        )
    return identified


def _rejected(draw: random.Random) -> Request:
    recent = draw.random() < 1 / 3
    first, last = (
        (LAST_HALF_YEAR, LAST_REQUEST)
        if recent
        else (FIRST_REQUEST, LAST_HALF_YEAR - timedelta(days=1))
    )
    requested = between(draw, first, last)
    rejected = after(draw, requested, 5, 25)
    return Request(requested, rejected=rejected, rejection_reason=a_reason(draw))


def _rejected_late(draw: random.Random) -> Request:
    """Left lying when the concession ended, and rejected on the last day before the count."""
    return replace(_pending(draw), rejected=LAST_BEFORE_REFERENCE, rejection_reason=a_reason(draw))


def _withdrawn(draw: random.Random) -> Request:
    requested = between(draw, LAST_HALF_YEAR, date(2022, 5, 31))
    return Request(requested, withdrawn=after(draw, requested, 2, 20))


def _realised(draw: random.Random) -> Request:
    requested = between(draw, date(2021, 3, 1), date(2021, 11, 30))
    return Request(
        requested,
        approved=after(draw, requested, 5, 25),
        realised=after(draw, requested, 110, 200),
    )


def _pending(draw: random.Random) -> Request:
    return Request(between(draw, date(2022, 6, 1), LAST_REQUEST))
