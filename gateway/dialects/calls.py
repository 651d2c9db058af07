"""What every dialect holds of the tool calls in a provider's answer: ids for those without, bounds, what is broken."""

from gateway.domain.chat import Finish

MAX_ARGUMENT_CHARS = 16 << 20
"""Of all calls of a streamed answer together."""

BROKEN_ARGUMENTS = "the provider called a tool with arguments that are no JSON object"
BROKEN_ARGUMENTS_CODE = "invalid_tool_arguments"
"""The code of a failure that no caller could be spared: a call that cannot be made."""

MAY_CUT_CALLS: frozenset[Finish] = frozenset({"length", "content_filter"})
"""Ends that leave the last call's arguments unfinished in good faith."""


def made_up_id(request_id: str, index: int) -> str:
    """The id of a call that its provider gave none, or one that another call has."""
    return f"call_{request_id.replace('-', '')[:20]}_{index}"
