"""Which loss decides in a training: that of new lines, and both are told."""

from dataclasses import replace

import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.prepared import Prepared
from spellout.generation.evaluation import evaluate
from spellout.models.table import MODELS, parse_specification
from spellout.training import judging as module
from spellout.training.config import TrainingConfig
from spellout.training.job import Job
from spellout.training.judging import Judging
from spellout.training.runs.checkpoint import Checkpoint
from spellout.training.runs.folder import LAST, write
from spellout.training.runs.run import Keeper
from spellout.training.runs.unfinished import Unfinished
from spellout.training.train import train as train_job

BY_HEART = TrainingConfig(steps=60, lr=0.05, patience=0, decay="none")


@pytest.mark.parametrize("split", ["distinct", "lecture"])
def test_the_loss_of_new_lines_decides_and_both_are_told(few, split):
    prepared = Prepared.of(few.lines, DataConfig(split=split))
    events = []
    trained = train(prepared, "mlp:16", events.append, training=BY_HEART)
    evaluations = [event for event in events if event["event"] == "evaluation"]
    losses = [event["new_lines"] for event in evaluations]
    assert [event["best"] for event in evaluations] == [
        loss < min(losses[:number], default=9.0) for number, loss in enumerate(losses)
    ]
    assert trained.loss == pytest.approx(min(losses), abs=1e-8)
    assert trained.run.last.state.best_loss == min(losses)
    assert trained.run.facts["results"]["new_lines"]["nats_per_char"] == trained.loss
    best = next(event for event in evaluations if event["new_lines"] == min(losses))
    assert trained.dev.nats_per_char == best["nats_per_char"]
    plain = evaluate(trained.run.model, prepared.vocabulary, prepared.split.dev)
    assert trained.dev.nats == pytest.approx(plain.nats, abs=1e-4)
    assert 0.0 < evaluations[0]["mass"] < evaluations[-1]["mass"] < 1.0


def test_lines_learned_by_heart_cost_less(few):
    """A network that has learned the list by heart is worse as it is, long before it is for new lines."""
    events = []
    train(few, "mlp:16", events.append, training=replace(BY_HEART, steps=120))
    evaluations = [event for event in events if event["event"] == "evaluation"]
    first = {way: min(evaluations, key=lambda event: event[way])["step"] for way in ("nats_per_char", "new_lines")}
    assert first["nats_per_char"] <= first["new_lines"]


def test_a_training_of_before_goes_on_with_its_best_model_judged_anew(few, tmp_path):
    keep = Keeper(tmp_path / "run")
    stop = iter([False] * 30 + [True]).__next__
    train_job(Job(few, parse_specification("mlp:16"), BY_HEART, keep=keep, interrupted=stop))
    path = tmp_path / "run" / LAST
    kept = Checkpoint.read(path)
    assert kept.state.best_loss is not None
    # Earlier versions kept the loss of the model as it is: higher, so that any model would look better.
    write(path, replace(kept, state=replace(kept.state, best_loss=9.0)).to_bytes())
    events = []
    going_on = Unfinished.read(tmp_path / "run", MODELS)
    keep = Keeper(tmp_path / "run", there=True)
    job = Job(few, going_on.specification, going_on.training, events.append, keep=keep, going_on=going_on)
    trained = train_job(job)
    whole = train(few, "mlp:16", training=BY_HEART)
    assert trained.loss == whole.loss
    assert trained.run.last.state.best_step == whole.run.last.state.best_step


def test_the_first_lines_judge_meanwhile_and_all_at_the_end(prepared, monkeypatch):
    monkeypatch.setattr(module, "MEANWHILE", 1)
    monkeypatch.setattr("spellout.generation.evaluation.FEWEST", 400)
    model = train(prepared, "ngram:2").run.model
    judging = Judging(prepared)
    loss = judging.loss(model)
    assert judging.described(loss)["new_lines"] == loss
    assert judging.result(model, loss, planned=True).new.result.lines < len(prepared.split.dev)
    assert judging.result(model, loss).new.result.lines == len(prepared.split.dev)
    assert Judging(Prepared.of(prepared.lines, DataConfig(split="none"))).result(model) is None
