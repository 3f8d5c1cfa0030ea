"""The exports of a concession that nobody mapped yet: invented, of the kind that is in public use.

A workbook of location proposals with headers on the second row, one time stamp a step of the
process and Dutch free text; and a text file of requests. All persons are invented.
"""

import random
from datetime import date, datetime, time, timedelta
from pathlib import Path

import xlsxwriter

SHEET = "Locatievoorstellen"
PLACES = ("Apeldoorn", "Arnhem", "Zutphen", "Hengelo (O)", "Ede", "Doetinchem", "Tiel")
STEPS = (
    *("Aangemaakt", "Voorstel", "Akkoord gemeente", "Publicatie verkeersbesluit"),
    *("Aanvraag netaansluiting", "Definitief verkeersbesluit", "Netaansluiting gereed"),
    *("Realisatie gepland", "In bedrijf"),
)
HEADERS = (
    *("Nummer voorstel", "Gemeente", "Adres", "Postcode", "Breedtegraad", "Lengtegraad"),
    *("Aantal laadpunten", "Vermogen (kW)", *STEPS, "Gestopt op", "Toelichting bij stop"),
    *("Aanleiding", "Reden vertraging", "Akkoord aannemer", "Behandelaar", "E-mail behandelaar"),
    *("Opmerking vraaggestuurd", "EVSE-id's", "Gewijzigd op"),
)
OCCASIONS = ("Op verzoek van bewoner", "Proactief", "Datagestuurd")
DELAYS = ("", "", "", "Netaansluiting", "Bezwaar", "Levering paal", "Wacht op werkzaamheden")
PERSONS = ("P. Verzonnen", "Q. de Bedachte", "R. van Nergenshuizen")
NOTES = (
    "Bewoner P. Verzonnen belde over de plek voor de deur van nummer 12",
    "Buurt is akkoord na overleg met Q. de Bedachte op het stadhuis",
)
REALISED = 96
"""Stations of the export that are in use; the others are on their way or stopped."""
CHARGE_POINTS = 2 * REALISED


def placements(path: Path, number: int = 120, month: date = date(2023, 5, 1)) -> Path:
    """Write the workbook of placements: a title above the headers, and a row of totals below."""
    draw = random.Random(7)
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(SHEET)
        sheet.write(0, 0, "Overzicht locatievoorstellen, peildatum 31-05-2023")
        for place, header in enumerate(HEADERS):
            sheet.write(1, place, header)
        stamp = book.add_format({"num_format": "dd-mm-yyyy hh:mm"})
        for line in range(number):
            for place, value in enumerate(_placement(draw, line, month)):
                if isinstance(value, datetime):
                    sheet.write_datetime(2 + line, place, value, stamp)
                elif value != "":
                    sheet.write(2 + line, place, value)
        sheet.write(2 + number, 0, "Totaal")
        sheet.write(2 + number, 6, 2 * number)
    return path


def _placement(draw: random.Random, line: int, month: date) -> list[object]:
    in_use = line < REALISED
    end = datetime.combine(month + timedelta(days=line % 28), time(9, 30))
    begin = end - timedelta(days=150)
    moments = [begin + timedelta(days=16 * step, hours=step) for step in range(len(STEPS) - 1)]
    steps: list[object] = [*moments, end] if in_use else [*moments[:4], "", "", "", "", ""]
    stopped = end if line == number_of_the_stopped() else ""
    # One step is text in the export, for the system it comes from is another.
    steps[3] = moments[3].strftime("%d-%m-%Y %H:%M")
    evses = f"NL*ABC*E{line:05d}*1, NL*ABC*E{line:05d}*2" if in_use else ""
    return [
        *(f"LV-{2023000 + line}", PLACES[line % len(PLACES)], f"Dorpsstraat {1 + line}"),
        *(f"{7000 + line} AB", 52.1 + line / 1000, 6.1 + line / 1000, 2, 11.0, *steps),
        *(stopped, NOTES[0] if stopped else "", OCCASIONS[line % 3], DELAYS[line % len(DELAYS)]),
        *("Ja", draw.choice(PERSONS), f"behandelaar{line % 3}@voorbeeld.invalid"),
        *(NOTES[line % 2], evses, end + timedelta(hours=6)),
    ]


def number_of_the_stopped() -> int:
    """Line of the one placement that was stopped."""
    return REALISED


REQUEST_HEADERS = (
    *("Dossiernummer", "Ingediend op", "Gemeente", "Naam", "Mailadres", "Mobiel", "Kenteken"),
    *("Toegekend op", "Afgewezen op", "Reden", "Gerealiseerd op", "Bijzonderheden"),
)
REASONS = ("eigen parkeerplaats", "al een laadpaal binnen 250 meter", "woont niet in de gemeente")


def requests(path: Path, number: int = 90) -> Path:
    """Write the text file of requests: Windows-1252, dates as in the Netherlands, a totals row."""
    lines = [";".join(REQUEST_HEADERS)]
    for line in range(number):
        asked = date(2023, 5, 1) + timedelta(days=line % 28)
        later = f"{asked + timedelta(days=2):%d-%m-%Y}"
        granted, rejected = (later, "") if line % 3 == 0 else ("", later)
        reason = REASONS[(line // 3) % len(REASONS)] if rejected else ""
        lines.append(
            ";".join(
                [
                    *(f"D{230000 + line}", f"{asked:%d-%m-%Y}", PLACES[line % len(PLACES)]),
                    *("Zoë Bedacht", f"persoon{line}@voorbeeld.invalid", f"06-{10000000 + line}"),
                    *(f"X-{100 + line}-YZ", granted, rejected, reason, "", NOTES[line % 2]),
                ]
            )
        )
    lines.append(f"Totaal;{number}" + ";" * (len(REQUEST_HEADERS) - 2))
    path.write_bytes("\r\n".join([*lines, ""]).encode("windows-1252"))
    return path
