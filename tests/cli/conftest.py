"""The command line as a user has it, but in this process, which saves a second a command."""

import sys
from collections.abc import Callable

import pytest

from goral_pipeline import cli
from tests.conftest import Ran

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
