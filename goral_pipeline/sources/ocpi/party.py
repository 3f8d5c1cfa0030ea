"""Parties: who is asked over OCPI, one YAML file each.

Belongs here: the description of a server and what is wrong with one. Does not belong here: its
address and token, which come from the environment.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from goral_pipeline.errors import SettingsError

Dataset = Literal["locations", "tariffs", "sessions"]
"""What a party can be asked for: the modules Locations, Tariffs and CDRs."""
FOLDER = Path(__file__).parent.parent / "parties"


class Party(BaseModel):
    """A server and what is asked of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="First part of its datasets.")
    country_code: str = Field(pattern=r"^[A-Z]{2}$", description="Of objects that do not say.")
    party_id: str = Field(pattern=r"^[A-Z0-9]{3}$", description="Of objects that do not say.")
    first_month: str = Field("2020-11", pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    datasets: tuple[Dataset, ...] = ("sessions",)
    token: Literal["base64", "plain"] = Field("base64", description="How its token is sent.")
    page_size: int = Field(1000, ge=1, le=10_000, description="Objects asked for at a time.")
    pages_at_a_time: int = Field(4, ge=1, le=16, description="Requests that it takes at a time.")


def load(path: Path) -> Party:
    """Read a description.

    Raises:
        SettingsError: naming the file, the key and what is wrong with it.
    """
    import yaml

    try:
        return Party.model_validate(yaml.safe_load(path.read_bytes()))
    except yaml.YAMLError:
        raise SettingsError(f"party {path.name} is no YAML") from None
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'the file'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise SettingsError(f"party {path.name}: {wrong}") from None


@cache
def own_parties() -> tuple[tuple[Path, Party], ...]:
    """The parties that come with the project; read once."""
    return parties_in(FOLDER)


def parties_in(folder: Path) -> tuple[tuple[Path, Party], ...]:
    """The parties described in a folder, with their files."""
    return tuple((path, load(path)) for path in sorted(folder.glob("*.yaml")))
