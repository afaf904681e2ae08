"""The page in Firefox, from a file: it asks for nothing else, and makes the lines that Python makes."""

from itertools import islice

from firefox import firefox
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.export.exporting import portable
from spellout.export.html import written
from spellout.export.reference import Reference
from spellout.generation.config import SamplingConfig
from spellout.generation.sampling import sample
from spellout.training.config import TrainingConfig

MADE = """new Promise(resolve => {
  const look = () => {
    const lines = [...document.querySelectorAll("#lines button")].map(one => one.textContent);
    if (lines.length === 30) resolve(lines); else setTimeout(look, 50);
  };
  look();
})"""


def test_it_makes_the_lines_that_python_makes(names, tmp_path):
    data = Prepared.of(Lines.of(names.distinct[:300]), DataConfig(split="none"))
    run = train(data, "gru:4+counts:3:steps=10", training=TrainingConfig(steps=10)).run
    made = portable(run.model, run.vocabulary, name="names", max_length=15, lines=run.lines, weights="int8")
    path = tmp_path / "names.html"
    path.write_bytes(written(made))
    with firefox(tmp_path / "profile") as window:
        window.open(f"file://{path}#n=30&seed=5&t=1.2&line=Maria&new=0")
        lines = window.evaluated(MADE)
        letters = window.evaluated("document.querySelectorAll('#spelled button').length")
        # Firefox does not count the file itself.
        assert [one for one in window.requests if one != "data:,"] == window.complaints == []
    several = sample(Reference(made.step), run.vocabulary, SamplingConfig(max_length=15, seed=5, temperature=1.2))
    assert lines == [one.text for one in islice((one for one in several if one.complete), 30)]
    assert letters == len("Maria") + 1
