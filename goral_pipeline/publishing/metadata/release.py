"""What is described: a release as its manifest knows it, and the programme that publishes it.

Belongs here: every name, identifier and right that the descriptions share, each once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from goral_pipeline.publishing.manifest import DataFile

Product = Literal["kpi", "cdr"]

URN = "urn:x-go-ral:"
"""Stem of the identifiers of catalogue, datasets and publisher. Invented: the programme has neither
a registered namespace nor an address on the web that would stay. Once it has one it goes here."""

PUBLISHER = "GO-RAL (NAL-regio Oost)"
LICENCE = "No licence: for NDW and the programme; handing on needs the programme's consent"
"""The programme has not set one yet."""

DEMO_NOTICE_NL = "DEMO: alle cijfers in deze levering berusten op verzonnen gegevens"
"""What the manifest's `notice` says of a demo, in Dutch."""


@dataclass(frozen=True)
class Text:
    """One text in both languages of the descriptions."""

    en: str
    nl: str


TITLES: dict[str, Text] = {
    "kpi": Text(
        "GO-RAL: figures on public charging infrastructure in the east of the Netherlands",
        "GO-RAL: cijfers over publieke laadinfrastructuur in Oost-Nederland",
    ),
    "cdr": Text(
        "GO-RAL: charging sessions and locations of public charging infrastructure in the east of "
        "the Netherlands",
        "GO-RAL: laadsessies en locaties van publieke laadinfrastructuur in Oost-Nederland",
    ),
}
DESCRIPTIONS: dict[str, Text] = {
    "kpi": Text(
        "Charge points, requests, use, coverage and forecasts of the 77 municipalities of "
        "NAL-regio Oost, and the indicators of the programme's yearly progress report.",
        "Laadpunten, aanvragen, gebruik, dekking en prognoses van de 77 gemeenten van NAL-regio "
        "Oost, en de indicatoren van de jaarlijkse voortgangsrapportage van het programma.",
    ),
    "cdr": Text(
        "Single charging sessions and locations in the terms of the OCPI LINDA profile, of "
        "municipalities whose data owner instructed so.",
        "Afzonderlijke laadsessies en locaties in de termen van het OCPI LINDA-profiel, van "
        "gemeenten waarvan de data-eigenaar daartoe opdracht gaf.",
    ),
}
KEYWORDS = (
    Text("charging infrastructure", "laadinfrastructuur"),
    Text("charge points", "laadpunten"),
    Text("electric vehicles", "elektrische voertuigen"),
)


@dataclass(frozen=True)
class Release:
    """What the manifest says of a release."""

    drop: str
    product: Product
    status: str
    """`demo`, `provisional` or `final`."""
    demo: bool
    notice: str
    """A sentence that says what is invented; empty where nothing is."""
    code_version: str
    data: tuple[DataFile, ...]

    @property
    def title(self) -> Text:
        """Title of the product."""
        return TITLES[self.product]

    @property
    def description(self) -> Text:
        """What the product is, and first of all what of it is invented."""
        return self.noticed(DESCRIPTIONS[self.product])

    def noticed(self, text: Text) -> Text:
        """The text, with the notice before it where there is one."""
        if not self.notice:
            return text
        return Text(f"{self.notice}. {text.en}", f"{DEMO_NOTICE_NL}. {text.nl}")

    def files(self, dataset: str) -> list[DataFile]:
        """The Parquet files of one dataset."""
        return [file for file in self.data if file.dataset == dataset]
