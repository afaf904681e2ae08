"""How a report is shown: the cause first, lines that can be read at any width, the source, diffs, other formats."""

import html.parser
import json
import linecache
import re
import shutil
import subprocess

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spellout.doctor import PAGES, Report, examine
from spellout.doctor.place import Place
from spellout.doctor.report.causes import EXPLAINS
from spellout.doctor.report.fixes import fix
from spellout.doctor.report.source import excerpt, position

words = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=12))


def reported(*found):
    return Report.of(found, ["the mode of the evaluation: give evaluate="], {})


def place_of(source, part, name="of_a_notebook", module=""):
    """The place where a part of a source stands, as Python tells it: the source is compiled and not run."""
    name = f"<{name}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    pending = [compile(source, name, "exec")]
    for code in pending:
        pending += [inner for inner in code.co_consts if hasattr(inner, "co_code")]
        for number, (line, _, start, end) in enumerate(code.co_positions()):
            if line is None or start is None:
                continue
            text = source.splitlines()[line - 1].encode()
            if text[start:end].decode(errors="replace") == part:
                return Place.of(code, 2 * number, module)
    raise AssertionError(part)


def test_the_cause_comes_before_what_it_explains():
    mixes = PAGES["samples-mix"].found("0.5", "net.py:1")
    over = PAGES["softmax-over-batch"].found("dim=0", "net.py:9")
    data = PAGES["inputs-not-scaled"].found("mean 300")
    stale = PAGES["stale-gradients"].found("100 %", "net.py:3")
    report = reported(data, mixes, stale, over)
    assert [one.id for one in report.findings] == [over.id, stale.id, mixes.id, data.id]
    assert report.findings[2].because == over.id
    assert "softmax-over-batch, found above, explains it" in str(report)
    assert report.to_json()["findings"][2]["because"] == over.id
    assert reported(mixes).findings[0].because is None


def test_causes_are_pages_and_form_no_circle():
    assert EXPLAINS.keys() | {one for effects in EXPLAINS.values() for one in effects} <= PAGES.keys()
    depths = {}

    def depth(name):
        depths[name] = -1  # met again on the way down, it would be a circle
        found = [depth(effect) if effect not in depths else depths[effect] for effect in EXPLAINS.get(name, ())]
        assert -1 not in found
        depths[name] = 1 + max(found, default=0)
        return depths[name]

    for name in EXPLAINS:
        depth(name)


@given(evidence=words, cure=words, width=st.integers(24, 130))
@settings(max_examples=60)
def test_lines_are_broken_between_words_at_any_width(evidence, cure, width):
    page = PAGES["stale-gradients"]
    report = reported(page.found(" ".join(evidence)), PAGES["samples-mix"].found(" ".join(cure)))
    whole = " ".join(str(line.plain) for line in report.lines(None)).split()
    lines = [line.plain for line in report.lines(width)]
    assert " ".join(lines).split() == whole  # no word is cut, lost or doubled
    long = [line for line in lines if len(line) > width and all(ord(sign) < 128 for sign in line)]
    assert all(len(line.split()) <= 2 or len(line.split()[-1]) > width - 20 for line in long)


def test_the_first_screen_holds_the_cause_and_the_names_of_the_rest():
    found = [PAGES[name].found("seen", f"net.py:{place}") for place, name in enumerate(PAGES, 1)][:6]
    first = [line.plain for line in reported(*found).lines(80)][:24]
    text = "\n".join(first)
    assert first[0].count("error") == 1
    assert all(one.title.split()[0] in text for one in found if not one.page.symptom)


SOURCE = """
def loss(model, x, y):
	größe = model(x); return F.cross_entropy(F.softmax(größe, dim=1), y)  # "Übung" is over

"""


def test_a_caret_stands_under_the_expression():
    where = place_of(SOURCE, "F.softmax(größe, dim=1)")
    (_, above), (mark, line), (_, caret) = excerpt(position(where), 100)
    assert above == "def loss(model, x, y):"
    assert mark == "> 3 | "
    assert line[caret.index("^") : len(caret)] == "F.softmax(größe, dim=1)"
    assert str(where).endswith(">:3")


@pytest.mark.parametrize("width", [24, 40, 60, 80])
def test_the_expression_is_seen_where_the_line_is_too_long(width):
    source = f"{'x = ' * 30}F.softmax(y)\n"
    rows = excerpt(position(place_of(source, "F.softmax(y)")), width)
    line, caret = rows[0][1], rows[1][1]
    assert line[caret.index("^") :].startswith("F.softmax"[: len(caret.strip())])
    assert all(len(margin) + len(text) <= width for margin, text in rows)


def test_places_without_a_source_or_a_line_show_none():
    assert position(None) is None
    assert position("layers.0") is None
    assert position("missing.py:3, in Linear()").line == 3
    assert excerpt(position("missing.py:3"), 80) == []
    assert "missing.py:3" in str(reported(PAGES["samples-mix"].found("mixed", "missing.py:3")))


def test_a_finding_of_a_real_examination_has_its_expression():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(4, 3)

        def forward(self, x):
            return F.softmax(self.last(x), dim=1)

    torch.manual_seed(0)
    report = examine(Model(), F.cross_entropy, (torch.randn(12, 4), torch.arange(12) % 3))
    there = position(report.findings[0].where)
    assert there.text[there.start : there.end] == "F.softmax(self.last(x), dim=1)"
    diff = report.fixes().splitlines()
    assert "-            return F.softmax(self.last(x), dim=1)" in diff
    assert "+            return self.last(x)" in diff


PAIRS = "`mse_loss` of (32, 1) and (32,) gives (32, 32)"


@pytest.mark.parametrize(
    ("name", "source", "part", "after"),
    [
        ("stale-gradients", "def step():\n    l.backward()\n    self.opt.step()\n", "self.opt.step()",
         "    self.opt.step()\n    self.opt.zero_grad()\n"),
        ("softmax-before-cross-entropy", "p = F.softmax(a + b, -1)\n", "F.softmax(a + b, -1)", "p = a + b\n"),
        ("softmax-before-cross-entropy", "p = 2 * F.softmax(a + b, -1)\n", "F.softmax(a + b, -1)",
         "p = 2 * (a + b)\n"),
        ("softmax-before-cross-entropy", "p = net(x).softmax(-1)\n", "net(x).softmax(-1)", "p = net(x)\n"),
        ("softmax-before-cross-entropy", "p = h.softmax(dim=1)", "h.softmax(dim=1)", "p = h\n"),
        ("sigmoid-before-bce-with-logits", "return_ = torch.sigmoid(input=z)\n", "torch.sigmoid(input=z)",
         "return_ = z\n"),
        ("broadcast-output-target", "l = F.mse_loss(out, y)\n", "F.mse_loss(out, y)",
         "l = F.mse_loss(out.squeeze(-1), y)\n"),
    ],
)  # fmt: skip
def test_a_certain_cure_is_a_diff_that_applies(tmp_path, name, source, part, after):
    where = place_of(source, part)
    evidence = PAIRS if name.startswith("broadcast") else "seen"
    diff = fix(PAGES[name].found(evidence, where)).replace("<of_a_notebook>", "file.py")
    (tmp_path / "file.py").write_text(source if source.endswith("\n") else f"{source}\n")
    if shutil.which("git"):
        subprocess.run(["git", "apply", "-"], input=diff.encode(), cwd=tmp_path, check=True)
        assert after in (tmp_path / "file.py").read_text()
    changed = [line[1:] for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]
    assert changed[-1] == after.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "source", "part", "module"),
    [
        ("stale-gradients", "opt.step(closure)\n", "opt.step(closure)", ""),  # the closure zeroes, or should
        ("stale-gradients", "if go: opt.step()\n", "opt.step()", ""),
        ("softmax-before-cross-entropy", "p = self.body(x)\n", "self.body(x)", ", in Softmax()"),
        ("softmax-before-cross-entropy", "p = h.exp() / h.exp().sum(1, keepdim=True)\n", "h.exp()", ""),
        ("broadcast-output-target", "l = (out - y)\n", "out - y", ""),
        ("samples-mix", "p = h.softmax(0)\n", "h.softmax(0)", ""),
    ],
)
def test_where_the_cure_is_not_certain_there_is_no_diff(name, source, part, module):
    assert fix(PAGES[name].found(PAIRS, place_of(source, part, module=module))) == ""


def test_annotations_are_escaped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a,b.py").write_text("x = 1\n")
    odd = PAGES["samples-mix"].found("50 % of\nthe rows: mixed", "a,b.py:1")
    line = reported(odd).annotations()
    assert line.startswith("::error file=a%2Cb.py,line=1,col=1,endColumn=6,title=")
    assert "50 %25 of%0Athe rows: mixed%0A" in line
    assert "\n" not in line
    note = PAGES["output-without-bias"].found("uneven", "layers.0")
    assert reported(note).annotations().startswith("::notice title=")
    assert "::layers.0: uneven" in reported(note).annotations()


class Balanced(html.parser.HTMLParser):
    """Fails where tags do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_escaped_and_takes_its_colours_from_the_page():
    odd = PAGES["samples-mix"].found("<script>alert(1)</script> & more", place_of("y = a < b\n", "a < b"))
    shown = reported(odd, PAGES["stale-gradients"].found("old"))._repr_html_()
    parser = Balanced()
    parser.feed(shown)
    assert not parser.open
    assert "<script>" not in shown
    text = "".join(parser.text)
    assert "<script>alert(1)</script> & more" in text
    assert "y = a < b" in text
    colours = re.findall(r"[;{](?:color|background):([^;}]+)", shown)
    assert {"inherit", "#fff"} <= set(colours)
    assert "prefers-color-scheme" not in shown


PROGRAM = """
import torch
from torch import nn
from torch.nn import functional as F

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)
    def forward(self, x):
        return F.softmax(self.last(x), dim=1)

def case():
    torch.manual_seed(0)
    return {"model": Net(), "loss": F.cross_entropy, "batch": (torch.randn(12, 4), torch.arange(12) % 3)}
"""


def test_the_command_prints_annotations_diffs_and_whole_lines_where_it_is_piped(tmp_path, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(PROGRAM)
    code, out, _ = command("doctor", "train.py:case", "--github")
    assert code == 1
    assert out.startswith("::error file=train.py,line=11,col=16,")
    code, out, _ = command("doctor", "train.py:case", "--fix-hint")
    assert code == 1
    assert "-        return F.softmax(self.last(x), dim=1)\n+        return self.last(x)\n" in out
    (tmp_path / "other.py").write_text(
        PROGRAM.replace("F.softmax(self.last(x), dim=1)", "self.last(x).softmax(1) * 1")
    )
    code, out, err = command("doctor", "other.py:case", "--fix-hint")
    assert (code == 1, out, err.count("no cure here is one certain line")) == (True, "", 1)
    _, out, _ = command("doctor", "train.py:case")
    assert "\x1b" not in out
    assert PAGES["softmax-before-cross-entropy"].cure in out
    assert ">  11 |" not in out
    assert "> 11 |     return F.softmax(self.last(x), dim=1)" in out
    finding = json.loads(command("doctor", "train.py:case", "--json")[1])["findings"][0]
    assert finding["where"] == "train.py:11"


def test_a_terminal_shows_colours_unless_they_are_not_wanted(monkeypatch, capsys):
    from spellout.app import terminal

    lines = [line.parts for line in reported(PAGES["stale-gradients"].found("old", "a.py:1")).lines(60)]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal.print_styled(lines)
    coloured = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.print_styled(lines)
    plain = capsys.readouterr().out
    assert "\x1b[1;31merror:" in coloured
    assert not re.search(r"\x1b\[[0-9;]*3\dm", plain)
    assert "error: gradients are not zeroed" in re.sub(r"\x1b\[[0-9;]*m", "", plain)
