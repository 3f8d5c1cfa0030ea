"""The same delivery staged the same way gives the same bytes; another way gets another name."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from goral_pipeline import parquet
from goral_pipeline.checks import expectations
from goral_pipeline.contracts import model
from goral_pipeline.sources import Source, registry
from goral_pipeline.staging import judge, pseudonym
from goral_pipeline.staging import stage as stage_module
from goral_pipeline.staging.stage import fingerprint
from tests.support_files import (
    BOUNDARIES,
    KEY,
    LOCATIONS,
    REQUESTS,
    Row,
    connector,
    evse,
    feature,
    geojson_file,
    location,
    ocpi_file,
    request,
    square,
    stage_file,
    workbook_file,
)


def _write_locations(folder: Path) -> Path:
    rows = [
        location(f"L{place % 190}", publish=True if place % 31 else "?", evses=[evse(), evse()])
        for place in range(200)
    ]
    return ocpi_file(folder / "locations.json.gz", rows)


def _write_requests(folder: Path) -> Path:
    rows = [request(f"R{place % 190}") for place in range(200)]
    rows[7]["Gemeente"] = "Atlantis"
    return workbook_file(folder / "requests.xlsx", rows)


def _write_boundaries(folder: Path) -> Path:
    features = [
        feature(f"GM{1000 + place}", geometry=square(5 + place / 10, 52)) for place in range(9)
    ]
    return geojson_file(folder / "boundaries.ndjson", features)


DELIVERIES: dict[str, Callable[[Path], Path]] = {
    LOCATIONS: _write_locations,
    REQUESTS: _write_requests,
    BOUNDARIES: _write_boundaries,
}


def _bytes_below(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("dataset", DELIVERIES)
def test_staged_twice_in_other_folders_gives_the_same_bytes(dataset: str, tmp_path: Path) -> None:
    file = DELIVERIES[dataset](tmp_path)
    elsewhere = tmp_path / "elsewhere" / f"same{file.name}"
    elsewhere.parent.mkdir()
    shutil.copy(file, elsewhere)
    stage_file(tmp_path / "one", dataset, file)
    stage_file(tmp_path / "two", dataset, elsewhere)
    one, two = _bytes_below(tmp_path / "one"), _bytes_below(tmp_path / "two")
    assert any(name.startswith("staging/") and name.endswith(".parquet") for name in one)
    assert one == two


@pytest.mark.parametrize("dataset", DELIVERIES)
def test_number_of_threads_and_memory_do_not_show_in_the_bytes(
    dataset: str, tmp_path: Path
) -> None:
    file = DELIVERIES[dataset](tmp_path)
    found = []
    for threads, memory in ((1, "1GB"), (2, "300MB"), (4, "2GB")):
        home = tmp_path / str(threads)
        stage_file(home, dataset, file, threads=threads, memory_limit=memory)
        found.append(_bytes_below(home))
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_threads_do_not_show_in_the_bytes_where_rows_are_enough_for_all_of_them(
    tmp_path: Path,
) -> None:
    # DuckDB shares rows out to threads in groups of 122,880.
    plugs = [connector(id=str(place)) for place in range(2)]
    moments = [f"2022-06-{day:02}T00:00:00Z" for day in range(1, 29)]
    rows = [
        location(
            f"L{place % 35_000}",
            last_updated=moments[place % 13],
            publish="?" if place % 50 == 0 else True,
            evses=[evse(uid=str(number), connectors=plugs) for number in range(2)],
        )
        for place in range(41_000)
    ]
    file = ocpi_file(tmp_path / "many.json.gz", rows)
    found = []
    for threads in (1, 4):
        home = tmp_path / str(threads)
        stage_file(home, LOCATIONS, file, threads=threads, memory_limit="2GB")
        found.append(_bytes_below(home))
    assert found[0] == found[1]


def test_staging_what_is_staged_already_reads_nothing_and_says_the_same(tmp_path: Path) -> None:
    file = _write_requests(tmp_path)
    first = stage_file(tmp_path / "home", REQUESTS, file)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "home").rglob("*.parquet")}
    file.unlink()
    second = stage_file(tmp_path / "home", REQUESTS, file)
    assert second.staging == first.staging
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "home").rglob("*.parquet")} == before


def test_another_key_changes_the_pseudonyms_and_nothing_else(tmp_path: Path) -> None:
    file = _write_requests(tmp_path)
    other = KEY[::-1].encode()
    one = stage_file(tmp_path / "one", REQUESTS, file)
    two = stage_file(tmp_path / "two", REQUESTS, file, key=other)

    def split(rows: list[Row]) -> tuple[list[str], list[Row]]:
        return [row.pop("applicant_pseudonym") for row in rows], rows

    (names, rest), (other_names, other_rest) = (
        split(staged_.accepted("requests")) for staged_ in (one, two)
    )
    assert rest == other_rest
    assert len(set(names)) == len(set(other_names)) > 100
    assert set(names).isdisjoint(other_names)
    assert one.quarantine("requests") == two.quarantine("requests") != []
    assert one.staging.key_id == pseudonym.key_id(KEY.encode())
    assert two.staging.key_id == pseudonym.key_id(other)
    assert one.staging.counts == two.staging.counts


# --- fingerprint -----------------------------------------------------------------------------


def _source(dataset: str) -> Source:
    return registry(Path("no home, so no mappings of a user"))[dataset]


def _altered(path: Path, folder: Path) -> Path:
    copy = folder / path.name
    copy.write_bytes(path.read_bytes() + b"\n# altered\n")
    return copy


def test_the_same_way_of_staging_has_the_same_fingerprint() -> None:
    ways = {fingerprint(_source(REQUESTS), KEY.encode()) for _ in range(2)}
    assert len(ways) == 1


def test_each_dataset_and_each_key_has_its_own_fingerprint() -> None:
    ways = [
        fingerprint(_source(REQUESTS), KEY.encode()),
        fingerprint(_source(REQUESTS), KEY[::-1].encode()),
        fingerprint(_source(REQUESTS), None),
        fingerprint(_source("ecotap_allego/requests"), None),
        fingerprint(_source(LOCATIONS), None),
        fingerprint(_source(BOUNDARIES), None),
    ]
    assert len(set(ways)) == len(ways)


@pytest.mark.parametrize("dataset", DELIVERIES)
def test_another_contract_changes_the_fingerprint(dataset: str, tmp_path: Path) -> None:
    source = _source(dataset)
    contract = replace(source.contract, path=_altered(source.contract.path, tmp_path))
    changed = replace(source, contract=contract)
    assert fingerprint(changed, None) != fingerprint(source, None)


def test_another_mapping_or_register_of_names_changes_the_fingerprint(tmp_path: Path) -> None:
    source = _source(REQUESTS)
    ways = [fingerprint(source, None)]
    assert {path.name for path in source.reading} >= {
        "vattenfall.requests.yaml",
        "municipalities.csv",
        "municipality_names.csv",
    }
    for place, path in enumerate(source.reading):
        reading = [*source.reading]
        reading[place] = _altered(path, tmp_path)
        ways.append(fingerprint(replace(source, reading=tuple(reading)), None))
    assert len(set(ways)) == len(ways)


@pytest.mark.parametrize("module", [stage_module, judge, pseudonym, parquet, model, expectations])
def test_other_code_changes_the_fingerprint(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = _source(LOCATIONS)
    before = fingerprint(source, None)
    # It is copied into the folder of its neighbours' names, of which one may count too.
    beside = Path(module.__file__).parent  # type: ignore[attr-defined]
    shutil.copytree(beside, tmp_path / "beside", ignore=shutil.ignore_patterns("__pycache__"))
    altered = _altered(Path(module.__file__), tmp_path / "beside")  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "__file__", str(altered))
    assert fingerprint(source, None) != before


def test_another_reader_changes_the_fingerprint() -> None:
    source = _source(LOCATIONS)
    other = replace(source, reading=_source(BOUNDARIES).reading)
    assert fingerprint(other, None) != fingerprint(source, None)
