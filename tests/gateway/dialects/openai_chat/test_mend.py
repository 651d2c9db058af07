"""Repairs of provider answers: exactly what was asked for changes, for any split, and all else leaves as it came."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.openai_chat.mend import StreamMender, mend_answer
from gateway.dialects.openai_chat.think_tags import ThinkTags
from gateway.dialects.sse import MAX_HELD_BYTES, EventSplitter, data_of
from gateway.domain.mend import Mend

CALM = settings(deadline=None, database=None, max_examples=200)
DONE = b"data: [DONE]\n\n"
THINK = Mend(think_tags=True)
ALL = Mend(
    strip_fields=("x_groq", "choices.*.matched_stop", "choices.*.message.channel"),
    think_tags=True,
    finish_map={"eos": "stop", "": "stop"},
    usage_map={"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "prompt_tokens_details.cached_tokens": "cache.read"},
)  # fmt: skip


def chunk(delta: object, finish: object = None, **more: Any) -> bytes:
    value = {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def mended(mend: Mend, *pieces: bytes) -> bytes:
    mender = StreamMender(mend)
    return b"".join([mender.feed(piece) for piece in pieces]) + mender.end()


def told(stream: bytes) -> tuple[str, str]:
    """(content, reasoning) of a stream."""
    content, reasoning = "", ""
    for event in [*EventSplitter().feed(stream)]:
        data = data_of(event)
        for choice in json.loads(data).get("choices", ()) if data.startswith(b"{") else ():
            content += choice["delta"].get("content") or ""
            reasoning += choice["delta"].get("reasoning_content") or ""
    return content, reasoning


# -- whole answers ----------------------------------------------------------------------------------------------------


def answer(**message: Any) -> bytes:
    return json.dumps(
        {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}]}
    ).encode()


@pytest.mark.parametrize(
    "body", [b'{"choices": [ ]}', answer(content="plain < text"), b"<html>", b"", b"[]", b'{"choices":5}']
)
def test_an_answer_that_needs_nothing_keeps_its_bytes(body: bytes) -> None:
    assert mend_answer(body, ALL) is body
    assert mend_answer(body, Mend()) is body


@pytest.mark.parametrize(
    ("content", "said", "thought"),
    [
        ("<think>hm</think>a", "a", "hm"),
        ("a<think>hm</think>b<think>?</think>c", "abc", "hm?"),
        ("<think>never closed", "", "never closed"),
        ("a<think></think>", "a", None),
    ],
)
def test_tags_become_reasoning(content: str, said: str, thought: str | None) -> None:
    message = json.loads(mend_answer(answer(content=content), THINK))["choices"][0]["message"]
    assert (message["content"], message.get("reasoning_content")) == (said, thought)


def test_reasoning_that_is_there_stays_before() -> None:
    message = json.loads(mend_answer(answer(content="<think>b</think>", reasoning_content="a"), THINK))["choices"][0][
        "message"
    ]
    assert message["reasoning_content"] == "ab"


def test_fields_go_by_their_path() -> None:
    body = {
        "x_groq": 1,
        "choices": [{"matched_stop": 2, "message": {"channel": "x", "content": "a"}}, {"matched_stop": 3}],
        "y": 1,
    }
    assert json.loads(mend_answer(json.dumps(body).encode(), ALL)) == {
        "choices": [{"message": {"content": "a"}}, {}],
        "y": 1,
    }


def test_finish_reasons_are_mapped() -> None:
    for word, other in (("eos", "stop"), ("", "stop"), ("length", "length"), (None, None)):
        body = json.dumps({"choices": [{"message": {}, "finish_reason": word}]}).encode()
        assert json.loads(mend_answer(body, ALL))["choices"][0]["finish_reason"] == other


def test_counts_find_their_names_and_their_total() -> None:
    body = json.dumps({"choices": [], "usage": {"input_tokens": 3, "output_tokens": 2, "cache": {"read": 1}}}).encode()
    usage = json.loads(mend_answer(body, ALL))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 2, 5)
    assert usage["prompt_tokens_details"] == {"cached_tokens": 1}


def test_counts_that_are_there_stay() -> None:
    body = json.dumps({"usage": {"input_tokens": 3, "prompt_tokens": 9}}).encode()
    assert mend_answer(body, ALL) is body


# -- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_that_needs_nothing_keeps_its_bytes() -> None:
    stream = (
        b": hi\r\n\r\n" + chunk({"content": "a"}).replace(b"\n\n", b"\r\n\r\n") + chunk({}, "stop") + DONE + b"rest"
    )
    assert mended(ALL, stream) == stream
    assert mended(Mend(), stream) == stream


def test_only_whole_events_leave() -> None:
    mender = StreamMender(ALL)
    event = chunk({"content": "a"})
    assert mender.feed(event[:-1]) == b""
    assert mender.feed(event[-1:]) == event


def test_split_tags_are_recognised() -> None:
    stream = mended(
        THINK,
        chunk({"content": "Hello <thi"}),
        chunk({"content": "nk>plan</th"}),
        chunk({"content": "ink> world"}),
        DONE,
    )
    found = [json.loads(data_of(event))["choices"][0]["delta"] for event in EventSplitter().feed(stream)[:-1]]
    assert found == [{"content": "Hello "}, {"content": "", "reasoning_content": "plan"}, {"content": " world"}]


@pytest.mark.parametrize(
    "pieces",
    [
        [chunk({"content": "a<th"}), chunk({}, "stop"), DONE],
        [chunk({"content": "a<th"}), DONE],
        [chunk({"content": "a<th"})],
    ],
    ids=["finish", "done", "cut"],
)
def test_what_was_no_tag_is_given_back(pieces: list[bytes]) -> None:
    assert told(mended(THINK, *pieces)) == ("a<th", "")


def test_an_open_tag_lasts_to_the_end() -> None:
    assert told(mended(THINK, chunk({"content": "<think>a"}), chunk({"content": "b</t"}), chunk({}, "stop"), DONE)) == (
        "",
        "ab</t",
    )


def test_tags_spelled_with_escapes_are_tags() -> None:
    event = rb'data: {"choices":[{"index":0,"delta":{"content":"\u003cthink\u003ehm"}}]}' + b"\n\n"
    assert told(mended(THINK, event)) == ("", "hm")


def test_choices_have_tags_of_their_own() -> None:
    both = [
        {"index": at, "delta": {"content": text}, "finish_reason": None} for at, text in enumerate(("<think>a", "b"))
    ]
    stream = mended(THINK, b"data: " + json.dumps({"choices": both}).encode() + b"\n\n")
    found = json.loads(data_of(stream))["choices"]
    assert [choice["delta"] for choice in found] == [{"content": "", "reasoning_content": "a"}, {"content": "b"}]


def test_fields_finishes_and_counts_are_mended_in_chunks() -> None:
    event = chunk(
        {"content": "a", "channel": "x"}, "eos", x_groq={"id": 1}, usage={"input_tokens": 3, "output_tokens": 2}
    )
    found = json.loads(data_of(mended(ALL, event)))
    assert found["choices"] == [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]
    assert found["usage"]["total_tokens"] == 5
    assert "x_groq" not in found


def test_an_empty_finish_reason_of_a_chunk_is_no_end() -> None:
    assert mended(ALL, chunk({"content": "a"}, "")) == chunk({"content": "a"}, "")


def test_what_else_stands_in_an_event_stays() -> None:
    event = b": note\nid: 7\n" + chunk({"content": "a"}, "eos").replace(b"\n\n", b"\r\n\r\n")
    found = mended(ALL, event)
    assert found.startswith(b": note\nid: 7\ndata: ")
    assert found.endswith(b"\r\n\r\n")


def test_an_event_of_megabytes_passes_in_pieces() -> None:
    long = chunk({"content": "<" * (MAX_HELD_BYTES + 200_000)})
    after = chunk({}, "eos")
    pieces = [(long + after)[at : at + 65_536] for at in range(0, len(long + after), 65_536)]
    found = mended(ALL, *pieces)
    assert found.startswith(long)
    assert json.loads(data_of(found[len(long) :]))["choices"][0]["finish_reason"] == "stop"


@CALM
@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "ink>", "a", "</", "Grüße", "\n"]), max_size=10),
    st.data(),
)
def test_any_cut_of_a_text_gives_the_same_content_and_reasoning(words: list[str], data: st.DataObject) -> None:
    text = "".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
    found = []
    for given_pieces in (pieces, [text]):
        tags = ThinkTags()
        parts = [tags.feed(piece) for piece in given_pieces] + [tags.end()]
        found.append(("".join(said for said, _ in parts), "".join(thought for _, thought in parts)))
    assert found[0] == found[1]
    stream = b"".join(chunk({"content": piece}) for piece in pieces) + chunk({}, "stop") + DONE
    assert told(mended(THINK, stream)) == found[1]
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    split = [stream[start:end] for start, end in itertools.pairwise([0, *places, len(stream)])]
    assert told(mended(THINK, *split)) == found[1]


@CALM
@given(st.binary(max_size=60) | st.binary(max_size=30).map(lambda noise: b'data: {"x_groq":' + noise + b"}\n\n"))
def test_any_bytes_pass(noise: bytes) -> None:
    assert mended(ALL, noise) is not None
    assert mend_answer(noise, ALL) is not None
