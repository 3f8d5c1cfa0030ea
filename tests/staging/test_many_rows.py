"""Deliveries of so many rows that DuckDB writes them itself."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import cdr_pages
from goral_pipeline import parquet
from goral_pipeline.errors import StagingDied
from goral_pipeline.staging.stage import MOST_ROWS_WRITTEN_HERE
from goral_pipeline.staging.worker import stage_apart
from tests.support_files import job_of, stage_file

SESSIONS = "vattenfall/sessions"


@pytest.mark.slow
def test_the_same_delivery_gives_the_same_bytes_on_any_number_of_threads(tmp_path: Path) -> None:
    file = cdr_pages.write(tmp_path / "pages.ndjson", MOST_ROWS_WRITTEN_HERE + 10_000)
    found = []
    # The second spills to the disk; 400MB now and then are too little.
    for threads, memory in ((1, "1GB"), (2, "500MB")):
        home = tmp_path / str(threads)
        staged = stage_file(home, SESSIONS, file, threads=threads, memory_limit=memory)
        (written,) = staged.staging.files
        found.append((written.sha256, staged.staging.counts))
        assert written.received == MOST_ROWS_WRITTEN_HERE + 10_000 + 260
    assert found[0] == found[1]
    job = job_of(tmp_path / "1", SESSIONS, file)
    table = pq.read_table(job.accepted_folder / "sessions.parquet")
    keys = table.select(["country_code", "party_id", "cdr_id"]).to_pylist()
    order = [tuple(key.values()) for key in keys]
    assert order == sorted(set(order))
    assert set(map(len, table["token_pseudonym"].unique().to_pylist())) == {64}


def test_a_limit_of_memory_that_is_too_low_is_named(tmp_path: Path) -> None:
    file = cdr_pages.write(tmp_path / "pages.ndjson", 20_000)
    job = job_of(tmp_path / "home", SESSIONS, file, threads=1, memory_limit="20MB")
    with pytest.raises(StagingDied, match="raise GORAL_DUCKDB_MEMORY_LIMIT"):
        stage_apart(job, seconds=60, memory_mib=4096)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select 1 as a, null::varchar as b", "1 nulls in b, which requires a value"),
        ("select 1 as a", r"columns are \['a'\], expected \['a', 'b'\]"),
    ],
)
def test_what_does_not_fit_the_contract_is_not_taken(tmp_path: Path, query: str, said: str) -> None:
    schema = pa.schema([pa.field("a", pa.int32()), pa.field("b", pa.string(), nullable=False)])
    with duckdb.connect() as con, pytest.raises(ValueError, match=said):
        parquet.copy(con, query, {}, tmp_path / "it's.parquet", schema)
