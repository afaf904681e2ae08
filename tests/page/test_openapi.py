"""The OpenAPI document: whatever it allows is answered as it says, by requests that schemathesis makes of it."""

import json
from dataclasses import fields

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig

from spellout.api import train
from spellout.data.config import DataConfig
from spellout.data.lines import Lines
from spellout.data.prepared import Prepared
from spellout.page.api import openapi, requests
from spellout.page.api.fields import BadRequest, properties_of, read_object
from spellout.page.api.routes import ROUTES
from spellout.page.application import application
from spellout.page.served import Served

NAMES = Prepared.of(Lines.of(Lines.bundled().distinct[:300]), DataConfig())
# 422: what the document allows may be what this run cannot do; 503: and what takes too long
CONFIG = {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "422", "503"]}}}


APP = application(Served(train(NAMES, "ngram:3").run, "names"))
schema = schemathesis.openapi.from_asgi("/openapi.json", APP, config=SchemathesisConfig.from_dict(CONFIG))


@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_is_allowed_is_answered_as_it_says(case):
    case.call_and_validate()


REQUESTS = [route.request for route in ROUTES if route.request is not None]
NUMBERS = st.integers(-2, 1002) | st.floats(-1, 1001) | st.sampled_from([2**64, 2**64 - 1, 1e300, 0.0, -0.0])
SCALARS = st.none() | st.booleans() | NUMBERS | st.text(max_size=4) | st.sampled_from(["lower", "Lower", "a" * 101])
VALUES = SCALARS | st.lists(SCALARS, max_size=3)


@pytest.mark.parametrize("request_type", REQUESTS, ids=lambda one: one.__name__)
@given(data=st.data())
def test_what_is_checked_is_what_is_described(request_type, data):
    """Another validator of JSON Schema takes exactly the same objects."""
    schemas = openapi.document()["components"]["schemas"]
    names = st.sampled_from([*properties_of(request_type), "other"])
    content = data.draw(st.dictionaries(names, VALUES, max_size=4) | SCALARS)
    validator = jsonschema_rs.Draft202012Validator(schemas[request_type.__name__])
    try:
        read_object(request_type, content)
        taken = True
    except BadRequest:
        taken = False
    assert taken == validator.is_valid(content)


def test_the_document_is_of_the_types_and_the_routes():
    document = openapi.document()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {route.path for route in ROUTES} | {"/health", "/openapi.json"}
    described = document["components"]["schemas"]["MakeRequest"]
    assert set(described["properties"]) == {one.name for one in fields(requests.MakeRequest)}
    assert described["properties"]["n"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 10,
        "description": "How many lines.",
    }
    assert document["components"]["schemas"]["ScoreRequest"]["required"] == ["lines"]
    asked = {one["name"]: one for one in document["paths"]["/why"]["get"]["parameters"]}
    assert (asked["line"]["required"], asked["top"]["required"]) == (True, False)
    json.dumps(document, allow_nan=False)
