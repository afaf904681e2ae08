"""What people bring as files: several, folders, compressed ones, tables, things of several lines."""

import bz2
import csv
import gzip
import io
import json
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.lines import Lines
from spellout.data.sources.compressed import unpacked_name
from spellout.data.sources.config import LINE_END, SourceConfig, in_lines
from spellout.data.sources.files import find, source_name
from spellout.data.sources.reading import Reading, first_lines
from spellout.data.sources.tables import delimiter_of
from spellout.errors import DataError, UsageError
from strategies import clean_line

PACKING = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress}


def read(*paths, encoding=None, block_bytes=1 << 20, **config):
    reading = Reading(list(map(str, paths)), encoding, SourceConfig(**config), block_bytes)
    return "".join(reading).split("\n")[:-1]


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(*paths, **config):
    with pytest.raises(DataError) as error:
        read(*paths, **config)
    return str(error.value)


# Several files and folders.


def test_several_files_are_read_in_the_order_of_the_command_line(tmp_path):
    b, a = written(tmp_path, "b.txt", "bob\n"), written(tmp_path, "a.txt", "anna")  # without an end
    assert read(b, a) == ["bob", "anna"]
    lines = Lines.read([b, a])
    assert lines.distinct == ["bob", "anna"]
    assert lines.name == f"{b} and {a}"
    assert source_name([b, a, b]) == f"{b} and 2 more"


def test_of_a_folder_its_text_files_are_read_sorted(tmp_path):
    for name in ("b.txt", "a.txt", ".hidden"):
        written(tmp_path, name, f"of {name}\n")
    written(tmp_path, "picture.png", b"\x89PNG\0\0")
    (tmp_path / "inside").mkdir()
    found = find(tmp_path)
    assert [one.rpartition("/")[2] for one in found.files] == ["a.txt", "b.txt"]
    assert [one.rpartition("/")[2] for one in found.left_out] == ["picture.png"]
    assert read(tmp_path) == ["of a.txt", "of b.txt"]


def test_a_folder_without_text_files_says_what_is_in_it(tmp_path):
    assert "has no files" in refused(tmp_path)
    written(tmp_path, "picture.png", b"\x89PNG\0\0")
    assert "is a folder without text files (its 1 files are no text)" in refused(tmp_path)


def test_standard_input_is_read_once():
    with pytest.raises(UsageError, match="read once only"):
        find(["-", "-"])


def test_a_fault_names_the_file_that_has_it(tmp_path):
    good, bad = written(tmp_path, "good.txt", "anna\n"), written(tmp_path, "bad.txt", b"bob\ncaf\xe9\n")
    assert refused(good, bad).startswith(f"{bad} is not UTF-8: line 2")


# Compressed files.


@pytest.mark.parametrize("ending", PACKING)
def test_compressed_files_are_read_as_what_is_in_them(tmp_path, ending):
    path = written(tmp_path, f"names.txt{ending}", PACKING[ending](b"anna\nbob\n" * 1000))
    assert read(path, block_bytes=64) == ["anna", "bob"] * 1000
    assert read(path.rename(tmp_path / "names.txt")) == ["anna", "bob"] * 1000  # whatever its name
    assert first_lines(tmp_path / "names.txt", most_bytes=100)[:2] == ["anna", "bob"]
    assert unpacked_name(f"a.csv{ending}") == "a.csv"


@pytest.mark.parametrize("ending", PACKING)
def test_a_compressed_file_that_was_cut_off_or_damaged_is_a_sentence(tmp_path, ending):
    packed = PACKING[ending]("".join(f"line {number}\n" for number in range(5000)).encode())
    cut = written(tmp_path, "cut", packed[: len(packed) // 2])
    assert refused(cut).startswith(f"{cut}: the compressed data ")
    damaged = written(tmp_path, "damaged", packed[:40] + bytes(40) + packed[80:])
    assert refused(damaged).startswith(f"{damaged}: the compressed data ")


def test_compressed_standard_input_is_read(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"anna\nbob\n"))))
    assert read("-") == ["anna", "bob"]


def test_progress_counts_the_packed_bytes(tmp_path):
    path, seen = written(tmp_path, "names.gz", gzip.compress(b"anna\nbob\n" * 1000)), []
    list(Reading(path, advance=seen.append))
    assert sum(seen) == path.stat().st_size


def test_zstd_is_read_with_its_library(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    packed = zstandard.compress(b"anna\nbob\n" * 1000)
    assert read(written(tmp_path, "names.zst", packed + packed)) == ["anna", "bob"] * 2000
    assert "cut off" in refused(written(tmp_path, "cut.zst", packed[:-3]))


def test_a_list_that_begins_like_a_packed_file_is_a_list(tmp_path):
    assert read(written(tmp_path, "lines.txt", "BZh9 is a line\nother\n")) == ["BZh9 is a line", "other"]


# Tables.


@given(
    st.lists(st.tuples(clean_line, clean_line), min_size=2, max_size=20),
    st.sampled_from([(",", ".csv"), ("\t", ".tsv"), (";", ".csv"), ("|", ".txt")]),
    st.booleans(),
)
def test_a_column_is_what_was_written_in_it(tmp_path_factory, rows, kind, header):
    delimiter, ending = kind
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("id", "name")] * header + rows)
    path = written(tmp_path_factory.mktemp("tables"), f"table{ending}", text.getvalue())
    column = "name" if header else "2"
    assert read(path, column=column, block_bytes=16) == [second for _, second in rows]


def test_a_column_by_number_takes_every_row_and_leaves_the_header_out_when_told(tmp_path):
    path = written(tmp_path, "table.csv", 'name,sex\nAnna,f\n"Mc, Don",m\n,f\n\nBob,m\n')
    assert read(path, column="1") == ["name", "Anna", "Mc, Don", "Bob"]
    assert read(path, column="1", skip_header=True) == ["Anna", "Mc, Don", "Bob"]
    assert read(path, column="name") == ["Anna", "Mc, Don", "Bob"]


def test_a_column_may_be_called_by_a_number_only_beside_one_that_is_named(tmp_path):
    path = written(tmp_path, "table.csv", "2016,name\n12,Anna\n13,Bob\n")
    assert read(path, column="name", label="2016") == ["12\tAnna", "13\tBob"]


@pytest.mark.parametrize(
    ("content", "config", "fragments"),
    [
        ("name,sex\nAnna,f\n", {"column": "nme"}, ["line 1", "no column is called nme", "did you mean name?"]),
        ("name,sex\nAnna,f\n", {"column": "age"}, ["its columns: name, sex"]),
        ("Anna,f\nBob,m\n", {"column": "3"}, ["there is no column 3", "has 2"]),
        ("Anna,f\nBob\nCy,m\n", {"column": "2"}, ["line 2", "only 1 cell, so there is", "no column 2"]),
        ('Anna,f\n"Bob,m\nCy,m\n', {"column": "1"}, ["line 2", "quote that opens here is not closed"]),
        ('Anna,f\n"Bob"x,m\n', {"column": "1"}, ["line 2", "follows a closing quote"]),
        ('Anna,f\n"Bo\nb",m\n', {"column": "1"}, ["line 2", "holds a line end", "--separator blank"]),
        ("anna\nbob\n", {"column": "1"}, ["no rows of several cells"]),
        ("Anna,f,1\nBob,m,2\n", {"label": "2"}, ["beside the label it has 2 columns", "--column"]),
        ("Anna,f\nBob,\n", {"label": "2"}, ["line 2", "'Bob' has no label"]),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_place(tmp_path, content, config, fragments):
    path = written(tmp_path, "table.csv", content)
    said = refused(path, **config)
    for fragment in [str(path), *fragments]:
        assert fragment in said


def test_the_delimiter_is_the_one_that_cuts_alike(tmp_path):
    assert delimiter_of(["Doe, Jane\t1\n", "Roe\t2\n", "Poe, a, b\t3\n"]) == "\t"
    assert delimiter_of(["1;2,5\n", "2;3,5\n", "3;4\n"]) == ";"
    assert delimiter_of(["a\tb, c\n", "d\te, f\n"], "x.csv.gz") == ","
    assert delimiter_of(["anna\n", "bob\n"]) is None


def test_a_label_stands_before_its_line_and_a_tab(tmp_path):
    path = written(tmp_path, "table.tsv", "Anna\t f \nBob\tm\n")
    assert read(path, label="2") == ["f\tAnna", "m\tBob"]


# JSON lines.


def test_a_key_of_json_lines(tmp_path):
    rows = [{"name": "Zoe\u0301", "n": 1, "sex": "f"}, {"sex": "m", "name": " Bob "}, {"name": "", "sex": "m"}]
    path = written(tmp_path, "rows", "\n\n".join(map(json.dumps, rows)))
    assert read(path, column="name") == ["Zoé", "Bob"]
    assert read(path, column="name", label="sex") == ["f\tZoé", "m\tBob"]


@pytest.mark.parametrize(
    ("lines", "config", "fragments"),
    [
        (
            ['{"name": "a"}'] * 6 + ['{"nme": "b"}'],
            {"column": "name"},
            ["line 7", "no key name", "did you mean nme?"],
        ),
        (['{"name": "a"}', '{"name": '], {"column": "name"}, ["line 2", "no JSON"]),
        (['{"name": "a"}', "[1]"], {"column": "name"}, ["line 2", "no object"]),
        (['{"name": "a"}', '{"name": ["b"]}'], {"column": "name"}, ["line 2", "a list"]),
        (['{"name": "a\\nb"}'], {"column": "name"}, ["line 1", "holds a line end"]),
        (['{"name": "a"}'], {"column": "1"}, ["name the key"]),
        (['{"name": "a"}', "[" * 100_000], {"column": "name"}, ["line 2", "no JSON"]),
    ],
)
def test_what_is_wrong_with_json_lines_is_said_with_its_place(tmp_path, lines, config, fragments):
    path = written(tmp_path, "rows.jsonl", "\n".join(lines) + "\n")
    said = refused(path, **config)
    for fragment in [str(path), *fragments]:
        assert fragment in said


# Parquet.


def test_a_column_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"name": ["Anna", None, "Bob"], "sex": ["f", "m", "m"], "n": [1, 2, 3]})
    path = tmp_path / "names.parquet"
    parquet.write_table(table, path)
    assert read(path, column="name") == ["Anna", "Bob"]
    assert read(path, column="n", label="sex") == ["f\t1", "m\t2", "m\t3"]
    assert "no column is called nam; did you mean name?" in refused(path, column="nam")
    assert "name the column of the lines with --column" in refused(path)
    damaged = written(tmp_path, "damaged.parquet", path.read_bytes()[:-20])
    assert "is damaged, or no table in Parquet" in refused(damaged, column="name")


# Things of several lines.


@pytest.mark.parametrize(
    ("separator", "line"),
    [("blank", ""), ("%", "%"), ("...", "..."), ("/#+ .*/", "## a title"), ("/-{3,}/", "-----")],
)
@given(
    things=st.lists(st.lists(clean_line, min_size=1, max_size=4), min_size=2, max_size=6), size=st.integers(1, 99)
)
def test_things_of_several_lines_come_back_as_they_were(tmp_path_factory, separator, line, things, size):
    config = SourceConfig(separator=separator)
    texts = ["\n".join(thing) for thing in things]
    content = f"\n{line}\n".join(texts)
    path = written(tmp_path_factory.mktemp("things"), "things.txt", content + "\n")
    if LINE_END in content or any(config.separates(one.strip()) for thing in things for one in thing):
        return
    reading = Reading(path, config=config, block_bytes=size)
    lines = "".join(reading).split("\n")[:-1]
    assert [in_lines(one, "char") for one in lines] == texts
    assert reading.between == line


def test_white_space_before_the_lines_of_a_thing_is_kept_and_blank_lines_inside(tmp_path):
    path = written(tmp_path, "code.txt", "%\nif x:  \r\n    y\n\n    z\n%\n%\nother\n\n")
    assert read(path, separator="%") == ["if x:␤    y␤␤    z", "other"]


def test_files_of_one_thing_each_need_no_separator_inside(tmp_path):
    a, b = written(tmp_path, "a", "one\ntwo\n"), written(tmp_path, "b", "three\nfour\n")
    assert read(a, b, separator="%") == ["one␤two", "three␤four"]
    assert "no line is what --separator % says" in refused(a, separator="%")
    assert "no line is empty" in refused(a, separator="blank")


def test_the_sign_for_a_line_end_stands_for_nothing_else(tmp_path):
    path = written(tmp_path, "a", "one\n%\ntwo ␤\n")
    assert f"{path}, line 3: holds ␤" in refused(path, separator="%")
    assert read(path) == ["one", "%", "two ␤"]


def test_cells_of_several_lines(tmp_path):
    path = written(tmp_path, "a.csv", 'text,by\n"one\r\n two",x\nthree,y\n')
    assert read(path, column="text", separator="blank") == ["one␤ two", "three"]


# What is no part of a line.


def test_what_a_pattern_matches_at_the_ends_of_lines_is_left_out(tmp_path):
    path = written(tmp_path, "a", "<s>Anna</s>\n<s> Bob</s>\n<s></s>\nC<s>y\n")
    assert read(path, strip=r"</?s>") == ["Anna", "Bob", "C<s>y"]
    numbered = written(tmp_path, "b", "1. Anna\n2. Bob 3.\n")
    assert read(numbered, strip=r"\d+\. ") == ["Anna", "Bob 3."]


def test_the_first_line_of_each_file_may_be_left_out(tmp_path):
    a, b = written(tmp_path, "a", "name\nanna\n"), written(tmp_path, "b", "\nname\nbob\n")
    assert read(a, b, skip_header=True) == ["anna", "name", "bob"]


@pytest.mark.parametrize(
    ("config", "fragment"),
    [
        ({"separator": ""}, "--separator: must not be empty"),
        ({"separator": "/(/"}, "no regular expression"),
        ({"strip": "["}, "--strip [: no regular expression"),
        ({"column": "0"}, "numbered from 1"),
        ({"label": "-1"}, "numbered from 1"),
        ({"label": "2", "column": "2"}, "the same column"),
        ({"label": "2", "separator": "%"}, "name the --column too"),
    ],
)
def test_settings_that_cannot_work_are_a_wrong_command_line(config, fragment):
    with pytest.raises(UsageError) as error:
        SourceConfig(**config)
    assert fragment in str(error.value)
