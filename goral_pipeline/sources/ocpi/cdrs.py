"""Charge detail records (CDRs) of OCPI, read into the columns of `concession.sessions`.

Versions 2.1.1, 2.2.1 and 2.3.0 are told apart by their members, record by record.

Belongs here: which member becomes which column. Does not belong here: judging rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goral_pipeline.contracts.model import quote
from goral_pipeline.sources import postal_code
from goral_pipeline.sources.ocpi import landed
from goral_pipeline.sources.reading import Reading

if TYPE_CHECKING:
    from goral_pipeline.sources.ocpi.party import Party

EXPECTED = "OCPI CDRs: pages as they were crawled, an answer with `data`, a list or one record"

# Everything that is no object is read as text, whatever it is: a number where a text belongs is
# then a value to be judged, and not the end of the page it stands on.
_RECORD = {
    "country_code": "VARCHAR",
    "party_id": "VARCHAR",
    "id": "VARCHAR",
    "session_id": "VARCHAR",
    "start_date_time": "VARCHAR",
    "end_date_time": "VARCHAR",
    "stop_date_time": "VARCHAR",
    "cdr_token": "STRUCT(uid VARCHAR, type VARCHAR)",
    "auth_id": "VARCHAR",
    "auth_method": "VARCHAR",
    "cdr_location": (
        "STRUCT(id VARCHAR, address VARCHAR, city VARCHAR, postal_code VARCHAR, "
        "coordinates STRUCT(latitude VARCHAR, longitude VARCHAR), evse_uid VARCHAR, "
        "evse_id VARCHAR, connector_id VARCHAR, connector_standard VARCHAR, "
        "connector_power_type VARCHAR)"
    ),
    "location": (
        "STRUCT(id VARCHAR, address VARCHAR, city VARCHAR, postal_code VARCHAR, "
        "coordinates STRUCT(latitude VARCHAR, longitude VARCHAR), "
        "evses STRUCT(uid VARCHAR, evse_id VARCHAR, "
        "connectors STRUCT(id VARCHAR, standard VARCHAR, power_type VARCHAR)[])[])"
    ),
    "currency": "VARCHAR",
    "tariffs": "STRUCT(country_code VARCHAR, party_id VARCHAR, id VARCHAR, currency VARCHAR)[]",
    # A number in 2.1.1, an object since; taxes are named otherwise since 2.3.0.
    "total_cost": "VARCHAR",
    "total_fixed_cost": "STRUCT(excl_vat VARCHAR, before_taxes VARCHAR)",
    "total_energy_cost": "STRUCT(excl_vat VARCHAR, before_taxes VARCHAR)",
    "total_energy": "VARCHAR",
    "total_time": "VARCHAR",
    "total_parking_time": "VARCHAR",
    "credit": "VARCHAR",
    "credit_reference_id": "VARCHAR",
    "last_updated": "VARCHAR",
}


def _as_credited(amount: str) -> str:
    """An amount; in a credit CDR that of what it takes back, where some put a minus before it.

    OCPI has only costs negative there. Were it refused, what it takes back would go on counting.
    """
    is_credit = "it.credit is not null and try_cast(it.credit as boolean)"
    return f"case when {is_credit} then ltrim({amount}, '-') else {amount} end"


_TEXTS = {
    # To OCPI capitals and small letters are one in an id, so those of the key have one case.
    "country_code": "coalesce(upper(it.country_code), {country_code})",
    "party_id": "coalesce(upper(it.party_id), {party_id})",
    "cdr_id": "upper(it.id)",
    "session_id": "it.session_id",
    "started_at": "it.start_date_time",
    "ended_at": "coalesce(it.end_date_time, it.stop_date_time)",
    "token_pseudonym": "coalesce(it.cdr_token.uid, it.auth_id)",
    "token_type": "it.cdr_token.type",
    "auth_method": "it.auth_method",
    "location_id": "coalesce(it.cdr_location.id, it.location.id)",
    "address": "coalesce(it.cdr_location.address, it.location.address)",
    "city": "coalesce(it.cdr_location.city, it.location.city)",
    "postal_code": postal_code.in_one_form(
        "coalesce(it.cdr_location.postal_code, it.location.postal_code)"
    ),
    "latitude": "coalesce(it.cdr_location.coordinates.latitude, it.location.coordinates.latitude)",
    "longitude": (
        "coalesce(it.cdr_location.coordinates.longitude, it.location.coordinates.longitude)"
    ),
    "evse_uid": "coalesce(it.cdr_location.evse_uid, it.location.evses[1].uid)",
    "evse_id": (
        "upper(replace(coalesce(it.cdr_location.evse_id, it.location.evses[1].evse_id), '*', ''))"
    ),
    "connector_id": (
        "coalesce(it.cdr_location.connector_id, it.location.evses[1].connectors[1].id)"
    ),
    "connector_standard": (
        "upper(coalesce("
        "it.cdr_location.connector_standard, it.location.evses[1].connectors[1].standard))"
    ),
    "power_type": (
        "coalesce(it.cdr_location.connector_power_type, "
        "it.location.evses[1].connectors[1].power_type)"
    ),
    "tariff_id": "it.tariffs[1].id",
    "currency": "it.currency",
    "total_cost": (
        "if(starts_with(it.total_cost, chr(123)), coalesce("
        "it.total_cost ->> '$.excl_vat', it.total_cost ->> '$.before_taxes'), it.total_cost)"
    ),
    "total_fixed_cost": "coalesce(it.total_fixed_cost.excl_vat, it.total_fixed_cost.before_taxes)",
    "total_energy_cost": (
        "coalesce(it.total_energy_cost.excl_vat, it.total_energy_cost.before_taxes)"
    ),
    "energy_kwh": _as_credited("it.total_energy"),
    "connected_h": _as_credited("it.total_time"),
    "parked_h": _as_credited("it.total_parking_time"),
    "is_credit": "coalesce(it.credit, 'false')",
    "credited_cdr_id": "upper(it.credit_reference_id)",
    "last_updated": "it.last_updated",
    "is_tariff_whole": (
        "(it.tariffs[1].country_code || it.tariffs[1].party_id || it.tariffs[1].id "
        "|| it.tariffs[1].currency is not null)::varchar"
    ),
}


def read_cdrs(reading: Reading, party: Party) -> None:
    """Read the records into the view `raw_sessions`.

    Raises:
        DeliveryRejected: when it is nothing that OCPI knows of.
    """
    own = {"country_code": quote(party.country_code), "party_id": quote(party.party_id)}
    given = ", ".join(f"{text.format(**own)} as {name}" for name, text in _TEXTS.items())
    records = landed.objects(reading, _RECORD, EXPECTED)
    reading.con.execute(f"""
        create temp view raw_sessions as
        select row_id, null::bigint as parent_row_id, record_number, {given},
            {quote(reading.received_at.isoformat())} as received_at
        from {records}
    """)
