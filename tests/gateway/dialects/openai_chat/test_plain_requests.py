"""Requests and messages that say little are read in a shorter way; what is read is the same."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.codec import IN_BODY
from gateway.dialects.envelope import Envelopes
from gateway.dialects.openai_chat.asked import decode_request
from gateway.domain.errors import BadRequest

ODD = st.sampled_from([None, True, False, 0, 1, -1, 0.5, 2.0, "", "x", [], {}, ["x"], {"include_usage": True}])
CONTENT = st.one_of(ODD, st.just([{"type": "text", "text": "Hello"}]))
MESSAGE = st.one_of(
    ODD,
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system", "developer", "assistant", "tool", "function", "odd", "", None, 1, []])},
        optional={"content": CONTENT, "name": ODD},
    ),
)  # fmt: skip
FEW = st.fixed_dictionaries(
    {"model": st.one_of(st.just("m"), ODD), "messages": st.one_of(st.lists(MESSAGE, max_size=4), ODD)},
    optional=dict.fromkeys(
        ("stream", "stream_options", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "user"), ODD
    ),
)


def read(body: dict[str, Any]) -> Any:
    try:
        return decode_request(json.dumps(body).encode(), IN_BODY, Envelopes(b"key"))
    except BadRequest as error:
        return error.code, error.param, error.message


@settings(max_examples=2000, deadline=None)
@given(body=FEW)
def test_a_request_of_few_members_is_read_as_one_of_many(body: dict[str, Any]) -> None:
    longer = {**body, "logit_bias": None}
    if isinstance(body["messages"], list):  # a member that says nothing, so that no message is plain
        longer["messages"] = [
            {**message, "audio": None} if isinstance(message, dict) else message for message in body["messages"]
        ]
    assert read(body) == read(longer)
