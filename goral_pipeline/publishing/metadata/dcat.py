"""A release as a catalogue in DCAT-AP-NL 3.0, the Dutch profile of DCAT-AP, as JSON-LD.

A catalogue is the product, a dataset in it is a published dataset of whatever drop, a distribution
is one Parquet file of this drop. Addresses of files are relative: they are right wherever the drop
lies.
"""

from __future__ import annotations

import calendar
import json
from typing import Any

from goral_pipeline.contracts import Contract, Table
from goral_pipeline.publishing.manifest import DataFile
from goral_pipeline.publishing.metadata.datapackage import MEDIA_TYPE
from goral_pipeline.publishing.metadata.release import (
    KEYWORDS,
    LICENCE,
    PUBLISHER,
    URN,
    Release,
    Text,
)

Node = dict[str, Any]

EU = "http://publications.europa.eu/resource/authority/"
CONTEXT = {
    "adms": "http://www.w3.org/ns/adms#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
STATUSES = {
    "demo": ("DEVELOP", Text("under development", "in ontwikkeling")),
    "provisional": ("OP_DATPRO", Text("provisional data", "voorlopige gegevens")),
    "final": ("COMPLETED", Text("completed", "voltooid")),
}
"""The status of a drop in the EU's list."""
ACCESS_RIGHTS = {"kpi": "RESTRICTED", "cdr": "NON_PUBLIC"}
"""Neither is open yet: the programme hands KPIs to NDW, and sessions to whom an owner names."""
THEMES = {"TRAN": Text("Transport", "Vervoer"), "ENER": Text("Energy", "Energie")}


def catalogue(tables: list[tuple[Contract, Table]], release: Release) -> bytes:
    """The bytes of `dcat.jsonld`."""
    described = {"@context": CONTEXT, **_catalogue(tables, release)}
    return (json.dumps(described, indent=2, ensure_ascii=False) + "\n").encode()


def _catalogue(tables: list[tuple[Contract, Table]], release: Release) -> Node:
    return {
        "@id": f"{URN}catalogue:{release.product}",
        "@type": "dcat:Catalog",
        "dct:title": _both(release.title),
        "dct:description": _both(release.description),
        "dct:publisher": _publisher(),
        "dct:creator": _publisher(),
        "dcat:contactPoint": _contact(),
        "dct:language": _languages(),
        "dct:spatial": _netherlands(),
        "dct:license": _licence(),
        "dcat:themeTaxonomy": {
            **_term("data-theme", "skos:ConceptScheme"),
            "dct:title": _both(Text("Data themes", "Datathema's")),
        },
        "dcat:dataset": [_dataset(contract, table, release) for contract, table in tables],
    }


def _dataset(contract: Contract, table: Table, release: Release) -> Node:
    months = sorted({month for file in release.files(contract.dataset) for month in file.months})
    status, status_name = STATUSES[release.status]
    description = Text(
        f"{contract.description['purpose']} {table.description}",
        f"{contract.purpose_nl} {table.description_nl}",
    )
    return {
        "@id": f"{URN}dataset:{contract.dataset}",
        "@type": "dcat:Dataset",
        "dct:identifier": f"{URN}dataset:{contract.dataset}",
        "dct:title": _both(Text(contract.name, contract.name_nl)),
        "dct:description": _both(release.noticed(description)),
        "dct:publisher": _publisher(),
        "dct:creator": _publisher(),
        "dcat:contactPoint": _contact(),
        "dct:accessRights": _term(
            f"access-right/{ACCESS_RIGHTS[release.product]}", "dct:RightsStatement"
        ),
        "dcat:theme": [_concept(f"data-theme/{theme}", name) for theme, name in THEMES.items()],
        "dcat:keyword": [said for keyword in KEYWORDS for said in _both(keyword)],
        "dct:language": _languages(),
        "dct:spatial": _netherlands(),
        **({"dct:temporal": _period(months)} if months else {}),
        "dct:conformsTo": _contract(contract),
        "foaf:page": [
            {"@id": f"dictionary.{language}.md", "@type": "foaf:Document"}
            for language in ("en", "nl")
        ],
        "dcat:version": release.drop,
        "adms:status": _concept(f"dataset-status/{status}", status_name),
        "dcat:distribution": [
            _distribution(contract, file, release) for file in release.files(contract.dataset)
        ],
    }


def _distribution(contract: Contract, file: DataFile, release: Release) -> Node:
    return {
        "@id": f"{URN}drop:{release.drop}:{file.path}",
        "@type": "dcat:Distribution",
        "dct:title": _both(Text(contract.name, contract.name_nl)),
        "dcat:accessURL": {"@id": file.path},
        "dcat:downloadURL": {"@id": file.path},
        "dct:license": _licence(),
        "dct:format": _term("file-type/PARQUET", "dct:MediaTypeOrExtent"),
        "dcat:mediaType": {
            "@id": f"https://www.iana.org/assignments/media-types/{MEDIA_TYPE}",
            "@type": "dct:MediaType",
        },
        "dcat:byteSize": _typed(str(file.bytes), "xsd:nonNegativeInteger"),
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {
                "@id": "spdx:checksumAlgorithm_sha256",
                "@type": "spdx:ChecksumAlgorithm",
            },
            "spdx:checksumValue": _typed(file.sha256, "xsd:hexBinary"),
        },
        "dct:conformsTo": _contract(contract),
        "dct:language": _languages(),
    }


def _both(text: Text) -> list[Node]:
    """The text in both languages."""
    return [
        {"@language": "en", "@value": text.en},
        {"@language": "nl", "@value": text.nl},
    ]


def _typed(value: str, datatype: str) -> Node:
    return {"@type": datatype, "@value": value}


def _term(name: str, of: str) -> Node:
    """A term of one of the EU's lists, with its class: the profile asks that both are told."""
    return {"@id": f"{EU}{name}", "@type": of}


def _concept(name: str, label: Text) -> Node:
    return {**_term(name, "skos:Concept"), "skos:prefLabel": _both(label)}


def _languages() -> list[Node]:
    return [_term(f"language/{language}", "dct:LinguisticSystem") for language in ("ENG", "NLD")]


def _netherlands() -> Node:
    """The smallest area around the region that the profile's lists surely have."""
    return _term("country/NLD", "dct:Location")


def _publisher() -> Node:
    return {"@id": f"{URN}organisation", "@type": "foaf:Agent", "foaf:name": PUBLISHER}


def _contact() -> Node:
    """Whom to ask; without an address, for the programme has named none yet."""
    return {"@id": f"{URN}contact", "@type": "vcard:Kind", "vcard:fn": PUBLISHER}


def _licence() -> Node:
    return {
        "@id": f"{URN}licence:not-set",
        "@type": "dct:LicenseDocument",
        "dct:title": {"@language": "en", "@value": LICENCE},
    }


def _contract(contract: Contract) -> Node:
    return {
        "@id": f"contracts/{contract.path.name}",
        "@type": "dct:Standard",
        "dct:identifier": contract.id,
        "dcat:version": contract.version,
    }


def _period(months: list[str]) -> Node:
    """From the first day of the first month to the last day of the last one."""
    year, month = map(int, months[-1].split("-"))
    last = calendar.monthrange(year, month)[1]
    return {
        "@type": "dct:PeriodOfTime",
        "dcat:startDate": _typed(f"{months[0]}-01", "xsd:date"),
        "dcat:endDate": _typed(f"{months[-1]}-{last:02}", "xsd:date"),
    }
