"""Deliveries of charge detail records of any size, as a crawl lands them; all of it is invented.

Tokens repeat as those of real drivers do: few drivers charge often, many seldom. One record in 200
breaks a rule, one in 500 misses the profile, and pages overlap by one, as those of a crawl do.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

OBJECTS_A_PAGE = 1000
PAGES_AT_A_TIME = 50
SECONDS = 20 * 86_400
"""Of a month, within which all begin: what is not yet past would be refused."""
RECORD = re.compile(rb'\{"country_code":"NL","party_id":"...","id":"DEMO-')
"""How each record begins."""

# One page a row: the objects as text, so that what is written is what a server sends.
_PAGES = """
with numbers as (
    -- Each page begins with the last object of the page before.
    select
        range // $size as page,
        greatest(range - (range // $size), 0) as i,
        range % $size as place
    from range($first * $size, least($last * $size, $rows + $rows // $size))
), drawn as (
    select *,
        hash(i) as h, hash(i * 7 + 1) as h2, (hash(i * 13 + 2) % 40000)::bigint as evse,
        timestamp '$month-01' + to_seconds((i * $seconds / $rows)::bigint) as began,
        600 + (hash(i * 3) % 40000)::bigint as took
    from numbers
), sessions as (
    select *,
        (pow((h2 % 1000000) / 1e6, 3) * greatest(1000, $rows // 12))::bigint as driver,
        began + to_seconds(took) as ended,
        least((1000 + h % 59000) / 1000.0, took / 3600.0 * 11)::decimal(9, 3) as kwh,
        -- Two kinds of dirt.
        if(i % 200 = 7, -1, 1) as sign,
        i % 500 <> 11 as is_complete
    from drawn
), records as (
    select page, place, concat(
        '{"country_code":"NL","party_id":"', ['NUO', 'ALF', 'TOT', 'EQN'][1 + evse % 4],
        '","id":"', printf('DEMO-%s-%09d', left(md5('$month' || i), 20), i),
        '","start_date_time":"', strftime(began, '%Y-%m-%dT%H:%M:%SZ'),
        '","end_date_time":"', strftime(ended, '%Y-%m-%dT%H:%M:%SZ'),
        '","session_id":"S$month-', i,
        '","cdr_token":{"country_code":"NL","party_id":"DEM","uid":"DEMO',
        upper(left(md5('t' || driver), 10)), '","type":"RFID","contract_id":"NL-DEM-C',
        printf('%08d', driver), '"},"auth_method":"WHITELIST","cdr_location":{"id":"L', evse // 2,
        '","address":"Demolaan ', 1 + evse % 300, '","city":"Demostad","postal_code":"',
        6500 + evse % 1500, ' AB","country":"NLD","coordinates":{"latitude":"',
        printf('%.6f', 51.8 + (evse % 700) / 1000.0), '","longitude":"',
        printf('%.6f', 5.4 + (evse % 1300) / 1000.0), '"},"evse_uid":"E', evse,
        '","evse_id":"NL*NUO*E', evse, '*1","connector_id":"1",',
        '"connector_standard":"IEC_62196_T2","connector_format":"SOCKET",',
        '"connector_power_type":"AC_3_PHASE"},"currency":"EUR","tariffs":[{"country_code":"NL",',
        '"party_id":"NUO","id":"T1","currency":"EUR","type":"REGULAR","elements":[{',
        '"price_components":[{"type":"ENERGY","price":0.35,"vat":21.0,"step_size":1}]}],',
        '"last_updated":"2022-01-01T00:00:00Z"}],"charging_periods":[{"start_date_time":"',
        strftime(began, '%Y-%m-%dT%H:%M:%SZ'), '","dimensions":[{"type":"ENERGY","volume":', kwh,
        '},{"type":"TIME","volume":', (took / 3600.0)::decimal(9, 4), '}],"tariff_id":"T1"}],',
        '"total_cost":{"excl_vat":', (kwh * 0.35)::decimal(9, 2), ',"incl_vat":',
        (kwh * 0.42)::decimal(9, 2), '},',
        if(is_complete, '"total_fixed_cost":{"excl_vat":0.00},', ''),
        '"total_energy":', kwh * sign, ',"total_energy_cost":{"excl_vat":',
        (kwh * 0.35)::decimal(9, 2), '},"total_time":', (took / 3600.0)::decimal(9, 4),
        ',"total_parking_time":', (took / 7200.0)::decimal(9, 4), ',"last_updated":"',
        strftime(ended + interval 1 minute, '%Y-%m-%dT%H:%M:%SZ'), '"}'
    ) as json
    from sessions
)
select concat(
    '{"page":', page + 1, ',"offset":', page * ($size - 1), ',"body":{"data":[',
    string_agg(json, ',' order by place),
    '],"status_code":1000,"timestamp":"2022-08-15T00:00:00Z"}}'
) as line
from records group by page order by page
"""


def write(path: Path, rows: int, month: str = "2022-07") -> Path:
    """Write pages with so many different records of sessions that began in a month."""
    every = rows + rows // OBJECTS_A_PAGE
    pages = -(-every // OBJECTS_A_PAGE)
    with duckdb.connect(config={"threads": 2}) as con, path.open("w") as file:
        con.execute("set TimeZone = 'UTC'")
        for first in range(0, pages, PAGES_AT_A_TIME):
            last = first + PAGES_AT_A_TIME
            values = {"rows": rows, "size": OBJECTS_A_PAGE, "seconds": SECONDS, "month": month}
            text = _PAGES
            for name, value in (values | {"first": first, "last": last}).items():
                text = text.replace(f"${name}", str(value))
            file.writelines(f"{line}\n" for (line,) in con.execute(text).fetchall())
    return path
