"""What is wrong with a mapping is said with the file, the key and what was expected."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from goral_pipeline.errors import SettingsError
from goral_pipeline.sources import MAPPINGS, concessions, mapping, registry
from tests.sources.exports import COLUMNS, contract_of, layout

GOOD: dict[str, Any] = {
    "dataset": "third/requests",
    "contract": "concession.requests",
    "file": {"type": "csv"},
    "columns": COLUMNS,
}


def _loaded(path: Path) -> mapping.Mapping:
    made = mapping.load(path)
    mapping.check(made, contract_of(made))
    return made


def _problem(folder: Path, content: dict[str, Any]) -> str:
    path = folder / "third.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(SettingsError) as problem:
        _loaded(path)
    assert str(problem.value).startswith("mapping third.yaml: ")
    return str(problem.value)


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_mappings_that_come_along_are_whole(path: Path) -> None:
    assert _loaded(path).path == path


def test_what_is_not_said_is_as_it_usually_is() -> None:
    made = layout(date_formats=None, timestamp_formats=None)
    assert made.layout == mapping.Layout("csv", (1,), None, ("utf-8",), ";", '"')
    assert (made.time_zone, made.decimal, made.thousands) == ("Europe/Amsterdam", ".", "")
    assert made.date_formats == made.timestamp_formats == ()


def _column(**entry: Any) -> dict[str, Any]:
    return {"columns": COLUMNS | {"rejected_on": entry}}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"colums": {}}, "unknown colums; known are"),
    "dataset": ({"dataset": "Third"}, "not of the form source/dataset"),
    "no dataset": ({"dataset": None}, "dataset is missing"),
    "file type": ({"file": {"type": "ods"}}, "file.type is 'ods', expected xlsx or csv"),
    "no file": ({"file": None}, "file is no table of keys and values"),
    "key of file": ({"file": {"type": "csv", "row": 1}}, "unknown row"),
    "header row": ({"file": {"type": "csv", "header_row": 0}}, "file.header_row is the number"),
    "header rows": ({"file": {"type": "csv", "header_row": []}}, "file.header_row is the number"),
    "encoding": ({"file": {"type": "csv", "encoding": "utf-9"}}, "'utf-9' is none that Python"),
    "separator": ({"file": {"type": "csv", "separator": ";;"}}, "separator is ';;', expected one"),
    "no separator": ({"file": {"type": "csv", "separator": ""}}, "separator is '', expected one"),
    "quote": ({"file": {"type": "csv", "quote": "''"}}, "expected one character"),
    "time zone": ({"time_zone": "Europe/Amsterdm"}, "time_zone 'Europe/Amsterdm' is no zone"),
    "date format": ({"date_formats": ["%d-%q-%Y"]}, "date_formats: '%d-%q-%Y' is no format"),
    "moment format": ({"timestamp_formats": ["dd-mm"]}, "timestamp_formats: 'dd-mm' is no format"),
    "decimal": ({"decimal": ",,"}, "decimal is ',,', expected one character"),
    "thousands": ({"thousands": "..."}, "thousands is '...', expected one character"),
    "one sign": ({"decimal": ",", "thousands": ","}, "decimal and thousands are both ','"),
    "sign of the default": ({"thousands": "."}, "decimal and thousands are both '.'"),
    "columns": ({"columns": []}, "columns is no table of keys and values"),
    "column": ({"columns": {"request_id": "Nummer"}}, "columns.request_id is no table"),
    "no origin": (_column(optional=True), "columns.rejected_on needs one of headers, constant"),
    "two origins": (_column(headers=["A"], constant="b"), "needs one of headers, constant"),
    "key of column": (_column(header=["A"]), "unknown header in columns.rejected_on"),
    "headers": (_column(headers=[["A"]]), "headers is no list of texts"),
    "from": (_column(**{"from": "file"}), "columns.rejected_on.from can only be partition"),
    "register": (_column(headers=["A"], register="x"), "register can only be municipality_names"),
    "codes": (_column(headers=["A"], codes=["x"]), "columns.rejected_on.codes is no table"),
    "pattern": (
        _column(derive={"from": "request_id", "pattern": "(", "to": ""}),
        "derive.pattern is no regular expression",
    ),
    "look-around": (
        _column(derive={"from": "request_id", "pattern": "a(?=b)", "to": ""}),
        "looks around or back, which RE2 cannot",
    ),
    "derive": (_column(derive={"from": "request_id"}), "pattern is missing"),
    "derived from nothing": (
        _column(derive={"from": "phone", "pattern": "a", "to": ""}),
        "columns.rejected_on is made of phone, which is no column with headers",
    ),
    "latest of nothing": (
        _column(latest_of=["requested_on", "approved_on"]),
        "columns.rejected_on is made of approved_on",
    ),
    "skip rows": ({"skip_rows": [{"header": "Nummer"}]}, "matches is missing"),
    "skip pattern": ({"skip_rows": [{"header": "N", "matches": "["}]}, "no regular expression"),
    "skip list": ({"skip_rows": {"header": "N"}}, "skip_rows is no list"),
    "unpivot set": ({"unpivot": [{"in": "L"}]}, "unpivot.set is no table"),
    "unpivot without place": (
        {"unpivot": [{"in": "L", "set": {"occasion": "proactive"}}]},
        "unpivot needs a header with {in}",
    ),
    "place without unpivot": (_column(headers=["A {in}"]), "but there is no unpivot"),
    "unpivot code": (
        _column(headers=["A {in}"])
        | {"unpivot": [{"in": "L", "set": {"rejection_reason": "far"}}]},
        "unpivot sets rejection_reason to 'far', expected one of",
    ),
    "unpivot of a column": (
        _column(headers=["A {in}"]) | {"unpivot": [{"in": "L", "set": {"occasion": "proactive"}}]},
        "columns.occasion is given twice",
    ),
    "unpivot of no column": (
        _column(headers=["A {in}"]) | {"unpivot": [{"in": "L", "set": {"colour": "red"}}]},
        "columns.colour: requests has no such column",
    ),
    "first day": ({"concession": {"from": "soon"}}, "concession.from is no date"),
    "name": ({"concession": {"name": ["a"]}}, "concession.name is no text"),
    "blank name": ({"concession": {"name": " "}}, "concession.name is no text"),
    "municipalities": ({"concession": {"municipalities": ["Ede"]}}, "`all` or a list of codes"),
    "key of concession": ({"concession": {"region": 1}}, "unknown region in concession"),
    "child table": ({"children": {"poles": {}}}, "children.poles: contract concession.requests"),
    "child column": (
        {"children": {"poles": {"evse_id": {"constant": "x"}}}},
        "children.poles.evse_id can only have headers, separator and optional",
    ),
    "column of another contract": (
        {"columns": COLUMNS | {"colour": {"headers": ["Kleur"]}}},
        "columns.colour: requests has no such column; it has request_id",
    ),
    "required column": (
        {"columns": {k: v for k, v in COLUMNS.items() if k != "last_updated"}},
        "columns.last_updated is missing; requests requires it",
    ),
    "code of the contract": (
        {"columns": COLUMNS | {"occasion": {"headers": ["A"], "codes": {"x": "sometimes"}}}},
        "columns.occasion: 'sometimes' is no code of it; there are demand_driven",
    ),
    "constant of the contract": (
        {"columns": COLUMNS | {"occasion": {"constant": "never"}}},
        "columns.occasion: 'never' is no code of it",
    ),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_mapping_is_said(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    content = {key: value for key, value in (GOOD | change).items() if value is not None}
    assert words in _problem(tmp_path, content)


def test_a_child_column_is_checked_against_the_contract(tmp_path: Path) -> None:
    columns = {
        "placement_id": {"headers": ["Paal"]},
        "municipality_code": {"headers": ["Gemeente"]},
        "occasion": {"constant": "proactive"},
        "charge_points": {"headers": ["Aantal"]},
        "last_updated": {"headers": ["Gewijzigd"]},
    }
    content = GOOD | {
        "dataset": "third/placements",
        "contract": "concession.placements",
        "columns": columns,
        "children": {"charge_points": {"colour": {"headers": ["Kleur"]}}},
    }
    assert "children.charge_points.colour: charge_points has no such column" in _problem(
        tmp_path, content
    )
    content["children"] = {"charge_points": {"placement_id": {"headers": ["Paal"]}}}
    assert "children.charge_points.placement_id is given twice" in _problem(tmp_path, content)


def test_unpivoted_rows_have_no_child_rows(tmp_path: Path) -> None:
    content = GOOD | {
        "columns": COLUMNS | {"rejected_on": {"headers": ["A {in}"]}},
        "unpivot": [{"in": "L", "set": {"rejection_reason": "own_parking_place"}}],
        "children": {"poles": {"evse_id": {"headers": ["EVSE"]}}},
    }
    assert "unpivot and children cannot be combined" in _problem(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: &x [1]\nb: *x", "has YAML aliases"),
        (b"concession: {from: 2022-13-45}", "has a value that YAML cannot read"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "has a value that YAML cannot read"),
        (b"a: [", "is no YAML in line 1"),
        (b"\xff", "is no YAML"),
        (b"- a", "no table of keys"),
    ],
)
def test_a_file_that_is_no_mapping_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "third.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"mapping third.yaml.* {words}"):
        mapping.load(path)
    with pytest.raises(SettingsError, match=r"other\.yaml cannot be read: No such file"):
        mapping.load(tmp_path / "other.yaml")


def test_two_concessions_cannot_have_one_name(tmp_path: Path) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    named = GOOD | {"concession": {"name": "Achterhoek"}}
    for dataset in ("third/requests", "third/placements_of_old", "fourth/requests"):
        content = yaml.safe_dump(named | {"dataset": dataset})
        (folder / f"{dataset.replace('/', '.')}.yaml").write_text(content)
    with pytest.raises(SettingsError, match="fourth is named 'Achterhoek' too, by fourth"):
        registry(tmp_path)
    (folder / "fourth.requests.yaml").unlink()
    registry.cache_clear()
    assert "third/requests" in registry(tmp_path)


def test_the_layouts_of_a_dataset_say_the_same_of_its_concession(tmp_path: Path) -> None:
    folder = tmp_path / "mappings"
    folder.mkdir()
    for name, concession in (
        ("a", {"from": date(2023, 1, 1)}),
        ("b", None),
        ("c", {"from": date(2024, 1, 1)}),
    ):
        layout_of = GOOD | ({"concession": concession} if concession else {})
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(layout_of))
    with pytest.raises(
        SettingsError, match=r"mapping c\.yaml: concession\.from and until are others"
    ):
        registry(tmp_path)
    registry.cache_clear()
    (folder / "c.yaml").unlink()
    (facts,) = (one for one in concessions(tmp_path) if one.concession == "third")
    assert facts.requests_from == date(2023, 1, 1), "one that says nothing takes nothing away"


@pytest.mark.parametrize("source", ["ndw_dotnl", "rvo", "nal_oost"])
def test_a_concession_cannot_have_a_name_that_figures_have_already(
    source: str, tmp_path: Path
) -> None:
    (tmp_path / "mappings").mkdir()
    taken = yaml.safe_dump(GOOD | {"dataset": f"{source}/requests"})
    (tmp_path / "mappings" / "a.yaml").write_text(taken)
    with pytest.raises(SettingsError, match=f"'{source}' has a meaning of its own"):
        registry(tmp_path)
