"""The page on exports: its Python runs as it stands."""

import sys

import pytest

from documentation import DOCS, run_blocks


def test_the_page_runs(capsys, tmp_path, monkeypatch):
    for library in ("onnx", "onnxruntime"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    _, languages = run_blocks(DOCS / "export.md", capsys, frozenset({"sh", "c", "html", "text"}))
    sys.modules.pop("girls", None)
    assert languages.count("python") >= 2
