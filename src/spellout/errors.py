"""The errors a user can meet, in one tree.

    SpelloutError            exit code 1: the data or the run is wrong
    ├── DataError            a file, a line, a character
    ├── RunError             a run folder that cannot be read or written
    ├── OutputError          standard output does not take what was made
    ├── TrainingError        a loss that stops being finite
    ├── TrainingInterrupted  exit code 130: stopped by Ctrl-C, and can go on
    ├── GenerationError      fewer lines than asked for
    ├── ExportError          a model that cannot leave as a file that works without us
    ├── GraphError           a graph that cannot be differentiated, drawn or explained
    ├── ValueTypeError       something that is not a real number (also a TypeError)
    ├── ShapeError           two lengths or shapes that do not fit (also a ValueError)
    ├── OperationError       an operation declared or called in a way that cannot work (also a ValueError)
    ├── RecordingError       a function that cannot be recorded as a program (also a TypeError)
    ├── NotFiniteError       a program or a model that made a nan (also an ArithmeticError)
    ├── ExaminationError     a program that the doctor cannot examine
    ├── ScriptEnded          a script under the doctor that ended by itself: its own exit code
    ├── UnhealthyError       a program that the doctor found a mistake in (also an AssertionError)
    ├── GradcheckError       a gradient that is not the derivative (also an AssertionError)
    └── UsageError           exit code 2: an option or a value that cannot work
        └── ExpressionError  a formula that cannot be read

and the warnings, for what works but is probably not what was meant:

    SpelloutWarning          (a UserWarning)
    ├── GraphCutWarning      a number taken out of a Value by a function of `math`: no gradient goes through
    └── InterpretedWarning   a program for which machine code was asked for and cannot be made

A message is one sentence or two: what was found, where, and what to do about it. Bugs of our own are not in
this tree: they stay ordinary exceptions with a traceback.
"""

from __future__ import annotations


class SpelloutError(Exception):
    """Something the user can mend; the message says how."""

    exit_code = 1


class DataError(SpelloutError):
    """A file cannot be read as lines of text, or a line does not fit the vocabulary."""


class RunError(SpelloutError):
    """A run folder is missing, damaged, newer than this version, or in the way."""


class OutputError(SpelloutError):
    """Standard output is closed, or full, so that data would be lost."""


class TrainingError(SpelloutError):
    """The loss of a training stopped being finite; the best weights before that are kept."""


class TrainingInterrupted(SpelloutError):
    """A training was stopped by Ctrl-C; the message says how to go on."""

    exit_code = 130


class GenerationError(SpelloutError):
    """The model could not make as many lines as were asked for; the lines made are not lost."""


class ExportError(SpelloutError):
    """A model cannot be exported as asked."""


class GraphError(SpelloutError):
    """A graph cannot be differentiated, drawn or explained as asked."""


class ValueTypeError(SpelloutError, TypeError):
    """Something that is not one real number was given where one is needed."""


class ShapeError(SpelloutError, ValueError):
    """Two lengths or shapes do not fit together."""


class OperationError(SpelloutError, ValueError):
    """An operation was declared, or called, in a way that cannot work."""


class RecordingError(SpelloutError, TypeError):
    """A function does something that a recorded program cannot repeat for other examples."""


class NotFiniteError(SpelloutError, ArithmeticError):
    """A program made a nan or an infinity, and the message names the first instruction and its line; or a model."""


class ExaminationError(SpelloutError):
    """The doctor cannot examine this program as it was given."""


class ScriptEnded(SpelloutError):
    """A script that ran under the doctor ended with an exit code of its own, which is kept."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UnhealthyError(SpelloutError, AssertionError):
    """The doctor found a mistake where a test asks for none."""


class GradcheckError(SpelloutError, AssertionError):
    """An analytic gradient disagrees with central differences."""


class UsageError(SpelloutError):
    """An option, or two options together, that cannot work."""

    exit_code = 2


class ExpressionError(UsageError):
    """A formula on the command line cannot be read."""


class SpelloutWarning(UserWarning):
    """Something works, but probably not as it was meant; the message says what to do."""


class GraphCutWarning(SpelloutWarning):
    """A function of `math` took the plain number out of a Value, so that no gradient goes through it."""


class InterpretedWarning(SpelloutWarning):
    """Machine code was asked for, but the program is too large for it and is interpreted."""
