"""The failures this project names, each written for the person who must act on it.

Belongs here: exception classes and their wording rules. Does not belong here: handling them.
A message says what was found, what was expected and what to do; it never holds the content of a
delivery, which may be personal.
"""

from __future__ import annotations

import errno

DISK_FULL = (
    "the disk is full, or cannot be written: make room where GORAL_HOME is and run again; nothing "
    "is half done, and what was in use still is"
)
_SAID_OF_A_FULL_DISK = (
    *("database or disk is full", "disk I/O error"),  # SQLite
    "No space left on device",
)


class GoralError(Exception):
    """A failure with a message for the reader; the command line prints it without a traceback."""


class SettingsError(GoralError):
    """Settings or arguments are wrong or missing; nothing was done (exit code 2)."""


class DeliveryRejected(GoralError):
    """A delivery cannot be read or breaks its contract too often; it stays in landing."""


class StagingDied(GoralError):
    """The process that read a delivery ended without an answer: killed, crashed or out of time."""


class PermanentHttpError(GoralError):
    """The publisher refuses: asking again will not help (401, 403, a redirect to another host)."""


class TransientHttpError(GoralError):
    """The publisher did not answer properly, even after retries; later it may."""


class NothingToAsk(GoralError):
    """A partition for which there is nothing to be had now; no failure, but said."""


class NoAddress(NothingToAsk):
    """No URL is set for this source: its files are delivered by hand."""


class NotPublished(NothingToAsk):
    """The publisher has nothing for this partition (404 or 410)."""


class SnapshotPast(NothingToAsk):
    """A snapshot's past was asked for; only today's state can be fetched."""


class Overtaken(GoralError):
    """Another publisher moved the pointer first; its drop counts, and nothing was lost."""


class VerificationFailed(GoralError):
    """A drop is not what its manifest says."""

    def __init__(self, problems: list[str]) -> None:
        """Keep every problem found, one line each."""
        super().__init__("\n".join(problems))
        self.problems = problems


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a failure, or what it came from, is a full disk; each library says it its own way."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(said in str(error) for said in _SAID_OF_A_FULL_DISK):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False
