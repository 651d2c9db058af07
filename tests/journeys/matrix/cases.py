"""What is asked and what must be heard, case by case: a function each, the same for every caller and provider.

A function gets an `At`: the caller, the provider's dialect, and how to ask. Everything asserted here is content; the
provider's side asserts too (`fake_dialects`), and answers 400 with the reason.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.journeys.matrix.ask import Ask, Caller, Note, Results, Said, Turn, User
from tests.journeys.matrix.cells import BUILT_IN, DROPPED, PROVIDERS, SETTINGS, Cell
from tests.support.fake_dialects import scenarios
from tests.support.fake_dialects.script import COUNTED
from tests.support.fake_http import RequestRecord
from tests.support.product import wait_for

WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Where"},
            "unit": {"type": "string", "enum": ["c", "f"]},
            "days": {"type": "integer", "minimum": 1},
        },
        "required": ["city"],
    },
}
TIME = {
    "name": "get_time",
    "description": "The time of a zone",
    "parameters": {
        "type": "object",
        "properties": {"zone": {"type": "string"}, "pattern": {"type": "string"}},
        "required": ["zone"],
    },
}
PING = {"name": "ping", "description": "Is it there", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
RESULT = '18 °C, "clear" ☀\n'
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"\xfb\xff"
PRIVATE_URL = "http://127.0.0.1:9/cat.png"
PICTURE_URL = "https://pictures.example/cat.png"

FINISH = {
    "openai_chat": {"stop": "stop", "tool_calls": "tool_calls", "length": "length", "content_filter": "content_filter"},
    "openai_responses": {
        "stop": "completed",
        "tool_calls": "completed",
        "length": "incomplete/max_output_tokens",
        "content_filter": "incomplete/content_filter",
    },
    "anthropic_messages": {
        "stop": "end_turn",
        "tool_calls": "tool_use",
        "length": "max_tokens",
        "content_filter": "refusal",
    },
    "gemini": {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"},
    "ollama": {"stop": "stop", "tool_calls": "stop", "length": "length", "content_filter": "content_filter"},
}
RAISED = {
    "openai_chat": {
        400: "BadRequestError",
        401: "AuthenticationError",
        404: "NotFoundError",
        429: "RateLimitError",
        "stream": "APIError",
    },
    "openai_responses": {
        400: "BadRequestError",
        401: "AuthenticationError",
        404: "NotFoundError",
        429: "RateLimitError",
        "stream": "APIError",
    },
    "anthropic_messages": {
        400: "BadRequestError",
        401: "AuthenticationError",
        404: "NotFoundError",
        429: "RateLimitError",
        "stream": "APIStatusError",
    },
    "gemini": {400: "ClientError", 401: "ClientError", 404: "ClientError", 429: "ClientError", "stream": "ServerError"},
    "ollama": {400: "OllamaError", 401: "OllamaError", 404: "OllamaError", 429: "OllamaError", "stream": "OllamaError"},
}
LONGEST_NAMES = {
    "openai_chat": "look-up_" + "a" * 56,
    "openai_responses": "look-up_" + "a" * 56,
    "anthropic_messages": "mcp__a-server__" + "look_up" * 16,
    "gemini": "a.server:look-up." + "a" * 47,
    "ollama": "a.server:look up/" + "ä" * 80,
}
TEXT = "".join(scenarios.TEXT)
THOUGHTS = "".join(scenarios.THOUGHTS)
HELLO = User("Hello")
PLAIN = scenarios.Counts()


@dataclass(frozen=True, slots=True)
class Row:
    """What the ledger must hold of a request; None = not looked at."""

    request_id: str
    provider: str
    status: int = 200
    error: str = ""
    input: int | None = None
    output: int | None = None
    cached: int | None = None
    written: int | None = None
    dropped: tuple[str, ...] | None = None


@dataclass(slots=True)
class At:
    """A cell being played. `model_of` gives the name under which a scenario is asked for at a provider of a dialect."""

    cell: Cell
    caller: Caller
    records: Callable[[], list[RequestRecord]]
    model_of: Callable[[str, str], str]
    rows: list[Row] = field(default_factory=list)
    request_id: str = ""
    """Of the request last asked."""
    asked_at: str = ""
    """The dialect of the provider that was asked last."""
    extra_headers: dict[str, str] = field(default_factory=dict)
    _asked: int = 0

    @property
    def provider(self) -> str:
        return self.cell.provider

    @property
    def streams(self) -> bool:
        return self.cell.case.streams

    def ask(self, scenario: str, *turns: Turn, provider: str = "", **fields: Any) -> Ask:
        self._asked += 1
        self.request_id = f"{self.cell.id}:{self._asked}"
        self.asked_at = provider or self.provider
        model = self.model_of(scenario, self.asked_at)
        headers = {"x-request-id": self.request_id, **self.extra_headers}
        return Ask(model, turns or (HELLO,), headers=headers, **fields)

    def say(self, scenario: str, *turns: Turn, counts: scenarios.Counts = PLAIN, **fields: Any) -> Said:
        """Ask, hear, check what every good answer has, and note the row that is due."""
        ask = self.ask(scenario, *turns, **fields)
        heard: list[str] = []
        said = self.caller.say(ask, streams=self.streams, hear=heard.append)
        assert "".join(heard) == (said.text if self.streams else "")
        # Within one dialect bytes pass unchanged, unless they hold another provider's state.
        told = {scenario} if self.cell.caller == self.asked_at else {ask.model}
        assert said.model in (told if not fields.get("provider") else told | {ask.model})
        tokens = said.tokens
        assert tokens is not None
        assert (tokens.input, tokens.output) == (counts.input, counts.output)
        assert tokens.cached in (None, counts.cached)
        assert tokens.reasoning in (None, counts.reasoning)
        written = counts.written if self.asked_at == "anthropic_messages" else 0
        row = Row(
            self.request_id,
            self.asked_at,
            input=counts.input,
            output=counts.output,
            cached=counts.cached,
            written=written,
        )
        self.rows.append(row)
        return said

    def fail(self, scenario: str, *turns: User, **fields: Any) -> tuple[list[str], Any]:
        """Ask, and give what was heard before the SDK raised, and what it raised."""
        ask = self.ask(scenario, *turns, **fields)
        heard: list[str] = []
        with pytest.raises(Exception) as caught:  # of what kind is for the case to say
            self.caller.say(ask, streams=self.streams, hear=heard.append)
        return heard, self.caller.wrong(caught.value)

    def refuse(self, reason: str, scenario: str, *turns: User, **fields: Any) -> None:
        """Ask what the provider's dialect cannot say: the caller learns why, and the provider is not asked."""
        _, wrong = self.fail(scenario, *turns, **fields)
        assert (wrong.kind, wrong.status) == (RAISED[self.cell.caller][400], 400)
        assert reason in wrong.message
        assert self.records() == []
        self.rows.append(Row(self.request_id, self.provider, 400, "unsupported_by_target", input=0, output=0))

    def asked(self) -> dict[str, Any]:
        """The latest request, as the provider understood it."""
        found = self.records()[-1].asked
        assert found is not None
        assert found["dialect"] == self.asked_at
        return found

    def finish(self, word: str) -> str:
        return FINISH[self.cell.caller][word]


# -- answers ---------------------------------------------------------------------------------------------------------


def text(at: At) -> None:
    said = at.say("text", User("Hello, Grüße"), system="Be brief.", max_tokens=64, temperature=0.5)
    assert said.text == TEXT
    assert said.thoughts == ""
    assert said.calls == []
    assert said.finish == at.finish("stop")
    asked = at.asked()
    assert asked["system"] == ["Be brief."]
    assert [turn["texts"] for turn in asked["turns"]] == [["Hello, Grüße"]]
    assert (asked["max_tokens"], asked["temperature"]) == (64, 0.5)
    assert asked["is_stream"] == at.streams


def tools(at: At) -> None:
    said = at.say("tool-loop", tools=(WEATHER,))
    assert (said.text, said.finish) == ("", at.finish("tool_calls"))
    assert [(call.name, call.arguments) for call in said.calls] == [scenarios.WEATHER]
    assert at.asked()["tools"]["get_weather"] == WEATHER["parameters"]
    after = at.say("tool-loop", HELLO, said, Results(((said.calls[0], RESULT),)), tools=(WEATHER,))
    assert after.text == f"The tool said: {RESULT}"
    assert (after.calls, after.finish) == ([], at.finish("stop"))


def parallel(at: At) -> None:
    said = at.say("parallel-tools", tools=(WEATHER, TIME))
    assert (said.text, said.finish) == ("Let me look.", at.finish("tool_calls"))
    wanted = [scenarios.WEATHER, scenarios.ROME, scenarios.TIME]
    assert [(call.name, call.arguments) for call in said.calls] == wanted
    if at.cell.caller != "ollama" and (at.cell.caller, at.provider) != ("gemini", "gemini"):  # these need no ids
        assert len({call.id for call in said.calls} - {""}) == 3
    results = list(zip(said.calls, ["18 °C", "24 °C", "12:30"], strict=True))
    if at.cell.caller in ("openai_chat", "openai_responses", "anthropic_messages"):
        results.reverse()  # they tell results by their call's id
    after = at.say("parallel-tools", HELLO, said, Results(tuple(results)), tools=(WEATHER, TIME))
    quotes = ["Europe/Rome=12:30", "Paris/c=18 °C", "Rome/c=24 °C"]
    assert sorted(after.text.strip("; ").split("; ")) == quotes
    before = ["".join(turn["texts"]) for turn in at.asked()["turns"]]
    assert before[:2] == ["Hello", "Let me look."]


def no_arguments(at: At) -> None:
    said = at.say("no-arguments", tools=(PING,))
    assert [(call.name, call.arguments) for call in said.calls] == [("ping", {})]
    after = at.say("no-arguments", HELLO, said, Results(((said.calls[0], "pong"),)), tools=(PING,))
    assert after.text == "pinged: pong"


def stop(at: At) -> None:
    field = {"gemini": "stop_sequences", "anthropic_messages": "stop_sequences"}.get(at.cell.caller, "stop")
    words = ["END", "FIN"]
    more = {"options": {"stop": words}} if at.cell.caller == "ollama" else {field: words}
    if at.cell.refusal:
        at.refuse("stop sequences", "text", more=more)
        return
    at.say("text", more=more)
    settings = at.asked()["settings"]
    found = settings.get("generationConfig", settings)
    assert words in (found.get("stop"), found.get("stop_sequences"), found.get("stopSequences"))


def built_in(at: At) -> None:
    tool = BUILT_IN[at.cell.caller]
    at.refuse("tool", "text", more={"tools": [tool]})
    at.extra_headers = {"x-omniroute-unsupported-tools": "drop"}
    said = at.say("text", more={"tools": [tool]})
    assert "tool" in said.headers["x-omniroute-dropped"]


def dropped(at: At) -> None:
    said = at.say("text", tools=(WEATHER,), more=SETTINGS[at.cell.caller])
    wanted = DROPPED[at.cell.caller, at.provider]
    assert said.headers["x-omniroute-dropped"] == "; ".join(wanted)
    at.rows[-1] = dataclasses.replace(at.rows[-1], dropped=wanted)


def structured(at: At) -> None:
    said = at.say("structured", schema=SCHEMA)
    assert json.loads(said.text) == scenarios.STRUCTURED
    assert said.finish == at.finish("stop")
    assert at.asked()["schema"] == SCHEMA


def thinking(at: At) -> None:
    said = at.say("thinking", thinks=True, counts=scenarios.THOUGHT_COUNTS)
    assert said.text == TEXT
    assert said.thoughts == ("" if at.cell.hides_thoughts else THOUGHTS)
    after = at.say("thinking", HELLO, said, User("And now?"), thinks=True)
    assert after.text == "I remember my thoughts."
    turns = at.asked()["turns"]
    assert ["".join(turn["texts"]) for turn in turns] == ["Hello", TEXT, "And now?"]


def thinking_tools(at: At) -> None:
    said = at.say("thinking-tools", thinks=True, tools=(WEATHER,), counts=scenarios.THOUGHT_COUNTS)
    assert said.thoughts == ("" if at.cell.hides_thoughts else THOUGHTS)
    assert [(call.name, call.arguments) for call in said.calls] == [scenarios.WEATHER]
    result = Results(((said.calls[0], RESULT),))
    after = at.say("thinking-tools", HELLO, said, result, thinks=True, tools=(WEATHER,))
    assert after.text == f"The tool said: {RESULT}"


def thinking_unsigned(at: At) -> None:
    fields: dict[str, Any] = {"thinks": True, "tools": (WEATHER,), "keeps_state": False}
    said = at.say("thinking-unsigned", counts=scenarios.THOUGHT_COUNTS, **fields)
    after = at.say("thinking-unsigned", HELLO, said, Results(((said.calls[0], RESULT),)), **fields)
    assert after.text == f"The tool said: {RESULT}"


def choice(at: At) -> None:
    said = at.say("parallel-tools", tools=(WEATHER, TIME), choice="get_weather")
    assert at.asked()["tool_choice"] == "get_weather"
    assert len(said.calls) == 3


def tool_names(at: At) -> None:
    """Names that only the caller's dialect allows come back as they were, also in the history."""
    name = LONGEST_NAMES[at.cell.caller]
    tool = WEATHER | {"name": name}
    said = at.say("any-tool", tools=(tool,))
    assert [(call.name, call.arguments) for call in said.calls] == [(name, {"city": "Paris"})]
    after = at.say("any-tool", HELLO, said, Results(((said.calls[0], RESULT),)), tools=(tool,))
    assert after.text == f"said: {RESULT}"


def tool_error(at: At) -> None:
    said = at.say("any-tool", tools=(WEATHER,))
    failed = Results(((said.calls[0], "no such city"),), are_errors=True)
    after = at.say("any-tool", HELLO, said, failed, tools=(WEATHER,))
    if at.provider in ("anthropic_messages", "gemini"):
        assert after.text == "failed: no such city"
    else:  # nothing but words can say it there
        assert "error" in after.text.lower()
        assert "no such city" in after.text


def system_later(at: At) -> None:
    """It reaches the model, and never as the assistant's words."""
    said = at.say("text")
    at.say("text", HELLO, said, Note("Answer in rhyme."), User("Go on."))
    asked = at.asked()
    words = [(turn["role"], "".join(turn["texts"])) for turn in asked["turns"]]
    assistants = [text for role, text in words if role in ("assistant", "model")]
    assert assistants == [TEXT]
    assert words[-1][1].endswith("Go on.")
    assert any("Answer in rhyme." in text for text in [*asked["system"], words[-1][1], words[-2][1]])


def switch(at: At) -> None:
    """The conversation goes on at another provider, which takes no reasoning but its own."""
    for other in PROVIDERS:
        if other != at.provider:
            said = at.say("thinking", thinks=True, counts=scenarios.THOUGHT_COUNTS, provider=other)
            after = at.say("text", HELLO, said, User("And now?"), provider=at.provider)
            assert after.text == TEXT
            assert ["".join(turn["texts"]) for turn in at.asked()["turns"]] == ["Hello", TEXT, "And now?"]


def switch_tools(at: At) -> None:
    """As switch, between a call and its result, while thinking goes on."""
    for other in PROVIDERS:
        if other != at.provider:
            fields: dict[str, Any] = {"thinks": True, "tools": (WEATHER,)}
            said = at.say("thinking-unsigned", counts=scenarios.THOUGHT_COUNTS, provider=other, **fields)
            result = Results(((said.calls[0], RESULT),))
            after = at.say("thinking-unsigned", HELLO, said, result, provider=at.provider, **fields)
            assert after.text == f"The tool said: {RESULT}"


def image(at: At) -> None:
    said = at.say("image", User("What is it?", picture=PICTURE))
    assert said.text == f"image/png of {len(PICTURE)} bytes"


def image_url(at: At) -> None:
    if at.cell.refusal:
        at.refuse("cannot be fetched", "image", User("What is it?", picture_url=PRIVATE_URL))
        return
    said = at.say("image", User("What is it?", picture_url=PICTURE_URL))
    assert said.text == f"a picture at {PICTURE_URL}"


def cached(at: At) -> None:
    assert at.say("cached-usage", counts=scenarios.CACHED).text == TEXT


def length(at: At) -> None:
    said = at.say("length")
    assert (said.text, said.finish) == ("cut by the limit", at.finish("length"))


def filtered(at: At) -> None:
    said = at.say("filtered")
    assert (said.text, said.finish) == ("I begin and", at.finish("content_filter"))


# -- failures --------------------------------------------------------------------------------------------------------


def error_400(at: At) -> None:
    heard, wrong = at.fail("error-400")
    assert heard == []
    assert (wrong.kind, wrong.status) == (RAISED[at.cell.caller][400], 400)
    assert scenarios.ERROR_400 in wrong.message
    at.rows.append(Row(at.request_id, at.provider, status=400, input=0, output=0))


def error_429(at: At) -> None:
    heard, wrong = at.fail("error-429")
    assert heard == []
    assert (wrong.kind, wrong.status) == (RAISED[at.cell.caller][429], 429)
    assert scenarios.ERROR_429 in wrong.message
    assert wrong.retry_after == str(scenarios.RETRY_AFTER_S)
    at.rows.append(Row(at.request_id, at.provider, status=429, input=0, output=0))


def error_stream(at: At) -> None:
    heard, wrong = at.fail("error-stream")
    assert "".join(heard) == "".join(scenarios.TEXT[:2])
    assert wrong.kind == RAISED[at.cell.caller]["stream"]
    assert scenarios.ERROR_STREAM in wrong.message
    at.rows.append(Row(at.request_id, at.provider, error="provider_error_event"))


def cut(at: At) -> None:
    heard, wrong = at.fail("cut")
    assert "".join(heard) == "".join(scenarios.TEXT[:2])
    assert wrong.kind == RAISED[at.cell.caller]["stream"]
    assert "before the answer was complete" in wrong.message
    at.rows.append(Row(at.request_id, at.provider, error="stream_reset"))


def cancel(at: At) -> None:
    before = len(at.records())
    with at.caller.begin(at.ask("long-stream")) as first:
        assert first.startswith("word0 ")
    wait_for(lambda: at.records()[before].closed_mid_answer, 2)
    at.rows.append(Row(at.request_id, at.provider, status=499, error="caller_left"))


# -- other calls -----------------------------------------------------------------------------------------------------


def count(at: At) -> None:
    """A provider counts itself if its dialect has a way to ask; Chat Completions has none, and the gateway estimates."""
    counted = at.caller.count(at.ask("text", User("How many tokens are these?")))
    assert counted == COUNTED if at.provider != "openai_chat" else 3 <= counted <= 30
    at.rows.append(Row(at.request_id, "", input=0, output=0))


def play(at: At) -> None:
    """Play the cell's case."""
    _PLAYS[at.cell.case.play](at)


_PLAYS: dict[str, Callable[[At], None]] = {
    one.__name__: one
    for one in (
        text, tools, parallel, no_arguments, structured, thinking, thinking_tools, thinking_unsigned, choice, tool_names,
        tool_error, stop, built_in, dropped, system_later, switch, switch_tools, image, image_url, cached, length, filtered, error_400, error_429, error_stream, cut, cancel, count,
    )
}  # fmt: skip
