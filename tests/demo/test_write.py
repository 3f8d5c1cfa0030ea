"""All deliveries as files: complete, labelled, and the same bytes in every process."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from goral_pipeline.demo.write import write

REPOSITORY = Path(__file__).parents[2]

HASH_ALL = """
import hashlib, json, sys, tempfile
from pathlib import Path
from goral_pipeline.demo.write import write
with tempfile.TemporaryDirectory() as folder:
    files = write(Path(folder))
    print(json.dumps({one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}))
"""


def hashes_in_another_process(hash_seed: str) -> dict[str, str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
    done = subprocess.run(
        [sys.executable, "-c", HASH_ALL],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    files = write(tmp_path / "new" / "folder")
    here = {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in files}
    assert here == hashes_in_another_process("1") == hashes_in_another_process("2")
    assert files == write(tmp_path / "new" / "folder")


def test_there_is_a_file_of_each_delivery_and_its_name_says_demo(tmp_path: Path) -> None:
    names = [one.name for one in write(tmp_path)]
    assert len(names) == len(set(names)) == 72
    assert all(name.startswith("DEMO_") for name in names)
    assert {
        "DEMO_ndw_dotnl_locations_2022-12.json.gz",
        "DEMO_pdok_municipality_boundaries_2022.geojson",
        "DEMO_vattenfall_requests_2022-07.xlsx",
        "DEMO_ecotap_allego_requests_2022-11.csv",
        "DEMO_rvo_charge_point_counts_2022-11.xlsx",
        "DEMO_rvo_inhabitants_2022.xlsx",
        "DEMO_elaadnl_passenger_outlook_2022Q1.csv",
        "DEMO_vattenfall_sessions_2022-12.json",
        "DEMO_vattenfall_locations_2022-12.json",
        "DEMO_vattenfall_tariffs_2022-10.json",
    } <= set(names)
    assert sorted(names) == sorted(one.name for one in tmp_path.iterdir())
