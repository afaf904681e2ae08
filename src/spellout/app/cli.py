"""The command line: every failure a user can cause becomes a sentence and an exit code.

Samples and data go to stdout, everything else to stderr. Exit codes: 0 done, 1 the data or the run is wrong,
2 wrong command line, 130 interrupted, 143 asked to end. Nothing is imported at the top that Python has not loaded
itself: `main` must run as soon as can be, so that Ctrl-C is answered while everything else is imported.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what `signal` is made of, without its enumerations
import os
import sys
from time import perf_counter

TYPE_CHECKING = False  # as type checkers see it, it is true; `typing` has to be imported
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn

    from cyclopts import App

    Handler = Callable[[int, FrameType | None], Any] | int | None

_HELP = "Make more of a list of lines; see every gradient of a formula spelled out; mend a PyTorch training."
_NARROWEST = 20
_made: App | None = None
_MAIN = os.getpid()
_SIGNALS = {_signal.SIGINT: "interrupted", _signal.SIGTERM: "asked to end"}


def main() -> NoReturn:
    """Run one command line and leave with its exit code."""
    began = perf_counter()
    _answer(_leave, instead_of=[_signal.SIG_DFL, _signal.default_int_handler])  # not what `nohup` ignores
    from . import streams

    streams.prepare()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_child)
    _give_room()
    _application()
    sys.unraisablehook = _once_more
    code = 128 + _signal.SIGINT
    try:
        _answer(_interrupt, instead_of=[_leave])
        code = run_command(sys.argv[1:], began)
    except KeyboardInterrupt:  # between two of its steps
        pass
    _answer(_signal.SIG_DFL, instead_of=[_interrupt])  # there is nothing left to tidy up
    sys.exit(code or _outcome(streams.end))


def _give_room() -> None:
    """Take back a width that no text fits into: laying it out would not end."""
    columns = os.environ.get("COLUMNS", "")
    if columns and (not columns.isdecimal() or int(columns) < _NARROWEST):
        os.environ["COLUMNS"] = str(_NARROWEST) if columns.isdecimal() and int(columns) > 0 else "80"


def _answer(handler: Handler, instead_of: list[Handler]) -> None:
    for number in _SIGNALS:
        if _signal.getsignal(number) in instead_of:
            _signal.signal(number, handler)


def run_command(arguments: list[str], began: float | None = None) -> int:
    """Run one command line; every failure a user can cause becomes a sentence on stderr and an exit code.

    `began` is when that was, if it was earlier than now (`perf_counter`).
    """
    from . import clock
    from .options import Operand

    clock.start(perf_counter() if began is None else began)
    if arguments[:1] == ["doctor"]:
        from .commands.doctor import words_of

        arguments = ["doctor", *words_of(arguments[1:])]
    words = [Operand(word) if word == "-" else word for word in arguments or ["--help"]]
    code = _outcome(lambda: _application()(words))
    return code or _outcome(sys.stdout.flush)


def _application() -> App:
    """Make the application with all its commands, once. Its imports take most of the time that `--help` takes."""
    global _made
    if _made is None:
        from cyclopts import App

        from ..version import __version__
        from .commands import doctor, draw, export, lectures, look, make, plot, score, serve, suspects, train
        from .commands.experiments import compare, lr_find, tune

        app = App(
            name="spellout",
            help=_HELP,
            version=__version__,
            version_flags=["--version"],
            help_flags=["--help", "-h"],
            help_format="plaintext",  # markdown would cost 50 ms at every --help
            suppress_keyboard_interrupt=False,  # `run_command` says that it was interrupted, and what went wrong
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        showing = make.make, look.look, make.sample, score.score, score.why, suspects.suspects, export.export
        others = serve.serve, draw.draw, plot.plot, doctor.doctor
        training = train.train, compare.compare, lr_find.lr_find, tune.tune, lectures.lectures
        for command in showing + others + training:
            app.command(command)
        _made = app
    return _made


def _outcome(work: Callable[[], object]) -> int:
    """Do some work and return the exit code, after a sentence if it is not 0."""
    from cyclopts import CycloptsError

    from ..errors import SpelloutError
    from ..files import unforeseen
    from .streams import ReaderLeft

    try:
        work()
        return 0
    except CycloptsError as error:
        code, sentence = 2, str(error)
    except SpelloutError as error:
        code, sentence = error.exit_code, str(error)
    except KeyboardInterrupt as error:
        number = _number(error)
        code, sentence = 128 + number, _SIGNALS[number]
    except ReaderLeft:
        return 0
    except OSError as error:
        told = unforeseen(error)
        if told is None:
            raise
        code, sentence = 1, told
    _outcome(sys.stdout.flush)  # the lines made before come first
    from . import terminal

    terminal.complain(sentence)
    return code


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Answer a signal that comes while modules are imported: nothing was begun that needs tidying up.

    An exception would not do: raised in a callback of the import machinery, Python only prints it.
    """
    try:
        os.write(2, f"spellout: {_SIGNALS[number]}\n".encode())
    finally:
        os._exit(128 + number)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Answer a signal by an exception, so that all is left in order; a second one ends the process at once."""
    if os.getpid() != _MAIN:  # forked, and asked before `_in_child` was done
        _in_child()
        os.kill(os.getpid(), number)
        return
    _signal.signal(number, _signal.SIG_DFL)
    raise KeyboardInterrupt(number)


def _in_child() -> None:
    """A process that somebody's script forks answers signals as Python does."""
    for number, handler in ((_signal.SIGINT, _signal.default_int_handler), (_signal.SIGTERM, _signal.SIG_DFL)):
        if _signal.getsignal(number) in (_leave, _interrupt):
            _signal.signal(number, handler)


def _number(error: KeyboardInterrupt) -> int:
    """Tell the signal that `_interrupt` answered; other interrupts are Python's own."""
    return error.args[0] if error.args and error.args[0] in _SIGNALS else _signal.SIGINT


def _once_more(unraisable: sys.UnraisableHookArgs) -> None:
    """Where an interrupt met code whose exceptions Python can only print, interrupt again, a moment later."""
    from _thread import interrupt_main
    from threading import Timer

    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    number = _number(unraisable.exc_value)
    _signal.signal(number, _interrupt)
    Timer(0.01, interrupt_main, [number]).start()
