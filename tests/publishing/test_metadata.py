"""The descriptions of a drop: that they are whole, of their standards, and say what is in it."""

import json
from dataclasses import fields, replace
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pyarrow.parquet as pq
import pytest

from goral_pipeline.contracts import Contract, Table, cdr, published
from goral_pipeline.publishing import generate, manifest, metadata
from goral_pipeline.publishing.manifest import DEMO_NOTICE, DataFile
from goral_pipeline.publishing.metadata import Release
from goral_pipeline.publishing.metadata.datapackage import foreign_keys
from goral_pipeline.publishing.metadata.schema import manifest_schema
from goral_pipeline.publishing.products import KPI
from tests.conftest import REPOSITORY, Demo

SHAPES = Path(__file__).parent / "shapes" / "dcat_ap_nl.ttl"
TABLES = KPI.tables()
# Enough to break a rule of the profile in; reading all of them takes seconds.
FEW = [(c, t) for c, t in TABLES if c.dataset in ("dim_municipality", "mart_coverage")]
# rdflib reads JSON-LD with what it has itself deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rdflib")
EVERY_TABLE = [
    (contract, table)
    for contract in (*published().values(), *cdr().values())
    for table in contract.tables
]


def _name(value: object) -> str | None:
    return value.name if isinstance(value, Table) else None


def _file(dataset: str, path: str, months: list[str]) -> DataFile:
    made = {
        "path": path,
        "dataset": dataset,
        "rows": 3,
        "bytes": 1234,
        "sha256": "ab" * 32,
        "schema_fingerprint": "0123456789abcdef",
        "content_hash": "cd" * 32,
        "months": months,
    }
    # What else a later format tells of a file is not described.
    return DataFile(**{f.name: made.get(f.name, []) for f in fields(DataFile)})


def _release(**changes: Any) -> Release:
    files = [
        _file(
            contract.dataset,
            f"{contract.dataset}/{table.name}.parquet",
            ["2022-01", "2022-02"] if "month" in [c.name for c in table.columns] else [],
        )
        for contract, table in TABLES
    ]
    release = Release(
        drop="2022-02-0123456789ab",
        product="kpi",
        status="provisional",
        demo=False,
        notice="",
        code_version="0.1.0",
        data=tuple(files),
    )
    return replace(release, **changes)


def _described(tables: list[tuple[Contract, Table]] = TABLES, **changes: Any) -> dict[str, bytes]:
    return metadata.describe(tables, _release(**changes))


# ── all of them ──────────────────────────────────────────────────────────────────────────────────


def test_the_same_release_is_described_by_the_same_bytes() -> None:
    assert _described() == _described()


def test_a_drop_holds_just_what_is_described(demo: Demo) -> None:
    read = manifest.parse((demo.release / manifest.MANIFEST).read_bytes())
    release = Release(
        drop=read.drop,
        product="kpi",
        status=read.status,
        demo=read.demo,
        notice=read.notice,
        code_version=read.code_version,
        data=tuple(read.data),
    )
    described = metadata.describe(TABLES, release)
    assert {file.path for file in read.other} == {*described, "changes.json", "changes.md"}
    for name, content in described.items():
        assert (demo.release / name).read_bytes() == content, name


def test_every_description_of_a_demo_says_that_it_is_one() -> None:
    told = _described(demo=True, status="demo", notice=DEMO_NOTICE)
    package, catalogue = json.loads(told["datapackage.json"]), json.loads(told["dcat.jsonld"])
    assert package["description"].startswith(DEMO_NOTICE)
    for described in (catalogue, *catalogue["dcat:dataset"]):
        english, dutch = (text["@value"] for text in described["dct:description"])
        assert english.startswith(DEMO_NOTICE)
        assert dutch.startswith("DEMO: alle cijfers in deze levering berusten op verzonnen")
    assert b"DEMO" not in b"".join(_described().values())


# ── Data Package ─────────────────────────────────────────────────────────────────────────────────


def _package(**changes: Any) -> dict[str, Any]:
    package: dict[str, Any] = json.loads(_described(**changes)["datapackage.json"])
    return package


def test_fields_of_the_data_package_are_those_of_the_files(demo: Demo) -> None:
    kinds = {
        "string": "string",
        "int32": "integer",
        "int64": "integer",
        "bool": "boolean",
        "date32[day]": "date",
        "timestamp[us, tz=UTC]": "datetime",
    }
    package = json.loads((demo.release / "datapackage.json").read_bytes())
    assert len(package["resources"]) == len(TABLES)
    for resource in package["resources"]:
        schema = pq.read_schema(demo.release / resource["path"])
        assert [(field["name"], field["type"]) for field in resource["schema"]["fields"]] == [
            (field.name, kinds.get(str(field.type), "number")) for field in schema
        ]
        for told, field in zip(resource["schema"]["fields"], schema, strict=True):
            assert told.get("constraints", {}).get("required", False) != field.nullable
            assert told.get("unit", "").encode() == field.metadata.get(b"unit", b"")


def test_values_keep_to_the_keys_that_the_data_package_tells(demo: Demo) -> None:
    package = json.loads((demo.release / "datapackage.json").read_bytes())
    tables = {resource["name"]: resource for resource in package["resources"]}
    keys = 0
    with duckdb.connect() as con:
        for name, resource in tables.items():
            path = demo.release / resource["path"]
            con.execute(f"create view {name} as from read_parquet('{path}')")
        for name, resource in tables.items():
            key = ", ".join(resource["schema"]["primaryKey"])
            assert con.execute(
                f"select count(*) = count(distinct ({key})) from {name}"
            ).fetchone() == (True,), name
            for foreign in resource["schema"].get("foreignKeys", []):
                (column,), reference = foreign["fields"], foreign["reference"]
                (to,) = reference["fields"]
                lost = con.execute(
                    f"select distinct {column} from {name} where {column} is not null and "
                    f"{column} not in (select {to} from {reference['resource']})"
                ).fetchall()
                assert not lost, f"{name}.{column}"
                keys += 1
    assert keys > 5


def test_a_dimension_does_not_refer_to_itself() -> None:
    (table,) = published()["dim_month"].tables
    assert foreign_keys(table, TABLES) == {}


def test_a_dataset_in_several_files_has_a_resource_and_a_distribution_for_each() -> None:
    paths = [f"mart_coverage/month=2022-0{month}/part.parquet" for month in (1, 2)]
    told = _described(data=tuple(_file("mart_coverage", path, []) for path in paths))
    package, catalogue = json.loads(told["datapackage.json"]), json.loads(told["dcat.jsonld"])
    assert [(one["name"], one["path"]) for one in package["resources"]] == [
        ("mart_coverage.month=2022-01.part", paths[0]),
        ("mart_coverage.month=2022-02.part", paths[1]),
    ]
    (dataset,) = [d for d in catalogue["dcat:dataset"] if d["@id"].endswith(":mart_coverage")]
    assert [d["dcat:downloadURL"]["@id"] for d in dataset["dcat:distribution"]] == paths


@pytest.fixture(scope="module")
def profile() -> Any:
    """The standard's own JSON Schema of a data package, which its makers' library brings along."""
    # Not by the library itself: it asks datapackage.org, though the file lies in it.
    path = resources.files("dplib") / "profiles" / "2.0" / "datapackage.json"
    return json.loads(path.read_text(encoding="utf-8"))


def _faults(package: dict[str, Any], profile: dict[str, Any]) -> list[str]:
    validator = jsonschema.validators.validator_for(profile)(profile)
    return [error.message for error in validator.iter_errors(package)]


def test_the_data_package_keeps_to_the_standard(demo: Demo, profile: dict[str, Any]) -> None:
    package = json.loads((demo.release / "datapackage.json").read_bytes())
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert _faults(package, profile) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda said: said.pop("resources"),
        lambda said: said["resources"][0].pop("name"),
        lambda said: said["resources"][0].update(path="/etc/passwd"),
        lambda said: said["resources"][0]["schema"]["fields"][0].update(type="varchar"),
        lambda said: said["licenses"][0].pop("name"),
    ],
)
def test_a_data_package_that_does_not_is_told(damage: Any, profile: dict[str, Any]) -> None:
    package = _package()
    assert _faults(package, profile) == []
    damage(package)
    assert _faults(package, profile)


# ── DCAT-AP-NL ───────────────────────────────────────────────────────────────────────────────────


def _graph(content: bytes) -> Any:
    from rdflib import Graph

    return Graph().parse(data=content, format="json-ld", publicID="https://drops.invalid/drop/")


def _violations(graph: Any) -> list[str]:
    """The paths that break a shape."""
    import pyshacl
    from rdflib import SH

    _, report, _ = pyshacl.validate(graph, shacl_graph=str(SHAPES), shacl_graph_format="turtle")
    return sorted(str(path) for path in report.objects(predicate=SH.resultPath))


def test_the_catalogue_keeps_to_the_profile(demo: Demo) -> None:
    assert _violations(_graph((demo.release / "dcat.jsonld").read_bytes())) == []


@pytest.mark.parametrize(("product", "status"), [("kpi", "final"), ("cdr", "provisional")])
def test_so_does_that_of_another_product_or_status(product: str, status: str) -> None:
    assert _violations(_graph(_described(FEW, product=product, status=status)["dcat.jsonld"])) == []


MANDATORY = (
    "dcat:accessURL",
    "dcat:contactPoint",
    "dcat:dataset",
    "dcat:theme",
    "dct:accessRights",
    "dct:creator",
    "dct:description",
    "dct:identifier",
    "dct:license",
    "dct:publisher",
    "dct:title",
    "foaf:name",
    "skos:prefLabel",
    "spdx:algorithm",
    "spdx:checksumValue",
)


@pytest.mark.parametrize("prefixed", MANDATORY)
def test_what_the_profile_asks_for_cannot_be_left_out(prefixed: str) -> None:
    described = _described(FEW)["dcat.jsonld"]
    prefix, name = prefixed.split(":")
    path = json.loads(described)["@context"][prefix] + name
    assert path in _violations(_graph(described.replace(f'"{prefixed}"'.encode(), b'"dct:other"')))


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        (b"access-right/RESTRICTED", b"access-right/SECRET", "accessRights"),
        (b"data-theme/ENER", b"data-theme/energy", "theme"),
        (b'"@type": "foaf:Agent"', b'"@type": "foaf:Person"', "publisher"),
        (b'"@type": "xsd:hexBinary"', b'"@type": "xsd:string"', "checksumValue"),
        (b'"@type": "xsd:nonNegativeInteger"', b'"@type": "xsd:integer"', "byteSize"),
        (b'"@type": "xsd:date"', b'"@type": "xsd:string"', "startDate"),
        (b'"@language": "nl"', b'"@language": "en"', "title"),
    ],
)
def test_nor_can_it_be_of_another_kind(right: bytes, wrong: bytes, path: str) -> None:
    described = _described(FEW)["dcat.jsonld"]
    assert right in described
    broken = _violations(_graph(described.replace(right, wrong)))
    assert any(one.endswith((f"/{path}", f"#{path}")) for one in broken)


def test_addresses_in_the_catalogue_follow_where_the_drop_lies() -> None:
    from rdflib import DCAT

    found = {
        str(url) for url in _graph(_described(FEW)["dcat.jsonld"]).objects(None, DCAT.downloadURL)
    }
    assert found == {
        f"https://drops.invalid/drop/{contract.dataset}/{table.name}.parquet"
        for contract, table in FEW
    }


def test_the_catalogue_tells_checksums_and_the_months_covered() -> None:
    from rdflib import DCAT, URIRef

    graph = _graph(_described(FEW)["dcat.jsonld"])
    values = graph.objects(None, URIRef("http://spdx.org/rdf/terms#checksumValue"))
    assert {value.toPython().hex() for value in values} == {"ab" * 32}
    assert {str(date) for date in graph.objects(None, DCAT.startDate)} == {"2022-01-01"}
    assert {str(date) for date in graph.objects(None, DCAT.endDate)} == {"2022-02-28"}


# ── dictionary ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("contract", "table"), EVERY_TABLE, ids=_name)
def test_everything_published_is_described_in_dutch(contract: Contract, table: Table) -> None:
    assert min(len(contract.name_nl), len(contract.purpose_nl), len(table.description_nl)) > 5
    assert bool(contract.limitations_nl) == ("limitations" in contract.description)
    lacking = [column.name for column in table.columns if len(column.description_nl) <= 5]
    assert not lacking, "describe these in Dutch: customProperties, description_nl"
    copied = [
        column.name for column in table.columns if column.description_nl == column.description
    ]
    assert not copied


@pytest.mark.parametrize("language", ["en", "nl"])
def test_a_dictionary_holds_every_column_of_what_is_published_and_no_other(language: str) -> None:
    text = _described()[f"dictionary.{language}.md"].decode()
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n## ")[1:]}
    assert list(sections) == [contract.dataset for contract, _ in TABLES]
    for contract, table in TABLES:
        section = sections[contract.dataset]
        for column in table.columns:
            (row,) = [r for r in section.splitlines() if r.startswith(f"| `{column.name}` |")]
            meaning = column.description if language == "en" else column.description_nl
            assert meaning in row.replace("\\|", "|")
            assert all(f"`{code}`" in row for code in column.codes)


# ── schema of the manifest ───────────────────────────────────────────────────────────────────────


def _validate(content: dict[str, Any]) -> None:
    schema = json.loads(manifest_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(content)


def _manifest(demo: Demo) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((demo.release / manifest.MANIFEST).read_bytes())
    return content


def test_the_manifest_of_a_drop_keeps_to_the_schema_beside_it(demo: Demo) -> None:
    assert (demo.release / "manifest.schema.json").read_bytes() == manifest_schema()
    _validate(_manifest(demo))


@pytest.mark.parametrize(
    "damage",
    [
        lambda said: said.pop("notice"),
        lambda said: said.update(format=manifest.FORMAT + 1),
        lambda said: said.update(unknown=1),
        lambda said: said.update(lock_sha256="none"),
        lambda said: said["data"][0].pop("rows"),
        lambda said: said["data"][0].update(rows=-1),
        lambda said: said["data"][0].update(bytes="12"),
        lambda said: said["data"][0].update(sha256="AB" * 32),
        lambda said: said["other"][0].update(extra=True),
    ],
)
def test_a_damaged_manifest_does_not(demo: Demo, damage: Any) -> None:
    content = _manifest(demo)
    damage(content)
    with pytest.raises(jsonschema.ValidationError):
        _validate(content)


@pytest.mark.parametrize("path", generate.generated(), ids=lambda path: path.name)
def test_generated_files_are_what_the_classes_give_now(path: Path) -> None:
    assert path.read_text() == generate.generated()[path], "run `make generate` and commit it"


def test_the_generated_schema_lies_where_the_reference_says() -> None:
    page = REPOSITORY / "docs" / "reference" / "drop.md"
    assert "(manifest.schema.json)" in page.read_text()
    assert [path.parent for path in generate.generated()] == [page.parent]
