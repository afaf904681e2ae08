"""A header for C: texts of all kinds, its filter, its program, and what somebody may give them."""

import unicodedata
from itertools import islice

import numpy as np
import pytest

from compilers import COMPILERS, Header, compiled, needs_gcc, ran
from export.test_clang import compared, drawn
from export.test_lowering import STEPS
from spellout.api import export, train
from spellout.data.config import DataConfig
from spellout.data.labels import Labelled
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import ExportError
from spellout.export.bloom import holds
from spellout.export.clang.arrays import literal
from spellout.export.clang.header import prefix_of, written
from spellout.export.exporting import portable
from spellout.export.portable import Portable
from spellout.export.step import Instruction, Step
from spellout.export.targets import WEIGHTS

pytestmark = needs_gcc


def of_texts(texts, weights="float16", with_lines=False, model="ngram:3", max_length=30, **data):
    prepared = Prepared.of(Lines.of(texts), DataConfig(split="none", **data))
    run = train(prepared, model, training=STEPS).run
    made = portable(
        *(run.model, run.vocabulary),
        name="things",
        max_length=max_length,
        lines=run.lines,
        weights=weights,
        with_lines=with_lines,
    )
    return run, made


TEXTS = ["red apple", "green apple pie", "blue sky", "red sky at night", "Zoë's crème", "né", 'crème ?? \\pie"']


@pytest.mark.parametrize("unit", ["char", "word", "byte", "grapheme"])
def test_other_units(unit, tmp_path):
    texts = TEXTS
    if unit == "grapheme":
        pytest.importorskip("regex", reason="graphemes need the library regex")
        texts = [*TEXTS, "👩‍👩‍👦 sky", "🇩🇪🇫🇷", "नमस्ते"]
    run, made = of_texts(texts * 3, unit=unit)
    header = Header(made, tmp_path)
    compared(made, run.vocabulary, header, 60, [{"seed": 1}, {"seed": 2, "temperature": 2.5}])
    for text in texts:
        assert header.tokens(text) == run.vocabulary.encode([text])[1:-1].tolist()
    assert header.tokens("qqq@") == [-1]


def test_lines_with_labels(tmp_path):
    texts = ["f\tanna", "f\tanja", "m\tbob", "m\tbert", "m\tben", "f\tada", "f\teva", "m\tbill"] * 4
    run, made = of_texts(texts, "int8", model="counts:4:steps=10:first=yes", max_length=9, label="1")
    header = Header(made, tmp_path)
    compared(made, run.vocabulary, header, 60, [{"seed": 7}, {"seed": 8, "temperature": 1.5}])
    assert isinstance(run.vocabulary, Labelled)
    found = header.lines(30, seed=9, label="m")
    assert found == drawn(made, run.vocabulary.given("m"), {"seed": 9}, 30)
    assert header.lines(3, label="x") == []
    assert header.known([texts[0], "f\tzzz"]) == [1, int(holds(made.known, ["f\tzzz"])[0])]


def test_the_filter_and_the_lines_know_the_training_lines(names, tmp_path):
    run, made = of_texts(names.distinct[:300], max_length=15)
    lines = [*run.lines, "Zzyzx", "Ünïcödé", "", *(f"{one}x" for one in run.lines)]
    header = Header(made, tmp_path)
    assert header.known(lines) == holds(made.known, lines).astype(int).tolist()
    _, whole = of_texts(names.distinct[:300], max_length=15, with_lines=True)
    (tmp_path / "whole").mkdir()
    header = Header(whole, tmp_path / "whole")
    assert header.known(lines) == [int(line in set(run.lines)) for line in lines]
    every = drawn(made, run.vocabulary, {"seed": 1}, 400)
    wanted = [one for one in every if one[1] not in set(run.lines)][:200]
    assert header.lines(200, seed=1, new=True) == wanted


def test_without_lines_nothing_is_known(names, tmp_path):
    prepared = Prepared.of(Lines.of(names.distinct[:300]), DataConfig())
    run = train(prepared, "ngram:3").run
    made = portable(run.model, run.vocabulary, name="names", max_length=15)
    header = Header(made, tmp_path)
    assert header.known(["Anna"]) == [-1]
    assert header.lines(50, seed=4, new=True) == drawn(made, run.vocabulary, {"seed": 4}, 50)


COMPOSING = "ea\u0301\u0323\u0302\u00e9\u00ea\u09c7\u09be\u1100\u1161\u11a8\uac00\uac01\u0327\u0345\u1ea1x"


def of_one_token_each(letters: str) -> Portable:
    size = len(letters) + 1
    step = Step(size, (Instruction("constant", (), ("w",)),), {"w": np.full(size, -np.log(size), np.float32)})
    return Portable("letters", step, ("", *letters))


@pytest.mark.parametrize("spelled", [False, True])
def test_lines_are_in_the_composed_form_as_unicodes_tables_say(spelled, tmp_path):
    random = np.random.default_rng(1)
    letters = COMPOSING + "\u212b" * spelled
    made = of_one_token_each(letters)
    if spelled:  # all but ASCII in bytes
        raw = sorted({byte for byte in letters.encode() if byte > 127})
        made = of_one_token_each("aex" + "".join(chr(0xDC00 + byte) for byte in raw))
    texts = ["".join(random.choice(list(letters), random.integers(1, 6))) for _ in range(5000)]
    wanted = [int(unicodedata.is_normalized("NFC", text)) for text in texts]
    assert 500 < sum(wanted) < 4500
    assert Header(made, tmp_path).composed(texts) == wanted


@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_compiler_takes_all_that_models_are_made_of(compiler, few_models, tmp_path):
    for number, (run, made) in enumerate(few_models):
        folder = tmp_path / str(number)
        folder.mkdir()
        header = Header(made, folder, compiler)
        assert header.lines(20, seed=3) == drawn(made, run.vocabulary, {"seed": 3}, 20)


@pytest.fixture(scope="module")
def few_models(names):
    lines = names.distinct[:200]
    some = ["transformer:8:tied=yes+ngram:3", "gru:8:tied=yes:wide=5+counts:3:steps=20", "bow:8"]
    return [of_texts(lines, weights, model=one) for one, weights in zip(some, WEIGHTS, strict=True)]


def test_a_line_longer_than_attention_remembers_ends_there(few_models, tmp_path):
    _, made = few_models[0]
    header = Header(made, tmp_path)
    assert len(header.rows([0, *[3] * made.max_length])) == made.max_length + 1
    with pytest.raises(AssertionError):
        header.rows([0, *[3] * (made.max_length + 1)])


@pytest.fixture(scope="module")
def program(few_models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    run, made = few_models[0]
    made.about["called"] = "My names"
    source = folder / "names.c"
    source.write_bytes(written(made))
    return run, made, compiled(source, folder / "names", "sanitized", "-DMY_NAMES_MAIN")


def test_it_is_a_program_too(program):
    run, made, path = program
    code, printed, told = ran(path, "-n", "10", "-s", "1", "-p", "Jo", "-a")
    assert (code, told) == (0, b"")
    assert printed.decode().split("\n")[:-1] == [
        one for _, one in drawn(made, run.vocabulary, {"seed": 1, "prefix": "Jo"}, 10)
    ]
    code, printed, _ = ran(path, "-n", "30", "-t", "0.8", "-k", "9", "-q", "0.95", "-m", "20")
    every = drawn(made, run.vocabulary, {"temperature": 0.8, "top_k": 9, "top_p": 0.95, "max_length": 20}, 60)
    fresh = [one for _, one in every if not holds(made.known, [one])[0]]
    assert printed.decode().split("\n")[:-1] == fresh[:30]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", b"\xff\xfe"], "the model knows no such beginning"),
        (["-p", b"Jo\xc3"], "the model knows no such beginning"),
        (["-p", "Jo☃"], "the model knows no such beginning"),
        (["-l", "f"], "the model knows no such beginning or label"),
        (["-n"], "its value is missing"),
        (["-z", "1"], "there is no such flag"),
        (["names"], "there is no such flag"),
        *[([flag, "x"], "out of its range") for flag in ("-n", "-s", "-t", "-k", "-q", "-m")],
        (["-m", "31"], "out of its range"),
        (["-t", "0"], "out of its range"),
        (["-q", "1.1"], "out of its range"),
        (["-k", "nan"], "out of its range"),
        (["-s", "18446744073709551616"], "out of its range"),
        (["-s", "-1"], "out of its range"),
    ],
)
def test_mistakes_are_one_sentence(program, arguments, sentence):
    code, printed, told = ran(program[2], *arguments)
    assert (code, printed) == (2, b"")
    assert sentence in told.decode()
    assert told.count(b"\n") == 1


def test_a_prefix_of_any_length_is_cut(program):
    code, printed, _ = ran(program[2], "-a", "-n", "3", "-p", "An" * 30000)
    assert code == 0
    assert printed.decode() == ("An" * 15 + "\n") * 3


_SMALL = """
#define X_IMPLEMENTATION
#include "x.h"
int main(void)
{
  static x_state state;
  char line[X_CAPACITY];
  size_t size;
  int length = x_line(&state, NULL, 0, line, sizeof line);
  if (length <= 0 || strlen(line) != (size_t)length) return 1;
  for (size = 0; size <= (size_t)length; size++) {
    char *less = malloc(size ? size : 1); /* of exactly this size, so that a byte more is seen */
    if (!less || x_line(&state, NULL, 0, less, size) != -1) return 2;
    free(less);
  }
  if (x_next(&state, -1, state.weights) || x_next(&state, X_VOCABULARY, state.weights)) return 3;
  if (x_text(-1) || x_text(X_VOCABULARY) || x_label(-1) || x_label(X_LABELS) || !x_text(0)) return 4;
  return 0;
}
"""


def test_it_writes_into_the_room_that_it_is_given(few_models, tmp_path):
    Header(few_models[1][1], tmp_path)
    (tmp_path / "small.c").write_text(_SMALL)
    assert ran(compiled(tmp_path / "small.c", tmp_path / "small", "sanitized"))[0] == 0


def test_two_files_share_one_header(few_models, tmp_path):
    Header(few_models[1][1], tmp_path)
    (tmp_path / "one.c").write_text('#define X_IMPLEMENTATION\n#include "x.h"\n')
    (tmp_path / "two.c").write_text(
        '#include "x.h"\n#include "x.h"\nint main(void) { return x_label(3) != NULL; }\n'
    )
    assert ran(compiled(tmp_path / "one.c", tmp_path / "two", "gcc", str(tmp_path / "two.c")))[0] == 0


def test_names_begin_with_the_files(names, tmp_path):
    run = train(Prepared.of(Lines.of(names.distinct[:200]), DataConfig()), "ngram:2").run
    export(run, tmp_path / "Baby names.h")
    text = (tmp_path / "Baby names.h").read_text()
    assert "int baby_names_new_line(" in text
    assert "BABY_NAMES_CAPACITY" in text
    assert "spell" not in text.replace("spelled", "")
    assert [prefix_of(one) for one in ("2names", "ÄÖ", "a-b.c", "_x")] == ["lines_2names", "lines", "a_b_c", "x"]


def test_what_is_said_of_a_model_ends_no_comment():
    made = of_one_token_each("ab")
    made.about["model"] = "*/ int x; /* ??/"
    made.about["called"] = 'x*/"'
    head = written(made).decode().split("#ifndef")[0]
    assert head.count("*/") == head.count("/*") == 1


def test_texts_that_c_cannot_hold_are_refused():
    for token, sentence in (("\0", "U\\+0000"), ("a" * 5000, "5,000 bytes")):
        made = of_one_token_each("ab")
        with pytest.raises(ExportError, match=sentence):
            written(Portable("x", made.step, ("", "a", token)))


def test_strings_hold_any_byte(tmp_path):
    every = bytes(range(1, 256))
    (tmp_path / "a.c").write_text(
        f"#include <stdio.h>\nint main(void) {{ return fputs({literal(every)}, stdout) < 0; }}\n"
    )
    assert ran(compiled(tmp_path / "a.c", tmp_path / "a"))[1] == every


def test_lines_of_three_seeds_are_pythons(few_models, tmp_path):
    run, made = few_models[1]
    header = Header(made, tmp_path)
    for seed in (1, 2, 3):
        assert header.lines(500, seed=seed) == drawn(made, run.vocabulary, {"seed": seed}, 500)
    assert list(islice(header.lines(3), 3)) == drawn(made, run.vocabulary, {}, 3)
