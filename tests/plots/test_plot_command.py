"""`spellout plot`: every model and every picture, and what each cannot show."""

import shutil
from dataclasses import replace

import pytest

from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import UsageError
from spellout.models.table import MODELS
from spellout.plots.kinds import KINDS
from spellout.plots.pictures import PICTURES, picture
from spellout.training.config import TrainingConfig
from spellout.training.runs.log import read_log
from spellout.training.runs.run import save_run

TINY = {
    "ngram": "ngram:2",
    "bigram": "bigram",
    "gpt": "gpt:8:heads=2",
    "transformer": "transformer:16:layers=2",
    "mlp-bn": "mlp-bn:8",
    "wavenet": "wavenet:8",
    "ensemble": "mlp:8 & ngram:2 & bigram",
}
IN_STEPS = ("bigram", "mlp", "gru-numpy", "gpt", "mlp-bn", "wavenet", "rnn", "gru", "lstm", "bow", "transformer")
LAYERED = ("mlp", "mlp-bn", "wavenet", "rnn", "gru", "lstm", "bow", "transformer")
SHOWN_BY = {
    "loss": (*IN_STEPS, "ensemble"),
    "bigrams": tuple(MODELS),
    "embedding": ("mlp", "gru-numpy", "gpt", *LAYERED[1:]),
    "activations": LAYERED,
    "gradients": LAYERED,
    "saturation": LAYERED[:-1],
    "updates": IN_STEPS,
    "attention": ("transformer",),
    "surprise": tuple(MODELS),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folder of a run of each model, trained for three steps."""
    place = tmp_path_factory.mktemp("runs")
    few = Prepared.of(Lines.of(Lines.bundled().distinct[:200]), DataConfig())

    def folder(name):
        if not (place / name).exists():
            training = TrainingConfig(steps=3, device="cpu", threads=1)
            save_run(train(few, TINY.get(name, f"{name}:8"), training=training).run, place / name)
        return place / name

    return folder


def test_the_tables_name_the_same_pictures():
    assert tuple(PICTURES) == tuple(SHOWN_BY) == KINDS


def picture_of(folder, what):
    return picture(replace(load_run(folder), events=read_log(folder)), what)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_shows_what_the_table_says_and_nothing_else(folders, name):
    for what in KINDS:
        if name in SHOWN_BY[what]:
            assert picture_of(folders(name), what).axes[0].has_data(), what
        else:
            with pytest.raises(UsageError) as refused:
                picture_of(folders(name), what)
            models = ", ".join(SHOWN_BY[what])
            assert str(refused.value) == f"--what {what}: {name} has none to show; models that have: {models}"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_written_where_it_is_asked_for(command, folders, tmp_path, ending):
    out = tmp_path / f"picture.{ending}"
    assert command("plot", folders("ngram"), "--what", "surprise", "--line", "Ana", "-o", out) == (
        0,
        "",
        f"wrote {out}\n",
    )
    assert out.stat().st_size > 1000


def test_what_no_training_line_held_has_a_bar_too(command, folders, tmp_path):
    arguments = ["--what", "surprise", "--line", "A漢a", "-o", tmp_path / "new.svg"]
    assert command("plot", folders("ngram"), *arguments)[0] == 0


def test_by_default_a_picture_is_named_after_its_kind(command, folders, tmp_path, monkeypatch):
    folder = folders("ngram")
    monkeypatch.chdir(tmp_path)
    assert command("plot", folder, "--what", "surprise")[0] == 0
    assert (tmp_path / "surprise.png").exists()


def test_a_picture_that_there_is_not_lists_those_there_are(command, folders):
    code, _, err = command("plot", folders("ngram"), "--what", "losses")
    assert code == 2
    assert all(kind in err for kind in KINDS)


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (["--what", "surprise", "-o", "a.gif"], 2, "-o a.gif: a picture's name ends in .png, .svg or .pdf"),
        (
            ["--what", "surprise", "-o", "no/where.png"],
            1,
            "no/where.png cannot be written: there is no folder no; make it, or choose another -o",
        ),
        (["--what", "attention"], 2, "--what attention: ngram has none to show; models that have: transformer"),
    ],
)
def test_what_cannot_be_drawn_is_explained(command, folders, arguments, code, fragment):
    said = command("plot", folders("ngram"), *arguments)
    assert said[0] == code
    assert fragment in said[2]


def test_a_broken_log_is_named(command, folders, tmp_path):
    shutil.copytree(folders("bigram"), tmp_path / "run")
    (tmp_path / "run" / "log.jsonl").write_text("{")
    code, _, err = command("plot", tmp_path / "run", "--what", "loss", "-o", tmp_path / "a.png")
    assert code == 1
    assert "log.jsonl is damaged" in err


def test_the_learning_rate_finder_draws_its_curve(command, names_file, tmp_path):
    out = tmp_path / "curve.svg"
    code, table, err = command("lr-find", names_file, "--model", "bigram", "--steps", 12, "-o", out)
    assert code == 0
    assert table.startswith("lr\tloss")
    assert f"wrote {out}" in err
    assert out.read_text("utf-8").startswith("<?xml")
