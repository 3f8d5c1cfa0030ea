"""The contracts as datacontract-cli reads them: valid ODCS, and true of the files of a drop.

It is a tool of its own, in an environment of its own: `make .venv-datacontract/.installed`.
"""

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from goral_pipeline.contracts.model import FOLDER
from goral_pipeline.publishing.products import KPI
from tests.conftest import REPOSITORY, Demo

TOOL = REPOSITORY / ".venv-datacontract" / "bin" / "datacontract"
FILES = sorted(FOLDER.glob("*/*.odcs.yaml"))
DATASETS = [contract.dataset for contract, _ in KPI.tables()]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tool() -> None:
    if not TOOL.exists():
        assert "GORAL_REQUIRE_TRACER" not in os.environ, "datacontract-cli is mandatory in CI"
        pytest.skip("there is none: `make .venv-datacontract/.installed` installs it")


def _datacontract(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOL), *map(str, arguments)],
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _with_server(contract: Path, data: Path, copy: Path) -> Path:
    """A copy of a contract that says where the data lie."""
    content = yaml.safe_load(contract.read_text())
    server = {"server": "drop", "type": "local", "path": str(data), "format": "parquet"}
    copy.write_text(yaml.safe_dump(content | {"servers": [server]}, allow_unicode=True))
    return copy


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".odcs.yaml"))
def test_every_contract_is_valid(path: Path) -> None:
    done = _datacontract("lint", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_contract_that_is_not_odcs_is_refused(tmp_path: Path) -> None:
    content = yaml.safe_load(FILES[0].read_text())
    content["schema"][0]["properties"][0]["logicalType"] = "varchar"
    path = tmp_path / FILES[0].name
    path.write_text(yaml.safe_dump(content))
    done = _datacontract("lint", path)
    assert done.returncode == 1
    assert "logicalType" in done.stdout


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_data_of_a_drop_are_what_their_contract_says(
    demo: Demo, dataset: str, tmp_path: Path
) -> None:
    contract = demo.release / "contracts" / f"{dataset}.odcs.yaml"
    data = demo.release / dataset / f"{dataset}.parquet"
    done = _datacontract("test", _with_server(contract, data, tmp_path / contract.name))
    assert done.returncode == 0, done.stdout + done.stderr
    # It warns that it cannot check types in Parquet; the drop's own verification does.
    assert "no missing values" in done.stdout


def test_data_that_their_contract_does_not_allow_are_refused(demo: Demo, tmp_path: Path) -> None:
    contract = demo.release / "contracts" / "dim_month.odcs.yaml"
    table = pq.read_table(demo.release / "dim_month" / "dim_month.parquet")
    months = pa.array(["January", *table["month"].to_pylist()[1:]])
    data = tmp_path / "dim_month.parquet"
    pq.write_table(table.set_column(0, table.schema.field("month"), months), data)
    done = _datacontract("test", _with_server(contract, data, tmp_path / contract.name))
    assert done.returncode == 1
    assert "invalid_count(month) was 1" in done.stdout
