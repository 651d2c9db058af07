"""The list of models and the version, as Ollama's clients read them."""

import json
import re

from gateway.dialects.ollama.tags import encode_tags, encode_version


def test_a_model_has_what_clients_read_of_it() -> None:
    (entry,) = json.loads(encode_tags(["local/m1"]))["models"]
    assert entry["name"] == entry["model"] == "local/m1"
    assert re.fullmatch("[0-9a-f]{64}", entry["digest"])
    assert (entry["size"], entry["modified_at"]) == (0, "1970-01-01T00:00:00Z")
    assert entry["details"]["families"] == []


def test_models_differ_by_their_digest() -> None:
    one, other = json.loads(encode_tags(["a", "b"]))["models"]
    assert one["digest"] != other["digest"]


def test_no_models_are_an_empty_list() -> None:
    assert encode_tags([]) == b'{"models":[]}'


def test_the_version_is_three_numbers() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", json.loads(encode_version())["version"])
