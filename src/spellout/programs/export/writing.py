"""A program as a text that a compiler or a browser takes."""

from __future__ import annotations

import re
from typing import Literal, get_args

from ...errors import UsageError
from ..program import Program
from .groups import Layout
from .languages import LANGUAGES
from .statements import Statements, Writer
from .templates import ONE, SEVERAL, TAKEN, WHOLE

Target = Literal["c", "js"]


def export_program(program: Program, language: Target, name: str = "program") -> str:
    """Write a recorded program as code that needs nothing of ours: its result for one example, and the gradient.

    In C (C99, with `-lm`), for a program of one number, the text defines

        double NAME(const double *p, const double *x, const int *n, double *gradient)

    and `NAME_parameters`, the parameters' numbers of now, in the order of `program.parameters`. `p` are parameters,
    (P,); `x` the floats of one example, argument after argument, and `n` its integers, which have to be in the rows
    that they pick from; what a program does not have, the function does not take. The result's gradient by the
    parameters is added to `gradient`, (P,), unless that is NULL. A program of several numbers writes them into
    `results`, and adds the gradient of their sum, each times its one of `seeds`:
    `void NAME(p, x, n, results, seeds, gradient)`. In JavaScript, functions and arguments are the same, but
    results are returned. Everything is float64, and infinities and nan are those of the program. Memory is on the
    stack, two numbers for each that is computed.

    Raises `UsageError` for something else than a recorded program, another language, or a name that neither takes.
    """
    if not isinstance(program, Program):
        raise UsageError(f"export_program takes what record returned, got {type(program).__name__}")
    if language not in get_args(Target):
        raise UsageError(f"programs are written in {' or '.join(get_args(Target))}, got {language!r}")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", name) or name in TAKEN:
        raise UsageError(f"a function can be called what starts with a letter and means nothing else, got {name!r}")
    layout = Layout(program)
    writer = Writer(LANGUAGES[language], layout)
    filled = {"name": name, "about": _about(program, name), **_filled(program, language, layout, writer)}
    function = (SEVERAL if program.shape else ONE)[language].format(**filled)
    text = WHOLE[language].format(tables="«TABLES»", function=function, **filled)
    return _renamed(text.replace("«TABLES»", _tables(writer, layout, text)), name, writer)


def _filled(program: Program, language: Target, layout: Layout, writer: Writer) -> dict[str, object]:
    """What the templates ask for."""
    forward = [line for group in layout.groups for line in writer.forward(group)]
    backward = [line for group in reversed(layout.groups) for line in writer.backward(group)]
    every, whole = _given(program, language)
    return {
        "given": every[0],
        "passed": every[1],
        "whole": whole[0],
        "whole_passed": whole[1],
        "forward": _indented([*_copied(layout, language), *forward]),
        "backward": _indented([*_unused(language, whole[1] != "", backward), *backward]),
        "end": layout.end,
        "count": len(program.parameters),
        "outputs": len(program.outputs),
        "result": writer.indices.of(layout.outputs),
        "parameters": writer.language.body(False, [value._data for value in program.parameters]),
    }


def _tables(writer: Writer, layout: Layout, text: str) -> str:
    """What stands before the functions: those that the language lacks, tables and constants."""
    lacking = writer.language.lacking.items()
    parts = [function for word, function in lacking if re.search(rf"(?<![\w.]){word}\(", text)]
    parts += [writer.language.listed(True, *table) for table in writer.indices.tables.items()]
    if layout.reads_numbers:
        parts.append(writer.language.listed(False, "numbers", layout.numbers))
    return "".join([*parts, "\n"]) if parts else ""


def _given(program: Program, language: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """What functions take, as it is declared and as it is passed on: all of it, and integers only."""
    every = {
        "p": ("const double *p, ", len(program.parameters)),
        "x": ("const double *x, ", program.inputs("float")),
        "n": ("const int *n, ", program.inputs("integer")),
    }
    there = [name for name, (_, count) in every.items() if count]
    whole = [name for name in there if name == "n"]

    def listed(names: list[str]) -> tuple[str, str]:
        passed = "".join(f"{name}, " for name in names)
        return ("".join(every[name][0] for name in names) if language == "c" else passed), passed

    return listed(there), listed(whole)


def _copied(layout: Layout, language: str) -> Statements:
    """The statements that put parameters, inputs and constants where everything is."""
    parts = [("p", 0, layout.inputs), ("x", layout.inputs, layout.constants)]
    if layout.reads_numbers:
        parts.append(("numbers", layout.constants, layout.constants + len(layout.numbers)))
    statements = []
    for name, start, end in parts:
        if end > start and language == "c":
            statements.append(f"memcpy({f'v + {start}' if start else 'v'}, {name}, {end - start} * sizeof *v);")
        elif end > start:
            statements.append(
                f"for (let i = 0; i < {end - start}; i++) v[{f'{start} + i' if start else 'i'}] = {name}[i];"
            )
    return statements


def _unused(language: str, whole: bool, body: Statements) -> Statements:
    """In C, say so of what a function is given and does not need."""
    text = " ".join(body)
    names = [name for name in ("v", "g", *(["n"] if whole else [])) if f"{name}[" not in text]
    return [f"(void){name};" for name in names] if language == "c" else []


def _renamed(text: str, name: str, writer: Writer) -> str:
    """Give tables names of this program's, so that several can stand in one file."""
    for table in [*writer.indices.tables, "numbers"]:
        text = re.sub(rf"\b{table}\b", f"{name}_{table}", text)
    return text


def _about(program: Program, name: str) -> str:
    given = [f"{one.kind}s {one.shape}" if one.shape else f"a {one.kind}" for one in program.arguments]
    takes = f" of {', '.join(given)}" if given else ""
    return f"{name}: a program{takes}, {len(program.parameters)} parameters, {program.computed} instructions"


def _indented(lines: Statements) -> str:
    return "".join(f"  {line}\n" for line in lines)
