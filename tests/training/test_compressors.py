"""General compressors as predictors: their code lengths, worked out another way, and those that are not there."""

import bz2
import importlib
import json
import lzma
import math
import random
import sys
import zlib

import pytest

from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.training.experiments import compressors
from spellout.training.experiments.compressors import judge_compressors, text_of


@pytest.fixture(scope="module")
def some():
    return Prepared.of(Lines.of(Lines.bundled().distinct[:1000], name="names"), DataConfig())


def rows_of(prepared, part="dev", told=None):
    sentences = [] if told is None else told
    return {row.compressor.split(",")[0]: row for row in judge_compressors(prepared, part, sentences.append)}


@pytest.mark.parametrize("part", ["dev", "test"])
def test_what_lines_cost_is_a_difference_of_files(some, part):
    """Files with headers and checksums, as the programs write them, differ by the same."""
    rows = rows_of(some, part)
    lines = some.split.dev if part == "dev" else some.split.test
    before = "".join(f"{line}\n" for line in some.split.train).encode()
    behind = "".join(f"{line}\n" for line in lines).encode()
    for name, coded, slack in [
        ("zlib -9", lambda text: zlib.compress(text, 9), 3),  # memory level 8
        ("bz2 -9", bz2.compress, 0),
        ("xz -9e", lambda text: lzma.compress(text, preset=9 | lzma.PRESET_EXTREME), 8),  # padded to four bytes
    ]:
        row = rows[name]
        bits = 8 * (len(coded(before + behind)) - len(coded(before)))
        assert row.bits_per_char * len(behind) == pytest.approx(bits, abs=8 * slack)
        assert row.nats_per_char == pytest.approx(row.bits_per_char * math.log(2))
        assert (row.split, row.split_by, row.lines) == (part, "distinct", len(lines))
        assert row.seconds >= 0
    assert rows["bz2 -9"].nats_per_char < rows["zlib -9"].nats_per_char


def test_lines_of_one_letter_cost_nothing_and_noise_costs_itself(some):
    """Two lists whose entropy is known: the same line again and again, and letters drawn evenly."""
    draw = random.Random(0)
    noise = ["".join(draw.choices("abcdefgh", k=20)) for _ in range(2000)]
    repeated = Prepared.of(Lines.of(["x" * 40] * 3000 + ["x"]), DataConfig(split="lecture"))
    assert all(row.nats_per_char < 0.2 for row in rows_of(repeated).values())
    for row in rows_of(Prepared.of(Lines.of(noise), DataConfig())).values():
        entropy = math.log(8) * 20 / 21
        assert entropy < row.nats_per_char < entropy + 0.7  # letters cost zlib 30 % more than they are


def test_lines_with_line_ends_in_them_end_in_something_else():
    assert text_of(["a", "b c"]) == b"a\nb c\n"
    assert text_of(["a\nb", "c"]) == b"a\nb\0c\0"


def test_compressors_that_are_not_there_are_told(some, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyppmd", None)
    monkeypatch.setattr(compressors.shutil, "which", lambda name: None)
    told = []
    rows = rows_of(some, told=told)
    assert {"zlib -9", "bz2 -9", "xz -9e"} <= set(rows)
    assert told[0] == "the row of PPMd needs pyppmd, which is not installed: pip install 'spellout[compressors]'"
    assert told[1].startswith("there is no row of zpaq, which is not installed")
    assert len(told) == 2


def test_ppmd_is_of_the_order_that_codes_training_lines_best(some):
    pyppmd = pytest.importorskip("pyppmd")
    row = next(row for row in judge_compressors(some) if row.compressor.startswith("PPMd"))
    before, both = text_of(some.split.train), text_of([*some.split.train, *some.split.dev])
    sizes = {
        order: len(pyppmd.compress(before, max_order=order, mem_size=1 << 24, variant="H"))
        for order in compressors.PPMD_ORDERS
    }
    best = min(sizes, key=sizes.__getitem__)
    assert row.compressor == f"PPMd, order {best}"
    after = len(pyppmd.compress(both, max_order=best, mem_size=1 << 24, variant="H"))
    characters = sum(map(len, some.split.dev)) + len(some.split.dev)
    assert row.bits_per_char == pytest.approx(8 * (after - sizes[best]) / characters)


ZPAQ = """#!{python}
import pathlib, sys, zlib
_, add, archive, name, method, threads = sys.argv
assert (add, method, threads) == ("a", "-m5", "-t1")
{fail}
pathlib.Path(archive).write_bytes(zlib.compress(pathlib.Path(name).read_bytes(), 9))
"""


@pytest.mark.parametrize("fail", ["", "sys.exit('no room')"])
def test_zpaq_is_asked_for_an_archive(some, tmp_path, monkeypatch, fail):
    """What is found on the path here writes an archive by another method."""
    program = tmp_path / "zpaq"
    program.write_text(ZPAQ.format(python=sys.executable, fail=fail), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if fail:
        with pytest.raises(UsageError, match="--against compressors: zpaq failed: no room"):
            rows_of(some)
    else:
        rows = rows_of(some)
        assert rows["zpaq -m5"].nats_per_char == pytest.approx(rows["zlib -9"].nats_per_char, rel=0.02)


def test_compare_against_compressors(command, names_file):
    models = "ngram:2,ngram:4"
    code, out, _ = command("compare", names_file, "--models", models, "--against", "compressors", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    told = {row["compressor"]: row for row in rows if "compressor" in row}
    assert code == 0
    assert [row["model"] for row in rows[:2]] == models.split(",")
    assert {"zlib -9", "bz2 -9", "xz -9e"} <= set(told)
    assert all(row["nats_per_char"] > rows[1]["nats_per_char"] for row in told.values())
    code, out, err = command("compare", names_file, "--models", models, "--against", "compressors")
    head, *cells = [line.split("\t") for line in out.splitlines()]
    table = [dict(zip(head, line, strict=True)) for line in cells]
    xz = next(row for row in table if row["model"] == "xz -9e")
    assert xz["as it is"] == f"{told['xz -9e']['nats_per_char']:.4f}"
    assert (xz["parameters"], xz["new lines"], xz["unique"], xz["split"]) == ("", "", "", "dev")
    assert xz["memory"] == f"{told['xz -9e']['memory'] / 1e6:.1f} MB"
    assert table[0]["memory"] == ""
    assert "compressors: what the lines that judge cost after the training lines" in err
    assert "memory" not in command("compare", names_file, "--models", "ngram:2")[1]
    assert importlib.util.find_spec("pyppmd") or "pip install 'spellout[compressors]'" in err
