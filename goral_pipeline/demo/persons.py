"""The invented applicants, all of whom say that they are invented.

Belongs here: what an export tells of a person by number. Not: who asks what.
"""


def name(person: int) -> str:
    """A name that nobody has."""
    return f"Demo Persoon {person:04d}"


def email(person: int) -> str:
    """An address at a domain that cannot exist; the same in each concession."""
    return f"persoon{person:04d}@example.invalid"


def phone(person: int) -> str:
    """A number that cannot be dialled."""
    return f"06-{person:08d}"


def street(person: int) -> str:
    """A street that is nowhere."""
    return f"Demostraat {1 + person % 150}"


def plate(person: int) -> str:
    """A plate of a form that is not given out."""
    return f"X{'XYZW'[person // 1000 % 4]}-{person % 1000:03d}-X"


POSTCODE = "0000 AA"
