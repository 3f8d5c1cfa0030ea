"""Every example of OCPI's specification, delivered as charging sessions: read, or refused rightly.

The files lie beside the project and are no part of it; where they are absent nothing is tested.
"""

import json
from pathlib import Path

import pytest

from goral_pipeline.errors import DeliveryRejected
from goral_pipeline.settings import PROJECT_ROOT
from tests.support_files import stage_file

EXAMPLES = PROJECT_ROOT.parent / "shared" / "data" / "ocpi_examples"
FILES = sorted(EXAMPLES.rglob("*.json"))
SESSIONS = "vattenfall/sessions"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not FILES,
        reason=f"THE EXAMPLES OF OCPI ARE ABSENT ({EXAMPLES}): nothing was held against them",
    ),
]


def is_record(path: Path) -> bool:
    """Whether it holds what makes a charge detail record, by none of the project's code."""
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    return isinstance(content, dict) and {"id", "cdr_token", "end_date_time"} <= content.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_an_example_is_read_or_rightly_refused(path: Path, tmp_path: Path) -> None:
    if is_record(path) and "cdr_location" in path.read_text():
        (row,) = stage_file(tmp_path, SESSIONS, path).accepted("sessions")
        content = json.loads(path.read_text())
        assert row["cdr_id"] == content["id"]
        assert float(row["energy_kwh"]) == content["total_energy"]
        assert content["cdr_token"]["uid"] not in str(row)
    else:
        with pytest.raises(DeliveryRejected, match="sessions break a rule"):
            stage_file(tmp_path, SESSIONS, path)
