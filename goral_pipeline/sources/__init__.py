"""The publishers: how each is asked, and how its bytes are read into columns of text.

Belongs here: the registry below and one module a publisher; `mappings/` describes tabular exports,
one file a layout. Does not belong here: writing anything but the delivery that comes in; typing and
judging rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from goral_pipeline.contracts import Contract, staged
from goral_pipeline.errors import SettingsError
from goral_pipeline.settings import url_variable
from goral_pipeline.sources import mapping, ndw_dotnl, pdok, postal_code, rvo, tabular
from goral_pipeline.sources.asking import Answer, Question
from goral_pipeline.sources.mapping import Mapping
from goral_pipeline.sources.ocpi import cdrs, envelope, fetch, landed, locations, party, tariffs
from goral_pipeline.sources.ocpi.party import Party
from goral_pipeline.sources.reading import Reading

if TYPE_CHECKING:
    from goral_pipeline.settings import Settings

MAPPINGS = Path(__file__).parent / "mappings"
# Settings without which a publisher cannot be asked, though its address has a default.
_NEEDED = {"rvo": "klimaatmonitor_api_key"}


@dataclass(frozen=True)
class Source:
    """One dataset of one publisher."""

    contract: Contract
    """The contract of its form, under the dataset's own name."""
    extension: str
    """Of the landed file; it tells nothing of the content, but people look at it."""
    fetch: Callable[[Question], Answer | None]
    """Ask the publisher; None when it says that nothing changed."""
    read: Callable[[Reading], None]
    """Read a landed file into the tables `raw_<table>`."""
    reading: tuple[Path, ...]
    """Every file that decides how it is read: code, mappings, registers."""
    mappings: tuple[Mapping, ...] = ()
    """Layouts that its files may have, those of the user first."""

    @property
    def dataset(self) -> str:
        """`source/dataset`."""
        return self.contract.dataset

    @property
    def is_mapped(self) -> bool:
        """Whether mappings describe it in full, and no code is its own."""
        return self.dataset not in _CODED


@dataclass(frozen=True)
class ConcessionFacts:
    """What the mappings of a concession's datasets say of it; days as in `mapping.Concession`."""

    concession: str
    name: str
    requests_from: date | None
    requests_until: date | None


@lru_cache(maxsize=16)
def registry(home: Path) -> dict[str, Source]:
    """Every dataset there is, by `source/dataset`; `home`/mappings holds the user's own mappings.

    Raises:
        SettingsError: when a mapping is wrong, or for a contract that does not exist.
    """
    layouts = (*_mappings_in(home / "mappings"), *own_mappings())
    _check_names(layouts)
    mapped = _by_dataset(layouts)
    sources = [_coded(name, mapped.pop(name, ())) for name in _CODED]
    sources += [_mapped(layouts) for layouts in mapped.values()]
    sources += _of_parties(home, {source.dataset for source in sources})
    return {source.dataset: source for source in sorted(sources, key=lambda one: one.dataset)}


def lacking_to_ask(settings: Settings, source: Source) -> str | None:
    """The environment variable that must be set before its publisher can be asked; None if none."""
    if source.is_mapped:
        variable, value = url_variable(source.dataset), settings.url_of(source.dataset)
    elif source.contract.source in _NEEDED:
        name = _NEEDED[source.contract.source]
        variable, value = f"GORAL_{name.upper()}", getattr(settings, name)
    else:
        return None
    return None if value else variable


def source_of_mapping(path: Path) -> Source:
    """The dataset of a mapping as that one alone describes it, wherever it lies.

    Raises:
        SettingsError: when the mapping is wrong, or for a contract that does not exist.
    """
    layout = mapping.load(path)
    if layout.dataset in _CODED:
        return _coded(layout.dataset, (layout,))
    return _mapped((layout,))


def check_beside(home: Path, path: Path) -> None:
    """Check that a mapping agrees with the other layouts of its dataset, as it would if installed.

    Raises:
        SettingsError: naming what contradicts.
    """
    layout = mapping.load(path)
    others = (*_mappings_in(home / "mappings"), *own_mappings())
    # In the place of one of its name: that is how a layout is changed.
    beside = [other for other in others if other.path.name != layout.path.name]
    _check_names((layout, *beside))
    same = [other for other in beside if other.dataset == layout.dataset]
    _by_dataset((layout, *same))
    _period_of((layout, *same))


def contracts(home: Path) -> dict[str, Contract]:
    """The contract of each dataset."""
    return {dataset: source.contract for dataset, source in registry(home).items()}


def concessions(home: Path) -> list[ConcessionFacts]:
    """What is known of each concession that has a dataset of requests."""
    facts = []
    for source in registry(home).values():
        if source.contract.id != "concession.requests":
            continue
        period = _period_of(source.mappings)
        facts.append(
            ConcessionFacts(
                concession=source.contract.source,
                name=_name_of(home, source.contract.source),
                requests_from=period[0] if period else None,
                requests_until=period[1] if period else None,
            )
        )
    return facts


def _period_of(layouts: Iterable[Mapping]) -> tuple[date | None, date | None] | None:
    """First and end day of a concession, by those of a dataset's layouts that speak of it.

    Raises:
        SettingsError: when two of them say otherwise.
    """
    told = [layout for layout in layouts if layout.concession]
    periods = [(one.concession.first_day, one.concession.end_day) for one in told if one.concession]
    for layout, period in zip(told, periods, strict=True):
        if period != periods[0]:
            raise SettingsError(
                f"mapping {layout.path.name}: concession.from and until are others than in "
                f"{told[0].path.name}; every layout of a dataset says the same"
            )
    return periods[0] if periods else None


Fetch = Callable[..., Answer | None]
Read = Callable[..., None]
Code = tuple[ModuleType, ...]
"""The modules that decide how a file is read."""

# Datasets whose publishers are asked, or whose files are read, by code of their own.
_CODED: dict[str, tuple[str, Fetch, Read, Code]] = {
    "ndw_dotnl/locations": (
        ".json.gz",
        ndw_dotnl.fetch_locations,
        ndw_dotnl.read_locations,
        (ndw_dotnl, locations, postal_code),
    ),
    "ndw_dotnl/tariffs": (
        ".json.gz",
        ndw_dotnl.fetch_tariffs,
        ndw_dotnl.read_tariffs,
        (ndw_dotnl, tariffs),
    ),
    "pdok/municipality_boundaries": (
        ".ndjson",
        pdok.fetch_municipality_boundaries,
        pdok.read_municipality_boundaries,
        (pdok,),
    ),
    "rvo/charge_point_counts": (
        ".ndjson",
        rvo.fetch_charge_point_counts,
        rvo.read_charge_point_counts,
        (rvo,),
    ),
    "rvo/vehicles": (".ndjson", rvo.fetch_vehicles, rvo.read_vehicles, (rvo,)),
    "rvo/inhabitants": (".ndjson", rvo.fetch_inhabitants, rvo.read_inhabitants, (rvo,)),
}

# A list delivered by hand is made legible before it is read.
_LANDED: Code = (landed, envelope)

# What a party can be asked for, and the contract of its form.
_OF_A_PARTY: dict[party.Dataset, tuple[str, Fetch, Read, Code]] = {
    "locations": (
        "ocpi/locations",
        fetch.fetch_snapshot,
        locations.read_locations,
        (locations, *_LANDED, postal_code),
    ),
    "tariffs": ("ocpi/tariffs", fetch.fetch_snapshot, tariffs.read_tariffs, (tariffs, *_LANDED)),
    "sessions": (
        "concession/sessions",
        fetch.fetch_changed,
        cdrs.read_cdrs,
        (cdrs, *_LANDED, postal_code),
    ),
}


def _coded(dataset: str, layouts: tuple[Mapping, ...]) -> Source:
    """A dataset with code of its own; its files may come as tables too, where it has mappings."""
    extension, ask, read, code = _CODED[dataset]
    for layout in layouts:
        mapping.check(layout, staged()[dataset])
    return Source(
        contract=staged()[dataset],
        extension=extension,
        fetch=ask,
        read=partial(read, layouts=layouts) if layouts else read,
        reading=(*_files(code), *(tabular.reading(layouts) if layouts else ())),
        mappings=layouts,
    )


def _mapped(layouts: tuple[Mapping, ...]) -> Source:
    """A dataset that mappings describe in full."""
    (first, *_) = layouts
    contract = _contract_of(first)
    for layout in layouts:
        mapping.check(layout, contract)
    _period_of(layouts)
    return Source(
        contract=contract,
        extension=f".{first.layout.type}",
        fetch=partial(tabular.fetch, first.dataset),
        read=partial(tabular.read, layouts=layouts),
        reading=tabular.reading(layouts),
        mappings=layouts,
    )


def _of_parties(home: Path, taken: Iterable[str]) -> list[Source]:
    """The datasets of OCPI servers; the user's description of one goes before the project's.

    Raises:
        SettingsError: when a description is wrong, or a dataset has two, or a mapping.
    """
    found: dict[str, Source] = {}
    for path, one in party.parties_in(home / "parties"):
        if one.source in _RESERVED:
            raise SettingsError(
                f"party {path.name}: {one.source!r} has a meaning of its own in the figures; give "
                "the concession another name in `source`"
            )
        for dataset in one.datasets:
            source = _of_party(path, one, dataset)
            if source.dataset in found or source.dataset in taken:
                raise SettingsError(
                    f"party {path.name}: {source.dataset} is described by another file too, a "
                    "party or a mapping; keep one"
                )
            found[source.dataset] = source
    own = [_of_party(path, one, name) for path, one in party.own_parties() for name in one.datasets]
    not_own = [source for source in own if source.dataset not in found]
    return [*found.values(), *(source for source in not_own if source.dataset not in taken)]


def _of_party(path: Path, one: Party, dataset: party.Dataset) -> Source:
    """A dataset that is asked of an OCPI server."""
    form, ask, read, code = _OF_A_PARTY[dataset]
    contract = staged()[form]
    return Source(
        contract=contract.of_dataset(f"{one.source}/{dataset}", one.first_month),
        extension=".ndjson",
        fetch=partial(ask, one, dataset),
        read=partial(read, party=one),
        reading=(path, contract.schema_path, *_files(code)),
    )


def _files(code: Code) -> tuple[Path, ...]:
    return tuple(Path(str(module.__file__)) for module in code)


def _contract_of(layout: Mapping) -> Contract:
    by_id = {contract.id: contract for contract in staged().values()}
    if layout.contract not in by_id:
        raise SettingsError(
            f"mapping {layout.path.name}: there is no contract {layout.contract!r}; there are "
            f"{', '.join(sorted(by_id))}"
        )
    contract = by_id[layout.contract]
    if not contract.is_per_concession:
        if contract.dataset != layout.dataset:
            raise SettingsError(
                f"mapping {layout.path.name}: contract {contract.id} is that of the dataset "
                f"{contract.dataset}, not of {layout.dataset}"
            )
        return contract
    if layout.source in _RESERVED:
        raise SettingsError(
            f"mapping {layout.path.name}: {layout.source!r} has a meaning of its own in the "
            "figures; give the concession another name in `dataset`"
        )
    first_day = layout.concession.first_day if layout.concession else None
    return contract.of_dataset(layout.dataset, first_day.strftime("%Y-%m") if first_day else None)


_RESERVED = frozenset(
    {"ndw_dotnl", "rvo", "pdok", "elaadnl", "ocpi", "derived", "ledger", "mappings"}
    | {"nal_oost", "gelderland_overijssel"}
)
"""Sources and areas that figures are told apart by; no concession can have their names."""


@cache
def own_mappings() -> list[Mapping]:
    """The mappings that come with the project; read once."""
    return _mappings_in(MAPPINGS)


def _mappings_in(folder: Path) -> list[Mapping]:
    return [mapping.load(path) for path in sorted(folder.glob("*.yaml"))]


def _by_dataset(layouts: Iterable[Mapping]) -> dict[str, tuple[Mapping, ...]]:
    grouped: dict[str, tuple[Mapping, ...]] = {}
    for layout in layouts:
        grouped[layout.dataset] = (*grouped.get(layout.dataset, ()), layout)
    for dataset, (first, *others) in grouped.items():
        for other in others:
            if other.contract != first.contract:
                raise SettingsError(
                    f"mapping {other.path.name}: {dataset} has the contract {first.contract} in "
                    f"{first.path.name} and {other.contract} here"
                )
    return grouped


def _check_names(layouts: Iterable[Mapping]) -> None:
    """Refuse one name for two concessions: in the figures they could not be told apart."""
    named: dict[str, Mapping] = {}
    for layout in layouts:
        if layout.concession and layout.concession.name:
            other = named.setdefault(layout.concession.name, layout)
            if other.source != layout.source:
                raise SettingsError(
                    f"mapping {layout.path.name}: {other.source} is named "
                    f"{layout.concession.name!r} too, by {other.path.name}; give each concession "
                    "a name of its own"
                )


def _name_of(home: Path, concession: str) -> str:
    """Name of a concession: what a mapping of any of its datasets says, else its id."""
    for source in registry(home).values():
        for layout in source.mappings:
            if layout.source == concession and layout.concession and layout.concession.name:
                return layout.concession.name
    return concession
