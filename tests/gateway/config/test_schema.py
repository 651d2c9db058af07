"""The JSON Schema of the config file."""

import json
from pathlib import Path

import msgspec

from gateway.config.file_shape import TimeoutsShape, WaitingShape
from gateway.config.schema import config_schema
from gateway.config.snapshot import Timeouts, Waiting

DOCUMENT = Path(__file__).parents[3] / "docs/config.schema.json"


def test_the_document_is_fresh():
    assert DOCUMENT.read_text() == config_schema(), "run: python -m gateway.config.schema"


def test_every_object_forbids_unknown_fields():
    schema = json.loads(config_schema())
    for shape in (schema, *schema["$defs"].values()):
        assert shape["additionalProperties"] is False


def test_the_file_may_set_each_timeout_there_is():
    assert [field.name for field in msgspec.structs.fields(TimeoutsShape)] == [
        field.name for field in msgspec.structs.fields(Timeouts)
    ]


def test_the_file_may_set_all_that_there_is_of_waiting():
    assert [field.name for field in msgspec.structs.fields(WaitingShape)] == [
        field.name for field in msgspec.structs.fields(Waiting)
    ]
