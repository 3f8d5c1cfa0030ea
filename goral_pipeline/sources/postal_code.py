"""Dutch postcodes, which publishers write with and without a space, in either case."""

from __future__ import annotations


def in_one_form(given: str) -> str:
    """SQL for a postcode in the form `1111 AA`; what is no Dutch one stays as it is.

    Args:
        given: SQL for the text as it was delivered.
    """
    bare = f"replace({given}, ' ', '')"
    return (
        f"case when regexp_full_match({bare}, '[0-9][0-9][0-9][0-9][A-Za-z][A-Za-z]') "
        f"then upper(left({bare}, 4) || ' ' || right({bare}, 2)) else {given} end"
    )
