"""Drops on object storage and over SFTP: whole, verified there, the pointer moved by one alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from goral_pipeline.errors import GoralError, Overtaken, SettingsError
from goral_pipeline.landing.ledger import Ledger
from goral_pipeline.publishing import drop, reproduce, store, upkeep, verify
from goral_pipeline.publishing.manifest import Pointer
from goral_pipeline.publishing.products import KPI
from goral_pipeline.settings import Settings
from tests.conftest import Demo, every_byte
from tests.publishing import servers

pytestmark = pytest.mark.slow


@pytest.fixture(params=servers.KINDS)
def url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    folder = tmp_path / "server"
    folder.mkdir()
    with servers.serving(request.param, folder, monkeypatch) as served:
        yield served


@pytest.fixture
def remote(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"drops_url": url})


def content_of(drops: store.Store, name: str) -> dict[str, bytes]:
    """Every file of a release over there."""
    release = verify.release(name)
    found = {}
    for path in drops.place.names(release):
        with drops.place.open(f"{release}/{path}") as file:
            found[path] = file.read()
    return found


def test_a_drop_over_there_is_the_one_of_here(remote: Settings, ledger: Ledger, demo: Demo) -> None:
    told: list[str] = []
    result = drop.publish(remote, ledger, progress=told.append)
    assert (result.is_new, result.drop) == (True, demo.drop)
    assert result.where == f"{remote.drops_url}/releases/{demo.drop}"
    drops = KPI.open_store(remote)
    assert content_of(drops, demo.drop) == every_byte(demo.release)
    assert upkeep.verified(drops.place, deep=True).drop == demo.drop
    assert not drop.publish(remote, ledger).is_new
    assert drop.is_up_to_date(remote, ledger)
    assert not any((remote.home_folder / "publishing").iterdir()), "nothing is left on the way"


def test_one_drop_follows_another_over_there(
    remote: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = drop.publish(remote, ledger).drop
    really = drop.fingerprint
    monkeypatch.setattr(drop, "fingerprint", lambda *made_of: "f" * 8 + really(*made_of)[8:])
    second = drop.publish(remote, ledger).drop
    listed = upkeep.drops_of(remote)
    assert [(one.made.drop, one.made.sequence, one.is_latest) for one in listed] == [
        (first, 1, False),
        (second, 2, True),
    ]
    assert all(not table.changed for table in upkeep.diff(remote, None, None).tables)
    gone = upkeep.prune(remote, 1, dry_run=False)
    assert [made.drop for made in gone] == [first]
    assert [one.made.drop for one in upkeep.drops_of(remote)] == [second]
    upkeep.verified(KPI.open_store(remote).place, deep=True)


def test_of_two_publishers_one_loses_cleanly(url: str, tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path, drops_url=url)
    mine, other = KPI.open_store(settings), KPI.open_store(settings)
    for number in range(3):
        seen_by_me, seen_by_other = mine.seen(), other.seen()
        won = Pointer(f"2022-1{number}-0123456789ab", "0" * 64)
        mine.point(won.to_bytes(), seen_by_me)
        with pytest.raises(Overtaken, match="another publisher moved the pointer"):
            other.point(Pointer("2022-09-lost", "1" * 64).to_bytes(), seen_by_other)
        pointed = verify.latest(mine.place)
        assert pointed == vars(won)


def test_a_release_that_was_handed_over_by_half_is_completed(
    remote: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(KPI.open_store(remote))
    assert issubclass(kind, store.RemoteStore)
    really, left = kind.put, 5

    def put(self: store.RemoteStore, path: Path, name: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ConnectionResetError("the line broke")
        really(self, path, name)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "put", put)
        with pytest.raises(GoralError, match="cannot be reached, or refuses: ConnectionReset"):
            drop.publish(remote, ledger)
    drops = KPI.open_store(remote)
    assert verify.latest(drops.place) is None
    assert drops.drops() == []
    assert drop.publish(remote, ledger).is_new
    upkeep.verified(drops.place, deep=True)


def test_damage_over_there_is_found(remote: Settings, ledger: Ledger) -> None:
    name = drop.publish(remote, ledger).drop
    drops = KPI.open_store(remote)
    assert isinstance(drops, store.RemoteStore)
    path = drops.place.path(f"releases/{name}/dim_month/dim_month.parquet")
    content = bytearray(drops.place.files.cat_file(path))
    content[len(content) // 2] ^= 1
    drops.place.files.pipe_file(path, bytes(content))
    (problem,) = verify.problems(KPI.open_store(remote).place, name, None)
    assert problem.startswith("changed bytes: dim_month/dim_month.parquet")


def test_a_drop_over_there_is_reproduced(remote: Settings, ledger: Ledger) -> None:
    drop.publish(remote, ledger)
    done = reproduce.reproduce(remote, ledger)
    assert (done.is_same_program, set(done.tables.values())) == (True, {"same bytes"})


def test_a_server_that_is_not_there_is_told_in_words(
    settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fsspec

    endpoint = f"http://127.0.0.1:{servers.free_port()}"
    options = {"endpoint_url": endpoint, "key": "x", "secret": "hidden-secret"}
    monkeypatch.setitem(
        fsspec.config.conf,
        "s3",
        options | {"skip_instance_cache": True, "config_kwargs": {"retries": {"max_attempts": 1}}},
    )
    remote = settings.model_copy(update={"drops_url": "s3://drops/goral"})
    with pytest.raises(GoralError, match=r"s3://drops/goral cannot be reached") as told:
        drop.publish(remote, ledger)
    assert "hidden-secret" not in str(told.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"known_hosts": b""}, "[Hh]ost key"), ({"password": "hidden-secret"}, "Permission denied")],
)
def test_a_server_over_sftp_that_is_not_known_or_refuses_is_told_in_words(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: dict[str, object],
    said: str,
) -> None:
    import fsspec

    with servers.serving("ssh", tmp_path, monkeypatch) as url:
        monkeypatch.setitem(fsspec.config.conf, "ssh", fsspec.config.conf["ssh"] | wrong)
        with pytest.raises(GoralError, match=f"ssh:// cannot be opened: .*{said}") as told:
            KPI.open_store(settings.model_copy(update={"drops_url": url}))
    assert "hidden-secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ssh://ndw:hidden-secret@host:22/drops", "ssh://host:22/drops"),
        ("abfs://drops@account/goral", "abfs://drops@account/goral"),
    ],
)
def test_a_password_in_the_url_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, shown: str
) -> None:
    monkeypatch.setattr(verify, "Remote", lambda url: None)
    assert KPI.open_store(Settings.load(home=tmp_path, drops_url=url)).where == shown


def test_a_url_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"drops cannot go to ftp://, which is not known"):
        KPI.open_store(Settings.load(home=tmp_path, drops_url="ftp://host/folder"))
