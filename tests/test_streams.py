"""Standard streams that are closed, full, left by their reader, or in another encoding; and signals."""

import signal
import subprocess
import sys

import pytest

from processes import COMMAND, environment, in_shell
from spellout.app.cli import run_command

JAPANESE = ["さくら", "あおい", "ひなた", "あかり", "さつき", "ひかり", "あやか", "さやか", "ひまり", "あいり"] * 2
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a list, `names.txt`, and a run, `run`."""
    path = tmp_path_factory.mktemp("streams")
    (path / "names.txt").write_text("".join(f"{name}\n" for name in JAPANESE), "utf-8")
    assert run_command(["train", str(path / "names.txt"), "-o", str(path / "run"), "--model", "ngram:2"]) == 0
    return path


def arguments_of(line, folder):
    return [
        word.replace("LIST", str(folder / "names.txt")).replace("RUN", str(folder / "run")) for word in line.split()
    ]


PRINTING = [
    "make LIST --model ngram:2 -n 3 --no-novel",
    "look LIST",
    "sample RUN -n 3",
    "score RUN LIST",
    "why RUN あおい",
    "compare LIST --models ngram:1",
    "draw a*2 a=3",
    "--version",
    "--help",
]


@pytest.mark.parametrize("line", PRINTING)
def test_what_stdout_does_not_take_is_a_sentence_and_exit_code_1(folder, line):
    for redirection, why in ((">/dev/full", "the disk is full"), (">&-", "it is closed")):
        code, _, err = in_shell(arguments_of(line, folder), redirection)
        assert err.decode().splitlines()[-1] == f"spellout: standard output cannot be written: {why}"
        assert code == 1
        assert b"Traceback" not in err


@pytest.mark.parametrize("line", ["make LIST --model ngram:2 -n 3 --no-novel", "look LIST", "sample RUN -n 3"])
def test_messages_that_nobody_takes_change_nothing(folder, line):
    arguments = arguments_of(line, folder)
    code, out, _ = in_shell(arguments)
    assert code == 0
    assert out
    for redirection in ("2>&-", "2>/dev/full", "2>&- <&-"):
        assert in_shell(arguments, redirection) == (0, out, b"")


def test_with_all_streams_closed_the_exit_code_is_left(folder):
    assert in_shell(arguments_of("sample RUN", folder), "<&- >&- 2>&-") == (1, b"", b"")
    assert in_shell(arguments_of("sample nowhere", folder), "<&- >&- 2>&-") == (1, b"", b"")
    assert in_shell(arguments_of("sample --nothing", folder), "<&- >&- 2>&-") == (2, b"", b"")


def test_no_file_takes_the_number_of_a_closed_stream(folder, tmp_path):
    arguments = arguments_of("train LIST --model ngram:2 -o", folder)
    assert in_shell([*arguments, tmp_path / "run"], "<&- >&- 2>&-")[0] == 0
    assert in_shell(["sample", tmp_path / "run", "-n", 2])[0] == 0


@pytest.mark.parametrize("redirection", ["", "2>/dev/full"])
def test_a_reader_who_leaves_is_no_error_whatever_is_left_in_a_buffer(folder, redirection):
    for count in ("1", "100000"):
        arguments = arguments_of(f"make LIST --model ngram:2 --no-novel --no-unique -n {count}", folder)
        process = subprocess.Popen(
            ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        process.stdout.close()
        err = process.stderr.read().decode()
        process.stderr.close()
        assert process.wait() == 0
        assert "Error" not in err
        assert "spellout:" not in err


def test_a_closed_stdin_is_a_sentence():
    sentence = b"spellout: standard input cannot be read: it is closed\n"
    assert in_shell(["make", "-"], "<&-") == (1, b"", sentence)
    assert in_shell(["look", "-"], "<&-") == (1, b"", sentence)


@pytest.mark.parametrize("locale", ["ASCII", "POSIX", "UTF-8"])
def test_data_is_utf_8_whatever_the_locale_says(folder, tmp_path, locale):
    settings = {"ASCII": ASCII, "POSIX": {**ASCII, "LC_ALL": "POSIX"}, "UTF-8": {"LC_ALL": "C.UTF-8"}}[locale]
    path = tmp_path / "さくら.txt"
    path.write_text("".join(f"{name}\n" for name in JAPANESE), "utf-8")
    arguments = ["make", path, "--model", "ngram:2", "-n", 2, "--no-novel", "--prefix", "あ"]
    code, out, err = in_shell(arguments, **settings)
    assert code == 0, err
    assert len(out.decode().splitlines()) == 2
    assert all(line.startswith("あ") for line in out.decode().splitlines())
    code, out, _ = in_shell(["why", folder / "run", "あおい"], **settings)
    assert code == 0
    assert [line.split("\t")[0] for line in out.decode().splitlines()[1:]] == ["あ", "お", "い", "¶"]
    code, out, _ = in_shell(["look", path], **settings)
    assert code == 0
    assert "さくら ×2" in out.decode()
    code, out, err = in_shell(["look", tmp_path / "ない.txt"], **settings)
    assert (code, out) == (1, b"")


STOPPED_AT = """
import os, signal, sys
module, number, *arguments = sys.argv[1:]
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Stop())
signal.signal(signal.SIGINT, signal.default_int_handler)
from spellout.app.cli import main
sys.argv[1:] = arguments
main()
"""


@pytest.mark.parametrize(
    "module", ["cyclopts", "rich.console", "spellout.app.commands.look", "spellout.app.workflows", "numpy"]
)
@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "asked to end")])
def test_a_signal_while_modules_are_imported_is_one_word(module, number, word):
    program = [sys.executable, "-c", STOPPED_AT, module, str(int(number)), "make", "--model", "ngram:2"]
    done = subprocess.run(program, capture_output=True, text=True, env=environment())
    assert done.stderr == f"spellout: {word}\n"
    assert (done.returncode, done.stdout) == (128 + number, "")


SWALLOWED = """
import os, signal, sys, time
from spellout.app import cli, workflows
class Callback:
    def __del__(self):  # Python can only print what is raised here
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(100):
            pass
def read(*arguments):
    Callback()
    while True:
        time.sleep(0.01)
workflows.read = read
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[1:] = ["look", "names"]
cli.main()
"""


def test_an_interrupt_that_python_cannot_raise_is_obeyed_all_the_same():
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stderr) == (130, "spellout: interrupted\n")
