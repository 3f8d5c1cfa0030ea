"""Great Expectations itself: frames in, results out, at a cost that a hundred deliveries bear.

Belongs here: what any use of the library needs. Importing it takes seconds, so whoever needs it
imports this module late. Does not belong here: what is expected (`expectations`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

# Nobody is told what is validated here; it is read when the library is imported.
os.environ["GX_ANALYTICS_ENABLED"] = "false"

import great_expectations as gx
from great_expectations.core.id_dict import IDDict
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

from goral_pipeline.errors import GoralError

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult


def validate(
    frame: pd.DataFrame,
    expectations: Sequence[Expectation],
    details: dict[str, Any] | None = None,
) -> list[ExpectationValidationResult]:
    """What became of each expectation, in their order; without `details` only whether it holds.

    Raises:
        GoralError: when one could not be evaluated; the library would call it failed.
    """
    suite = gx.ExpectationSuite(name="suite", expectations=list(expectations))
    with _made_once():
        batch = whole_frame().get_batch(batch_parameters={"dataframe": frame})
        results = batch.validate(suite, result_format=details or "BOOLEAN_ONLY").results
    for result in results:
        if _raised(result.exception_info):
            config = result.expectation_config
            # Its words may quote cells.
            raise GoralError(f"{config.type if config else 'an expectation'} cannot be evaluated")
    return list(results)


@cache
def whole_frame() -> BatchDefinition[Any]:
    """How frames are handed over: whole, to a context that writes nothing."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frames").add_dataframe_asset("frame")
    return asset.add_batch_definition_whole_dataframe("whole")


def _raised(info: dict[str, Any] | None) -> bool:
    """Whether something was raised; it is told flat, or by the metric that raised it."""
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(entry.get("raised_exception") for entry in info.values() if isinstance(entry, dict))


@contextmanager
def _made_once() -> Iterator[None]:
    """Let the library make each configuration and expectation once, and name metrics cheaply.

    It makes the former dozens of times for each expectation, and names the latter by a hash of
    JSON: five sixths of what it costs to validate a small frame. All are public names, and nothing
    changes what is made while a suite is validated; should they be renamed, it is slow again.
    """
    made: dict[tuple[str, int], tuple[object, Any]] = {}

    def once(name: str, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def remembered(maker: Any) -> Any:
            key = (name, id(maker))
            if key not in made:
                # The maker is kept, so that no other object gets its number.
                made[key] = (maker, make(maker))
            return made[key][1]

        return remembered

    def quick_id(of: IDDict, *chosen: Any, **named: Any) -> Any:
        if type(of) is not IDDict or len(of) < 2 or chosen or named:
            return to_id(of, *chosen, **named)
        return repr(sorted(of.items()))

    # Untyped, for to type checkers they are not to be replaced.
    expectation: Any = Expectation
    configuration: Any = ExpectationConfiguration
    kwargs: Any = IDDict
    properly, to_expectation = expectation.configuration, configuration.to_domain_obj
    to_id = kwargs.to_id
    expectation.configuration = property(once("configuration", properly.fget))
    configuration.to_domain_obj = once("expectation", to_expectation)
    kwargs.to_id = quick_id
    try:
        yield
    finally:
        expectation.configuration = properly
        configuration.to_domain_obj = to_expectation
        kwargs.to_id = to_id
