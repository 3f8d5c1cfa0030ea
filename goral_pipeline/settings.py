"""Settings: everything that differs from place to place, read from the environment (`GORAL_…`).

Belongs here: names, defaults and the folders below GORAL_HOME. Does not belong here: reading files,
opening connections. Secrets come from the environment only and are never printed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from goral_pipeline.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DBT_PROJECT = PROJECT_ROOT / "dbt_project"


def url_variable(dataset: str) -> str:
    """Name of the environment variable for a dataset's URL."""
    return f"GORAL_{dataset.upper().replace('/', '_')}_URL"


class Settings(BaseSettings):
    """All settings, with the environment variable `GORAL_<NAME>` for each."""

    model_config = SettingsConfigDict(env_prefix="GORAL_", env_ignore_empty=True, extra="ignore")

    home: Path = Field(Path(".goral"), description="Folder of all state.")
    ledger_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of the ledger; by default SQLite in the home folder."
    )
    pseudonym_key: SecretStr | None = Field(
        None, description="Programme key for pseudonyms, 32 characters at least."
    )

    drops_url: str | None = Field(
        None,
        description="Where drops are published: a folder, or abfs://, s3:// or ssh://; by default "
        "`drops` in the home folder. Who may write there is said in the environment.",
    )

    cdr_drops_url: str | None = Field(
        None,
        description="Where drops of single sessions are published, as `drops_url`; not at all "
        "where it is not set.",
    )

    ndw_dotnl_url: str = Field(
        "https://opendata.ndw.nu",
        description="Where DOT-NL is served. With {month} in it: an archive of past snapshots.",
    )
    pdok_boundaries_url: str = Field(
        "https://api.pdok.nl/cbs/gebiedsindelingen/ogc/v1/collections/gemeente_gegeneraliseerd"
        "/items?f=json&limit=1000&jaarcode={edition}",
        description="First page of the municipality boundaries, {edition} being the year.",
    )
    klimaatmonitor_url: str = Field(
        "https://klimaatmonitor.databank.nl/jiveservices/odata",
        description="Base of the OData service that serves RVO's counts.",
    )
    klimaatmonitor_api_key: SecretStr | None = Field(
        None, description="Key for that service, sent to its scheme, host and port only."
    )
    klimaatmonitor_month_level: str = Field(
        "month",
        pattern=r"[A-Za-z0-9_]+",
        description="What the service calls the period level of months in a request.",
    )

    http_timeout_seconds: float = Field(60.0, gt=0, description="For connecting and for each read.")
    http_attempts: int = Field(4, ge=1, le=10, description="Tries of a request that may pass.")
    max_delivery_mib: int = Field(2048, ge=1, description="Largest delivery taken, as it comes.")
    staging_seconds: int = Field(900, ge=1, description="Time one delivery may take to stage.")
    staging_processes: int = Field(
        2, ge=1, le=64, description="Deliveries of a dataset fetched and staged at a time."
    )
    staging_memory_mib: int = Field(4096, ge=1536, description="Memory one delivery may take.")
    duckdb_memory_limit: str = Field(
        "2GB",
        description="Of each DuckDB connection; with under 500MB large deliveries may fail.",
    )
    duckdb_threads: int = Field(2, ge=1, description="Of each DuckDB connection.")
    border_distance_m: float = Field(
        100.0, ge=0, le=1000, description="Locations nearer to a generalised border are flagged."
    )
    landing_retention_days: int = Field(
        550, ge=1, le=36_500, description="Deliveries with personal data stay so long in landing."
    )
    staging_retention_days: int = Field(
        3653, ge=1, le=36_500, description="Staged rows stay so long after they went out of use."
    )

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment.

        Raises:
            SettingsError: naming each variable that is wrong, without its value.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]
        except ValidationError as error:
            wrong = "; ".join(
                f"GORAL_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
                for problem in error.errors(include_input=False, include_url=False)
            )
            raise SettingsError(f"settings are wrong: {wrong}") from None

    @property
    def home_folder(self) -> Path:
        """GORAL_HOME as an absolute path."""
        return self.home.expanduser().resolve()

    @staticmethod
    def url_of(dataset: str) -> str | None:
        """Where a dataset without a setting of its own is asked: `GORAL_<SOURCE>_<DATASET>_URL`."""
        return os.environ.get(url_variable(dataset)) or None

    @staticmethod
    def token_of(source: str) -> SecretStr | None:
        """Token for a source's URLs: `GORAL_<SOURCE>_TOKEN`."""
        token = os.environ.get(f"GORAL_{source.upper()}_TOKEN")
        return SecretStr(token) if token else None

    @property
    def inbox(self) -> Path:
        """Where files are put down to be taken in."""
        return self.home_folder / "inbox"

    @property
    def landing(self) -> Path:
        """Deliveries as they came (mode 0700), spill files too."""
        return self.home_folder / "landing"

    @property
    def staging(self) -> Path:
        """Accepted rows, immutable."""
        return self.home_folder / "staging"

    @property
    def quarantine(self) -> Path:
        """Rows that broke a rule, redacted."""
        return self.home_folder / "quarantine"

    @property
    def warehouse(self) -> Path:
        """Folder of the DuckDB file that analysts query."""
        return self.home_folder / "warehouse"

    @property
    def drops(self) -> Path:
        """Published drops, where no `drops_url` says otherwise."""
        return self.home_folder / "drops"

    @property
    def publishing(self) -> Path:
        """What is on its way to where drops are published."""
        return self.home_folder / "publishing"

    @property
    def dagster_home(self) -> Path:
        """DAGSTER_HOME."""
        return self.home_folder / "dagster"

    @property
    def dbt_target(self) -> Path:
        """What dbt writes when it runs: compiled SQL, results, its log."""
        # By project: what dbt has parsed holds paths of the checkout it was parsed in.
        project = hashlib.sha256(str(DBT_PROJECT).encode()).hexdigest()[:8]
        return self.home_folder / "dbt" / project

    @property
    def ledger(self) -> str:
        """SQLAlchemy URL of the ledger."""
        if self.ledger_url is not None:
            return self.ledger_url.get_secret_value()
        return f"sqlite:///{self.home_folder / 'ledger.sqlite'}"
