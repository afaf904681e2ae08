import json
import shutil
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from spellout.api import compare, load_run, train
from spellout.data.config import DataConfig
from spellout.data.escape import Escape
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.errors import DataError, RunError, UsageError
from spellout.generation.evaluation import evaluate
from spellout.models.ngram.config import NgramConfig
from spellout.models.table import parse_specification
from spellout.training.experiments.comparison import floor
from spellout.training.runs.run import Keeper, save_run
from spellout.training.streaming import check_streaming, train_streaming


@pytest.fixture(scope="module")
def trained(names):
    return train(Prepared.of(names, DataConfig()), "ngram:4")


@pytest.fixture
def folder(trained, tmp_path):
    save_run(trained.run, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("unit", ["char", "byte", "word"])
def test_a_run_comes_back_whole(names, tmp_path, unit):
    run = train(Prepared.of(names, DataConfig(unit=unit)), "ngram:3").run
    save_run(run, tmp_path / "new" / "run")
    again = load_run(tmp_path / "new" / "run")
    assert list(again.lines) == list(run.lines)
    assert again.vocabulary.to_json() == run.vocabulary.to_json()
    assert again.facts == json.loads(json.dumps(run.facts))
    tokens = run.vocabulary.encode(run.lines[:3])[None]
    assert np.array_equal(again.model.log_probabilities(tokens), run.model.log_probabilities(tokens))


@pytest.mark.parametrize("data", [DataConfig(), DataConfig(unit="word", min_count=2), DataConfig(unit="word")])
def test_a_run_of_before_what_is_new_had_a_price_is_read_as_one_of_today(tmp_path, data):
    lines = Lines.of([f"{one} {two}" for one in ("new", "old", "far", "a") for two in ("york", "ely", "bath", "x")])
    run = train(Prepared.of(lines, data), "ngram:2").run
    save_run(run, tmp_path / "run")
    path = tmp_path / "run" / "vocabulary.json"
    stored = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({name: stored[name] for name in stored.keys() - {"seen", "rare"}}), "utf-8")
    assert load_run(tmp_path / "run").vocabulary.to_json() == run.vocabulary.to_json()
    (tmp_path / "run" / "train.txt").unlink()  # as after --stream
    assert load_run(tmp_path / "run").vocabulary.escape == Escape(2 * len(run.lines), 0)


@pytest.mark.parametrize("seen", [{"tokens": 3}, {"tokens": 3, "once": 3}, {"tokens": 3.0, "once": 0}, [3, 0], 7])
def test_counts_that_cannot_be_are_a_damaged_run(folder, seen):
    path = folder / "vocabulary.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"seen": seen}), "utf-8")
    with pytest.raises(RunError, match="damaged"):
        load_run(folder)


def test_the_folder_explains_itself_and_holds_no_code(folder, names, trained):
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "vocabulary.json",
        "best.safetensors",
        "new.safetensors",
        "train.txt",
        "log.jsonl",
    }
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["format"] == 1
    assert config["model"] == "ngram"
    assert config["settings"]["order"] == 4
    assert config["data"]["fingerprint"] == names.fingerprint
    assert config["split"] == {"name": "distinct", "seed": 42, "train": 2400, "dev": 300, "test": 300}
    results = config["results"]
    assert results["dev"]["nats_per_char"] == trained.dev.nats_per_char
    assert results["new_lines"] == trained.new.to_json()
    assert results["new_lines"]["nats_per_char"] < results["dev"]["nats_per_char"]
    assert 0.0 < results["new_lines"]["mass"] < 1.0
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
    assert [event["event"] for event in events] == ["order", "trained"]
    assert len((folder / "train.txt").read_text("utf-8").splitlines()) == 2400


def test_the_model_of_new_lines_is_worked_out_once_and_kept(folder, trained):
    again, tokens = load_run(folder), trained.run.vocabulary.encode(trained.run.lines[:20])[None]
    kept, asked = again.new_lines(), replace(again, ratios=None).new_lines()
    assert np.array_equal(again.ratios, kept.ratios)
    np.testing.assert_allclose(kept.ratios, asked.ratios, rtol=1e-9)
    np.testing.assert_allclose(kept.log_probabilities(tokens), asked.log_probabilities(tokens), rtol=1e-9)
    (folder / "new.safetensors").unlink()  # as of a run of before
    np.testing.assert_array_equal(load_run(folder).new_lines().ratios, asked.ratios)
    (folder / "train.txt").unlink()
    assert load_run(folder).new_lines() is None


def test_what_is_kept_of_another_model_of_new_lines_is_worked_out_again(folder, trained, names, tmp_path):
    path, right = folder / "new.safetensors", trained.run.ratios
    whole, arrays = path.read_bytes(), load_file(path)
    save_run(train(Prepared.of(names, DataConfig()), "ngram:3").run, tmp_path / "other")
    wrong = [b"no", b"", whole[:-9], (tmp_path / "other" / "new.safetensors").read_bytes()]
    changes = (
        {"ratios": arrays["ratios"] * 0.5},
        {"sharpness": np.array(1.0)},
        {"fingerprint": np.zeros(32, np.uint8)},
    )
    wrong += [save(arrays | change) for change in changes]
    wrong.append(save({name: arrays[name] for name in ("ratios", "sharpness")}))  # as earlier versions wrote it
    for content in wrong:
        path.write_bytes(content)
        again = load_run(folder)
        assert (again.ratios, again.sharpness) == (None, None)
    np.testing.assert_allclose(again.new_lines().ratios, right, rtol=1e-9)
    path.write_bytes(whole)
    assert np.array_equal(load_run(folder).ratios, right)
    (tmp_path / "other" / "train.txt").unlink()
    assert load_run(tmp_path / "other").ratios is None


def test_lines_changed_by_hand_are_a_damaged_run(folder, trained):
    path, config = folder / "train.txt", folder / "config.json"
    first, *rest = path.read_text("utf-8").splitlines()
    told, facts = json.loads(config.read_text("utf-8")), trained.run.facts
    assert load_run(folder).facts.keys() == facts.keys()
    old = {name: value for name, value in told.items() if name != "lines_fingerprint"}
    for line, earlier in ((first[::-1] + "a", False), (first + "Ω", False), (first + "Ω", True)):
        path.write_text("\n".join([line, *rest, ""]), "utf-8")
        config.write_text(json.dumps(old if earlier else told), "utf-8")
        with pytest.raises(RunError, match=r"damaged.*train\.txt does not hold the lines it was trained on"):
            load_run(folder)
    path.write_text("\n".join([first, *rest, ""]), "utf-8")
    assert load_run(folder).lines == [first, *rest]  # an earlier version's


def test_other_weights_have_no_use_for_what_is_kept_of_new_lines(folder, trained):
    keep = Keeper(folder, there=True)
    keep(replace(trained.run, ratios=None))
    assert not (folder / "new.safetensors").exists()
    keep(trained.run)
    assert np.array_equal(load_run(folder).ratios, trained.run.ratios)


def test_nothing_is_left_beside_a_run(folder):
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_another_run_is_in_the_way_unless_overwritten(trained, folder):
    before = (folder / "config.json").read_bytes()
    with pytest.raises(RunError, match=r"already holds a run.*--overwrite"):
        save_run(trained.run, folder)
    assert (folder / "config.json").read_bytes() == before
    save_run(trained.run, folder, overwrite=True)
    assert load_run(folder).model.parameters == trained.run.model.parameters
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_other_files_are_never_overwritten(trained, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(RunError, match="holds other files"):
            save_run(trained.run, tmp_path, overwrite)
        with pytest.raises(RunError, match="is a file"):
            save_run(trained.run, tmp_path / "thesis.txt", overwrite)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_failed_write_leaves_the_old_run(trained, folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = (folder / "best.safetensors").read_bytes()
    monkeypatch.setattr("spellout.training.runs.run.os.fsync", full)
    with pytest.raises(RunError, match="the disk is full"):
        save_run(trained.run, folder, overwrite=True)
    assert (folder / "best.safetensors").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["run"]


def test_a_missing_run_says_how_to_make_one(tmp_path):
    with pytest.raises(RunError, match="spellout train FILE -o"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"has no config\.json"):
        load_run(tmp_path)


def test_a_run_of_a_newer_version_asks_for_an_upgrade(folder):
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "format": 2, "spellout": "9.0", "model": "oracle"}))
    with pytest.raises(RunError, match=r"spellout 9\.0 in format 2.*upgrade"):
        load_run(folder)


@pytest.mark.parametrize("name", ["config.json", "vocabulary.json", "best.safetensors"])
def test_a_truncated_or_missing_file_is_named(folder, name):
    whole = (folder / name).read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 2):
        (folder / name).write_bytes(whole[:size])
        with pytest.raises(RunError, match="damaged"):
            load_run(folder)
    (folder / name).unlink()
    with pytest.raises(RunError, match=name):
        load_run(folder)


@given(
    st.sampled_from(["config.json", "vocabulary.json", "best.safetensors", "train.txt"]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=8),
)
def test_damage_is_refused_or_harmless_but_never_a_crash(tmp_path_factory, name, place, garbage):
    small = train(Prepared.of(Lines.of(["anna", "bob", "eve"]), DataConfig()), "ngram:3").run
    folder = tmp_path_factory.mktemp("damage") / "run"
    save_run(small, folder)
    content = bytearray((folder / name).read_bytes())
    start = int(place * len(content))
    content[start : start + len(garbage)] = garbage
    (folder / name).write_bytes(content)
    with suppress(RunError):
        load_run(folder).model.log_probabilities(np.zeros((1, 1), int))
    shutil.rmtree(folder)


def test_streaming_counts_the_same_as_training_on_every_line(names, tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in names.distinct), encoding="utf-8")
    for smoothing in ("closed-form", "add-k", "fitted"):
        config = NgramConfig(order=4, smoothing=smoothing)
        streamed = train_streaming(path, config).run
        whole = train(Prepared.of(names, DataConfig(split="none")), f"ngram:4:smoothing={smoothing}:shape=no").run
        assert streamed.vocabulary.to_json() == whole.vocabulary.to_json()
        for name, array in whole.model.arrays().items():
            np.testing.assert_allclose(streamed.model.arrays()[name], array, rtol=1e-9, err_msg=name)
        assert streamed.facts["data"]["fingerprint"] == names.fingerprint
    assert streamed.lines is None


def test_streaming_in_many_blocks_counts_the_same(names, tmp_path, monkeypatch):
    path = tmp_path / "names.txt"
    path.write_text("".join(f"{name}\n" for name in names.distinct), encoding="utf-8")
    config = NgramConfig(order=4, smoothing="closed-form")
    whole = train_streaming(path, config).run.model.arrays()
    from spellout.training import streaming as module

    monkeypatch.setattr(module, "Reading", partial(module.Reading, block_bytes=1000))
    in_blocks = train_streaming(path, config).run.model.arrays()
    assert in_blocks.keys() == whole.keys()
    for name, array in in_blocks.items():
        assert np.array_equal(array, whole[name])


def test_what_streaming_cannot_do_is_refused(tmp_path):
    with pytest.raises(UsageError, match="leave out --unit"):
        check_streaming(DataConfig(unit="word"), parse_specification("ngram:3"))
    assert check_streaming(DataConfig(), parse_specification("ngram:3")) == NgramConfig(order=3)
    path = tmp_path / "empty.txt"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no lines"):
        train_streaming(path, NgramConfig(order=3))


def test_a_comparison_judges_every_model_on_the_same_lines(prepared):
    rows = {row.model: row for row in compare(prepared, ["ngram:2", "ngram:4"])}
    assert rows["ngram:4"].nats_per_char < rows["ngram:2"].nats_per_char
    test = next(compare(prepared, ["ngram:4"], "test"))
    run = train(prepared, "ngram:4").run
    expected = evaluate(run.model, run.vocabulary, prepared.split.test)
    assert (test.split, test.nats_per_char) == ("test", expected.nats_per_char)
    keys = {"model", "parameters", "nats_per_char", "bits_per_char", "perplexity", "seconds", "split"}
    assert keys <= test.to_json().keys()


def test_without_dev_lines_there_is_nothing_to_compare(names):
    with pytest.raises(UsageError, match="keeps no dev lines"):
        next(compare(Prepared.of(names, DataConfig(split="none")), ["ngram:2"]))


def test_the_floor_is_the_best_n_gram(names, prepared):
    ngram = parse_specification("ngram")
    assert floor(names, ngram).nats_per_char == train(prepared, "ngram").dev.nats_per_char
    assert floor(Lines.of(["a", "b"]), ngram) is None


def test_lines_made_have_a_limit_however_long_the_training_lines_are():
    from dataclasses import replace

    from spellout.generation.config import LONGEST_MADE

    lines = Lines.of(["ab" * 30_000, "ba" * 30_000, "abba"], name="long")
    run = train(Prepared.of(lines, DataConfig()), "ngram:2").run
    assert run.length_limit == LONGEST_MADE
    short = replace(run, facts=run.facts | {"usual_length": 8, "longest": 30})
    assert short.length_limit == 30
