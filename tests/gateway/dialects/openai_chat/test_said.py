"""What an assistant said before, written as one string."""

import msgspec
import pytest

from gateway.dialects.codec import Destination
from gateway.dialects.openai_chat.codec import PROVIDER
from gateway.domain.chat import ChatRequest, Text, ToolCall, ToolResult, Turn

CALL = ToolCall(id="call_1", name="look")


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ((Text("Let me "), Text("look."), CALL), "Let me look."),
        ((Text("Let me look."), CALL, Text("")), "Let me look."),
        ((Text("One."), CALL, Text(""), Text("Two.")), "One.\n\nTwo."),
    ],
)
def test_an_empty_text_after_a_call_adds_nothing(parts, said):
    turns = (Turn("user", (Text("Hi"),)), Turn("assistant", parts), Turn("user", (ToolResult("call_1"),)))
    body = PROVIDER.encode_request(ChatRequest(model="m", turns=turns), Destination(model="m")).body
    assert msgspec.json.decode(body)["messages"][1]["content"] == said
