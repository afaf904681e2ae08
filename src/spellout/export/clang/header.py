"""Puts the header together.

The functions stand in files of C beside this one, where all names begin with `spell_`, in the header with the name
of its file. Of these functions a header has those that its model needs.
"""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np

from ...errors import ExportError
from ..portable import Portable
from .arrays import Arrays
from .calls import Calls
from .composing import composing

_LONGEST_TEXT = 4095
"""Bytes of a string that every compiler takes."""
_DECLARES = re.compile(r"^(?!typedef)[^\s/#].*?(spell_\w+)\(|^} (spell_\w+);", re.MULTILINE)


def written(portable: Portable) -> bytes:
    """Give the header. `ExportError` for texts that C cannot hold."""
    called = str(portable.about.get("called", portable.name))
    prefix = prefix_of(called)
    header = _header(portable, f"{called}.h")
    header = header.replace("SPELL_", f"{prefix.upper()}_").replace("spell_", f"{prefix}_")
    return header.replace("-o spell && ./spell ", f"-o {prefix} && ./{prefix} ").encode("ascii", "replace")


def prefix_of(name: str) -> str:
    """Give what names in C begin with, from the name of a file."""
    plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return plain if plain[:1].isalpha() else f"lines_{plain}".strip("_")


def _header(portable: Portable, file: str) -> str:
    step = portable.step
    texts = [text.encode("utf-8", "surrogateescape") for text in portable.texts]
    labels = [label.encode() for label in portable.labels]
    _check_texts([*texts, *labels])
    before = len(labels) > 0
    places = 1 + before + portable.max_length
    attends = any(one.op == "attend" for one in step.instructions)
    calls = Calls(step, places)
    arrays = Arrays()
    _write_model(arrays, portable)
    arrays.texts("spell_texts", texts)
    arrays.texts("spell_labels", labels)
    arrays.numbers("double", "spell_shares", map(repr, portable.shares))
    for kind, name, number in (
        ("size_t", "spell_names", len(labels)),
        ("size_t", "spell_places", places if attends else "SIZE_MAX"),
        ("size_t", "spell_result", calls.result),
        ("int", "spell_words", int(portable.between != "")),
        ("int", "spell_pieces", int(any(len(text) > 1 for text in portable.texts))),
    ):
        arrays.one(kind, name, number)
    arrays.one("spell_whole", "spell_never", arrays.whole("spell_never_tokens", np.array(portable.never, np.int64)))
    arrays.one("size_t", "spell_nevers", len(portable.never))
    _write_composing(arrays, portable.texts)
    own = _file("composed.c") + "\n" + _file(_write_known(arrays, portable))
    drawing = _file("drawing.c")
    drawing = drawing.replace("int spell_tokens(", "«OWN»\nint spell_tokens(", 1)
    after = "".join(["\n", _read(calls), "\n", drawing.replace("«OWN»", own), "\n", _file("main.c")])
    data = "\n".join(arrays.parts)
    longest = max(map(len, texts))
    capacity = portable.max_length * (longest + len(portable.between)) + max(map(len, labels), default=-1) + 2
    filled = {
        "ABOUT": _comment(portable),
        "FILE": _plain(file),
        "VOCABULARY": step.vocabulary_size,
        "LABELS": len(labels),
        "MAX_LENGTH": portable.max_length,
        "CAPACITY": capacity,
        "STATE": _state(calls),
        "LIMIT": ", or the line has become longer than SPELL_MAX_LENGTH" if attends else "",
        "KNOWN": _known(portable),
    }
    head = _file("head.h")
    for name, value in filled.items():
        head = head.replace(f"«{name}»", str(value))
    return "".join([head, _needed(_file("steps.c"), data + after), "\n", data, after, "\n#endif\n"])


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _check_texts(texts: list[bytes]) -> None:
    for text in texts:
        if b"\0" in text:
            raise ExportError("a token of this model holds the character U+0000, at which texts end in C")
        if len(text) > _LONGEST_TEXT:
            raise ExportError(
                f"a token of this model has {len(text):,} bytes, and strings in C have at most {_LONGEST_TEXT:,}"
            )


def _write_model(arrays: Arrays, portable: Portable) -> None:
    step, weights = portable.step, str(portable.about.get("weights"))
    for place, array in enumerate(step.tensors.values()):
        arrays.one("spell_matrix", f"spell_w{place}", arrays.matrix(f"spell_w{place}", array, weights))
    for place, table in enumerate(step.tables.values()):
        arrays.table(f"spell_t{place}", table, step.vocabulary_size)
    for place, shape in enumerate(step.shapes.values()):
        arrays.shape(f"spell_s{place}", shape)


def _write_composing(arrays: Arrays, texts: tuple[str, ...]) -> None:
    """Write what Unicode says of the characters; for most models, nothing."""
    found = composing(texts)
    for name, numbers in (
        ("marks", [*found.classes]),
        ("mark_classes", [*found.classes.values()]),
        ("pair_firsts", [first for first, _ in found.pairs]),
        ("pair_seconds", [second for _, second in found.pairs]),
    ):
        written = arrays.whole(f"spell_{name}_codes", np.array(numbers, np.int64))
        arrays.one("spell_whole", f"spell_{name}", written)
    arrays.one("size_t", "spell_mark_count", len(found.classes))
    arrays.one("size_t", "spell_pair_count", len(found.pairs))


def _write_known(arrays: Arrays, portable: Portable) -> str:
    """Write what tells training lines, and give the file that reads it."""
    if portable.lines:
        encoded = sorted(line.encode("utf-8", "surrogateescape") for line in portable.lines)
        ends = np.cumsum([len(line) + 1 for line in encoded])
        starts = arrays.whole("spell_starts_numbers", np.concatenate([[0], ends[:-1]]))
        arrays.one("spell_whole", "spell_starts", starts)
        arrays.numbers("unsigned char", "spell_bytes", map(str, b"\0".join([*encoded, b""])))
        arrays.one("size_t", "spell_lines", len(encoded))
        return "lines.c"
    bits, size, hashes = [0], 1, 0
    if portable.known is not None:
        bits, size, hashes = portable.known.bits.tolist(), portable.known.size, portable.known.hashes
    arrays.numbers("unsigned char", "spell_bits", map(str, bits))
    arrays.one("uint64_t", "spell_size", size)
    arrays.one("uint64_t", "spell_hashes", hashes)
    return "known.c"


def _known(portable: Portable) -> str:
    if portable.lines:
        return f"The {len(portable.lines):,} lines stand in this file."
    if portable.known is None:
        return "It is not: the training lines were not kept."
    wrong = f", and of others one in {round(1 / portable.known.error):,}" if portable.known.error else ""
    return f"By a Bloom filter of {len(portable.known.bits):,} bytes: all training lines are in it{wrong}."


def _state(calls: Calls) -> str:
    """The members of the state that depend on the model."""
    arrays = {"size_t shapes": len(calls.step.shapes), "double memories": calls.memories, "double work": calls.work}
    return "".join(f"  {name}[{length}];\n" for name, length in arrays.items() if length)


def _read(calls: Calls) -> str:
    """The function that reads a token."""
    body = "".join(calls.lines)
    shapes = "".join(
        f"  state->shapes[{place}] = token ? spell_after(&spell_s{place}, state->shapes[{place}], token) : 0;\n"
        for place in range(len(calls.step.shapes))
    )
    memories = "  double *m = state->memories;\n" if calls.memories else ""
    forget = "  if (token == 0) memset(m, 0, sizeof state->memories);\n" if calls.memories else ""
    return (
        "static void spell_read(spell_state *state, size_t token)\n{\n  double *x = state->work;\n"
        f"{memories}  spell_go_on(state, token);\n{forget}{shapes}{body}}}\n"
    )


def _needed(functions: str, rest: str) -> str:
    """Keep those functions and types that the rest needs, and what these need."""
    chunks = re.split(r"\n\n(?=\S)", functions.strip("\n"))
    declares = [_name_of(chunk) for chunk in chunks]
    wanted, kept = set(re.findall(r"spell_\w+", rest)), []
    for chunk, name in zip(reversed(chunks), reversed(declares), strict=True):  # each needs earlier ones only
        if name in wanted:
            wanted.update(re.findall(r"spell_\w+", chunk))
            kept.append(chunk)
    return "\n\n".join(reversed(kept)) + "\n"


def _name_of(chunk: str) -> str:
    found = _DECLARES.search(chunk)
    assert found is not None
    return found[1] or found[2]


def _comment(portable: Portable) -> str:
    """What the header says of its model."""
    about = portable.about
    told = f"A model that makes lines like those of {portable.name}: {about.get('model', 'a model')}"
    if about.get("nats_here") is not None:
        told += f", {about['nats_here']:.4f} nats per character on held-out lines"
    return f"{_plain(told)}.\nIts weights are stored in {_plain(str(about.get('weights')))}."


def _plain(text: str) -> str:
    """What can stand in a comment, and in a string."""
    shown = "".join(one if " " <= one <= "~" and one not in '"\\' else "?" for one in text)
    return shown.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
