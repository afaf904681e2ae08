"""An ensemble is trained into one run, which goes on where it was interrupted, whichever member that was in."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from spellout.api import load_run, train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import RunError, TrainingError, UsageError
from spellout.generation.evaluation import evaluate
from spellout.models.arrays.learner import MlpModel
from spellout.models.arrays.mlp import MlpConfig
from spellout.models.ngram.config import NgramConfig
from spellout.models.ngram.counts import Counts
from spellout.models.ngram.model import NgramModel
from spellout.models.ngram.training import train_ngram
from spellout.models.table import MODELS, parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.ensembles import train_any
from spellout.training.held_out import FEWEST, MOST, counted_anew, fit_on, held_out
from spellout.training.job import Job
from spellout.training.runs.checkpoint import Checkpoint
from spellout.training.runs.run import Keeper, save_run
from spellout.training.runs.unfinished import Unfinished

THREE = "ngram:2 & 2*mlp:8:context=3:batch=32+ngram:3"
"""Steps are taken by the second and the third member."""
STEPS = TrainingConfig(steps=12, evaluate_every=5, patience=0)


@pytest.fixture(scope="module")
def lines(names):
    return Lines.of(names.distinct[:1500])


@pytest.fixture(scope="module")
def prepared(lines):
    return Prepared.of(lines, DataConfig())


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """The folder of a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    begin(prepared, folder)
    return folder


def begin(prepared, folder, interrupted=lambda: False, specification=THREE, training=STEPS, at_once=1):
    asked, keep = parse_specification(specification), Keeper(folder)
    return train_any(Job(prepared, asked, training, keep=keep, interrupted=interrupted, at_once=at_once))


def go_on(lines, folder, interrupted=lambda: False, at_once=1):
    unfinished = Unfinished.read(folder, MODELS)
    prepared = Prepared.of(lines, unfinished.data)
    keep, asked, training = Keeper(folder, there=True), unfinished.specification, unfinished.training
    return train_any(
        Job(prepared, asked, training, keep=keep, interrupted=interrupted, going_on=unfinished, at_once=at_once)
    )


def after(questions):
    """Pressed after so many questions, and from then on."""
    left = iter([False] * questions)
    return lambda: next(left, True)


def told(folder):
    """What the log and the results say, but for what the clock does."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    evaluations = [
        (event["member"], event["step"], event["nats_per_char"], event["best"])
        for event in events
        if event["event"] == "evaluation"
    ]
    results = json.loads((folder / "config.json").read_text("utf-8"))["results"]
    members = [
        {name: member[name] for name in ("specification", "weight", "train_seed", "held_out_nats_per_token")}
        | {"dev": member["results"]["dev"]}
        for member in results["ensemble"]["members"]
    ]
    rest = [results[name] for name in ("dev", "steps", "stopped")]
    return evaluations, members, results["ensemble"]["held_out"], rest


def assert_same_end(folder, whole):
    for name in ("best.safetensors", "last.safetensors"):
        arrays, expected = load_file(folder / name), load_file(whole / name)
        assert arrays.keys() == expected.keys()
        for key, array in arrays.items():
            assert np.array_equal(array, expected[key]), f"{name}: {key}"
    assert told(folder) == told(whole)


@pytest.mark.parametrize("stops", [[0], [1], [7], [13], [14], [20], [25], [3, 3, 8], [13, 1, 1]])
def test_interrupted_in_any_member_and_resumed_it_ends_the_same(prepared, lines, whole, tmp_path, stops):
    folder = tmp_path / "run"
    stopped = begin(prepared, folder, after(stops[0])).stopped
    assert stopped == "interrupted"
    for stop in stops[1:]:
        load_run(folder)
        stopped = go_on(lines, folder, after(stop)).stopped
    if stopped == "interrupted":
        stopped = go_on(lines, folder).stopped
    assert stopped == "steps"
    assert_same_end(folder, whole)


def test_side_by_side_it_ends_the_same_also_resumed(prepared, lines, whole, tmp_path):
    begin(prepared, tmp_path / "two", at_once=2)
    assert_same_end(tmp_path / "two", whole)
    begin(prepared, tmp_path / "run", after(20))  # in the second of those that take steps
    assert go_on(lines, tmp_path / "run", at_once=2).stopped == "steps"
    assert_same_end(tmp_path / "run", whole)


def test_side_by_side_it_can_be_interrupted(prepared, lines, tmp_path):
    training = replace(STEPS, steps=100_000, evaluate_every=100_000)
    heard = []
    interrupted = lambda: len(heard) > 20  # noqa: E731
    asked, keep = parse_specification("2*mlp:8:context=3"), Keeper(tmp_path / "run")
    job = Job(prepared, asked, training, heard.append, keep, interrupted, at_once=2)
    assert train_any(job).stopped == "interrupted"
    steps = [one["loop"]["step"] for one in Checkpoint.read(tmp_path / "run/last.safetensors").settings["members"]]
    assert all(0 < one < 100_000 for one in steps)
    assert load_run(tmp_path / "run").model.weights in ((1.0,), (0.5, 0.5))
    assert Unfinished.read(tmp_path / "run", MODELS).checkpoint.state.step == sum(steps)


def test_killed_at_a_checkpoint_it_goes_on(prepared, lines, whole, tmp_path, monkeypatch):
    from spellout.training import loop as loop_module

    monkeypatch.setattr(loop_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(loop_module, "CHECKPOINT_SHARE", np.inf)  # after every step

    class Killed(BaseException):
        pass

    for count in (2, 9, 24):
        keeper, calls = Keeper(tmp_path / str(count)), iter(range(count))

        def keep(run, keeper=keeper, calls=calls):
            keeper(run)
            if next(calls, None) is None:
                raise Killed

        with pytest.raises(Killed):
            train_any(Job(prepared, parse_specification(THREE), STEPS, keep=keep))
        assert load_run(tmp_path / str(count)).facts["results"]["dev"] is None
        go_on(lines, tmp_path / str(count))
        assert_same_end(tmp_path / str(count), whole)


def test_networks_in_pytorch_too(prepared, lines, tmp_path):
    pytest.importorskip("torch")
    specification = "gru:8:dropout=0.2+ngram:2 & transformer:8:layers=1+ngram:2"
    training = replace(STEPS, batch=16)
    begin(prepared, tmp_path / "whole", specification=specification, training=training)
    for stop in (5, 18):
        folder = tmp_path / str(stop)
        assert begin(prepared, folder, after(stop), specification, training).stopped == "interrupted"
        assert go_on(lines, folder).stopped == "steps"
        assert_same_end(folder, tmp_path / "whole")


def test_the_members_are_those_of_single_trainings_on_the_lines_that_are_left(prepared):
    trained = train(prepared, THREE, training=STEPS).run
    left, lines = held_out(prepared)
    expected = [
        train(left, one, training=replace(STEPS, train_seed=seed)).run.model
        for one, seed in [
            ("ngram:2", 0),
            ("mlp:8:context=3:batch=32+ngram:3", 0),
            ("mlp:8:context=3:batch=32+ngram:3", 1),
        ]
    ]
    counted = counted_anew(expected, prepared.stream)
    for member, other in zip(trained.model.members, counted, strict=True):
        assert all(np.array_equal(array, other.arrays()[name]) for name, array in member.arrays().items())
    found = fit_on(prepared, expected, lines)
    assert (found.ensemble.kind, found.ensemble.weights) == (trained.model.kind, trained.model.weights)
    results = trained.facts["results"]
    assert results["ensemble"]["held_out"]["lines"] == len(lines) == found.places - sum(map(len, lines))
    dev = evaluate(trained.model, prepared.vocabulary, prepared.split.dev)
    assert results["dev"] == dev.to_json()
    assert list(trained.lines) == prepared.split.train  # also those held out: none of them is new


def test_lines_are_held_out_evenly_and_few_of_few(prepared):
    left, lines = held_out(prepared)
    train_lines = prepared.split.train
    assert sorted([*left.split.train, *lines]) == sorted(train_lines)
    assert FEWEST <= len(lines) <= min(MOST, len(train_lines) // 10)
    places = np.diff([train_lines.index(line) for line in lines])
    assert places.min() == places.max()
    assert np.array_equal(left.stream, prepared.vocabulary.encode(left.split.train))
    assert (left.split.dev, left.split.test) == (prepared.split.dev, prepared.split.test)
    few = Prepared.of(Lines.of(prepared.split.train[:300]), DataConfig())
    assert held_out(few) == (few, [])
    trained = train(few, "ngram:2 & ngram:3").run
    assert (trained.model.kind, trained.model.weights) == ("mixture", (0.5, 0.5))


def test_in_the_end_the_counts_are_those_of_all_training_lines(prepared):
    """Order and discounts were chosen on the lines that are left; the counts are as if none had been held out."""
    (left, _), config = held_out(prepared), NgramConfig(order=3)
    fewer = train_ngram(left.stream, left.vocabulary.size, config, print)[0]
    network = MlpModel(MlpConfig(hidden=2), prepared.vocabulary.size, {}, fewer)
    counted, with_prior, alone = counted_anew([fewer, network, table := object()], prepared.stream)
    assert with_prior.prior is counted
    assert alone is table
    whole = NgramModel.estimate(Counts.of(prepared.stream, 3, prepared.vocabulary.size), config, fewer.discounts)
    assert whole.arrays().keys() == counted.arrays().keys()
    assert all(np.array_equal(array, whole.arrays()[name]) for name, array in counted.arrays().items())
    assert any(not np.array_equal(array, fewer.arrays()[name]) for name, array in counted.arrays().items())


def test_neither_dev_nor_test_lines_have_a_say_in_the_weights(prepared):
    other = replace(prepared, split=replace(prepared.split, dev=prepared.split.dev[::-1][:5], test=["x"]))
    one, two = (train(lines, "ngram:2 & ngram:4").run.model for lines in (prepared, other))
    assert (one.kind, one.weights) == (two.kind, two.weights)


def test_seconds_are_for_all_members_together(prepared):
    budgets = []
    for specification, at_once in (("2*mlp:8 & ngram:2", 1), ("3*mlp:8", 2), ("ngram:2 & mlp:8", 1)):
        run = train_any(
            Job(prepared, parse_specification(specification), TrainingConfig(seconds=0.6), at_once=at_once)
        ).run
        members = run.last.settings["members"]
        budgets.append([one and one["training"]["seconds"] for one in members])
    assert budgets == [[0.3, 0.3, None], [0.3, 0.3, 0.3], [None, 0.6]]


def test_without_dev_lines_too(lines):
    prepared = Prepared.of(lines, DataConfig(split="none"))
    trained = train(prepared, THREE, training=STEPS)
    assert trained.dev is None
    assert trained.run.facts["results"]["ensemble"]["held_out"]["lines"] >= FEWEST


def test_a_member_that_diverges_is_named_and_not_gone_on_with(prepared, lines, tmp_path):
    with pytest.raises(TrainingError, match=r"member 2, mlp:8: the loss is not finite .* smaller --lr"):
        begin(prepared, tmp_path / "run", specification="ngram:2 & mlp:8", training=replace(STEPS, lr=1e30))
    with pytest.raises(RunError, match=r"has finished after .* \(the loss stopped being finite"):
        go_on(lines, tmp_path / "run")


def test_what_has_finished_is_not_gone_on_with(lines, whole):
    with pytest.raises(RunError, match=r"has finished after 24 steps \(its steps are done\); train anew"):
        go_on(lines, whole)


def test_a_damaged_folder_gives_a_sentence(prepared, lines, tmp_path):
    folder = tmp_path / "run"
    begin(prepared, folder, after(20))
    last = (folder / "last.safetensors").read_bytes()
    checkpoint = Checkpoint.read(folder / "last.safetensors")
    _, second, third = checkpoint.settings["members"]
    for members in ([], [None, second], [None, second, third | {"loop": {"step": "x"}}], [1, 2, 3], None,
                    [None, second, third | {"training": {"steps": -1}}], [None, {"loop": {}}, third]):  # fmt: skip
        damaged = replace(checkpoint, settings=checkpoint.settings | {"members": members})
        (folder / "last.safetensors").write_bytes(damaged.to_bytes())
        with pytest.raises(RunError, match="damaged"):
            go_on(lines, folder)
    for learner, best in (({}, checkpoint.best), (checkpoint.learner, {})):
        (folder / "last.safetensors").write_bytes(replace(checkpoint, learner=learner, best=best).to_bytes())
        with pytest.raises(RunError, match="damaged"):
            go_on(lines, folder)
    (folder / "last.safetensors").write_bytes(last)
    go_on(lines, folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for damage in ({"weights": [0.5]}, {"kind": "sum"}, {"members": []}, {"shared": {"3": 9}}, {"shared": [1]}):
        settings = config["settings"] | damage
        (folder / "config.json").write_text(json.dumps(config | {"settings": settings}), "utf-8")
        with pytest.raises(RunError, match="damaged: its files do not fit together"):
            load_run(folder)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    arrays = load_file(folder / "best.safetensors")
    for name in arrays:
        save_file({one: array for one, array in arrays.items() if one != name}, folder / "best.safetensors")
        with pytest.raises(RunError, match="damaged"):
            load_run(folder)


def test_without_torch_the_usual_sentence(monkeypatch):
    import sys

    from spellout.training.train import check_trainable

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match=r"the model gru needs PyTorch, which is not installed: pip install"):
        check_trainable(parse_specification("mlp & gru"), TrainingConfig())


def test_the_commands_know_what_an_ensemble_is(command, names_file, tmp_path):
    folder = tmp_path / "run"
    code, out, err = command(
        "train", names_file, "--model", "2*mlp:8 & ngram", "--steps", "6", "-o", folder, "--json"
    )
    assert code == 0
    results = json.loads(out)["results"]
    assert [member["specification"] for member in results["ensemble"]["members"]] == ["mlp:8", "mlp:8", "ngram"]
    weights = [member["weight"] for member in results["ensemble"]["members"]]
    for number, (name, weight) in enumerate(zip(("mlp:8", "mlp:8", "ngram"), weights, strict=True), 1):
        assert f"\n{number}. {name}: weight {weight:.3f}, dev " in err
    assert f"\ntheir {results['ensemble']['kind']}, on " in err
    assert command("sample", folder, "-n", "3")[0] == 0
    assert command("score", folder, names_file)[0] == 0
    assert command("why", folder, "anna")[0] == 0
    assert command("train", names_file, "-o", folder, "--resume")[0] == 1
    for verb, lacking in (("tune", "has nothing to tune"), ("lr-find", "has no rate")):
        code, _, err = command(verb, names_file, "--model", "mlp & ngram")
        assert code == 2
        assert err == f"spellout: --model mlp & ngram: an ensemble {lacking}; name one of its members\n"
    code, out, _ = command("compare", names_file, "--models", "ngram:2 & ngram:4,ngram:3", "--json", "--mixture")
    assert [json.loads(line)["model"] for line in out.splitlines()] == ["ngram:2 & ngram:4", "ngram:3"]


def test_old_and_new_runs_are_read_side_by_side(prepared, tmp_path):
    save_run(train(prepared, "ngram:2").run, tmp_path / "one")
    save_run(train(prepared, "ngram:2 & ngram:3").run, tmp_path / "two")
    assert [load_run(tmp_path / name).family for name in ("one", "two")] == ["ngram", "ensemble"]
