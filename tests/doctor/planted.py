"""One small network of every kind that PyTorch trains here, and mistakes that are planted into any of them."""

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from spellout.doctor.language_models import cases_of_run
from spellout.models.table import MODELS, parse_specification
from spellout.training.config import TrainingConfig
from spellout.training.runs.run import Run, save_run
from spellout.training.train import facts_of, learner_of

TINY = {
    "mlp-bn": "mlp-bn:24:context=3",
    "wavenet": "wavenet:24:levels=2",
    "rnn": "rnn:24",
    "gru": "gru:24",
    "lstm": "lstm:24",
    "bow": "bow:24:embedding=16",
    "transformer": "transformer:24:layers=2",
}
LINES = {"rnn", "gru", "lstm", "bow", "transformer"}


def save_fresh(prepared, specification, folder):
    """The run folder of a network that has not been trained."""
    asked = parse_specification(specification)
    learner = learner_of(asked, prepared.stream, prepared.vocabulary.size, TrainingConfig(device="cpu"))
    facts = facts_of(prepared, specification, {})
    save_run(Run(asked.family.name, learner.model(), prepared.vocabulary, prepared.split.train, facts), folder)


def case_of_run(folder, models=MODELS):
    """The case of a training of one model."""
    return cases_of_run(folder, models)[""]


class Dropped(nn.Module):
    def forward(self, x):
        return F.dropout(x, 0.3)  # also while evaluating


def _softmax(case):
    case.model.network.head = nn.Sequential(case.model.network.head, nn.Softmax(-1))
    return case


def _missing(case):
    lost = case.model.network.head.weight
    for optimizer in case.optimizer:
        for group in optimizer.param_groups:
            group["params"] = [one for one in group["params"] if one is not lost]
    return case


def _dropped(case):
    case.model.network.dropout = Dropped()
    return case


def _not_zeroed(case):
    case.step.args[0]._parameters = {}  # whose gradients a step begins without
    return case


def _detached(case):
    case.model.network.embedding.register_forward_hook(lambda module, args, output: output.detach())
    return case


def _in_eval_mode(case):
    case.model.network.dropout.p = 0.3
    step = case.step

    def wrong():
        torch.nn.Module.eval(case.model)
        step()

    return replace(case, step=wrong)


def _evaluated_in_train_mode(case):
    case.model.network.dropout.p = 0.3
    *inputs, targets = case.batch

    def wrong():
        with torch.no_grad():
            return float(case.loss(case.model(*inputs), targets))

    return replace(case, evaluate=wrong)


FAULTS = {
    "softmax-before-cross-entropy": _softmax,
    "parameter-not-in-optimizer": _missing,
    "random-in-eval-mode": _dropped,
    "stale-gradients": _not_zeroed,
    "parameter-without-gradient": _detached,
    "training-in-eval-mode": _in_eval_mode,
    "evaluating-in-train-mode": _evaluated_in_train_mode,
}


def also(name, fault):
    """What else is found: in a batch of lines, which place draws what depends on the lengths of the others."""
    return {"samples-mix"} if fault == "random-in-eval-mode" and name in LINES else set()
