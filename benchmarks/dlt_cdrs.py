"""The same records by dlt, to Parquet: `python dlt_cdrs.py pages.ndjson folder`; prints seconds.

Runs in an environment of its own (`make bench` makes it), so nothing of the project is imported.
The records are picked apart here, into the columns of the bare script, and their types are given:
what is measured is dlt's own work on rows that are ready, not on nested ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt

COLUMNS: dict[str, dict[str, Any]] = {
    **{name: {"data_type": "timestamp"} for name in ("started_at", "ended_at", "last_updated")},
    **{
        name: {"data_type": "decimal", "precision": 12, "scale": 4}
        for name in (
            *("total_cost", "total_fixed_cost", "total_energy_cost"),
            *("energy_kwh", "connected_h", "parked_h"),
        )
    },
    **{
        name: {"data_type": "decimal", "precision": 9, "scale": 6}
        for name in ("latitude", "longitude")
    },
    "is_credit": {"data_type": "bool", "nullable": True},
    "credited_cdr_id": {"data_type": "text", "nullable": True},
}


def records(path: str) -> Iterator[list[dict[str, Any]]]:
    """The records of each page."""
    with Path(path).open(encoding="utf-8") as file:
        for line in file:
            page = json.loads(line, parse_float=Decimal)
            yield [
                _row(it, page["offset"] + place)
                for place, it in enumerate(page["body"]["data"], start=1)
            ]


def _row(it: dict[str, Any], record_number: int) -> dict[str, Any]:
    where, token = it["cdr_location"], it["cdr_token"]
    return {
        "country_code": it["country_code"],
        "party_id": it["party_id"],
        "cdr_id": it["id"],
        "session_id": it["session_id"],
        "started_at": datetime.fromisoformat(it["start_date_time"]),
        "ended_at": datetime.fromisoformat(it["end_date_time"]),
        "token": token["uid"],
        "token_type": token["type"],
        "auth_method": it["auth_method"],
        "location_id": where["id"],
        "address": where["address"],
        "city": where["city"],
        "postal_code": where["postal_code"],
        "latitude": Decimal(where["coordinates"]["latitude"]),
        "longitude": Decimal(where["coordinates"]["longitude"]),
        "evse_uid": where["evse_uid"],
        "evse_id": where["evse_id"],
        "connector_id": where["connector_id"],
        "connector_standard": where["connector_standard"],
        "power_type": where["connector_power_type"],
        "tariff_id": it["tariffs"][0]["id"],
        "currency": it["currency"],
        "total_cost": it["total_cost"]["excl_vat"],
        "total_fixed_cost": it.get("total_fixed_cost", {}).get("excl_vat"),
        "total_energy_cost": it["total_energy_cost"]["excl_vat"],
        "energy_kwh": it["total_energy"],
        "connected_h": it["total_time"],
        "parked_h": it["total_parking_time"],
        "is_credit": it.get("credit"),
        "credited_cdr_id": it.get("credit_reference_id"),
        "last_updated": datetime.fromisoformat(it["last_updated"]),
        "delivery_id": "0" * 16,
        "record_number": record_number,
    }


def main() -> None:
    """Load a file of pages into a folder."""
    _, path, folder = sys.argv
    begin = time.perf_counter()
    pipeline = dlt.pipeline(
        "sessions",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(bucket_url=f"file://{folder}/loaded"),
        dataset_name="staged",
    )
    rows = dlt.resource(records(path), name="sessions", columns=COLUMNS, max_table_nesting=0)
    pipeline.run(rows, loader_file_format="parquet").raise_on_failed_jobs()
    print(time.perf_counter() - begin)  # noqa: T201


if __name__ == "__main__":
    main()
