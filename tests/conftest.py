"""Fixtures shared by all tests: small lists of lines, and the command line in this process."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from spellout.app.cli import run_command
from spellout.autograd import ops
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared

# Before PyTorch is imported: no test depends on the number of cores, nor waits for the work of others on them.
os.environ["OMP_NUM_THREADS"] = "1"
# A shell starts what runs in the background with Ctrl-C ignored, and tests of it would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("spellout", deadline=None)  # a busy machine is no failure
settings.register_profile("thorough", deadline=None, max_examples=2000)  # --hypothesis-profile=thorough
settings.load_profile("spellout")


@pytest.fixture(scope="session")
def names() -> Lines:
    """Three thousand bundled names."""
    return Lines.of(Lines.bundled().distinct[:3000], name="names")


@pytest.fixture(scope="session")
def prepared(names: Lines) -> Prepared:
    return Prepared.of(names, DataConfig())


@pytest.fixture
def names_file(names: Lines, tmp_path: Path) -> str:
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in names.distinct[:500]), encoding="utf-8")
    return str(path)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]):
    """Run a command line; gives exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = run_command([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def _table_restored():
    """The table of operations as it was before a test declared its own."""
    before = dict(ops.TABLE)
    yield
    ops.TABLE.clear()
    ops.TABLE.update(before)
