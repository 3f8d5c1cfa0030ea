"""The main way through: the demo from nothing to a published drop, and once more for nothing."""

import json
import shutil
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from tests.conftest import DEMO_KEY, Demo, every_byte, every_file, goral

# indicator, area, period and dimensions, as the closing table shows them, with the value.
PUBLISHED = {
    "requests_received Vattenfall InCharge 2022-12-01": "2996",
    "requests_pending_assessment Vattenfall InCharge 2022-12-01": "111",
    "requests_rejected Vattenfall InCharge 2022-12-01": "1276",
    "requests_received Ecotap/Allego 2022-12-01": "564",
    "requests_pending_assessment Ecotap/Allego 2022-12-01": "8",
    "requests_rejected Ecotap/Allego 2022-12-01": "549",
    "requests_received NAL-regio Oost 2022-12-01 counting:net": "3515",
    "charge_points_public_regular Gelderland + Overijssel 2022-11 source:rvo": "8114",
    "charge_points_semi_public_regular Gelderland + Overijssel 2022-11 source:rvo": "6456",
    "charge_points_fast Gelderland + Overijssel 2022-11 source:rvo": "581",
    "municipalities_total NAL-regio Oost 2022": "77",
    "res_regions NAL-regio Oost 2022": "8",
}
DELIVERIES = {
    "ndw_dotnl/locations": 12,
    "ndw_dotnl/tariffs": 3,
    "pdok/municipality_boundaries": 1,
    "vattenfall/requests": 9,
    "vattenfall/placements": 6,
    "vattenfall/sessions": 6,
    "vattenfall/locations": 3,
    "vattenfall/tariffs": 3,
    "ecotap_allego/requests": 8,
    "ecotap_allego/placements": 3,
    "rvo/charge_point_counts": 12,
    "rvo/vehicles": 1,
    "rvo/inhabitants": 1,
    "rvo/coverage": 1,
    "elaadnl/passenger_outlook": 2,
    "elaadnl/logistics_outlook": 1,
}
OF_REFERENCE = ("municipalities_total", "res_regions")


def test_the_demo_ends_with_figures_a_drop_and_a_database(demo: Demo) -> None:
    print(f"goral demo run from nothing: {demo.seconds:.1f} s")
    shown = {}
    for line in demo.out.splitlines():
        *named, value, status = line.split() or ["", "", ""]
        shown[" ".join(named)] = (value, status)
    for figure, value in PUBLISHED.items():
        status = "provisional" if figure.startswith(OF_REFERENCE) else "demo"
        assert shown.get(figure) == (value, status), demo.out

    assert demo.err.startswith("DEMO: all deliveries are invented")
    told = {line.split()[0]: line for line in demo.err.splitlines()[-3:]}
    assert told["drop"].endswith(f"drops/releases/{demo.drop}")
    assert demo.release.is_dir()
    database = demo.home / "warehouse" / "goral.duckdb"
    assert str(database) in told["database"]
    with duckdb.connect(str(database), read_only=True) as con:
        assert con.execute("select count(*) from marts.indicator_values").fetchone() != (0,)
    assert "make dev" in told["interface"]
    assert "Traceback" not in demo.err


def test_every_delivery_of_the_year_was_told_of(demo: Demo) -> None:
    new = Counter(line.split()[0] for line in demo.err.splitlines() if " new: " in line)
    assert new == DELIVERIES
    assert "failed" not in demo.err


def test_the_drop_is_right_to_the_last_page(demo: Demo) -> None:
    ran = goral("drop", "verify", "--deep", home=demo.home)
    assert ran.code == 0, ran.said
    assert ran.err.startswith(f"{demo.drop} is right: 10 data files, ")


def test_personal_data_stay_in_landing(demo: Demo) -> None:
    # Every e-mail address of the demo's invented persons ends so; their names begin so.
    found = [
        name
        for name, content in every_byte(demo.home).items()
        if b"@example.inv" in content.lower() or b"Demo Persoon" in content
    ]
    assert found, "exports in plain text hold them"
    assert not [name for name in found if not name.startswith("landing/")]


def test_run_again_it_says_nothing_new_and_touches_no_file(demo: Demo, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo.home, home)
    before = every_file(home)
    begin = time.monotonic()
    ran = goral("demo", "run", home=home)
    print(f"goral demo run with nothing new: {time.monotonic() - begin:.1f} s")
    assert ran.code == 0, ran.said
    assert "nothing new: every delivery, the warehouse and the drop are up to date" in ran.err
    assert str(home / "drops" / "releases" / demo.drop) in ran.err
    assert ran.out == demo.out
    assert every_file(home) == before

    begin = time.monotonic()
    again = goral(
        *("run", "--from", "2022-01", "--to", "2022-12", "--no-fetch"),
        home=home,
        GORAL_PSEUDONYM_KEY=DEMO_KEY,
    )
    print(f"goral run with nothing new, asking nobody: {time.monotonic() - begin:.1f} s")
    assert again.code == 0, again.said
    assert every_file(home) == before


def test_a_lost_drop_is_published_again_and_nothing_else_made_anew(
    demo: Demo, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(demo.home, home)
    shutil.rmtree(home / "drops")
    kept = {name: stat for name, stat in every_file(home).items() if name.startswith("staging/")}
    ran = goral(
        *("run", "--from", "2022-04", "--only", "vattenfall/requests", "--no-fetch"),
        home=home,
        GORAL_PSEUDONYM_KEY=DEMO_KEY,
    )
    assert ran.code == 0, ran.said
    assert "the warehouse is made of just these inputs: nothing to build" in ran.err
    assert every_byte(home / "drops") == every_byte(demo.drops)
    now = every_file(home)
    assert {name: now[name] for name in kept} == kept


@pytest.mark.slow
def test_another_run_from_nothing_publishes_the_same_files(demo: Demo, tmp_path: Path) -> None:
    home = tmp_path / "another home"
    ran = goral(
        *("demo", "run"),
        home=home,
        TZ="Asia/Tokyo",
        GORAL_DUCKDB_THREADS="1",
        PYTHONHASHSEED="1",
        LC_ALL="C",
    )
    assert ran.code == 0, ran.said
    (release,) = (home / "drops" / "releases").iterdir()
    ours, theirs = every_byte(demo.release), every_byte(release)
    # The boundaries are crawled from another port at another moment: another delivery, of which
    # the manifest tells, and so another id. All else is the same, to the bit.
    manifests = [json.loads(files.pop("manifest.json")) for files in (ours, theirs)]
    ids = [manifest["drop"].encode() for manifest in manifests]
    assert ours == {name: content.replace(ids[1], ids[0]) for name, content in theirs.items()}
    assert manifests[0]["data"] == manifests[1]["data"]
