"""The errors a user can meet, in one tree.

    SpelloutError            exit code 1: the data or the run is wrong
    ├── DataError            a file, a line, a character
    ├── RunError             a run folder that cannot be read or written
    ├── GenerationError      fewer lines than asked for
    └── UsageError           exit code 2: an option or a value that cannot work

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


class GenerationError(SpelloutError):
    """The model could not make as many lines as were asked for; the lines made are not lost."""


class UsageError(SpelloutError):
    """An option, or two options together, that cannot work."""

    exit_code = 2
