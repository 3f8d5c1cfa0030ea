"""Every fault of a drop is found, and each has a message of its own."""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from goral_pipeline.errors import GoralError, VerificationFailed
from goral_pipeline.publishing import manifest, upkeep, verify
from goral_pipeline.publishing.manifest import Manifest
from tests.conftest import Demo, every_file

CHARGE_POINTS = "mart_charge_points/mart_charge_points.parquet"
MUNICIPALITIES = "dim_municipality/dim_municipality.parquet"
KINDS = {
    "data": CHARGE_POINTS,
    "contract": "contracts/mart_charge_points.odcs.yaml",
    "dictionary": "dictionary.en.md",
    "manifest": "manifest.json",
}


def verified(drops: Path, drop: str | None = None, *, deep: bool = False) -> Manifest:
    return upkeep.verified(verify.Folder(drops), drop, deep=deep)


def problems(drops: Path, drop: str | None = None, *, deep: bool = False) -> list[str]:
    """What verification says, by the way that everybody takes."""
    try:
        verified(drops, drop, deep=deep)
    except VerificationFailed as failure:
        return failure.problems
    return []


def release_of(drops: Path) -> Path:
    pointed = json.loads((drops / "latest.json").read_bytes())
    return drops / "releases" / pointed["drop"]


@pytest.fixture
def release(demo_drops: Path) -> Path:
    return release_of(demo_drops)


@contextmanager
def manifest_of(drops: Path) -> Iterator[dict[str, Any]]:
    """Change the manifest, and let the pointer know, so that the change itself is not seen."""
    release = release_of(drops)
    path = release / "manifest.json"
    content = json.loads(path.read_bytes())
    yield content
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    pointer = {"drop": release.name, "manifest_sha256": sha256}
    (drops / "latest.json").write_text(json.dumps(pointer))


def account_for(drops: Path, name: str, **entries: Any) -> None:
    """Write size and hash that a file has now into the manifest: only another fault remains."""
    content = (release_of(drops) / name).read_bytes()
    with manifest_of(drops) as said:
        entry = next(one for one in said["data"] + said["other"] if one["path"] == name)
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        entry |= entries


def rewrite(drops: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the table of a data file, with all hashes of files made good."""
    path = release_of(drops) / name
    table = pq.ParquetFile(path).read()
    pq.write_table(change(table), path, write_page_checksum=True)
    account_for(drops, name)


def with_field(table: pa.Table, name: str, field: pa.Field) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.cast(table.schema.set(place, field))


# ── a drop as it was published ───────────────────────────────────────────────────────────────────


def test_a_drop_as_published_is_right(demo_drops: Path) -> None:
    assert problems(demo_drops) == []
    assert problems(demo_drops, deep=True) == []
    assert verified(demo_drops).drop == release_of(demo_drops).name


def test_a_copy_without_a_pointer_is_verified_by_name(demo_drops: Path, release: Path) -> None:
    (demo_drops / "latest.json").unlink()
    assert problems(demo_drops, release.name, deep=True) == []


# ── files ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte(demo_drops: Path, release: Path, kind: str) -> None:
    path = release / KINDS[kind]
    content = bytearray(path.read_bytes())
    # In the manifest within a hash, so that it can still be read.
    place = content.index(b'"content_hash": "') + 17 if kind == "manifest" else len(content) // 2
    content[place] ^= 1
    path.write_bytes(content)
    expected = (
        f"changed bytes: {release.name}/manifest.json has another SHA-256 than the pointer says"
        if kind == "manifest"
        else f"changed bytes: {KINDS[kind]} has another SHA-256 than the manifest says"
    )
    assert expected in problems(demo_drops)


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_too_many(demo_drops: Path, release: Path, kind: str) -> None:
    path = release / KINDS[kind]
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\n")
    expected = (
        f"changed bytes: {release.name}/manifest.json has another SHA-256 than the pointer says"
        if kind == "manifest"
        else f"changed size: {KINDS[kind]} has {size + 1} bytes, the manifest says {size}"
    )
    assert expected in problems(demo_drops)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file(demo_drops: Path, release: Path, kind: str) -> None:
    (release / KINDS[kind]).unlink()
    name = f"{release.name}/manifest.json" if kind == "manifest" else KINDS[kind]
    assert f"missing file: {name}" in problems(demo_drops)


def test_an_unexpected_file(demo_drops: Path, release: Path) -> None:
    (release / "mart_charge_points" / "old.parquet").write_bytes(b"")
    expected = "unexpected file: mart_charge_points/old.parquet is not in the manifest"
    assert problems(demo_drops) == [expected]


def test_an_unexpected_link_to_a_folder(demo_drops: Path, release: Path, tmp_path: Path) -> None:
    (release / "more").symlink_to(tmp_path, target_is_directory=True)
    assert problems(demo_drops) == ["unexpected file: more is not in the manifest"]


def test_every_single_bit_counts(demo_drops: Path, release: Path) -> None:
    files = [path for path in sorted(release.rglob("*")) if path.is_file()]
    files.append(demo_drops / "latest.json")
    draw = random.Random(20221201)
    missed, flips = [], 200
    for number in range(flips):
        path = files[number % len(files)]
        whole = path.read_bytes()
        place, bit = draw.randrange(len(whole)), draw.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            found = bool(problems(demo_drops))
        except GoralError:
            # The pointer names no drop at all.
            found = path.name == "latest.json"
        if not found:
            missed.append((path.name, place, bit))
        path.write_bytes(whole)
    assert missed == []
    assert problems(demo_drops) == []


def test_all_faults_are_told_at_once(demo_drops: Path, release: Path) -> None:
    (release / KINDS["dictionary"]).unlink()
    (release / "notes.txt").write_text("?")
    data = release / MUNICIPALITIES
    data.write_bytes(data.read_bytes()[:-1])
    assert [problem.split(":")[0] for problem in problems(demo_drops)] == [
        "missing file",
        "unexpected file",
        "changed size",
        "unreadable",
    ]


# ── pointer and manifest ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b'{"drop": "x"}', b"\xff\xfe", b"3"]
)
def test_a_damaged_pointer(demo_drops: Path, content: bytes) -> None:
    (demo_drops / "latest.json").write_bytes(content)
    (said,) = problems(demo_drops)
    assert re.fullmatch(r"latest\.json cannot be read \(\w+\)", said)


@pytest.mark.parametrize("kind", ["nowhere", "fifo", "folder", "elsewhere"])
@pytest.mark.parametrize("name", ["kpi_use/kpi_use.parquet", "dictionary.nl.md"])
def test_what_is_no_file_of_the_drop_is_found(
    demo: Demo, demo_drops: Path, tmp_path: Path, name: str, kind: str
) -> None:
    path = demo_drops / "releases" / demo.drop / name
    same = tmp_path / "same"
    path.rename(same)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"nowhere": tmp_path / "none", "folder": tmp_path}.get(kind, same))
    assert f"no file: {name} is a link, or something else that is none" in problems(demo_drops)


def test_all_releases_may_lie_on_another_disk(demo_drops: Path, tmp_path: Path) -> None:
    (demo_drops / "releases").rename(tmp_path / "releases")
    (demo_drops / "releases").symlink_to(tmp_path / "releases")
    assert problems(demo_drops) == []


def test_a_release_behind_a_link_is_none(demo: Demo, demo_drops: Path, tmp_path: Path) -> None:
    release = demo_drops / "releases" / demo.drop
    release.rename(tmp_path / "elsewhere")
    release.symlink_to(tmp_path / "elsewhere")
    assert problems(demo_drops) == [f"missing file: {demo.drop}/manifest.json"]


def test_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(GoralError, match=r"^nothing is published: there is no latest\.json$"):
        verified(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", ".", "", ".tmp-1-x", "a\\b", "a\0b"])
def test_a_pointer_does_not_lead_out(demo_drops: Path, name: str) -> None:
    pointer = {"drop": name, "manifest_sha256": "0" * 64}
    (demo_drops / "latest.json").write_text(json.dumps(pointer))
    with pytest.raises(GoralError, match="is not the name of a drop"):
        verified(demo_drops)


def test_a_drop_that_is_not_there(demo_drops: Path) -> None:
    with pytest.raises(GoralError, match=r"there is no drop 'other'; `goral drop list` names"):
        verified(demo_drops, "other")


def test_the_manifest_of_another_drop(demo_drops: Path) -> None:
    with manifest_of(demo_drops) as said:
        said["drop"] = "2022-11-0123456789ab"
    name = release_of(demo_drops).name
    assert problems(demo_drops) == [
        f"wrong drop: the manifest in {name} is that of 2022-11-0123456789ab"
    ]


def test_a_drop_under_another_name(demo_drops: Path, release: Path) -> None:
    shutil.move(release, release.with_name("2030-01-renamed"))
    assert problems(demo_drops, "2030-01-renamed") == [
        f"wrong drop: the manifest in 2030-01-renamed is that of {release.name}"
    ]


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside", "..\\outside"])
@pytest.mark.parametrize("kind", ["data", "other"])
def test_a_manifest_that_names_files_outside(demo_drops: Path, name: str, kind: str) -> None:
    (demo_drops / "releases" / "outside").write_bytes(b"")
    with manifest_of(demo_drops) as said:
        said[kind][0]["path"] = name
    assert problems(demo_drops) == [f"manifest.json names files outside the drop: {[name]!r}"]


def test_a_manifest_of_a_later_format(demo_drops: Path) -> None:
    with manifest_of(demo_drops) as said:
        said["format"] = 3
    assert problems(demo_drops) == ["manifest.json has format 3, this version reads 2"]


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said.pop("fingerprint"),
        lambda said: said.update(data=None),
        lambda said: said.update(unknown=1),
        lambda said: said["data"][0].pop("rows"),
        lambda said: said["data"][0].update(path=5),
        lambda said: said["other"].append("dictionary.en.md"),
    ],
)
def test_a_manifest_that_is_none(demo_drops: Path, change: Callable[[Any], object]) -> None:
    with manifest_of(demo_drops) as said:
        change(said)
    (problem,) = problems(demo_drops)
    assert re.fullmatch(r"manifest\.json cannot be read as a manifest \(\w+\)", problem)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object(demo_drops: Path, content: bytes) -> None:
    (release_of(demo_drops) / "manifest.json").write_bytes(content)
    said = problems(demo_drops)
    assert len(said) == 2
    assert "has another SHA-256 than the pointer says" in said[0]
    assert re.fullmatch(r"manifest\.json cannot be read as a manifest \(\w+\)", said[1])


# ── tables, with all hashes of files made good ───────────────────────────────────────────────────


def test_an_extra_column(demo_drops: Path) -> None:
    rewrite(
        demo_drops,
        MUNICIPALITIES,
        lambda table: table.append_column("requester_email", pa.array(["a@b.nl"] * len(table))),
    )
    assert problems(demo_drops) == [
        f"extra column: {MUNICIPALITIES} has 'requester_email', which the manifest does not"
    ]


def test_a_missing_column(demo_drops: Path) -> None:
    rewrite(demo_drops, MUNICIPALITIES, lambda table: table.drop_columns(["res_region"]))
    assert problems(demo_drops) == [f"missing column: {MUNICIPALITIES} lacks 'res_region'"]


def test_a_renamed_column(demo_drops: Path) -> None:
    rewrite(
        demo_drops, MUNICIPALITIES, lambda table: table.rename_columns({"res_region": "region"})
    )
    assert problems(demo_drops) == [
        f"extra column: {MUNICIPALITIES} has 'region', which the manifest does not",
        f"missing column: {MUNICIPALITIES} lacks 'res_region'",
    ]


def test_a_wrong_type(demo_drops: Path) -> None:
    field = pa.field("charge_points", pa.int32(), nullable=False)
    rewrite(demo_drops, CHARGE_POINTS, lambda table: with_field(table, "charge_points", field))
    assert problems(demo_drops) == [
        f"wrong type: charge_points in {CHARGE_POINTS} is int32 not null, the manifest says "
        "int64 not null"
    ]


def test_an_exact_number_made_a_float(demo_drops: Path) -> None:
    name = "indicator_values/indicator_values.parquet"
    field = pa.field("value", pa.float64())
    rewrite(demo_drops, name, lambda table: with_field(table, "value", field))
    assert problems(demo_drops) == [
        f"wrong type: value in {name} is double, the manifest says decimal128(18, 4)"
    ]


def test_a_wrong_nullability(demo_drops: Path) -> None:
    field = pa.field("charge_points", pa.int64(), nullable=True)
    rewrite(demo_drops, CHARGE_POINTS, lambda table: with_field(table, "charge_points", field))
    assert problems(demo_drops) == [
        f"wrong type: charge_points in {CHARGE_POINTS} is int64, the manifest says int64 not null"
    ]


def test_columns_in_another_order(demo_drops: Path) -> None:
    rewrite(demo_drops, CHARGE_POINTS, lambda table: table.select(table.column_names[::-1]))
    assert problems(demo_drops) == [
        f"wrong schema: columns of {CHARGE_POINTS} are not in the manifest's order"
    ]


def test_a_row_too_few(demo_drops: Path) -> None:
    rewrite(demo_drops, MUNICIPALITIES, lambda table: table.slice(1))
    assert problems(demo_drops) == [
        f"wrong row count: {MUNICIPALITIES} has 76 rows, the manifest says 77"
    ]


def changed_content(table: pa.Table) -> pa.Table:
    """One charge point more in one row."""
    place = table.schema.get_field_index("charge_points")
    values = table["charge_points"].to_pylist()
    values[0] += 1
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))


@pytest.mark.parametrize(
    "change",
    [
        changed_content,
        lambda table: table.take(list(reversed(range(len(table))))),
        lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, len(table) - 1)]),
    ],
    ids=["one value", "another order", "a row twice and one gone"],
)
def test_changed_content_is_found_by_deep(
    demo_drops: Path, change: Callable[[pa.Table], pa.Table]
) -> None:
    rewrite(demo_drops, CHARGE_POINTS, change)
    assert problems(demo_drops) == [], "only decoding the rows can tell"
    assert problems(demo_drops, deep=True) == [
        f"changed content: rows of {CHARGE_POINTS} are not those the manifest is of"
    ]


def test_the_same_rows_written_otherwise_have_the_same_content(demo_drops: Path) -> None:
    path = release_of(demo_drops) / CHARGE_POINTS
    table = pq.ParquetFile(path).read()
    pq.write_table(table, path, compression="snappy", row_group_size=100, use_dictionary=False)
    account_for(demo_drops, CHARGE_POINTS)
    assert problems(demo_drops, deep=True) == []


def test_a_truncated_parquet_file(demo_drops: Path, release: Path) -> None:
    path = release / CHARGE_POINTS
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    account_for(demo_drops, CHARGE_POINTS)
    (said,) = problems(demo_drops)
    assert re.fullmatch(
        rf"unreadable: {re.escape(CHARGE_POINTS)} cannot be read as Parquet \(\w+\)", said
    )


def test_a_damaged_page_under_good_hashes_is_found_by_deep(demo_drops: Path, release: Path) -> None:
    path = release / CHARGE_POINTS
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(5)
    content = bytearray(path.read_bytes())
    content[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0x40
    path.write_bytes(content)
    account_for(demo_drops, CHARGE_POINTS)
    assert problems(demo_drops) == []
    assert [said.split(":")[0] for said in problems(demo_drops, deep=True)] == ["unreadable"]


# ── contracts in the drop ────────────────────────────────────────────────────────────────────────


def test_no_contract(demo_drops: Path, release: Path) -> None:
    (release / KINDS["contract"]).unlink()
    with manifest_of(demo_drops) as said:
        said["other"] = [one for one in said["other"] if one["path"] != KINDS["contract"]]
    assert problems(demo_drops) == [
        "no contract: mart_charge_points has none in the drop (FileNotFoundError)"
    ]


def test_a_storage_that_refuses_is_not_a_bad_drop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class NoCredentials(Exception):
        """As those of a storage's library, which are of no built-in kind."""

    def refuse(url: str) -> verify.Place:
        raise NoCredentials("none found")

    monkeypatch.setattr(verify, "place", refuse)
    assert verify.main(["s3://drops/goral"]) == 2
    assert capsys.readouterr().err == "s3://drops/goral cannot be read: NoCredentials: none found\n"


@pytest.mark.parametrize("dataset", ["/absolute", "../../above", "", "a b", "A"])
def test_a_dataset_that_is_none_makes_no_file(
    demo_drops: Path, tmp_path: Path, dataset: str
) -> None:
    with manifest_of(demo_drops) as said:
        said["data"][0]["dataset"] = dataset
    before = sorted(every_file(tmp_path))
    assert any("which is no dataset" in one for one in problems(demo_drops))
    assert sorted(every_file(tmp_path)) == before


@pytest.mark.parametrize(
    "content",
    [b"", b"- 1", b"a: [", b"\x00", b"\xff\xff", b"apiVersion: v3.2.0", b"schema: 7", b"a: \t- b"],
)
def test_a_contract_that_is_none(demo_drops: Path, release: Path, content: bytes) -> None:
    (release / KINDS["contract"]).write_bytes(content)
    account_for(demo_drops, KINDS["contract"])
    (said,) = problems(demo_drops)
    assert re.fullmatch(r"no contract: mart_charge_points has none in the drop \(\w+\)", said)


def test_a_contract_with_a_type_that_is_none(demo_drops: Path, release: Path) -> None:
    path = release / KINDS["contract"]
    path.write_bytes(path.read_bytes().replace(b"BIGINT", b'"DECIMAL(x,y)"'))
    account_for(demo_drops, KINDS["contract"])
    (said,) = problems(demo_drops)
    assert re.fullmatch(r"no contract: mart_charge_points has none in the drop \(\w+\)", said)


def test_the_manifest_reads_back_as_it_was_written(release: Path) -> None:
    path = release / "manifest.json"
    assert manifest.parse(path.read_bytes()).to_bytes() == path.read_bytes()
