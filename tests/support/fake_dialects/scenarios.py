"""What the fake providers answer, by the model's name, the same in every dialect.

`SCENARIOS` maps a model's name to a function of what was asked; it raises Refused when the request lacks what the
scenario is about, which the caller then gets as a 400 with the reason. `TRANSPORT` names those that end badly.
"""

import json
from collections.abc import Callable
from typing import Any

from tests.support.fake_dialects.script import Answer, Asked, Counts, expect

TEXT = ("Grüße ", "aus ", "世界", " 👋🏽", " - done.")
WEATHER = ("get_weather", {"city": "Paris", "unit": "c"})
ROME = ("get_weather", {"city": "Rome", "unit": "c"})
TIME = ("get_time", {"zone": "Europe/Rome"})
STRUCTURED = {"city": "Zürich", "degrees": 18}
THOUGHTS = ("The user greets; ", "I greet back.")
CACHED = Counts(input=120, output=7, cached=64, written=10)
"""Only Anthropic tells what was written."""
THOUGHT_COUNTS = Counts(input=21, output=20, reasoning=12)
SHELLS = ("Bash", "bash", "exec_command", "run_shell_command")
"""What coding clients call the tool that runs a command."""
SHELL_COMMAND = "echo round trip > made.txt && cat made.txt"
SHELL_DONE = ("The file ", "is written: Grüße ", "世界.")
LONG_PIECES = 2000
LONG_GAP_S = 0.02
RETRY_AFTER_S = 7
ERROR_400 = "fake: the input is longer than the context of this model"
ERROR_429 = "fake: too many requests this minute"
ERROR_STREAM = "fake: overloaded in the middle"


def text(_: Asked) -> Answer:
    return Answer(TEXT)


def tool_loop(asked: Asked) -> Answer:
    """One call; once its result is in the history, a text that quotes it."""
    _expect_tool(asked, "get_weather", "city")
    if results := asked.results():
        _expect_calls(asked, [WEATHER])
        return Answer(("The tool ", "said: ", results[-1].text))
    return Answer(calls=(WEATHER,), finish="tool_calls")


def parallel_tools(asked: Asked) -> Answer:
    """A text and three calls, two of one tool; then a text that quotes each result by its call."""
    _expect_tool(asked, "get_weather", "city")
    _expect_tool(asked, "get_time", "zone")
    if results := asked.results():
        _expect_calls(asked, [WEATHER, ROME, TIME])
        names = {call.id: "/".join(map(str, call.arguments.values())) for call in asked.calls()}
        expect(len(names) == 3, f"three calls with an id each were expected: {asked.calls()}")
        quotes = [f"{names[result.call_id]}={result.text}" for result in results]
        return Answer(tuple(f"{quote}; " for quote in quotes))
    return Answer(("Let me ", "look."), (WEATHER, ROME, TIME), finish="tool_calls")


def no_arguments(asked: Asked) -> Answer:
    """A call without arguments of a tool without parameters."""
    expect("ping" in asked.tools, f"the tool ping was not declared: {sorted(asked.tools)}")
    if results := asked.results():
        _expect_calls(asked, [("ping", {})])
        return Answer(("pinged: ", results[-1].text))
    return Answer(calls=(("ping", {}),), finish="tool_calls")


def structured(asked: Asked) -> Answer:
    schema = asked.schema
    expect(schema is not None, "a schema was expected")
    assert schema is not None
    properties = {name: one.get("type", "").lower() for name, one in schema.get("properties", {}).items()}
    expect(properties == {"city": "string", "degrees": "integer"}, f"another schema was expected: {schema}")
    expect(sorted(schema.get("required", [])) == ["city", "degrees"], f"both are required: {schema}")
    whole = json.dumps(STRUCTURED, ensure_ascii=False)
    return Answer((whole[:5], whole[5:12], whole[12:]))


def thinking(asked: Asked) -> Answer:
    """Signed reasoning, then text; in the next turn the signature must come back, bytewise."""
    expect(asked.thinks, "reasoning was not asked for")
    if len(asked.turns) > 1:
        _expect_signature(asked)
        return Answer(("I remember ", "my thoughts."))
    return Answer(TEXT, thoughts=THOUGHTS, is_signed=True, counts=THOUGHT_COUNTS)


def thinking_tools(asked: Asked) -> Answer:
    """Signed reasoning, then a call; with its result the signature must come back, bytewise."""
    expect(asked.thinks, "reasoning was not asked for")
    _expect_tool(asked, "get_weather", "city")
    if results := asked.results():
        _expect_calls(asked, [WEATHER])
        _expect_signature(asked)
        return Answer(("The tool ", "said: ", results[-1].text))
    return Answer(calls=(WEATHER,), thoughts=THOUGHTS, is_signed=True, finish="tool_calls", counts=THOUGHT_COUNTS)


def thinking_unsigned(asked: Asked) -> Answer:
    """As thinking-tools, for callers that keep no signature: the loop goes on without it."""
    expect(asked.thinks or asked.results(), "reasoning was not asked for")
    _expect_tool(asked, "get_weather", "city")
    if results := asked.results():
        _expect_calls(asked, [WEATHER])
        return Answer(("The tool ", "said: ", results[-1].text))
    return Answer(calls=(WEATHER,), thoughts=THOUGHTS, is_signed=True, finish="tool_calls", counts=THOUGHT_COUNTS)


def any_tool(asked: Asked) -> Answer:
    """Calls the one tool that was declared, whatever its name; then quotes the result, and says if it failed."""
    expect(len(asked.tools) == 1, f"one tool was expected: {sorted(asked.tools)}")
    name = next(iter(asked.tools))
    if results := asked.results():
        _expect_calls(asked, [(name, {"city": "Paris"})])
        return Answer((f"{'failed' if results[-1].is_error else 'said'}: ", results[-1].text))
    return Answer(calls=((name, {"city": "Paris"}),), finish="tool_calls")


def image(asked: Asked) -> Answer:
    expect(len(asked.pictures()) == 1, f"one picture was expected, got {asked.pictures()}")
    picture = asked.pictures()[0]
    if picture.url:
        return Answer(("a picture at ", picture.url))
    expect(picture.media_type == picture.real_type, f"{picture.media_type} was declared, it is {picture.real_type}")
    return Answer((f"{picture.media_type} ", f"of {picture.size} bytes"))


def cached_usage(_: Asked) -> Answer:
    return Answer(TEXT, counts=CACHED)


def length(_: Asked) -> Answer:
    return Answer(("cut by the ", "limit"), finish="length")


def filtered(_: Asked) -> Answer:
    return Answer(("I begin ", "and"), finish="content_filter")


def long_stream(_: Asked) -> Answer:
    return Answer(tuple(f"word{i} " for i in range(LONG_PIECES)))


def shell_round(asked: Asked) -> Answer:
    """For real clients: a call of the client's own shell, then a text. Thoughts are signed where they were asked for.

    What a client asks beside (a title, which model to take) has no tools, and is answered with some text or JSON.
    """
    shell = next((name for name in asked.tools if name in SHELLS), "")
    if not shell:
        return Answer(("A title",) if asked.schema is None else (json.dumps(_fill(asked.schema)),))
    schema = asked.tools[shell]
    arguments = {name: _fill(one) for name, one in schema["properties"].items() if name in schema["required"]}
    call = (shell, arguments | {name: SHELL_COMMAND for name in ("command", "cmd") if name in arguments})
    if results := asked.results():
        _expect_calls(asked, [call])
        expect("round trip" in results[-1].text, f"the command's output was expected: {results[-1]}")
        if asked.thinks:
            _expect_signature(asked)
        return Answer(SHELL_DONE)
    thoughts = THOUGHTS if asked.thinks else ()
    counts = THOUGHT_COUNTS if asked.thinks else Counts()
    return Answer(calls=(call,), thoughts=thoughts, is_signed=asked.thinks, finish="tool_calls", counts=counts)


SCENARIOS: dict[str, Callable[[Asked], Answer]] = {
    "text": text,
    "tool-loop": tool_loop,
    "parallel-tools": parallel_tools,
    "no-arguments": no_arguments,
    "structured": structured,
    "thinking": thinking,
    "thinking-tools": thinking_tools,
    "thinking-unsigned": thinking_unsigned,
    "any-tool": any_tool,
    "image": image,
    "cached-usage": cached_usage,
    "length": length,
    "filtered": filtered,
    "long-stream": long_stream,
    "shell-round": shell_round,
    "error-400": text,
    "error-429": text,
    "error-stream": text,
    "cut": text,
}
"""By the model's name. The last four end badly, see `serve`."""


def said(name: str) -> str:
    """The text that a scenario of plain text answers with."""
    return SCENARIOS[name](Asked("", name)).text


def signature_of(dialect: str, what: str = "thought") -> str:
    """What a provider of the dialect signs with; opaque, and legal in it (Google's is base64)."""
    return {
        "openai_responses": f"gAAAAAB-{what}_of+openai/responses==",
        "anthropic_messages": f"ErUBCkYI{what}+of/anthropic==",
        "gemini": {
            "thought": "Q2l3QmoxcldfdGhvdWdodC9nZW1pbmkrKysvLys=",
            "call": "Q2l3QmoxcldfY2FsbC9nZW1pbmk/Pz8+Pj4=",
        }[what],
    }.get(dialect, "")


def _fill(schema: dict[str, Any]) -> Any:
    """Something that fits a simple schema."""
    match schema.get("type", "").lower():
        case "object":
            return {name: _fill(one) for name, one in schema.get("properties", {}).items()}
        case "integer" | "number":
            return 1
        case "boolean":
            return False
        case _:
            return "words"


def _expect_tool(asked: Asked, name: str, argument: str) -> None:
    expect(name in asked.tools, f"the tool {name} was not declared: {sorted(asked.tools)}")
    schema = asked.tools[name]
    expect(
        schema.get("properties", {}).get(argument, {}).get("type", "").lower() == "string",
        f"the schema of {name} lost its property {argument}: {schema}",
    )
    expect(argument in schema.get("required", []), f"the schema of {name} lost what it requires: {schema}")


def _expect_calls(asked: Asked, made: list[tuple[str, dict[str, object]]]) -> None:
    """The calls come back as they were made, in their order."""
    seen = [(call.name, call.arguments) for call in asked.calls()]
    expect(seen == made, f"these calls were made: {made}; these came back: {seen}")


def _expect_signature(asked: Asked) -> None:
    if asked.dialect == "openai_chat":  # signs nothing
        return
    if asked.dialect == "gemini" and not asked.calls() and not asked.signatures():  # it wants those of calls back
        return
    what = "call" if asked.dialect == "gemini" and asked.calls() else "thought"
    wanted = signature_of(asked.dialect, what)
    expect(wanted in asked.signatures(), f"my signature did not come back: {asked.signatures()}")
