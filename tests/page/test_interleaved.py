"""Two requests at one model, which take turns at every token: each gets the lines that it would get alone."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.page import turns
from spellout.page.api import requests, routes
from spellout.page.served import Served
from spellout.training.config import TrainingConfig

SOME = [
    "ngram:4",
    "counts",
    "mlp+ngram",
    "gru-numpy:8",
    "bigram",
    "gru:8",
    "transformer:16:heads=2",
    "2*mlp:8",
]


@pytest.mark.parametrize("model", SOME)
def test_each_gets_its_own_lines(model, monkeypatch):
    prepared = Prepared.of(Lines.of(Lines.bundled().distinct[:300], name="names"), DataConfig())
    served = Served(train(prepared, model, training=TrainingConfig(steps=3)).run, "names")
    asked = [requests.MakeRequest(n=20, seed=seed, novel=seed > 1, max_length=12) for seed in range(4)]
    everyone = turns.Turns()

    def made(request):
        work = turns.Work(everyone, 600.0)
        with work.turn():
            return routes.make(served, request, work)

    alone = [made(request) for request in asked]
    passed = []
    pass_on = turns.Turns.pass_on
    monkeypatch.setattr(turns, "SLICE", -1.0)
    monkeypatch.setattr(turns.Turns, "pass_on", lambda self: (passed.append(len(self._waiting)), pass_on(self)))
    with ThreadPoolExecutor(len(asked)) as pool:
        everyone.take()
        together = pool.map(made, asked)
        while len(everyone._waiting) < len(asked):  # nobody begins before all are there
            time.sleep(0.001)
        everyone.give()
        assert list(together) == alone
    assert any(passed)  # they did take turns
