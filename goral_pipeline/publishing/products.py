"""The two products: what their drops hold and are made of, and where they are published.

KPI is what the marts hold, aggregated where persons are behind it. CDR is single sessions of
municipalities whose data owner instructed so; off unless it is told where they go. Belongs here:
all in which the two differ. Does not belong here: what is done alike with both (`drop`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from goral_pipeline import contracts, durable
from goral_pipeline.contracts import Contract, Table
from goral_pipeline.errors import GoralError, SettingsError
from goral_pipeline.landing.ledger import Current, Ledger
from goral_pipeline.publishing import instructions, manifest, store
from goral_pipeline.publishing.manifest import Instruction, Manifest
from goral_pipeline.warehouse import apart, build, dbt_command, placement

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.settings import Settings

MEMORY = "400MB"
"""What sorting for a drop may take, however much else is allowed: with the libraries and what is
being written it stays below 1 GiB, and what does not fit is sorted on the disk."""


class Product(ABC):
    """What is published together."""

    name: manifest.Product
    schema: str
    """Of dbt's tables that its drops hold."""
    keeps_final: bool
    """Whether a final drop is kept for good."""
    views: str
    """Schema of PostgreSQL that it is shown in, unless another is named."""
    option: str
    """What tells it on the command line."""
    needs_instruction: bool

    @abstractmethod
    def tables(self) -> list[tuple[Contract, Table]]:
        """The tables of its drops, by name."""

    @abstractmethod
    def open_store(self, settings: Settings) -> store.Store:
        """Where its drops are published.

        Raises:
            SettingsError: when that is not told, or is of a kind that is not known.
        """

    def is_published(self, settings: Settings) -> bool:
        """Whether it is told where its drops are published."""
        return True

    def check_start(self, on: list[Instruction]) -> None:
        """Without instruction there is no first drop; a later one is then empty.

        Raises:
            SettingsError: when there is none.
        """
        if self.needs_instruction and not on:
            raise _no_instruction()

    def refuse_other(self, made: Manifest | None) -> None:
        """Each product has a place of its own: who may read figures may not read sessions.

        Raises:
            GoralError: when a drop is one of another product.
        """
        if made and made.product != self.name:
            raise GoralError(
                f"{made.drop} is a drop of the product {made.product}, not {self.name}: each is "
                "published to a place of its own; set GORAL_DROPS_URL and GORAL_CDR_DROPS_URL apart"
            )

    @abstractmethod
    def is_made_of(self, dataset: str) -> bool:
        """Whether deliveries of a dataset go into its drops."""

    @abstractmethod
    def instructions(self, settings: Settings) -> list[Instruction]:
        """The instructions that it is published on, of which KPI needs none.

        Raises:
            SettingsError: when they are recorded nowhere, or one is wrong.
        """

    @abstractmethod
    def inputs(self, settings: Settings, ledger: Ledger, on: list[Instruction]) -> build.Inputs:
        """All that decides its next drop.

        Raises:
            GoralError: when there is nothing to make it of, or that is not ready.
        """

    @abstractmethod
    def opened(
        self, settings: Settings, wanted: build.Inputs, progress: Callable[[str], None]
    ) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """The tables that its next drop is made of, for the block."""

    @abstractmethod
    def make_anew(
        self,
        settings: Settings,
        ledger: Ledger,
        pointed: list[Current],
        on: list[Instruction],
        goal: Path,
    ) -> build.Inputs:
        """Make the tables of an earlier drop anew, in a file at `goal`."""


class _Kpi(Product):
    name = "kpi"
    schema = "marts"
    keeps_final = True
    views = "goral"
    option = ""
    needs_instruction = False

    def tables(self) -> list[tuple[Contract, Table]]:
        return _tables(contracts.published())

    def open_store(self, settings: Settings) -> store.Store:
        return store.open_store(settings, settings.drops_url or str(settings.drops))

    def is_made_of(self, dataset: str) -> bool:
        return True

    def instructions(self, settings: Settings) -> list[Instruction]:
        return []

    def inputs(self, settings: Settings, ledger: Ledger, on: list[Instruction]) -> build.Inputs:
        wanted = build.inputs(settings, ledger)
        if not wanted.deliveries:
            raise GoralError(
                "there is nothing to publish: no delivery was accepted yet. `goral run` asks the "
                "publishers, `goral deliver` takes a file, `goral demo run` shows how it looks"
            )
        if build.current_fingerprint(settings.warehouse / build.FILE) is None:
            raise GoralError("there is no warehouse to publish from; `goral run` builds it")
        if not build.is_up_to_date(settings, wanted):
            raise GoralError(
                "the warehouse is not made of what the ledger points at now; `goral run "
                "--no-fetch` builds it anew"
            )
        return wanted

    @contextmanager
    def opened(
        self, settings: Settings, wanted: build.Inputs, progress: Callable[[str], None]
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        with open_tables(settings, settings.warehouse / build.FILE) as con:
            # The file that is open stays what it is, whatever takes its name.
            (built_of,) = con.execute("select fingerprint from main.build_info").fetchall()[0]
            if built_of != wanted.fingerprint:
                raise GoralError(
                    "the warehouse was built anew while this drop was being made; publish again"
                )
            yield con

    def make_anew(
        self,
        settings: Settings,
        ledger: Ledger,
        pointed: list[Current],
        on: list[Instruction],
        goal: Path,
    ) -> build.Inputs:
        return apart.build_of(settings, ledger, pointed, goal)


class _Cdr(Product):
    name = "cdr"
    schema = "cdr"
    # What tells of persons is kept no longer than it is needed, final or not.
    keeps_final = False
    views = "goral_sessions"
    option = " --product cdr"
    needs_instruction = True

    def tables(self) -> list[tuple[Contract, Table]]:
        return _tables(contracts.cdr())

    def is_published(self, settings: Settings) -> bool:
        return settings.cdr_drops_url is not None

    def open_store(self, settings: Settings) -> store.Store:
        if settings.cdr_drops_url is None:
            raise SettingsError(
                "single sessions are not published, for it is not told where they go: set "
                "GORAL_CDR_DROPS_URL (see docs/how-to/publish-single-sessions.md)"
            )
        own = store.open_store(settings, settings.cdr_drops_url, mode=durable.PRIVATE)
        here, there = (_one_spelling(one.where) for one in (own, KPI.open_store(settings)))
        if here.startswith(there) or there.startswith(here):
            raise SettingsError(
                "GORAL_CDR_DROPS_URL is where figures are published, or one lies within the "
                "other: single sessions need a place of their own, which not everybody who reads "
                "figures can read"
            )
        return own

    def is_made_of(self, dataset: str) -> bool:
        form = dataset.partition("/")[2]
        return form in (placement.SESSIONS, placement.LOCATIONS) or dataset == placement.BOUNDARIES

    def instructions(self, settings: Settings) -> list[Instruction]:
        found = instructions.read(settings)
        if found is None:
            raise _no_instruction()
        return found

    def inputs(self, settings: Settings, ledger: Ledger, on: list[Instruction]) -> build.Inputs:
        # Killed publishers left single sessions here: they go whether there is news or not.
        durable.sweep(settings.publishing)
        pointed = [one for one in ledger.current() if self.is_made_of(one.delivery.dataset)]
        if not any(_is_of(one, placement.SESSIONS) for one in pointed):
            raise GoralError("there is nothing to publish: no sessions were accepted yet")
        placement.place_all(settings, ledger, pointed)
        return build.inputs(settings, ledger, pointed, instructions.rows(on))

    @contextmanager
    def opened(
        self, settings: Settings, wanted: build.Inputs, progress: Callable[[str], None]
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        workplace = durable.make_folder(settings.publishing, durable.PRIVATE)
        with TemporaryDirectory(dir=workplace, prefix=durable.temporary_prefix()) as folder:
            path = Path(folder) / dbt_command.BUILDING
            progress("making the tables of single sessions with dbt")
            apart.build_single_sessions(settings, wanted, path)
            with open_tables(settings, path) as con:
                yield con

    def make_anew(
        self,
        settings: Settings,
        ledger: Ledger,
        pointed: list[Current],
        on: list[Instruction],
        goal: Path,
    ) -> build.Inputs:
        placement.place_all(settings, ledger, pointed)
        wanted = build.inputs(settings, ledger, pointed, instructions.rows(on))
        apart.build_single_sessions(settings, wanted, goal)
        return wanted


KPI: Product = _Kpi()
CDR: Product = _Cdr()
PRODUCTS = {product.name: product for product in (KPI, CDR)}


@contextmanager
def open_tables(settings: Settings, path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A file of tables, to read what is published from."""
    import duckdb

    with duckdb.connect(str(path), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"set threads = {settings.duckdb_threads}")
        con.execute("set memory_limit = $limit", {"limit": settings.duckdb_memory_limit})
        allowed = "parse_formatted_bytes(current_setting('memory_limit'))"
        least = f"least({allowed}, parse_formatted_bytes('{MEMORY}'))"
        limit = con.execute(f"select {least} || 'B'").fetchall()[0][0]
        con.execute("set memory_limit = $limit", {"limit": limit})
        yield con


def _tables(of: dict[str, Contract]) -> list[tuple[Contract, Table]]:
    return [(c, c.tables[0]) for c in of.values() if c.is_published]


def _one_spelling(where: str) -> str:
    """A place without what only says who asks, and by one of the names that Azure's has."""
    kind, is_url, rest = where.partition("://")
    if not is_url:
        return f"{where.rstrip('/')}/"
    host, *path = rest.rstrip("/").split("/")
    if kind == "ssh":
        host = host.rpartition("@")[2]
    return "/".join([f"{'abfs' if kind in ('abfss', 'az') else kind}:/", host, *path, ""])


def _no_instruction() -> SettingsError:
    return SettingsError(
        f"single sessions are not published, for no instruction is recorded in "
        f"{instructions.FILE} in GORAL_HOME (see {instructions.HOW_TO}); where none shall be, "
        "unset GORAL_CDR_DROPS_URL"
    )


def _is_of(current: Current, form: str) -> bool:
    return current.delivery.dataset.endswith(f"/{form}")
