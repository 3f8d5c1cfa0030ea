"""The command line as a user has it, but in this process, which saves a second a command."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from goral_pipeline import cli
from tests.conftest import Demo, Ran

Main = Callable[..., Ran]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Main:
    """Runs `main()`, which makes failures messages and exit codes."""

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["goral", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main()
        told = capsys.readouterr()
        code = end.value.code
        return Ran(code if isinstance(code, int) else int(code is not None), told.out, told.err)

    return run


@pytest.fixture(scope="module")
def copied(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to read: even reading makes SQLite write files of its own for a moment."""
    return shutil.copytree(demo.home, tmp_path_factory.mktemp("read") / "home")


@pytest.fixture
def home(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home that is read; nothing that has it changes it."""
    monkeypatch.setenv("GORAL_HOME", str(copied))
    return copied
