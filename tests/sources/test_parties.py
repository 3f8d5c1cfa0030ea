"""Descriptions of OCPI servers: whose counts, and what is wrong with one."""

from pathlib import Path

import pytest

from goral_pipeline.errors import SettingsError
from goral_pipeline.sources import registry
from goral_pipeline.sources.ocpi.party import FOLDER, load

OWN = FOLDER / "vattenfall.yaml"


def describe(home: Path, name: str, **changes: str) -> Path:
    values = {"source": "third", "country_code": "NL", "party_id": "ABC"} | changes
    (home / "parties").mkdir(parents=True, exist_ok=True)
    path = home / "parties" / name
    path.write_text("".join(f"{key}: {value}\n" for key, value in values.items()))
    return path


def test_a_description_of_the_user_makes_a_dataset(tmp_path: Path) -> None:
    describe(tmp_path, "third.yaml", first_month="2024-01")
    contract = registry(tmp_path)["third/sessions"].contract
    assert (contract.id, contract.first_partition) == ("concession.sessions", "2024-01")


def test_a_party_is_asked_for_what_its_description_names(tmp_path: Path) -> None:
    describe(
        tmp_path, "third.yaml", datasets="[locations, tariffs, sessions]", first_month="2024-01"
    )
    describe(tmp_path, "fourth.yaml", source="fourth", datasets="[tariffs]")
    sources = registry(tmp_path)
    forms = {
        name: source.contract.id
        for name, source in sources.items()
        if name.startswith(("third/", "fourth/"))
    }
    assert forms == {
        "third/locations": "ocpi.locations",
        "third/tariffs": "ocpi.tariffs",
        "third/sessions": "concession.sessions",
        "fourth/tariffs": "ocpi.tariffs",
    }
    contract = sources["third/locations"].contract
    assert (contract.is_snapshot, contract.partition, contract.cadence) == (True, "month", "daily")
    assert (contract.first_partition, contract.source) == ("2024-01", "third")


def test_all_that_decides_how_a_list_is_read_is_known(tmp_path: Path) -> None:
    own, dot_nl = (registry(tmp_path)[f"{of}/locations"] for of in ("vattenfall", "ndw_dotnl"))
    names = {path.name for path in own.reading}
    assert {"ndw_dotnl.locations.odcs.yaml", "locations.py", "postal_code.py"} <= names
    for dataset in ("locations", "tariffs", "sessions"):
        names = {path.name for path in registry(tmp_path)[f"vattenfall/{dataset}"].reading}
        assert {"vattenfall.yaml", "landed.py", "envelope.py"} <= names
    assert {path.name for path in dot_nl.reading} == {
        *("ndw_dotnl.py", "locations.py", "postal_code.py")
    }


def test_that_of_the_user_goes_before_that_of_the_project(tmp_path: Path) -> None:
    assert registry(tmp_path / "none")["vattenfall/sessions"].reading[0] == OWN
    path = describe(tmp_path, "mine.yaml", source="vattenfall", token="plain")
    assert registry(tmp_path)["vattenfall/sessions"].reading[0] == path
    assert load(path).token == "plain"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"token": "rot13"}, r"party wrong\.yaml: token: Input should be"),
        ({"party_id": "ABCD"}, r"party wrong\.yaml: party_id: "),
        ({"pages": "4"}, r"party wrong\.yaml: pages: Extra inputs"),
        ({"source": "rvo"}, "'rvo' has a meaning of its own"),
        ({"source": "ocpi"}, "'ocpi' has a meaning of its own"),
        ({"datasets": "[tokens]"}, r"party wrong\.yaml: datasets\.0: Input should be"),
        ({"source": "first"}, r"first/sessions is described by another file too"),
    ],
)
def test_what_is_wrong_is_named_with_its_file(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    describe(tmp_path, "first.yaml", source="first")
    describe(tmp_path, "wrong.yaml", **changes)
    with pytest.raises(SettingsError, match=said):
        registry(tmp_path)
