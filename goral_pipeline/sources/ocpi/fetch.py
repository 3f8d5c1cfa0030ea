"""The question that a party's server is asked for one month.

Belongs here: which list, whole or between which moments. Does not belong here: reading the list
(`crawl`).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from goral_pipeline import clock
from goral_pipeline.errors import NotPublished, PermanentHttpError
from goral_pipeline.settings import url_variable
from goral_pipeline.sources.asking import Answer, Question, address, at_partition, session
from goral_pipeline.sources.ocpi.crawl import Listing, authorization, crawl

if TYPE_CHECKING:
    from goral_pipeline.sources.ocpi.party import Party

OVERLAP = timedelta(hours=1)
"""Asked for before and after a month, for two clocks may differ; what comes twice counts once."""


NOTHING = hashlib.sha256().hexdigest()
"""Content key of a list without objects."""


def fetch_changed(party: Party, dataset: str, question: Question) -> Answer:
    """Ask a party's server for all that was last changed in a month.

    What is asked for before the month is over has a content key of its own: asked for later it is
    delivered again, if nothing was added too, for then it is known that nothing was.

    Raises:
        NoAddress: when no URL is set.
        NotPublished: when nothing was changed in it.
    """
    name = f"{party.source}/{dataset}"
    first, end = month_bounds(question.partition)
    listing = Listing(
        dataset=name,
        url=address(question.settings, name),
        date_from=first - OVERLAP,
        date_to=end + OVERLAP,
        page_size=party.page_size,
        together=party.pages_at_a_time,
    )
    is_over = clock.now() >= end
    answer = _crawl(party, listing, question, f"that was changed in {question.partition}")
    if is_over:
        return answer
    part = hashlib.sha256(f"part of a month: {answer.content_key}".encode())
    return replace(answer, content_key=part.hexdigest())


def fetch_snapshot(party: Party, dataset: str, question: Question) -> Answer:
    """Ask a party's server for its whole list, as it is today.

    Raises:
        NoAddress: when no URL is set.
        SnapshotPast: when another month than this is asked for.
        NotPublished: when the list is empty.
    """
    name = f"{party.source}/{dataset}"
    kept_at = address(question.settings, name)
    url = at_partition(kept_at, "month", question)
    listing = Listing(
        dataset=name,
        url=url,
        page_size=party.page_size,
        together=party.pages_at_a_time,
    )
    # An archive of past lists may lack one.
    wanted = f"in its list of {dataset}"
    return _crawl(party, listing, question, wanted, may_lack=url != kept_at)


def _crawl(
    party: Party, listing: Listing, question: Question, wanted: str, *, may_lack: bool = False
) -> Answer:
    """Ask for a list; `wanted` says in words what there is none of when it is empty.

    Raises:
        NotPublished: when it is empty, or not there and `may_lack`.
        PermanentHttpError: when it is not there and has to be.
    """
    secret = question.settings.token_of(party.source)
    token = authorization(secret.get_secret_value(), party.token, listing.url) if secret else None
    asking = session(question.settings, token)
    try:
        answer = crawl(asking, listing, question.incoming)
    except NotPublished as gone:
        if may_lack:
            raise
        raise PermanentHttpError(
            f"{gone}, where a list without objects would be empty; check "
            f"{url_variable(listing.dataset)}"
        ) from None
    finally:
        asking.close()
    if answer.content_key == NOTHING:
        question.incoming.start_anew()
        raise NotPublished(f"{answer.origin} has nothing {wanted}")
    return answer


def month_bounds(month: str) -> tuple[datetime, datetime]:
    """When a calendar month in the Netherlands begins, and the one after it (UTC)."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Amsterdam")
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=zone)
    following = (first + timedelta(days=32)).replace(day=1)
    return first.astimezone(UTC), following.astimezone(UTC)
