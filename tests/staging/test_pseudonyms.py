"""Pseudonyms are the keyed hashes that Python's own library gives, and the key stays hidden."""

import hashlib
import hmac
from pathlib import Path

import pytest

from goral_pipeline import ingestion
from goral_pipeline.errors import SettingsError
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.staging import pseudonym
from tests.support_files import (
    KEY,
    LOCATIONS,
    REQUESTS,
    location,
    ocpi_file,
    request,
    settings,
    stage_file,
    workbook_file,
)

ADDRESSES = [
    "someone@example.nl",
    "  Someone.Else@Example.NL ",
    "\u00a0with.no.break@example.nl\u00a0",
    "line.break@example.nl\n",
    "José.Ünal@voorbeeld.nl",
    "quote'd\"@example.nl",
    "=cmd|' /C calc'!A0",
    "日本@example.jp",
    "x" * 300 + "@example.nl",
]


def _hmac(key: bytes, address: str) -> str:
    return hmac.new(key, address.lower().strip().encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("length", [32, 64, 65, 200])
def test_a_pseudonym_is_the_hmac_of_the_address_in_lower_case_without_blanks(
    length: int, tmp_path: Path
) -> None:
    key = (KEY * 10)[:length].encode()
    rows = [request(f"R{n}", **{"E-mailadres": text}) for n, text in enumerate(ADDRESSES)]
    file = workbook_file(tmp_path / "file.xlsx", rows)
    staged = stage_file(tmp_path / "home", REQUESTS, file, key=key)
    found = [row["applicant_pseudonym"] for row in staged.accepted("requests")]
    assert found == [_hmac(key, address) for address in ADDRESSES]


def test_one_applicant_has_one_pseudonym_however_the_address_is_written(tmp_path: Path) -> None:
    ways = ["a.b@example.nl", "A.B@EXAMPLE.NL", " a.b@Example.nl"]
    rows = [request(f"R{n}", **{"E-mailadres": text}) for n, text in enumerate(ways)]
    staged = stage_file(tmp_path, REQUESTS, workbook_file(tmp_path / "file.xlsx", rows))
    assert len({row["applicant_pseudonym"] for row in staged.accepted("requests")}) == 1


@pytest.mark.parametrize("empty", [None, "", "   ", "\u00a0"])
def test_without_an_address_there_is_no_pseudonym(empty: str | None, tmp_path: Path) -> None:
    rows = [request("R1", **{"E-mailadres": empty})]
    staged = stage_file(tmp_path, REQUESTS, workbook_file(tmp_path / "file.xlsx", rows))
    assert staged.accepted("requests")[0]["applicant_pseudonym"] is None


@pytest.mark.parametrize("key", [None, "too-short-secret", KEY[:31]])
def test_a_missing_or_short_key_is_refused_before_anything_is_read_and_not_shown(
    key: str | None, tmp_path: Path
) -> None:
    file = workbook_file(tmp_path / "file.xlsx", [request()])
    chosen = settings(tmp_path / "home", pseudonym_key=key)
    ledger = Ledger(chosen.ledger)
    with pytest.raises(SettingsError, match="at least 32 characters") as refusal:
        ingestion.deliver(chosen, ledger, REQUESTS, "2022-07", file)
    ledger.close()
    assert key is None or key not in str(refusal.value)
    assert not (tmp_path / "home" / "staging").exists()


def test_a_dataset_without_personal_columns_needs_no_key(tmp_path: Path) -> None:
    file = ocpi_file(tmp_path / "file.json.gz", [location()])
    staged = stage_file(tmp_path, LOCATIONS, file, key=None)
    assert staged.staging.key_id is None


def test_the_id_of_a_key_differs_by_key_and_does_not_hold_it() -> None:
    one, two = pseudonym.key_id(KEY.encode()), pseudonym.key_id(KEY[::-1].encode())
    assert one != two
    assert one != hashlib.sha256(KEY.encode()).hexdigest()[:16]
    assert len(one) == 16


def test_the_key_does_not_show_in_the_printed_settings(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert KEY not in repr(chosen)
    assert KEY not in str(chosen)
