import json

from gateway.dialects.openai_responses.count import encode_count


def test_a_count_names_its_kind() -> None:
    assert json.loads(encode_count(12)) == {"object": "response.input_tokens", "input_tokens": 12}
