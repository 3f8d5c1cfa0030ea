"""The invented charging stations that the concessions place, and the steps of placing them.

Belongs here: which stations follow from a request, which are placed before anybody asks, and the
day of each step. A realised request and its placement agree. Not: how a concession writes
placements down, and its mistakes (`vattenfall_placements`, `ecotap_allego_exports`).
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache

from goral_pipeline.demo import ecotap_allego_lives, vattenfall_lives
from goral_pipeline.demo.draws import pick
from goral_pipeline.demo.months import END_OF_YEAR
from goral_pipeline.demo.request_lives import (
    DATA_DRIVEN,
    DEMAND_DRIVEN,
    PROACTIVE,
    Request,
    after,
    between,
    until,
    weighted_participants,
)

# Steps that are dated when they happen; `planned` is a day named in advance.
STEPS = (
    *("proposed", "agreed", "decision_published", "decision_final", "grid_requested"),
    *("grid_connected", "realised", "withdrawn"),
)
DELAY_REASONS = (
    ("grid_connection", 40),
    ("objection", 15),
    ("traffic_decision", 20),
    ("location", 15),
    ("supply", 8),
    ("other", 2),
)
DELAYED_OF_A_HUNDRED = 12
DAYS_FOR_OBJECTIONS = 42
DAYS_TO_PLACE = 120

CHARGE_POINTS = ((2, 92), (1, 5), (4, 3))
POWERS_KW = ((11.0, 80), (22.0, 15), (3.7, 5))

PROACTIVE_AT_VATTENFALL = 90
PLACED_BY_ECOTAP_ALLEGO = 240
FIRST_PLACING_OF_ECOTAP_ALLEGO = date(2021, 2, 1)
LAST_PLACING_OF_ECOTAP_ALLEGO = date(2022, 6, 30)


@dataclass(frozen=True)
class Placement:
    """One station in the process; a date is None if that step has not been taken."""

    number: str
    municipality_code: str
    occasion: str
    charge_points: int
    power_kw: float
    requested: date
    request_number: str | None = None
    proposed: date | None = None
    agreed: date | None = None
    decision_published: date | None = None
    decision_final: date | None = None
    grid_requested: date | None = None
    grid_connected: date | None = None
    planned: date | None = None
    realised: date | None = None
    withdrawn: date | None = None
    delay_reason: str | None = None

    @property
    def events(self) -> list[date]:
        """The dates of every step that was taken after the request, in no order."""
        return [day for step in STEPS if (day := getattr(self, step))]

    @property
    def last_event(self) -> date:
        """The day of the newest step."""
        return max([self.requested, *self.events])

    def at_end_of(self, day: date) -> "Placement":
        """The same placement as it was known at the end of a day."""
        decided = until(self.decision_published, day)
        return replace(
            self,
            proposed=until(self.proposed, day),
            agreed=until(self.agreed, day),
            decision_published=decided,
            decision_final=until(self.decision_final, day),
            grid_requested=until(self.grid_requested, day),
            grid_connected=until(self.grid_connected, day),
            planned=self.planned if decided else None,
            realised=until(self.realised, day),
            withdrawn=until(self.withdrawn, day),
            delay_reason=self.delay_reason if decided else None,
        )


@cache
def vattenfall() -> tuple[Placement, ...]:
    """The placements of Vattenfall InCharge in 2022, in their state at its end."""
    draw = random.Random("placements of the Vattenfall concession")
    lives = [
        _of_request(draw, request, request.approved)
        for request in vattenfall_lives.whole_lives()
        if request.approved and request.approved <= END_OF_YEAR
    ]
    lives += _unasked(
        draw,
        vattenfall_lives.CONCESSION,
        PROACTIVE_AT_VATTENFALL,
        (date(2022, 7, 1), date(2022, 10, 31)),
    )
    return _numbered("VP-2022-{:05d}", (life.at_end_of(END_OF_YEAR) for life in lives))


@cache
def ecotap_allego() -> tuple[Placement, ...]:
    """The placements of Ecotap/Allego, all of them realised before the concession ended."""
    draw = random.Random("placements of the Ecotap/Allego concession")
    lives = [
        _of_request(draw, request, request.approved)
        for request in ecotap_allego_lives.requests()
        if request.approved
    ]
    first = FIRST_PLACING_OF_ECOTAP_ALLEGO - timedelta(days=DAYS_TO_PLACE)
    last = LAST_PLACING_OF_ECOTAP_ALLEGO - timedelta(days=DAYS_TO_PLACE)
    lives += _unasked(draw, ecotap_allego_lives.CONCESSION, PLACED_BY_ECOTAP_ALLEGO, (first, last))
    return _numbered("P{:04d}", lives)


def _numbered(form: str, lives: Iterable[Placement]) -> tuple[Placement, ...]:
    """Number the placements by the day they were asked for."""
    begun = sorted(lives, key=_beginning)
    return tuple(replace(one, number=form.format(place)) for place, one in enumerate(begun, 1))


def _beginning(placement: Placement) -> tuple[date, str]:
    return placement.requested, placement.request_number or ""


def _of_request(draw: random.Random, request: Request, approved: date) -> Placement:
    """The placement of an approved request; one that was withdrawn stops that day."""
    done = request.realised or approved + timedelta(days=DAYS_TO_PLACE)
    placement = _placed(draw, request.requested, approved, done)
    placement = replace(
        placement,
        request_number=request.number,
        municipality_code=request.municipality_code,
        occasion=request.occasion,
    )
    if request.withdrawn:
        return replace(placement.at_end_of(request.withdrawn), withdrawn=request.withdrawn)
    return placement


def _unasked(
    draw: random.Random, concession: str, number: int, decided: tuple[date, date]
) -> list[Placement]:
    """Stations placed before anybody asked, or by how others are used: without a request."""
    found = []
    for _ in range(number):
        begin = between(draw, *decided)
        done = begin + timedelta(days=DAYS_TO_PLACE - draw.randint(0, 20))
        found.append(
            replace(
                _placed(draw, begin, begin, done),
                municipality_code=pick(draw, weighted_participants(concession)),
                occasion=pick(draw, ((PROACTIVE, 70), (DATA_DRIVEN, 30))),
            )
        )
    return found


def _placed(draw: random.Random, requested: date, approved: date, done: date) -> Placement:
    """A station whose steps divide the time from approval to use."""
    days = (done - approved).days

    def at(share: float) -> date:
        return approved + timedelta(days=int(days * share))

    published = at(0.2)
    return Placement(
        number="",
        municipality_code="",
        occasion=DEMAND_DRIVEN,
        charge_points=pick(draw, CHARGE_POINTS),
        power_kw=pick(draw, POWERS_KW),
        requested=requested,
        proposed=at(0.05),
        agreed=at(0.12),
        decision_published=published,
        decision_final=min(published + timedelta(days=DAYS_FOR_OBJECTIONS), done),
        grid_requested=at(0.25),
        grid_connected=max(after(draw, done, -9, -1), at(0.25)),
        planned=after(draw, done, -10, 3),
        realised=done,
        delay_reason=_delay(draw),
    )


def _delay(draw: random.Random) -> str | None:
    return pick(draw, DELAY_REASONS) if draw.randrange(100) < DELAYED_OF_A_HUNDRED else None
