import codecs
import io
import subprocess
import sys
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellout.data.sources import text
from spellout.data.sources.reading import first_lines, read_blocks
from spellout.errors import DataError, UsageError
from strategies import any_line, clean, clean_lines


def read(path, **options):
    return "".join(read_blocks(path, **options)).split("\n")[:-1]


def written(tmp_path, content):
    path = tmp_path / "lines.txt"
    path.write_bytes(content)
    return path


@given(st.lists(any_line), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 40), st.booleans())
def test_lines_are_decoded_trimmed_composed_and_blank_ones_dropped(
    tmp_path_factory, lines, end, block_bytes, marked
):
    content = end.join(lines).encode("utf-8-sig" if marked else "utf-8")
    if not marked and content.startswith(codecs.BOM_UTF8):
        content = codecs.BOM_UTF8 + content  # a first line that begins with U+FEFF itself
    path = written(tmp_path_factory.mktemp("reading"), content)
    assert read(path, block_bytes=block_bytes) == [line for line in map(clean, lines) if line]


def test_nfc_makes_one_character_of_a_letter_and_its_accent(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Zoé")
    assert read(written(tmp_path, decomposed.encode())) == ["Zoé"]


def test_inner_white_space_is_kept(tmp_path):
    assert read(written(tmp_path, b"New York\n a  b\t\n")) == ["New York", "a  b"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "cp1252", "latin-1"])
def test_other_encodings(tmp_path, encoding):
    path = written(tmp_path, "Zoé\nÅsa\n".encode(encoding))
    assert read(path, encoding=encoding, block_bytes=3) == ["Zoé", "Åsa"]


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"anna\nbob\n")))
    assert read("-") == ["anna", "bob"]


def test_progress_counts_every_byte(tmp_path):
    path, seen = written(tmp_path, b"anna\nbob\n"), []
    read(path, block_bytes=2, advance=seen.append)
    assert sum(seen) == 9


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        (b"anna\ncaf\xe9\n", ["not UTF-8", "line 2, byte 4 is 0xE9", "--encoding cp1252"]),
        (b"caf\x81\xff\n", ["line 1, byte 4", "latin-1"]),
        ("anna\nbob\n".encode("utf-16"), ["not UTF-8", "--encoding utf-16"]),
        ("anna\nbob\n".encode("utf-16-le"), ["zero byte", "--encoding utf-16-le"]),
        ("anna\nbob\n".encode("utf-16-be"), ["zero byte", "--encoding utf-16-be"]),
        (b"\x89PNG\r\n\x1a\n\x00\x00", ["not UTF-8", "is it a text file?"]),
        (b"ab\nc\x00d\n", ["line 2", "zero byte", "binary"]),
    ],
)
def test_what_is_not_text_is_refused_with_place_and_remedy(tmp_path, content, fragments):
    with pytest.raises(DataError) as error:
        read(written(tmp_path, content))
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize("encoding", ["ascii", "utf-7"])
def test_utf_8_that_is_read_as_something_else_is_recognised(tmp_path, encoding):
    path = tmp_path / "mixed.txt"
    path.write_text("anna\nZoë\n日本\n", "utf-8")
    with pytest.raises(
        DataError, match=f"is not {encoding}: line 2, byte 3 .*looks like UTF-8: leave out --encoding"
    ):
        list(read_blocks(path, encoding))
    path.write_bytes("Zoë\n".encode("latin-1"))
    with pytest.raises(DataError, match="--encoding cp1252"):
        list(read_blocks(path, encoding))


def test_the_place_of_a_wrong_byte_is_right_in_any_block(tmp_path):
    path = written(tmp_path, b"anna\nbob\nabcdefgh\xe9\n")
    for block_bytes in range(1, 20):
        with pytest.raises(DataError, match="line 3, byte 9 is 0xE9"):
            read(path, block_bytes=block_bytes)


def test_a_missing_file_names_the_nearest_one(tmp_path):
    written(tmp_path, b"anna\n")
    with pytest.raises(DataError, match=r"did you mean .*lines\.txt"):
        read(tmp_path / "line.txt")
    with pytest.raises(DataError, match=r"no such file$"):
        read(tmp_path / "quite different")
    with pytest.raises(DataError, match=r"folder .* does not exist"):
        read(tmp_path / "nowhere" / "lines.txt")


@pytest.mark.parametrize("encoding", ["utf-99", "rot13", "hex", "-"])
def test_an_unknown_encoding_is_a_wrong_command_line(tmp_path, encoding):
    with pytest.raises(UsageError, match="no such encoding"):
        read(written(tmp_path, b"anna\n"), encoding=encoding)


def test_half_a_character_is_no_text(tmp_path):
    with pytest.raises(DataError, match="holds halves of characters"):
        read(written(tmp_path, b"anna\nb+2AA-b\n"), encoding="utf-7")


def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(text, "LONGEST_LINE", 100)
    path = written(tmp_path, b"anna\n" + b"x" * 10_000)
    with pytest.raises(DataError, match="line 2: longer than 100 characters"):
        read(path, block_bytes=64)


@given(clean_lines, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
def test_the_first_lines_are_the_first_lines_of_the_whole(texts, end, encoding):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "lines.txt"
        path.write_bytes("".join(text + end for text in texts).encode(encoding))
        name = encoding.removesuffix("-sig")
        whole = "".join(read_blocks(path, name)).split("\n")[:-1]
        assert first_lines(path, name) == whole
        few = first_lines(path, name, most_bytes=8)
        assert few == whole[: len(few)]
        assert few or not whole or path.stat().st_size > 8


def test_a_preview_reads_no_more_than_it_was_asked_for(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"anna\n" * 1000 + b"\xff\n")  # what stands further on is for the reading to refuse
    assert first_lines(path, most_bytes=100) == ["anna"] * 20
    with pytest.raises(DataError, match="not UTF-8"):
        list(read_blocks(path))


def test_a_preview_takes_nothing_from_a_pipe():
    code = (
        "import sys; from spellout.data.sources.reading import first_lines, read_blocks;"
        "print(first_lines('-'), ''.join(read_blocks('-')).split()); print(first_lines('/dev/stdin'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="anna\nbob", capture_output=True, text=True, check=True
    )
    assert done.stdout == "['anna'] ['anna', 'bob']\n[]\n"
