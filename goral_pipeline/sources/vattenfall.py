"""Vattenfall InCharge: the exports of the running concession.

No layout of theirs is public: the one in `mappings/` is ours, and changes there without code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from goral_pipeline.http_session import Token
from goral_pipeline.sources import tabular
from goral_pipeline.sources.asking import Answer, Question, address, at_partition, download

if TYPE_CHECKING:
    import duckdb

    from goral_pipeline.contracts import Contract

REQUESTS_MAPPING = tabular.MAPPINGS / "vattenfall.requests.yaml"
READING = (
    REQUESTS_MAPPING,
    Path(tabular.__file__),
    tabular.MUNICIPALITIES,
    tabular.MUNICIPALITY_NAMES,
)


def fetch_requests(question: Question) -> Answer | None:
    """Ask for a month's export of requests; None when it has not changed."""
    settings = question.settings
    template = address(settings.vattenfall_requests_url, "vattenfall_requests_url")
    url = at_partition(template, "month", question)
    secret = settings.vattenfall_token
    token = Token(f"Token {secret.get_secret_value()}", template) if secret else None
    return download(question, url, token)


def read_requests(con: duckdb.DuckDBPyConnection, path: Path, contract: Contract) -> None:
    """Read an export into `raw_requests`."""
    tabular.read_workbook(con, path, contract, tabular.load(REQUESTS_MAPPING))
