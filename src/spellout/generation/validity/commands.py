"""A command that judges lines: a filter that reads lines until they end, and writes one line for each.

Its answers are `1` or `0`; `true` and `false`, `valid` and `invalid` do as well, in any case, and an empty line is
a no. After a tab, a yes may be followed by the line's canonical form. The command is started anew for every batch
of lines, and batches grow: so it may buffer its output, as most programs do, which a conversation would wait for
in vain.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from ...errors import UsageError
from ...files import reason

PATIENCE, PATIENCE_FOR_A_LINE = 60.0, 0.1
"""Seconds in which a command must have answered a batch: to start, and for each line."""
_YES, _NO = {"1", "true", "valid"}, {"0", "false", "invalid", ""}


class CommandValidator:
    """Judges lines by a command, split into words as a shell would, but run without one.

    `UsageError` if there is no such program.
    """

    def __init__(self, asked: str) -> None:
        self.name = asked
        try:
            self._words = shlex.split(asked)
        except ValueError as error:
            raise UsageError(f"--valid {asked}: cannot be read as a command, {str(error).lower()}") from None
        if not self._words:
            raise UsageError("--valid: name a command, or a function as module:function")
        if shutil.which(self._words[0]) is None:
            raise UsageError(
                f"--valid {asked}: there is no program {self._words[0]!r}; name a command, or a function as "
                "module:function"
            )

    def judge(self, lines: Sequence[str]) -> list[str | None]:
        """Run the command once. `UsageError` if it fails, takes too long, or does not answer each line."""
        broken = next((line for line in lines if "\n" in line or "\r" in line), None)
        if broken is not None:
            raise UsageError(
                f"--valid {self.name}: {broken!r} has a line end in it, which a command would take for two lines; "
                "name a function as module:function"
            )
        if not lines:
            return []
        written = self._run("".join(f"{line}\n" for line in lines), len(lines))
        answers = written.removesuffix("\n").split("\n") if written else []
        if len(answers) != len(lines):
            wrote = f"wrote {len(answers):,} line{'s' * (len(answers) != 1)} for {len(lines):,}"
            raise self._error(f"{wrote}; it must write one line for each, 1 or 0")
        return [self._verdict(line, answer) for line, answer in zip(lines, answers, strict=True)]

    def remark(self) -> str | None:
        """Say nothing: what a command finds odd it says by failing."""
        return None

    def _run(self, text: str, count: int) -> str:
        seconds = PATIENCE + PATIENCE_FOR_A_LINE * count
        try:
            done = subprocess.run(self._words, input=text.encode(), capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self._error(
                f"did not end within {seconds:.0f} seconds; it must end when its input does"
            ) from None
        except OSError as error:
            raise self._error(f"cannot be run: {reason(error)}") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            code = done.returncode
            how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
            raise self._error(how + (f": {said[-1]}" if said else ""))
        return done.stdout.decode(errors="replace").replace("\r\n", "\n")

    def _verdict(self, line: str, answer: str) -> str | None:
        said, tab, canonical = answer.partition("\t")
        said = said.strip().lower()
        if said in _NO:
            return None
        if said in _YES:
            return canonical if tab and canonical else line
        raise self._error(f"answered {answer!r} to {line!r}; it must write one line for each, 1 or 0")

    def _error(self, what: str) -> UsageError:
        return UsageError(f"--valid {self.name}: the command {what}")
