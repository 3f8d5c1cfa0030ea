"""The instructions of data owners: whose single sessions may be published, and what is left out.

They are recorded in `instructions.yaml` in GORAL_HOME, one entry a municipality. Belongs here:
reading and checking that file. Does not belong here: the rows themselves, which dbt makes.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from goral_pipeline import clock
from goral_pipeline.contracts import Column, cdr
from goral_pipeline.errors import SettingsError
from goral_pipeline.publishing.manifest import Instruction
from goral_pipeline.sources.names import codes_of_the_region

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

FILE = "instructions.yaml"
HOW_TO = "docs/how-to/publish-single-sessions.md"


def _of_the_region(code: str) -> str:
    if code not in codes_of_the_region():
        raise ValueError(f"{code!r} is no municipality of the region, expected e.g. GM0202")
    return code


def _not_after_today(day: datetime.date) -> datetime.date:
    if day > clock.today():
        raise ValueError(f"{day} is after today")
    return day


def _can_be_left_out(name: str) -> str:
    if name not in (possible := can_be_left_out()):
        raise ValueError(
            f"{name!r} is no column that can be left out; these are: {', '.join(possible)}"
        )
    return name


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Entry(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    municipality_code: Annotated[str, AfterValidator(_of_the_region)]
    data_owner: Text
    date: Annotated[datetime.date, AfterValidator(_not_after_today)]
    reference: Text
    leave_out: list[Annotated[str, AfterValidator(_can_be_left_out)]] | None = None

    def instruction(self) -> Instruction:
        """As it stands in a manifest."""
        return Instruction(
            municipality_code=self.municipality_code,
            data_owner=self.data_owner,
            date=self.date.isoformat(),
            reference=self.reference,
            leave_out=_with_what_tells_them(self.leave_out or ()),
        )


def read(settings: Settings) -> list[Instruction] | None:
    """The instructions that are recorded, by municipality; None where there is no such file.

    Raises:
        SettingsError: naming every entry and field that is wrong.
    """
    import yaml

    path = settings.home_folder / FILE
    if not path.is_file():
        return None
    try:
        content = yaml.safe_load(path.read_bytes())
        entries = TypeAdapter(list[Entry]).validate_python(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{FILE}{at}: is no YAML") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_in_words(error))) from None
    counted = Counter(entry.municipality_code for entry in entries)
    if twice := sorted(code for code, times in counted.items() if times > 1):
        raise SettingsError(f"{FILE}: more than one entry for {', '.join(twice)}; leave one")
    return sorted((entry.instruction() for entry in entries), key=lambda one: one.municipality_code)


def can_be_left_out() -> list[str]:
    """The columns that a row can do without, in any table of single sessions."""
    return sorted({column.name for column in _columns() if not column.required})


def _with_what_tells_them(names: Iterable[str]) -> list[str]:
    """The columns, and those from which they follow: two parts of a sum tell the sum."""
    groups = {column.left_out_with for column in _columns() if column.name in names}
    return sorted({column.name for column in _columns() if column.left_out_with in groups})


def _columns() -> list[Column]:
    tables = (table for contract in cdr().values() for table in contract.tables)
    return [column for table in tables for column in table.columns]


def rows(instructions: Iterable[Instruction]) -> tuple[dict[str, Any], ...]:
    """What the models read of them: the rows of `staged.instructions`."""
    return tuple(
        {"municipality_code": one.municipality_code, "left_out": one.leave_out}
        for one in instructions
    )


def _in_words(error: ValidationError) -> list[str]:
    told = []
    for problem in error.errors(include_input=False, include_url=False):
        number, *field = problem["loc"] or ("",)
        at = f"{FILE}, entry {number + 1}" if isinstance(number, int) else FILE
        named = f", {'.'.join(map(str, field))}" if field else ""
        told.append(f"{at}{named}: {problem['msg'].removeprefix('Value error, ')}")
    return told
