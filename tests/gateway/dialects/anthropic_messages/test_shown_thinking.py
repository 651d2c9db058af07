"""Whether thoughts are shown: Anthropic's own default is kept when another dialect's provider is asked."""

import msgspec
import pytest

from gateway.dialects.anthropic_messages.codec import CALLER
from gateway.dialects.codec import Arrival
from gateway.dialects.envelope import Envelopes


@pytest.mark.parametrize(
    ("thinking", "shows"),
    [
        ({"type": "enabled", "budget_tokens": 2048}, True),
        ({"type": "enabled", "budget_tokens": 2048, "display": "summarized"}, True),
        ({"type": "enabled", "budget_tokens": 2048, "display": "omitted"}, False),
        ({"type": "adaptive"}, None),
        ({"type": "adaptive", "display": "omitted"}, False),
    ],
)
def test_thoughts_with_a_budget_are_shown_unless_the_caller_says_otherwise(thinking, shows):
    body = {"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "Hi"}], "thinking": thinking}
    request = CALLER.decode_request(msgspec.json.encode(body), Arrival(), Envelopes(b"k"))
    assert request.reasoning is not None
    assert request.reasoning.shows is shows
