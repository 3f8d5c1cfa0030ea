"""Drawing by lot, the same in every process.

Belongs here: helpers over `random.Random` that demo publishers share. Not: seeds, which each
publisher sets itself, as a text, so that they do not depend on Python's hash seed.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

Choice = TypeVar("Choice")


def pick(draw: random.Random, weighted: Sequence[tuple[Choice, float]]) -> Choice:
    """One of the values, each as likely as its weight says."""
    values = [value for value, _ in weighted]
    return draw.choices(values, [weight for _, weight in weighted])[0]
