"""Every recorded stream, answer and request crosses the hub into every other dialect and comes back saying the same.

The losses that a dialect forces are written here, and nowhere else is anything forgiven.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import pytest

from gateway.dialects.codec import Arrival, BrokenAnswer, Destination, Encoded, Unsupported
from gateway.dialects.sse import EventSplitter
from gateway.dialects.tool_names import restored_answer
from gateway.domain.chat import Answer, ChatRequest, Finish, Reasoning, Signature, Text, Thinking, ToolCall
from gateway.domain.errors import BadRequest
from gateway.domain.events import Event, Finished, StreamFailed
from gateway.domain.usage import Usage
from tests.support import gist
from tests.support.event_rules import broken_rules
from tests.support.traffic import (
    CALLERS,
    ENVELOPES,
    ORIGIN,
    PROVIDERS,
    arrival_of,
    decoded,
    destination,
    read,
    recorded,
    stamp,
)

Row = dict[str, Any]
QUESTION = ChatRequest(model="asked/model", turns=(), is_stream=True, reasoning=Reasoning(effort="medium", shows=True))
"""It asks for the thoughts: who does not, does not get them in every dialect."""


FINISHES: dict[str, dict[Finish, Finish]] = {
    "openai_chat": {"stop_sequence": "stop", "pause": "stop"},
    "openai_responses": {"stop_sequence": "stop", "pause": "stop"},
    "anthropic_messages": {},
    "gemini": {"stop_sequence": "stop", "pause": "stop"},
}
"""Reasons to end that a dialect has no word for, and what they become."""

HAS_REFUSALS = {"openai_chat", "openai_responses"}
"""Elsewhere the words of a refusal are text."""

HAS_PICTURES = {"openai_responses", "gemini"}

KEEPS_REASONING_COUNT = {"openai_chat", "openai_responses", "gemini", "anthropic_messages"}
KEEPS_CACHE_WRITES = {"openai_chat", "openai_responses", "anthropic_messages"}


def bad_status(row: Row) -> bool:
    return row.get("status", 200) != 200


streams = pytest.mark.parametrize("row", recorded("stream"))
answers = pytest.mark.parametrize("row", [row for row in recorded("response") if not bad_status(row.values[0])])
requests = pytest.mark.parametrize("row", recorded("request"))


def in_each(dialects: Iterable[str]) -> Callable[[Callable[[Row, str], None]], Callable[[Row], None]]:
    """The test in one dialect after the other, as one test: one for each would be five thousand more to collect."""

    def of_all(test: Callable[[Row, str], None]) -> Callable[[Row], None]:
        def test_all(row: Row) -> None:
            for dialect in dialects:
                try:
                    test(row, dialect)
                except Exception as error:
                    error.add_note(f"in the dialect {dialect}")
                    raise

        test_all.__name__ = test.__name__
        return test_all

    return of_all


# -- streams ----------------------------------------------------------------------------------------------------------


@streams
def test_a_streams_events_keep_their_promises(row: Row) -> None:
    assert broken_rules(decoded(row["dialect"], read(row))) == []


@streams
def test_any_split_of_a_stream_gives_the_same_events(row: Row) -> None:
    stream = read(row)
    whole = decoded(row["dialect"], stream)
    assert decoded(row["dialect"], stream, (1021, 7, 64)) == whole
    assert len(stream) > 30_000 or decoded(row["dialect"], stream, (1,)) == whole


@streams
@in_each(CALLERS)
def test_a_translated_stream_keeps_the_grammar_of_its_dialect(row: Row, dialect: str) -> None:
    assert violations(dialect, translated(dialect, decoded(row["dialect"], read(row)))) == []


@streams
@in_each(PROVIDERS)
def test_a_translated_stream_says_the_same(row: Row, dialect: str) -> None:
    events = decoded(row["dialect"], read(row))
    again = decoded(dialect, translated(dialect, events))
    assert broken_rules(again) == []
    assert_same_answer(gist.of_events(again), gist.of_events(events), dialect)


@streams
@in_each(CALLERS)
def test_a_cut_stream_never_ends_cleanly(row: Row, dialect: str) -> None:
    events = decoded(row["dialect"], read(row))
    if not any(isinstance(event, Finished) for event in events):
        return
    kept = events[: max(1, len(events) // 2)]
    encoder = CALLERS[dialect].make_encoder(stamp(QUESTION))
    written = encoder.feed(kept) + encoder.fail(502, "upstream_cut", "the provider stopped in the middle")
    if dialect in PROVIDERS:
        again = decoded(dialect, written)
        assert not any(isinstance(event, Finished) for event in again)
        assert isinstance(again[-1], StreamFailed)
        assert "stopped in the middle" in again[-1].message


def translated(dialect: str, events: list[Event]) -> bytes:
    """The stream as a caller of the dialect gets it, written in batches as they come; a provider's error ends it."""
    encoder = CALLERS[dialect].make_encoder(stamp(QUESTION))
    written = b""
    for at in range(0, len(events), 3):
        batch = [event for event in events[at : at + 3] if not isinstance(event, StreamFailed)]
        written += encoder.feed(batch)
    if not any(isinstance(event, Finished) for event in events):
        failure = events[-1] if events and isinstance(events[-1], StreamFailed) else None
        message = failure.message if failure else "the provider stopped in the middle"
        written += encoder.fail(failure.status or 502 if failure else 502, failure.code if failure else "cut", message)
    return written


def violations(dialect: str, written: bytes) -> list[str]:
    grammar = import_module(f"gateway.dialects.{dialect}.grammar").Grammar()
    for event in pieces_of(dialect, written):
        grammar.feed(event)
    grammar.end()
    found: list[str] = grammar.violations
    return found


def pieces_of(dialect: str, written: bytes) -> list[bytes]:
    if dialect == "ollama":
        return written.splitlines(keepends=True)
    splitter = EventSplitter()
    events = splitter.feed(written)
    assert splitter.rest == b"", "a stream ends with a whole event"
    return events


# -- answers ----------------------------------------------------------------------------------------------------------


@answers
@in_each(PROVIDERS)
def test_a_translated_answer_says_the_same(row: Row, dialect: str) -> None:
    try:
        answer = PROVIDERS[row["dialect"]].decode_response(read(row), ORIGIN)
    except BrokenAnswer:
        assert PROVIDERS[row["dialect"]].read_answer(read(row)).kind != "answer"
        return
    body = CALLERS[dialect].encode_response(restored_answer(answer, {}), stamp(QUESTION))
    again = PROVIDERS[dialect].decode_response(body, ORIGIN)
    assert_same_answer(gist.of_answer(again), gist.of_answer(answer), dialect)
    if answer.parts:
        assert PROVIDERS[dialect].read_answer(body).kind == "answer"


@answers
def test_an_answer_for_ollama_can_be_written(row: Row) -> None:
    try:
        answer = PROVIDERS[row["dialect"]].decode_response(read(row), ORIGIN)
    except BrokenAnswer:
        return
    assert CALLERS["ollama"].encode_response(answer, stamp(QUESTION)).startswith(b"{")


def assert_same_answer(found: gist.AnswerGist, told: gist.AnswerGist, dialect: str) -> None:
    refuses = dialect in HAS_REFUSALS
    assert found.text == (told.text if refuses else told.text + told.refusal)
    assert found.refusal == (told.refusal if refuses else "")
    assert found.thinking == told.thinking
    assert found.calls == [(name, as_written(dialect, arguments, told.finish)) for name, arguments in told.calls]
    assert found.failed == told.failed or (told.finish is None and found.failed)
    assert found.finish == finish_in(dialect, told)
    if dialect in HAS_PICTURES:
        assert found.images == told.images
    if told.finish is not None:
        assert_same_usage(found.usage, told.usage, dialect)


def finish_in(dialect: str, told: gist.AnswerGist) -> Finish | None:
    if told.finish is None:
        return None
    if dialect == "anthropic_messages" and told.refusal and told.finish == "stop":
        return "content_filter"  # its word for an answer that refuses is `refusal`
    return FINISHES[dialect].get(told.finish, told.finish)


def as_written(dialect: str, arguments: Any, finish: Finish | None) -> Any:
    """Free text of a custom tool stands in an object, and so do arguments that were cut in the middle, for Gemini."""
    wraps = dialect == "gemini" or (dialect == "anthropic_messages" and finish == "tool_calls")
    return {"input": arguments} if wraps and isinstance(arguments, str) else arguments


def assert_same_usage(found: Usage | None, told: Usage | None, dialect: str) -> None:
    if told is None:
        return
    assert found is not None
    assert (found.output, found.cache_read) == (told.output, told.cache_read)
    assert found.input == (told.input or found.input)  # a prompt that nobody counted may be estimated
    if dialect in KEEPS_REASONING_COUNT:
        assert found.reasoning == told.reasoning
    if dialect in KEEPS_CACHE_WRITES:
        assert found.cache_write == told.cache_write


# -- requests ---------------------------------------------------------------------------------------------------------

UNSUPPORTED = re.compile(
    r"the (built-in )?tool \S+ (is run by another kind of provider|runs at its own provider)"
    r"|takes pictures inline only"
    r"|takes PDF and text files, not (audio|video)/"
    r"|takes no (audio|video)/"
    r"|the file \S+ is not at "
    r"|knows no stop sequences"
)
"""The reasons for which a recorded request may be refused in another dialect; there are no others."""

SETTINGS = {
    "max_tokens": "max_(output_)?tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop": "stop",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "logprobs": "logprobs",
    "verbosity": "verbosity",
    "metadata": "metadata",
    "user": "user",
    "service_tier": "service_tier",
}
"""Field of the hub → what a note about its loss says."""

SAME_TIERS = {("standard_only", "default"), ("default", "standard_only")}


@requests
@in_each(PROVIDERS)
def test_a_translated_request_asks_the_same(row: Row, dialect: str) -> None:
    request = asked(row)
    if request is None:
        return
    encoded = written(request, dialect)
    if isinstance(encoded, Unsupported):
        assert UNSUPPORTED.search(encoded.message), encoded.message
        assert encoded.param
        return
    again = CALLERS[dialect].decode_request(encoded.body, arrival_at(dialect, request), ENVELOPES)
    assert again.model == "there"
    assert again.is_stream is request.is_stream
    assert_same_request(again, request, encoded, dialect)


def asked(row: Row) -> ChatRequest | None:
    """The request, or None where it is refused at once: some recordings are of a provider's own refusals."""
    try:
        return CALLERS[row["dialect"]].decode_request(read(row), arrival_of(row), ENVELOPES)
    except BadRequest:
        return None


def written(request: ChatRequest, dialect: str) -> Encoded | Unsupported:
    try:
        return PROVIDERS[dialect].encode_request(request, destination())
    except Unsupported as reason:
        return reason


def arrival_at(dialect: str, request: ChatRequest) -> Arrival:
    """What a provider of the dialect would learn from the path."""
    return Arrival(model="there", is_stream=request.is_stream) if dialect == "gemini" else Arrival()


def assert_same_request(found: ChatRequest, told: ChatRequest, encoded: Encoded, dialect: str) -> None:
    ours, theirs = gist.of_request(found), gist.of_request(told)
    names = {wire: name.name for wire, name in encoded.names.items()}
    assert_said(theirs.asked, ours.asked)
    assert_said(theirs.answered, ours.answered)
    assert [(names.get(name, name), unwrapped(arguments)) for name, arguments in ours.calls] == [
        (name, unwrapped(arguments)) for name, arguments in theirs.calls
    ]
    assert set(ours.results) == set(theirs.results)
    for place, text in theirs.results.items():
        assert text.strip() in ours.results[place] or text.strip() in "".join(ours.asked)
    declared = Counter(names.get(name, name) for name in ours.tools)
    called_before = {name for name, _ in theirs.calls}
    assert Counter(theirs.tools) - declared == Counter() or told.tool_choice is not None
    # Messages knows no call of a tool that is not declared.
    assert set(declared - Counter(theirs.tools)) <= called_before
    notes = " ".join(encoded.notes)
    if told.tool_choice is not None and told.tools and "tool_choice" not in notes:
        assert found.tool_choice is not None or told.tool_choice.mode == "auto"
    assert_settings(found, told, notes)
    if len(ours.pictures) != len(theirs.pictures):
        assert "image" in notes or "picture" in notes


def assert_settings(found: ChatRequest, told: ChatRequest, notes: str) -> None:
    """What was set is set there, or its loss is noted."""
    for field, words in SETTINGS.items():
        ours, theirs = getattr(found, field), getattr(told, field)
        if theirs in (None, "", (), {}) or ours == theirs or (field == "service_tier" and (ours, theirs) in SAME_TIERS):
            continue
        assert re.search(words, notes), f"{field}: {theirs!r} became {ours!r} without a note"
    if told.output_format is not None and "output_format" not in notes:
        assert found.output_format is not None
        assert (found.output_format.schema is None) == (told.output_format.schema is None)
    if not re.search("thinking|reasoning", notes):
        assert thinks(found.reasoning) in (None, thinks(told.reasoning)) or thinks(told.reasoning) is None
        assert thinks(told.reasoning) is not True or thinks(found.reasoning)


def thinks(asked: Reasoning | None) -> bool | None:
    """Whether a request wants reasoning; None where it leaves that to the model."""
    if asked is None or (asked.effort is None and asked.budget in (None, -1)):
        return None
    return asked.effort != "none" and asked.budget != 0


def assert_said(texts: list[str], where: list[str]) -> None:
    """Every text stands there, in the same order; joining, and white space at the ends, does not matter."""
    whole, at = "\n".join(where), 0
    for text in texts:
        found = whole.find(text.strip(), at)
        assert found >= 0, f"lost: {text[:100]!r}"
        at = found


def unwrapped(arguments: Any) -> Any:
    return arguments["input"] if isinstance(arguments, dict) and set(arguments) == {"input"} else arguments


# -- reasoning comes home ----------------------------------------------------------------------------------------------

SIGNED = "c2lnbmVkIGJ5IHRoZSBwcm92aWRlciBpdHNlbGYsIGxvbmcgZW5vdWdo"
SIGNERS = ("openai_responses", "anthropic_messages", "gemini")


def signed_answer(signer: str) -> Answer:
    """What each of them signs: Gemini its calls, the others their reasoning."""
    signature = Signature(
        dialect=signer, data=SIGNED, provider=ORIGIN.provider, id="rs_1" if "responses" in signer else ""
    )  # type: ignore[arg-type]
    thinking = Thinking("Let me look.", None if signer == "gemini" else signature)
    call = ToolCall("call_1", "look", '{"where":"here"}', signature=signature if signer == "gemini" else None)
    return Answer(
        (thinking, Text("I look."), call), "tool_calls", id="id-1", model="there", usage=Usage(input=5, output=7)
    )


def next_request(dialect: str, body: bytes) -> bytes:
    """What a client sends next that keeps what it was given, as the official SDKs do, with the call's result."""
    answer = json.loads(body)
    asked = {"role": "user", "content": "Where is it?"}
    match dialect:
        case "openai_chat":
            message = answer["choices"][0]["message"]
            result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "found"}
            return json.dumps(
                {"model": "m", "reasoning_effort": "medium", "messages": [asked, message, result]}
            ).encode()
        case "openai_responses":
            call = next(item for item in answer["output"] if item["type"] == "function_call")
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": "found"}
            return json.dumps(
                {
                    "model": "m",
                    "store": False,
                    "reasoning": {"effort": "medium"},
                    "input": [asked, *answer["output"], output],
                }
            ).encode()
        case "anthropic_messages":
            call = next(block for block in answer["content"] if block["type"] == "tool_use")
            result = {"type": "tool_result", "tool_use_id": call["id"], "content": "found"}
            turns = [asked, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": [result]}]
            thinking = {"type": "enabled", "budget_tokens": 2048}
            return json.dumps({"model": "m", "max_tokens": 9000, "thinking": thinking, "messages": turns}).encode()
        case _:
            content = answer["candidates"][0]["content"]
            call = next(part["functionCall"] for part in content["parts"] if "functionCall" in part)
            response = {"name": call["name"], "response": {"result": "found"}} | (
                {"id": call["id"]} if "id" in call else {}
            )
            turns = [
                {"role": "user", "parts": [{"text": "Where is it?"}]},
                content,
                {"role": "user", "parts": [{"functionResponse": response}]},
            ]
            config = {"thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": True}}
            return json.dumps({"contents": turns, "generationConfig": config}).encode()


def comes_home(signer: str, dialect: str, provider: str) -> Encoded:
    question = CALLERS[dialect].encode_response(signed_answer(signer), stamp(QUESTION))
    arrival = Arrival(model="m", is_stream=False) if dialect == "gemini" else Arrival()
    request = CALLERS[dialect].decode_request(next_request(dialect, question), arrival, ENVELOPES)
    return PROVIDERS[signer].encode_request(request, Destination(model="there", provider=provider, max_output=64_000))


@pytest.mark.parametrize("signer", SIGNERS)
@pytest.mark.parametrize("dialect", PROVIDERS)
def test_what_a_provider_signed_comes_back_to_it_through_any_caller(signer: str, dialect: str) -> None:
    assert SIGNED.encode() in comes_home(signer, dialect, ORIGIN.provider).body


@pytest.mark.parametrize(
    ("signer", "dialect"), [(signer, dialect) for signer in SIGNERS for dialect in PROVIDERS if signer != dialect]
)
def test_what_a_provider_signed_never_goes_to_another(signer: str, dialect: str) -> None:
    encoded = comes_home(signer, dialect, "another")
    assert SIGNED.encode() not in encoded.body
    assert b"OMROMROMROMR1." not in encoded.body
    assert any("reasoning" in note for note in encoded.notes)
