"""A run of a few hundred names, served in this process."""

import pytest
from starlette.testclient import TestClient

from spellout.api import train
from spellout.data.prepared import Prepared
from spellout.page.application import application
from spellout.page.served import Served
from spellout.page.settings import Serving
from spellout.training.runs.run import save_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, prepared: Prepared):
    path = tmp_path_factory.mktemp("served") / "names"
    save_run(train(prepared, "ngram:4").run, path)
    return path


@pytest.fixture(scope="session")
def served(run_folder):
    return Served.read(str(run_folder))


@pytest.fixture(scope="session")
def client(served):
    with TestClient(application(served), base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture
def client_of():
    """Serve another run, or in another way; errors of ours are answers there, as for every client."""

    def make(served, *, ours_raise=True, **settings):
        app = application(served, Serving(**settings))
        return TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=ours_raise)

    return make
