"""Deliveries of every source with a person planted: in personal columns, and where none is."""

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.landing.personal import PERSON

ALL_OF_HER = " ".join(PERSON.values())
TOKEN = "QX987KANARIEPIET"
# What the demo's persons look like, and what she has in its place.
OF_DEMO_PERSONS = (
    (rb"Demo Persoon \d+", PERSON["Naam aanvrager"]),
    (rb"(?i)persoon\d+@example\.invalid", PERSON["E-mailadres"]),
    (rb"06-0000\d+", PERSON["Telefoonnummer"]),
    (rb"Demostraat \d+", PERSON["Straat en huisnummer"]),
    (rb"XY-\d+-X", PERSON["Kenteken"]),
)
ENOUGH_CELLS = 5


def plant(path: Path) -> None:
    """Put her into a file: for each person there is, and into columns and fields that nobody reads.

    Raises:
        KeyError: for a file of a kind that is not known here.
    """
    kind = path.name[path.name.index(".") :]
    path.write_bytes(PLANTERS[kind](path.read_bytes()))


def _of_persons(content: bytes) -> bytes:
    for pattern, of_her in OF_DEMO_PERSONS:
        content = re.sub(pattern, of_her.encode(), content)
    return content


def _json(content: bytes) -> bytes:
    return json.dumps(_with_her(json.loads(content))).encode()


def _with_her(value: Any) -> Any:
    """Every object with one more member, which no standard knows; a third of tokens are hers."""
    if isinstance(value, list):
        return [_with_her(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {name: _with_her(one) for name, one in value.items()}
    if "contract_id" in found and found["uid"][-1] in "01234":
        found |= {"uid": TOKEN, "contract_id": f"NL-{PERSON['Naam aanvrager']}"}
    return found | {"x_remark": ALL_OF_HER, "x_contact": {"token": TOKEN, "names": [ALL_OF_HER]}}


def _csv(content: bytes) -> bytes:
    """One more column, in each line that has columns."""
    separator = max(b";,", key=lambda sign: content.count(sign)).to_bytes(1, "big")
    lines = []
    headed = False
    for line in _of_persons(content).splitlines():
        if line.count(separator) < ENOUGH_CELLS:
            lines.append(line)
            continue
        lines.append(line + separator + (f'"{ALL_OF_HER}"'.encode() if headed else b"Kanttekening"))
        headed = True
    return b"\r\n".join(lines) + b"\r\n"


def _xlsx(content: bytes) -> bytes:
    """One more cell in each row, far to the right."""
    planted = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(planted, "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            part = before.read(name)
            if name == "xl/sharedStrings.xml":
                part = _of_persons(part)
            elif name.startswith("xl/worksheets/"):
                part = _one_more_cell(part)
            after.writestr(name, part)
    return planted.getvalue()


def _one_more_cell(sheet: bytes) -> bytes:
    cell = rb'<c r="AZ\g<1>" t="inlineStr"><is><t>' + ALL_OF_HER.encode() + rb"</t></is></c></row>"
    return re.sub(rb'(?<=<row r=")(\d+)("(?:(?!</row>).)*)</row>', rb"\g<1>\g<2>" + cell, sheet)


PLANTERS: dict[str, Callable[[bytes], bytes]] = {
    ".json": _json,
    ".geojson": _json,
    ".json.gz": lambda content: gzip.compress(_json(gzip.decompress(content))),
    ".csv": _csv,
    ".xlsx": _xlsx,
}
