"""C that was exported, compiled and run here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from spellout.export.clang import written
from spellout.export.portable import Portable

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
COMPILERS = {
    "gcc": ["gcc", *STRICT],
    "clang": ["clang", *STRICT],
    "tcc": ["tcc", "-Wall", "-Werror"],
    "sanitized": ["gcc", *STRICT, "-fsanitize=address,undefined", "-fno-sanitize-recover"],
}
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed: apt-get install gcc")
_ASKS = """
#define X_IMPLEMENTATION
#include "x.h"
#include <stdio.h>

static char prefix[1 << 16], label[1 << 16], line[1 << 16];

/* What is asked, one question a line: r COUNT TOKENS, k LINE, c TEXT, n TEXT, or l and the options. */
int main(void)
{
  static x_state state;
  static double row[X_VOCABULARY];
  static int tokens[1 << 16];
  int kind, i, j, count, token;
  while ((kind = getchar()) != EOF) {
    if (kind == 'r') {
      if (scanf("%d", &count) != 1) return 1;
      for (i = 0; i < count; i++) {
        if (scanf("%d", &token) != 1) return 1;
        if (!x_next(&state, token, row)) return 1;
        for (j = 0; j < X_VOCABULARY; j++) printf("%a ", row[j]);
      }
      printf("\\n");
    } else if (kind == 'k' || kind == 'c' || kind == 'n') {
      if (!fgets(line, sizeof line, stdin)) return 1;
      line[strcspn(line, "\\n")] = 0;
      count = kind == 'k' ? x_known(line) : kind == 'n' ? x_is_composed(line) : x_tokens(line, tokens, 1 << 16);
      printf("%d", count);
      for (i = 0; kind == 'c' && i < count; i++) printf(" %d", tokens[i]);
      printf("\\n");
    } else if (kind == 'l') {
      x_options options = {0};
      unsigned long long seed, candidate;
      int is_new, length;
      uint64_t next = 0;
      if (scanf("%llu %lf %d %lf %d %d %d", &seed, &options.temperature, &options.top_k, &options.top_p,
                &options.max_length, &count, &is_new) != 7 || getchar() != 10) return 1;
      if (!fgets(prefix, sizeof prefix, stdin) || !fgets(label, sizeof label, stdin)) return 1;
      prefix[strcspn(prefix, "\\n")] = label[strcspn(label, "\\n")] = 0;
      options.seed = seed;
      options.prefix = prefix;
      options.label = *label ? label : NULL;
      for (i = 0; i < count;) {
        candidate = next;
        length = is_new ? x_new_line(&state, &options, &next, line, sizeof line)
                        : x_line(&state, &options, next++, line, sizeof line);
        if (is_new) candidate = next - 1;
        if (length < 0) break;
        if (length > 0) printf("%llu %s\\n", candidate, line);
        i += length > 0;
      }
      printf("%d\\n", -1);
    }
  }
  return 0;
}
"""


def needs(compiler: str) -> None:
    """Skip what a compiler is missing for."""
    if shutil.which(COMPILERS[compiler][0]) is None:
        pytest.skip(f"{COMPILERS[compiler][0]} is not installed: apt-get install {COMPILERS[compiler][0]}")


def compiled(source: Path, program: Path, compiler: str = "gcc", *flags: str) -> Path:
    """Compile a file into a program; a warning is an error."""
    needs(compiler)
    command = [*COMPILERS[compiler], *flags, str(source), "-o", str(program), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    assert not done.stderr
    return program


def ran(program: Path, *arguments: str | bytes, stdin: bytes = b"") -> tuple[int, bytes, bytes]:
    """Run a program: its exit status, and what it printed."""
    done = subprocess.run([str(program), *arguments], input=stdin, capture_output=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


class Header:
    """The header of a model, and a program that asks it."""

    def __init__(self, portable: Portable, folder: Path, compiler: str = "gcc") -> None:
        self.path, self.size = folder / "x.h", portable.step.vocabulary_size
        portable.about["called"] = "x"
        self.path.write_bytes(written(portable))
        (folder / "asks.c").write_text(_ASKS)
        self.program = compiled(folder / "asks.c", folder / "asks", compiler)

    def rows(self, tokens: list[int]) -> list[list[float]]:
        """The log-probabilities after each token."""
        numbers = self._asked(f"r{len(tokens)} {' '.join(map(str, tokens))}\n")[0].split()
        rows = [float.fromhex(one) if "x" in one else float(one) for one in numbers]
        return [rows[start : start + self.size] for start in range(0, len(rows), self.size)]

    def lines(self, count: int, seed=0, prefix="", label="", new=False, **options) -> list[list]:
        """[candidate, line] of so many."""
        numbers = [options.get(name) or 0 for name in ("temperature", "top_k", "top_p", "max_length")]
        asked = " ".join(map(str, [seed, *numbers, count, int(new)]))
        *found, end = self._asked(f"l{asked}\n{prefix}\n{label}\n")
        assert end == "-1"
        parted = [line.split(" ", 1) for line in found]
        return [[int(candidate), line] for candidate, line in parted]

    def known(self, lines: list[str]) -> list[int]:
        """What it says of lines."""
        return list(map(int, self._asked("".join(f"k{line}\n" for line in lines))))

    def composed(self, texts: list[str]) -> list[int]:
        """Whether texts are in the composed form."""
        return list(map(int, self._asked("".join(f"n{text}\n" for text in texts))))

    def tokens(self, text: str) -> list[int]:
        """A text's tokens; [-1] if it has none."""
        count, *tokens = map(int, self._asked(f"c{text}\n")[0].split())
        return tokens if count >= 0 else [-1]

    def _asked(self, questions: str) -> list[str]:
        code, printed, told = ran(self.program, stdin=questions.encode("utf-8", "surrogateescape"))
        assert code == 0, told[-2000:]
        return printed.decode().split("\n")[:-1]
