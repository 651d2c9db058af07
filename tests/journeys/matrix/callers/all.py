"""The callers by dialect."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.journeys.matrix.ask import Caller
from tests.journeys.matrix.callers.anthropic_messages import AnthropicMessages
from tests.journeys.matrix.callers.gemini import Gemini
from tests.journeys.matrix.callers.ollama import Ollama
from tests.journeys.matrix.callers.openai_chat import OpenAIChat
from tests.journeys.matrix.callers.openai_responses import OpenAIResponses

_CALLERS = (OpenAIChat, OpenAIResponses, AnthropicMessages, Gemini, Ollama)


@contextmanager
def callers(origin: str, key: str) -> Iterator[dict[str, Caller]]:
    """One client a dialect, for a server at `origin`."""
    made: dict[str, Caller] = {one.dialect: one(origin, key) for one in _CALLERS}
    try:
        yield made
    finally:
        for one in made.values():
            one.close()
