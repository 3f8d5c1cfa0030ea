"""How OCPI tariffs are read: price components, VAT, what restricts them, and versions."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.staging.stage import stage
from tests.support_files import (
    Row,
    Staged,
    job_of,
    ocpi_file,
    pages_file,
    quarantine_of,
    stage_file,
)

TARIFFS = "ndw_dotnl/tariffs"
OWN_TARIFFS = "vattenfall/tariffs"
WEEK = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"]
LIMITS = (
    *("start_time", "end_time", "start_date", "end_date", "min_kwh", "max_kwh", "min_current"),
    *("max_current", "min_power", "max_power", "min_duration", "max_duration", "day_of_week"),
    "reservation",
)


def component(**changes: Any) -> Row:
    return {"type": "ENERGY", "price": 0.388, "vat": 21, "step_size": 1} | changes


def element(restrictions: Any = None, *components: Row) -> Row:
    return {"price_components": list(components or [component()]), "restrictions": restrictions}


def tariff(identifier: str = "T1", **changes: Any) -> Row:
    return {
        "country_code": "NL",
        "party_id": "ABC",
        "id": identifier,
        "currency": "EUR",
        "type": None,
        "elements": [element()],
        "last_updated": "2026-05-26T11:08:05Z",
    } | changes


def staged(tmp_path: Path, *tariffs: Any) -> Staged:
    return stage_file(tmp_path, TARIFFS, ocpi_file(tmp_path / "tariffs.json.gz", list(tariffs)))


def rejected(tmp_path: Path, *tariffs: Any) -> dict[str, list[Row]]:
    """The quarantine of a delivery that is rejected as too much of it is bad."""
    job = job_of(tmp_path, TARIFFS, ocpi_file(tmp_path / "tariffs.json.gz", list(tariffs)))
    with pytest.raises(DeliveryRejected, match="break a rule"):
        stage(job)
    return {table: quarantine_of(job, table) for table in ("tariffs", "price_components")}


def test_components_carry_the_key_and_their_places(tmp_path: Path) -> None:
    two = [component(), component(type="TIME", price=4.5, vat=None, step_size=60)]
    rows = [
        tariff("first"),
        tariff("second", elements=[element(None, *two), element(None, component(type="FLAT"))]),
    ]
    made = staged(tmp_path, *rows)
    assert made.counts == {"tariffs": {"accepted": 2}, "price_components": {"accepted": 4}}
    found = [
        (
            *(row[name] for name in ("record_number", "country_code", "party_id", "tariff_id")),
            *(row[name] for name in ("element", "component", "component_type", "price")),
            *(row[name] for name in ("vat_pct", "step_size")),
        )
        for row in made.accepted("price_components")
    ]
    price, vat = Decimal("0.38800"), Decimal("21.000")
    assert found == [
        (1, "NL", "ABC", "first", 1, 1, "ENERGY", price, vat, 1),
        (2, "NL", "ABC", "second", 1, 1, "ENERGY", price, vat, 1),
        (2, "NL", "ABC", "second", 1, 2, "TIME", Decimal("4.50000"), None, 60),
        (2, "NL", "ABC", "second", 2, 1, "FLAT", price, vat, 1),
    ]


def test_a_tariff_of_any_country_with_or_without_a_type_is_accepted(tmp_path: Path) -> None:
    rows = [
        tariff("a", country_code="US"),
        tariff("b", country_code="BE", type="REGULAR"),
        tariff("c", type="ad_hoc_payment"),
    ]
    kinds = {
        row["tariff_id"]: row["tariff_type"] for row in staged(tmp_path, *rows).accepted("tariffs")
    }
    assert kinds == {"a": None, "b": "REGULAR", "c": "AD_HOC_PAYMENT"}


@pytest.mark.parametrize("elements", [None, [], [{}], [{"price_components": None}], "x"])
def test_a_tariff_without_prices_counts_and_has_none(tmp_path: Path, elements: Any) -> None:
    made = staged(tmp_path, tariff(elements=elements))
    assert made.counts == {"tariffs": {"accepted": 1}, "price_components": {}}


def test_of_a_tariff_delivered_twice_the_latest_is_kept_with_its_prices(tmp_path: Path) -> None:
    old = tariff(last_updated="2025-01-01T00:00:00Z", elements=[element(None, component(price=9))])
    made = staged(tmp_path, old, tariff())
    assert made.counts == {
        "tariffs": {"accepted": 1, "duplicate": 1},
        "price_components": {"accepted": 1, "duplicate": 1},
    }
    assert made.accepted("price_components")[0]["price"] == Decimal("0.38800")


# ── restrictions ─────────────────────────────────────────────────────────────────────────────────


def restricted(tmp_path: Path, restrictions: list[Any]) -> list[bool]:
    elements = [element(one) for one in restrictions]
    rows = staged(tmp_path, tariff(elements=elements)).accepted("price_components")
    return [row["is_restricted"] for row in rows]


def test_what_is_written_out_but_restricts_nothing_is_no_restriction(tmp_path: Path) -> None:
    empty = dict.fromkeys(LIMITS)
    harmless = [
        None,
        {},
        empty,
        empty | {"start_time": "00:00", "end_time": "23:59", "day_of_week": WEEK},
        empty | {"start_time": "00:00", "end_time": "00:00"},
        empty | {"day_of_week": []},
        empty | {"min_duration": 0, "min_kwh": 0, "min_power": 0.0, "min_current": "0"},
        {"something_new": 5},
    ]
    assert restricted(tmp_path, harmless) == [False] * len(harmless)


def test_every_kind_of_restriction_is_told(tmp_path: Path) -> None:
    limits: dict[str, Any] = dict.fromkeys(LIMITS, 3) | {
        "start_time": "07:00",
        "end_time": "23:00",
        "start_date": "2026-01-01",
        "end_date": "2026-06-07",
        "day_of_week": ["MONDAY"],
        "reservation": "RESERVATION",
    }
    alone = [dict.fromkeys(LIMITS) | {name: limit} for name, limit in limits.items()]
    maximum_of_zero = [{"max_kwh": 0}, {"max_duration": 0}]
    odd = [{"min_kwh": "much"}, {"day_of_week": WEEK[:6] + WEEK[:1]}]
    expected = [True] * (len(alone) + 4)
    assert restricted(tmp_path, [*alone, *maximum_of_zero, *odd]) == expected


@pytest.mark.parametrize("garbage", ["nights only", ["x"], 7])
def test_restrictions_of_another_shape_are_quarantined(tmp_path: Path, garbage: Any) -> None:
    found = rejected(tmp_path, tariff(elements=[element(garbage)]))["price_components"]
    assert {row["rule"] for row in found} == {"is_restricted_type"}


# ── what breaks a rule ───────────────────────────────────────────────────────────────────────────


WRONG_TARIFFS: list[tuple[Row, str]] = [
    ({"country_code": "nl"}, "country_code_pattern"),
    ({"country_code": None}, "country_code_required"),
    ({"party_id": "ABCD"}, "party_id_pattern"),
    ({"party_id": None}, "party_id_required"),
    ({"id": "x" * 37}, "tariff_id_pattern"),
    ({"id": None}, "tariff_id_required"),
    ({"currency": "euro"}, "currency_pattern"),
    ({"currency": None}, "currency_required"),
    ({"type": "CHEAP"}, "tariff_type_code"),
    ({"last_updated": "2026-02-30T00:00:00Z"}, "last_updated_type"),
    ({"last_updated": None}, "last_updated_required"),
]
WRONG_COMPONENTS: list[tuple[Row, str]] = [
    ({"type": "ENERGIE"}, "component_type_code"),
    ({"type": None}, "component_type_required"),
    ({"price": -0.01}, "price_range"),
    ({"price": 1000.01}, "price_range"),
    ({"price": "gratis"}, "price_type"),
    ({"price": None}, "price_required"),
    ({"vat": 101}, "vat_pct_range"),
    ({"vat": "21 %"}, "vat_pct_type"),
    ({"step_size": -1}, "step_size_range"),
    ({"step_size": 1.5}, "step_size_type"),
    ({"step_size": None}, "step_size_required"),
]


def test_each_rule_of_tariffs_is_kept_and_holds_back_the_prices(tmp_path: Path) -> None:
    rows = [tariff(f"T{n}") | change for n, (change, _) in enumerate(WRONG_TARIFFS)]
    found = rejected(tmp_path, *rows)
    assert rules(found["tariffs"]) == [rule for _, rule in WRONG_TARIFFS]
    assert rules(found["price_components"]) == ["parent_quarantined"] * len(WRONG_TARIFFS)


def test_each_rule_of_price_components_is_kept(tmp_path: Path) -> None:
    rows = [
        tariff(f"T{n}", elements=[element(None, component(**change))])
        for n, (change, _) in enumerate(WRONG_COMPONENTS)
    ]
    found = rejected(tmp_path, *rows)
    assert rules(found["price_components"]) == [rule for _, rule in WRONG_COMPONENTS]
    assert found["tariffs"] == []


def rules(quarantine: list[Row]) -> list[str]:
    """The one rule that each record breaks, in the order of the records."""
    numbers = [row["record_number"] for row in quarantine]
    assert numbers == [*range(1, len(numbers) + 1)]
    return [row["rule"] for row in quarantine]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        gzip.compress(b""),
        gzip.compress(b"[]"),
        gzip.compress(b'{"data": []}'),
        gzip.compress(b"<html/>"),
        gzip.compress(b'[{"id": "T1"'),
        gzip.compress(b'[{"id": ' + b"[" * 90_000 + b"]" * 90_000 + b"}]"),
        gzip.compress(json.dumps([tariff()]).encode())[:-9],
        gzip.compress(b"[1, null, true]"),
    ],
    ids=range(10),
)
def test_what_is_no_array_of_tariffs_is_rejected(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.json.gz"
    file.write_bytes(content)
    with pytest.raises(DeliveryRejected):
        stage_file(tmp_path, TARIFFS, file)


# ── a party's own list ───────────────────────────────────────────────────────────────────────────


def stage_own(folder: Path, *pages: list[Any]) -> Staged:
    return stage_file(folder / "home", OWN_TARIFFS, pages_file(folder, *pages, overlap=1))


def fillers(number: int) -> list[Row]:
    return [tariff(f"F{place}") for place in range(number)]


def test_a_party_s_own_list_is_read_as_dot_nl_is(tmp_path: Path) -> None:
    rows = [tariff("a"), tariff("b", elements=[element(), element({"max_kwh": 9})]), tariff("c")]
    (tmp_path / "dot-nl").mkdir()
    dot_nl = staged(tmp_path / "dot-nl", *rows)
    own = stage_own(tmp_path, rows[:2], rows[1:])
    for table in ("tariffs", "price_components"):
        assert own.accepted(table) == dot_nl.accepted(table)
    assert own.counts == {
        "tariffs": {"accepted": 3, "duplicate": 1},
        "price_components": {"accepted": 4, "duplicate": 2},
    }


def test_a_tariff_of_2_1_1_is_read(tmp_path: Path) -> None:
    old = tariff(elements=[{"price_components": [component()]}])
    for name in ("country_code", "party_id", "type"):
        del old[name]
    del old["elements"][0]["price_components"][0]["vat"]
    made = stage_own(tmp_path, [old])
    (row,) = made.accepted("tariffs")
    # Its server's own, by the description of the party.
    assert (row["country_code"], row["party_id"], row["tariff_type"]) == ("NL", "NUO", None)
    (price,) = made.accepted("price_components")
    assert (price["party_id"], price["price"], price["vat_pct"]) == ("NUO", Decimal("0.388"), None)
    assert price["is_restricted"] is False


@pytest.mark.parametrize(
    ("included", "vat", "price"),
    [
        ("NO", 21, "0.60500"),
        ("N/A", None, "0.60500"),
        ("YES", 21, "0.50000"),
        ("YES", 0, "0.60500"),
        ("yes", "21.0", "0.50000"),
    ],
)
def test_a_price_of_2_3_0_is_without_taxes(
    tmp_path: Path, included: str, vat: Any, price: str
) -> None:
    new = tariff(
        tax_included=included,
        preauthorize_amount=20,
        max_price={"before_taxes": 10, "after_taxes": 12.1},
        elements=[element(None, component(price=0.605, vat=vat))],
    )
    (found,) = stage_own(tmp_path, [new]).accepted("price_components")
    assert found["price"] == Decimal(price)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"vat": None}, "price_required"),
        ({"vat": "much"}, "price_required"),
        ({"vat": -100}, "price_required"),
        ({"price": "gratis"}, "price_type"),
        ({"price": 1e15}, "price_required"),
    ],
)
def test_a_price_whose_taxes_are_not_known_is_quarantined(
    tmp_path: Path, changes: Row, rule: str
) -> None:
    odd = tariff(tax_included="YES", elements=[element(None, component(**changes))])
    made = stage_own(tmp_path, [odd, *fillers(20)])
    assert len(made.accepted("tariffs")) == 21
    assert rule in {row["rule"] for row in made.quarantine("price_components")}
    assert len(made.accepted("price_components")) == 20


def test_parts_of_another_kind_do_not_make_the_page_bad(tmp_path: Path) -> None:
    odd: list[Any] = [
        tariff("T1", elements=["nights"]),
        tariff("T2", elements=[{"price_components": "much"}]),
        tariff("T3", elements=[{"price_components": ["much"]}]),
        tariff("T4", currency=["EUR"]),
        17,
        None,
        "a text",
        [],
    ]
    made = stage_own(tmp_path, [*odd, *fillers(160)])
    assert made.counts["tariffs"] == {"accepted": 163, "quarantined": 5}
    numbers = {row["record_number"] for row in made.quarantine("tariffs")}
    assert numbers == {4, 5, 6, 7, 8}
    assert {row["record_number"] for row in made.quarantine("price_components")} == {3, 4}


def test_a_list_of_something_else_is_rejected(tmp_path: Path) -> None:
    session = tariff("S1", kwh=3.2)
    del session["elements"]
    with pytest.raises(DeliveryRejected, match="none of 2 objects has `elements`"):
        stage_own(tmp_path, [session, session])
    # One that is a tariff for sure, and the others may be tariffs without a price.
    made = stage_own(tmp_path / "mixed", [session, tariff()])
    assert made.counts["tariffs"] == {"accepted": 2}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"data": []}',
        "<html/>",
        "type;price\nENERGY;0.3\n",
        '[{"id": ' + "[" * 90_000 + "]" * 90_000 + "}]",
        '{"page":1,"offset":0,"body":{"data":[{"x":' + "[" * 90_000 + "]" * 90_000 + "}]}}\n",
        '{"page":1,"offset":0,"body":{"data":"none"}}\n',
    ],
    ids=range(8),
)
def test_what_is_no_list_of_a_party_s_tariffs_is_rejected(tmp_path: Path, content: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    with pytest.raises(DeliveryRejected):
        stage_file(tmp_path / "home", OWN_TARIFFS, file)
