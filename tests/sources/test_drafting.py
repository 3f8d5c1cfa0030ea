"""Drafts of mappings: what is found in a file never seen, and what is never shown of it."""

import csv
import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goral_pipeline.contracts import staged
from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.sources import mapping
from goral_pipeline.sources.drafting import Draft, Wish, draft, unused_headers
from goral_pipeline.sources.drafting.writing import FILL_IN, scalar
from goral_pipeline.sources.mapping import Mapping
from tests.sources import third_concession

ALL = tuple(contract.id for contract in staged().values() if not contract.is_snapshot)
REQUESTS = ("concession.requests",)
HEADER = ("Aanvraagnummer", "Gemeente", "Datum aanvraag", "Aanleiding", "Laatst gewijzigd")


def row(number: int = 1, **changes: str) -> list[str]:
    """A request; its cells can be changed by header."""
    cells = dict(
        zip(
            HEADER,
            (f"A{number}", "Ede", f"{number % 28 + 1:02d}-05-2023", "proactief", "2023-06-01"),
            strict=True,
        )
    )
    return list((cells | changes).values())


ROWS = [row(number) for number in range(1, 41)]


def text_file(
    path: Path,
    rows: Sequence[Sequence[str]],
    *,
    header: Sequence[str] = HEADER,
    separator: str = ";",
    encoding: str = "utf-8",
    before: Sequence[Sequence[str]] = (),
) -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([*before, header, *rows])
    path.write_bytes(text.getvalue().encode(encoding))
    return path


def workbook(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> Path:
    with xlsxwriter.Workbook(str(path)) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for line, cells in enumerate(rows):
                sheet.write_row(line, 0, cells)
    return path


def drafted(path: Path, contracts: Sequence[str] = REQUESTS, **wishes: Any) -> Draft:
    wish = {"dataset": "third/requests", "is_named": False, "is_listed": False} | wishes
    return draft(Wish(path=path, contracts=tuple(contracts), **wish))


def loaded(path: Path, made: Draft) -> Mapping:
    """The draft as the mapping that it is."""
    target = path.with_suffix(".yaml")
    target.write_text(made.text, encoding="utf-8")
    return mapping.load(target)


def headers(found: Mapping) -> dict[str, tuple[str, ...]]:
    return {name: column.headers for name, column in found.columns.items() if column.headers}


# ── a whole export ───────────────────────────────────────────────────────────────────────────────


def test_a_workbook_of_placements_is_recognised(tmp_path: Path) -> None:
    file = third_concession.placements(tmp_path / "export.xlsx")
    made = drafted(file, ALL, dataset=None)
    assert "of all, concession.placements fits best" in made.text
    found = loaded(file, made)
    assert found.contract == "concession.placements"
    assert found.layout.header_rows == (2,)
    assert {name: named for name, (named,) in headers(found).items()} == {
        "placement_id": "Nummer voorstel",
        "municipality_code": "Gemeente",
        "occasion": "Aanleiding",
        "charge_points": "Aantal laadpunten",
        "power_kw": "Vermogen (kW)",
        "requested_on": "Aangemaakt",
        "proposed_on": "Voorstel",
        "agreed_on": "Akkoord gemeente",
        "decision_published_on": "Publicatie verkeersbesluit",
        "decision_final_on": "Definitief verkeersbesluit",
        "grid_requested_on": "Aanvraag netaansluiting",
        "grid_connected_on": "Netaansluiting gereed",
        "planned_on": "Realisatie gepland",
        "realised_on": "In bedrijf",
        "withdrawn_on": "Gestopt op",
        "delay_reason": "Reden vertraging",
        "street_address": "Adres",
        "contact_name": "Behandelaar",
        "remarks": "Opmerking vraaggestuurd",
        "last_updated": "Gewijzigd op",
    }
    assert found.child_columns["charge_points"]["evse_id"].separator == ","
    assert set(found.personal_headers) == {
        *("Postcode", "Toelichting bij stop", "E-mail behandelaar")
    }
    assert set(found.ignored_headers) == {"Breedtegraad", "Lengtegraad", "Akkoord aannemer"}
    assert found.columns["municipality_code"].register == "municipality_names"
    assert [rows.header for rows in found.skipped] == ["Nummer voorstel"]
    assert "# 120 of 120 cells are dates dd-mm-yyyy hh:mm" in made.text
    assert "first month in the file" in made.text


def test_a_text_file_of_requests_is_recognised(tmp_path: Path) -> None:
    file = third_concession.requests(tmp_path / "export.csv")
    made = drafted(file, ALL, dataset=None)
    found = loaded(file, made)
    assert found.contract == "concession.requests"
    assert (found.layout.type, found.layout.encodings) == ("csv", ("windows-1252",))
    assert found.layout.separator == ";"
    assert found.date_formats == ("%d-%m-%Y",)
    assert found.columns["occasion"].constant == FILL_IN
    assert found.columns["last_updated"].latest_of == (
        *("requested_on", "rejected_on", "approved_on", "realised_on"),
    )
    assert found.columns["rejection_reason"].codes == {
        "eigen parkeerplaats": "own_parking_place",
        "al een laadpaal binnen 250 meter": "charge_point_nearby",
        "woont niet in de gemeente": "not_in_municipality",
    }
    assert headers(found)["applicant_pseudonym"] == ("Mailadres",)


@pytest.mark.parametrize("export", [third_concession.placements, third_concession.requests])
def test_no_cell_of_a_person_is_shown(export: Callable[[Path], Path], tmp_path: Path) -> None:
    text = drafted(export(tmp_path / "export"), ALL).text
    for told in ("Verzonnen", "Bedacht", "Nergens", "@", "Dorpsstraat", "06-", "LV-", "D23"):
        assert told not in text
    assert not re.search(r"\b\d{4} ?[A-Z]{2}\b", text)


def test_what_is_not_for_a_person_to_read_is_left_as_it_is(tmp_path: Path) -> None:
    """A draft without anything to fill in is a mapping as it stands."""
    made = drafted(text_file(tmp_path / "a.csv", ROWS), is_named=True, is_listed=True)
    assert FILL_IN not in str(yaml.safe_load(made.text))
    assert "  name:" not in made.text
    assert "municipalities:" not in made.text
    assert loaded(tmp_path / "a.csv", made).dataset == "third/requests"


def test_a_file_that_no_contract_is_for_is_said_to_fit_badly(tmp_path: Path) -> None:
    rows = [[f"P{n}", "blauw", str(n)] for n in range(9)]
    file = text_file(tmp_path / "a.csv", rows, header=("Nummer", "Kleur", "Gewicht"))
    assert "fits badly: perhaps no contract is for this file" in drafted(file, ALL).text
    assert "fits badly" not in drafted(text_file(tmp_path / "b.csv", ROWS), ALL).text


# ── how the file is made ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("windows-1252", "windows-1252"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, said: str) -> None:
    header = [*HEADER[:-1], "Laatst gewijzigd €"]
    file = text_file(tmp_path / "a.csv", ROWS, header=header, encoding=encoding)
    found = loaded(file, drafted(file))
    assert found.layout.encodings == (said,)
    assert headers(found)["last_updated"] == ("Laatst gewijzigd €",)


def test_a_file_without_accents_may_have_either_encoding(tmp_path: Path) -> None:
    file = text_file(tmp_path / "a.csv", ROWS)
    assert loaded(file, drafted(file)).layout.encodings == ("utf-8", "windows-1252")


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_separators(tmp_path: Path, separator: str) -> None:
    rows = [[*cells, "1,5; of 2,5 | 3,5"] for cells in ROWS]
    file = text_file(tmp_path / "a.csv", rows, header=[*HEADER, "Formaat"], separator=separator)
    found = loaded(file, drafted(file))
    assert found.layout.separator == separator
    assert set(headers(found)) == {
        *("request_id", "municipality_code", "requested_on", "occasion", "last_updated")
    }


@pytest.mark.parametrize("above", range(6))
def test_the_header_is_found_below_a_preamble(tmp_path: Path, above: int) -> None:
    before = [["Export van aanvragen"], [], ["peildatum", "31-05-2023"], ["3", "4"], ["x"]][:above]
    file = text_file(tmp_path / "a.csv", ROWS, before=before)
    assert loaded(file, drafted(file)).layout.header_rows == (len(before) + 1,)


def test_the_sheet_that_fits_best_is_taken(tmp_path: Path) -> None:
    other = [["Uitleg", "Versie"], ["over dit bestand", "2"], ["nog meer", "3"]]
    file = workbook(tmp_path / "a.xlsx", {"Uitleg": other, "Lijst": [HEADER, *ROWS], "Leeg": []})
    found = loaded(file, drafted(file))
    assert found.layout.sheet == "Lijst"
    with pytest.raises(DeliveryRejected, match="no sheet 'Elders', but 3 of other names"):
        drafted(file, sheet="Elders")


@pytest.mark.parametrize("word", ["Totaal", "TOTAAL 2023", "Subtotaal", "Eindtotaal", "total"])
def test_totals_are_no_records(tmp_path: Path, word: str) -> None:
    file = text_file(tmp_path / "a.csv", [*ROWS, [word, "", "", "", ""]])
    made = drafted(file)
    (skipped,) = loaded(file, made).skipped
    assert re.fullmatch(skipped.pattern, word, re.IGNORECASE)
    assert "look of the 40 records" in made.text


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(range(len(HEADER))),
    separator=st.sampled_from(";,\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "windows-1252"]),
    above=st.integers(0, 3),
)
def test_columns_are_found_however_the_file_is_made(
    tmp_path: Path, order: list[int], separator: str, encoding: str, above: int
) -> None:
    file = text_file(
        tmp_path / "a.csv",
        [[cells[place] for place in order] for cells in ROWS],
        header=[HEADER[place] for place in order],
        separator=separator,
        encoding=encoding,
        before=[["Overzicht"]] * above,
    )
    found = loaded(file, drafted(file))
    assert {name: named for name, (named,) in headers(found).items()} == {
        "request_id": "Aanvraagnummer",
        "municipality_code": "Gemeente",
        "requested_on": "Datum aanvraag",
        "occasion": "Aanleiding",
        "last_updated": "Laatst gewijzigd",
    }
    assert found.layout.header_rows == (above + 1,)


# ── dates and numbers ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dates", "formats"),
    [
        (["31-05-2023", "1-6-2023"], ["%d-%m-%Y"]),
        (["05/31/2023", "06/01/2023"], ["%m/%d/%Y"]),
        (["31.05.23"], ["%d.%m.%y"]),
        (["31-05-2023", "30/05/2023"], ["%d-%m-%Y", "%d/%m/%Y"]),
        (["2023-05-31"], ["%Y-%m-%d"]),
    ],
)
def test_forms_of_dates(tmp_path: Path, dates: list[str], formats: list[str]) -> None:
    rows = [row(n, **{"Datum aanvraag": dates[n % len(dates)]}) for n in range(20)]
    changed = [[*cells[:-1], "31-05-2023 10:00"] for cells in rows]
    file = text_file(tmp_path / "a.csv", changed)
    found = loaded(file, drafted(file))
    assert sorted(found.date_formats) == sorted(formats)
    assert len(found.timestamp_formats) == 1


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("31-05-2023 10:00", "%d-%m-%Y %H:%M"),
        ("31-05-2023 10:00:59", "%d-%m-%Y %H:%M:%S"),
        ("2023-05-31T10:00:59.123", "%Y-%m-%dT%H:%M:%S.%f"),
    ],
)
def test_forms_of_moments(tmp_path: Path, text: str, written: str) -> None:
    file = text_file(tmp_path / "a.csv", [[*cells[:-1], text] for cells in ROWS])
    assert loaded(file, drafted(file)).timestamp_formats == (written,)


def test_days_and_months_that_cannot_be_told_apart_are_said(tmp_path: Path) -> None:
    rows = [row(n, **{"Datum aanvraag": f"0{n % 9 + 1}-05-2023"}) for n in range(20)]
    assert "is 01-02-2003 a day in February?" in drafted(text_file(tmp_path / "a.csv", rows)).text
    assert "in February?" not in drafted(text_file(tmp_path / "b.csv", ROWS)).text
    mixed = [*ROWS, row(41, **{"Datum aanvraag": "05-31-2023"})]
    made = drafted(text_file(tmp_path / "c.csv", mixed))
    assert "have the day first, and some the month" in made.text


def test_dates_as_excel_counts_them_are_said(tmp_path: Path) -> None:
    rows = [row(n, **{"Datum aanvraag": str(45000 + n)}) for n in range(20)]
    assert (
        "20 of 20 cells may be Excel's serial dates"
        in drafted(text_file(tmp_path / "a.csv", rows)).text
    )


@pytest.mark.parametrize(
    ("numbers", "decimal", "thousands"),
    [
        (["11,5", "22,0", "3"], ",", ""),
        (["11.5", "22"], ".", ""),
        (["1.011,5", "22,0"], ",", "."),
        (["1,011.5", "22.0"], ".", ","),
    ],
)
def test_forms_of_numbers(tmp_path: Path, numbers: list[str], decimal: str, thousands: str) -> None:
    header = ("Plaatsingsnummer", "Gemeente", "Vermogen (kW)", "Aantal laadpunten")
    rows = [[f"P{n}", "Ede", numbers[n % len(numbers)], "2"] for n in range(12)]
    file = text_file(tmp_path / "a.csv", rows, header=header)
    found = loaded(file, drafted(file, ["concession.placements"], dataset="third/placements"))
    assert headers(found)["power_kw"] == ("Vermogen (kW)",)
    assert (found.decimal, found.thousands) == (decimal, thousands)


def test_what_is_blank_though_required_is_counted(tmp_path: Path) -> None:
    file = text_file(tmp_path / "a.csv", [*ROWS, row(41, Gemeente="")])
    assert "1 blank, though it is required" in drafted(file).text


def test_numbers_that_are_not_of_the_form_are_counted(tmp_path: Path) -> None:
    file = text_file(tmp_path / "a.csv", [*ROWS, row(41, Aanvraagnummer="A 41!")])
    assert "1 are not of the form" in drafted(file).text


# ── codes ────────────────────────────────────────────────────────────────────────────────────────


def with_occasions(path: Path, occasions: dict[str, int]) -> Draft:
    listed = [value for value, number in occasions.items() for _ in range(number)]
    return drafted(text_file(path, [row(n, Aanleiding=value) for n, value in enumerate(listed)]))


def test_codes_are_proposed_by_their_dutch_descriptions(tmp_path: Path) -> None:
    made = with_occasions(
        tmp_path / "a.csv", {"Proactief": 6, "Paal volgt auto": 7, "datagedreven": 8, "Anders": 5}
    )
    assert loaded(tmp_path / "a.csv", made).columns["occasion"].codes == {
        "proactief": "proactive",
        "paal volgt auto": "demand_driven",
        "datagedreven": "data_driven",
    }
    assert f"# fill in: anders: {FILL_IN}  # 5 times" in made.text


def test_values_that_are_rare_are_counted_and_not_shown(tmp_path: Path) -> None:
    made = with_occasions(tmp_path / "a.csv", {"proactief": 30, "zeldzaam": 4})
    assert "zeldzaam" not in made.text
    assert "4 cells with other values, which are not shown" in made.text


@pytest.mark.parametrize(
    "value",
    [
        *("Jan Verzonnen", "J. de Bedachte", "verzonnen@voorbeeld.invalid", "Dorpsstraat 12"),
        *("7311 AB", "06-12345678", "XX-123-Y", "in overleg met Verzonnen", "zie dossier 12345"),
        "een heel lange toelichting die niemand als code zou gebruiken in een export",
    ],
)
def test_what_may_be_of_a_person_is_no_code_however_often(tmp_path: Path, value: str) -> None:
    made = with_occasions(tmp_path / "a.csv", {"proactief": 30, value: 20})
    assert value.lower() not in made.text.lower()
    assert "20 cells with other values, which are not shown" in made.text


def test_a_column_of_free_text_holds_no_codes(tmp_path: Path) -> None:
    draw = random.Random(1)
    free = {f"woord{draw.random()}": 1 for _ in range(30)} | {"opmerking": 6}
    made = with_occasions(tmp_path / "a.csv", free)
    assert "opmerking" not in made.text
    assert "codes:" not in made.text.replace("# codes there are", "")


# ── headers that are none ────────────────────────────────────────────────────────────────────────


def test_a_file_without_headers_shows_no_cell(tmp_path: Path) -> None:
    cells = ("Verzonnen", "Bedacht", "p@voorbeeld.invalid", "Nergensweg")
    rows = [[f"{cell}{n}" for cell in cells] for n in range(9)]
    file = text_file(tmp_path / "a.csv", rows[1:], header=rows[0])
    text = drafted(file).text.lower()
    for told in ("verzonnen", "bedacht", "voorbeeld", "nergensweg"):
        assert told not in text
    assert "not placed: column 2; its header looks personal." in text


@pytest.mark.parametrize(
    "header",
    ["Jan Verzonnen", "J. de Bedachte", "a@voorbeeld.invalid", "06-12345678", "7311 AB", "Laan 12"],
)
def test_a_header_that_looks_personal_is_told_by_its_place(tmp_path: Path, header: str) -> None:
    file = text_file(tmp_path / "a.csv", [[*r, "x"] for r in ROWS], header=[*HEADER, header])
    made = drafted(file)
    assert header not in made.text
    assert "Not placed: column 6; its header looks personal." in made.text
    loaded(file, made)


def test_a_header_that_stands_twice_names_no_column(tmp_path: Path) -> None:
    file = text_file(tmp_path / "a.csv", [[*r, "x"] for r in ROWS], header=[*HEADER, "Gemeente"])
    found = loaded(file, drafted(file))
    assert found.columns["municipality_code"].headers == (FILL_IN,)


def test_e_mail_addresses_are_never_taken_for_something_else(tmp_path: Path) -> None:
    rows = [row(n, Aanvraagnummer=f"p{n}@voorbeeld.invalid") for n in range(20)]
    made = drafted(text_file(tmp_path / "a.csv", rows))
    found = loaded(tmp_path / "a.csv", made)
    assert headers(found)["request_id"] == (FILL_IN,)
    assert headers(found)["applicant_pseudonym"] == ("Aanvraagnummer",)


def test_headers_that_a_mapping_does_not_name(tmp_path: Path) -> None:
    header = [*HEADER, "Regio", "Jan Verzonnen"]
    file = text_file(tmp_path / "a.csv", [[*r, "x", "y"] for r in ROWS], header=header)
    target = tmp_path / "m.yaml"
    plain = text_file(tmp_path / "plain.csv", ROWS)
    target.write_text(drafted(plain).text)
    assert unused_headers(file, target) == ["'Regio'", "column 7"]


def test_a_file_that_ends_before_the_headers_of_its_mapping_has_none(tmp_path: Path) -> None:
    file = text_file(tmp_path / "a.csv", ROWS)
    target = tmp_path / "m.yaml"
    content = yaml.safe_load(drafted(file).text)
    content["file"]["header_row"] = 2
    target.write_text(yaml.safe_dump(content, allow_unicode=True))
    short = tmp_path / "short.csv"
    short.write_text("a\n")
    assert unused_headers(short, target) == []
    # Its second row is a record, and that is not shown.
    assert unused_headers(file, target) == []


# ── hostile files ────────────────────────────────────────────────────────────────────────────────


def _zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("text.txt", content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"  \n\n", "something else"),
        (b"<html>log in, Jan</html>", "HTML or XML"),
        (b'{"a": 1}', "JSON"),
        (b"\x1f\x8b0000", "a gzip file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe10000", "of before 2007"),
        (_zip(b"no workbook"), "no .xlsx workbook"),
        (b"PK\x03\x04 cut off", "damaged or cut off"),
        (b"\x89PNG\r\n" + bytes(range(256)) * 9, "no text|no table"),
        (b"one word", "no table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "a.xlsx"
    file.write_bytes(content)
    with pytest.raises(DeliveryRejected, match=said) as refused:
        drafted(file)
    assert "Jan" not in str(refused.value)


def test_only_the_first_rows_of_a_large_file_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goral_pipeline.sources.drafting.sniffing.MOST_ROWS", 20)
    assert "the first 19 records" in drafted(text_file(tmp_path / "a.csv", ROWS)).text
    book = workbook(tmp_path / "a.xlsx", {"Blad": [HEADER, *ROWS]})
    assert "the first 19 records" in drafted(book).text
    monkeypatch.setattr("goral_pipeline.sources.drafting.sniffing.MOST_BYTES", 600)
    assert re.search(r"the first \d+ records", drafted(tmp_path / "a.csv").text)


# ── YAML ─────────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None)
@given(st.text())
def test_any_text_is_written_as_yaml_that_reads_as_it(text: str) -> None:
    for place in ("[{}]", "- {}", "{}: x"):
        read = yaml.safe_load(place.format(scalar(text)))
        assert list(read) == [text]
    assert "\x1b" not in scalar(text)


@pytest.mark.parametrize("text", ["yes", "No", "null", "1", "1e3", "a: b", "a #b", "=x", "-", "~"])
def test_words_of_yaml_stay_text(text: str) -> None:
    assert yaml.safe_load(f"[{scalar(text)}]") == [text]
