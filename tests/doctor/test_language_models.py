"""The language models of this package as patients: healthy as they are, and every planted fault is named."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from doctor.planted import FAULTS, TINY, also, case_of_run, save_fresh
from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.doctor import examine
from spellout.doctor.language_models import cases_of_run
from spellout.errors import ExaminationError, RunError
from spellout.models.pytorch import transformer
from spellout.models.pytorch.bow import BowModel, _logits
from spellout.models.pytorch.layers import Table, embed
from spellout.models.pytorch.model import TorchModel
from spellout.models.table import MODELS
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import save_run

MORE = [
    "transformer:24:layers=1:tied=yes:dropout=0",
    "gru:24:optimizer=adamw:dropout=0",
    "mlp-bn:24:statistics=calibrated:dropout=0.2",
]
LAYERS = {"mlp-bn": ["hidden"], "wavenet": ["fuse", "0"]}


@pytest.fixture(scope="module")
def few(names):
    return Prepared.of(Lines.of(names.distinct[:200]), DataConfig())


@pytest.fixture(scope="module")
def begun(few, tmp_path_factory):
    """A run folder of a network that has not been trained, or for a few steps."""

    def make(specification, steps=0):
        folder = tmp_path_factory.mktemp("run") / "run"
        if steps:
            training = TrainingConfig(steps=steps, batch=64, device="cpu")
            save_run(train(few, specification, training=training).run, folder)
            return folder
        save_fresh(few, specification, folder)
        return folder

    return make


@pytest.fixture
def case(begun):
    """The case of a fresh network, without the attempt to learn a batch by heart."""
    return lambda name: replace(case_of_run(begun(TINY[name]), MODELS), overfit_seconds=0)


def found(case):
    report = examine(case)
    return {finding.id for finding in report.findings if finding.severity != "note"}


def test_every_network_of_the_table_is_a_patient():
    assert set(TINY) == {name for name, family in MODELS.items() if issubclass(family.model, TorchModel)}


@pytest.mark.parametrize(
    ("specification", "steps"),
    [*((one, 12) for one in (*TINY.values(), *MORE)), *((f"{one}+ngram:3", 0) for one in TINY.values())],
)
def test_the_networks_are_healthy(begun, specification, steps):
    report = examine(case_of_run(begun(specification, steps), MODELS))
    assert not report.findings, str(report)
    assert not report.not_examined


def test_the_case_reads_what_the_learner_reads(few, begun):
    for specification in ("gru:24+ngram:3", "wavenet:24:levels=2+ngram:3"):
        case = case_of_run(begun(specification, 5), MODELS)
        learner, order, *_ = case.step.args
        chosen = np.unique(order.at(0))
        *inputs, targets = case.batch
        with torch.no_grad():
            case.model.eval()
            laid = float(case.loss(case.model(*inputs), targets))
            learner.network = case.model.network
            assert laid == pytest.approx(float(learner.loss(chosen)), rel=1e-5)


def test_it_goes_on_where_the_training_is(begun):
    trained, fresh = case_of_run(begun("bow:24", 5), MODELS), case_of_run(begun("bow:24"), MODELS)
    assert all(optimizer.state for optimizer in trained.optimizer)
    assert not any(optimizer.state for optimizer in fresh.optimizer)
    assert trained.step.args[0].state()["steps"] == 5


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (name, fault)
        for row, name in enumerate(TINY)
        for column, fault in enumerate(FAULTS)
        if (row + column) % 7 == 0
    ],
)
def test_a_planted_fault_is_named(case, name, fault):
    """Every fault and every network once; `bench/doctor_language_models.py` plants every one into every other."""
    assert found(FAULTS[fault](case(name))) - also(name, fault) == {fault}


@pytest.mark.parametrize("name", LAYERS)
def test_a_bias_before_batchnorm_is_named(case, name):
    patient = case(name)
    layer = patient.model.network.get_submodule(".".join(LAYERS[name]))
    layer.bias = nn.Parameter(torch.zeros(layer.out_features))
    patient.optimizer[0].param_groups[0]["params"].append(layer.bias)
    patient.step.args[0]._parameters["bias"] = layer.bias
    assert [(one.id, one.severity) for one in examine(patient).findings] == [("bias-before-batchnorm", "note")]


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_layer_that_reads_both_ways_looks_ahead(case, name):
    patient = case(name)
    before = patient.model.network.layer
    after = type(before)(before.input_size, before.hidden_size // 2, bidirectional=True)
    patient.model.network.layer = after
    assert found(replace(patient, optimizer=None, step=None)) == {"looks-ahead"}


@pytest.fixture
def unmasked(monkeypatch):
    """Attention that sees all places: those to come, and those after the ends of shorter lines."""
    monkeypatch.setattr(
        transformer, "causal_self_attention", lambda *qkv_dropout: scaled_dot_product_attention(*qkv_dropout[:3])
    )


@pytest.mark.usefixtures("unmasked")
def test_attention_without_a_mask_looks_ahead(case):
    assert found(case("transformer")) - {"samples-mix"} == {"looks-ahead"}


def test_a_bag_of_the_whole_line_looks_ahead(case, monkeypatch):
    def forward(net, tokens, sizes):
        table = Table(sizes, tokens.device)
        x = embed(net, tokens, table.steps)
        return _logits(net, x + table.gather(table.lay(x).sum(0, keepdim=True).expand(len(sizes), -1, -1)))

    monkeypatch.setattr(BowModel, "forward", staticmethod(forward))
    assert found(case("bow")) == {"looks-ahead"}


def test_attention_across_lines_mixes_them(case, monkeypatch):
    attend = transformer.causal_self_attention

    def across(*qkv_dropout):
        *qkv, dropout = qkv_dropout
        return attend(*(one.transpose(0, 2) for one in qkv), dropout).transpose(0, 2)

    monkeypatch.setattr(transformer, "causal_self_attention", across)
    assert "samples-mix" in found(case("transformer"))


def test_units_that_are_saturated_and_logits_that_are_too_sure_are_named(case):
    patient = case("bow")
    with torch.no_grad():
        patient.model.network.hidden.weight.mul_(60)
    assert "saturated-units" in found(patient)
    patient = case("bow")
    with torch.no_grad():
        patient.model.network.head.weight.mul_(300)
    assert "first-loss-too-high" in found(patient)


def test_what_training_saturates_is_only_a_note(begun):
    patient = replace(case_of_run(begun(TINY["bow"], 3), MODELS), overfit_seconds=0)
    with torch.no_grad():
        patient.model.network.hidden.weight.mul_(60)
    assert [(one.id, one.severity) for one in examine(patient).findings] == [("saturated-units", "note")]


def test_the_command_examines_a_run(command, begun):
    folder = begun(TINY["gru"], 5)
    assert command("doctor", folder) == (0, "healthy\n", "")
    code, out, _ = command("doctor", folder, "--json")
    assert code == 0
    assert json.loads(out)["findings"] == []


@pytest.mark.usefixtures("unmasked")
def test_the_command_ends_with_1_where_it_finds_an_error(command, begun):
    folder = begun(TINY["transformer"], 5)
    code, out, err = command("doctor", folder)
    assert code == 1
    assert "[looks-ahead]" in out
    assert re.fullmatch(rf"spellout: {re.escape(str(folder))}: \d errors? found\n", err)
    code, out, _ = command("doctor", folder, "--json")
    assert code == 1
    # samples mix too, where the lines that the case took are of several lengths
    assert {"looks-ahead"} <= {one["id"] for one in json.loads(out)["findings"]} <= {"samples-mix", "looks-ahead"}
    assert command("doctor", folder, "--ignore", "looks-ahead", "--ignore", "samples-mix")[0] == 0


@pytest.mark.parametrize("specification", ["ngram:2", "bigram"])
def test_models_that_pytorch_does_not_train_are_refused(begun, few, tmp_path, specification):
    if specification == "ngram:2":
        save_run(train(few, specification).run, tmp_path / "run")
    folder = tmp_path / "run" if specification == "ngram:2" else begun(specification)
    with pytest.raises(ExaminationError, match=r"of the family \w+, which is not trained with PyTorch; .*mlp-bn, "):
        case_of_run(folder, MODELS)


def test_runs_without_lines_and_damaged_checkpoints_are_refused(begun):
    folder = begun("gru:8", 2)
    content = (folder / "last.safetensors").read_bytes()
    (folder / "last.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match=r"last\.safetensors is damaged"):
        case_of_run(folder, MODELS)
    (folder / "last.safetensors").unlink()
    (folder / "train.txt").unlink()
    with pytest.raises(ExaminationError, match="has no training lines"):
        case_of_run(folder, MODELS)


@pytest.mark.parametrize("name", ["gru", "mlp-bn"])
def test_the_learner_of_the_case_steps_as_the_one_that_trained(begun, name):
    """To the bit: its optimizers do what they do in training, and the network that the checks read is its own."""
    folder = begun(f"{TINY[name]}+ngram:3" if name == "gru" else f"{TINY[name]}:optimizer=muon", 5)
    case = case_of_run(folder, MODELS)
    learner, order, lr, _ = case.step.args
    chosen = np.unique(order.at(0))
    again = case_of_run(folder, MODELS).step.args[0]
    again.network = again.network.network
    for optimizer in again._optimizers:
        del optimizer.step  # back to its own
    for _ in range(3):
        assert learner.step(chosen, lr) == again.step(chosen, lr)
    for one, other in zip(learner.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_members_of_an_ensemble_are_examined_as_they_would_be_alone(command, begun, few, tmp_path):
    """A list of 200 lines holds none out, so its members are those of trainings of their own."""
    folder = begun(f"{TINY['gru']} & ngram:2 & {TINY['bow']}+ngram:2", 5)
    cases = cases_of_run(folder, MODELS)
    assert list(cases) == ["1. gru:24", "3. bow:24:embedding=16+ngram:2"]
    alone = case_of_run(begun(TINY["gru"], 5), MODELS)
    for one, other in zip(cases["1. gru:24"].model.parameters(), alone.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert cases["1. gru:24"].step.args[2] == alone.step.args[2]
    assert command("doctor", folder) == (0, "healthy\n", "")
    save_run(train(few, "ngram:2 & ngram:3").run, tmp_path / "run")
    with pytest.raises(ExaminationError, match="an ensemble without a member that PyTorch trains"):
        cases_of_run(tmp_path / "run", MODELS)
    (folder / "last.safetensors").unlink()
    with pytest.raises(ExaminationError, match="does not keep where the trainings of its members ended"):
        cases_of_run(folder, MODELS)


@pytest.mark.usefixtures("unmasked")
def test_a_finding_says_which_member_it_is_of(command, begun):
    folder = begun(f"{TINY['transformer']} & {TINY['gru']}", 5)
    code, out, _ = command("doctor", folder, "--json")
    found = json.loads(out)["findings"]
    assert code == 1
    assert "looks-ahead" in {one["id"] for one in found}
    assert all(one["evidence"].startswith("1. transformer:24:layers=2: ") for one in found)
