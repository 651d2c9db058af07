"""Which requests are questions of the semantic tier, and which of them may share an answer."""

from typing import Any

import msgspec
import pytest

from gateway.cache.asked import Asked
from gateway.cache.semantic.question import MAX_SYSTEM_CHARACTERS, question_of
from gateway.dialects.codec import IN_BODY
from gateway.dialects.envelope import Envelopes
from gateway.dialects.registry import CALLERS

TEXT = "What is the capital of France?"


def asked(messages: list[dict[str, Any]] | None = None, tenant: str = "t", provider: str = "", **fields: Any) -> Asked:
    body = msgspec.json.encode(
        {"model": "m", "temperature": 0, "messages": messages or [{"role": "user", "content": TEXT}], **fields}
    )
    request = CALLERS["openai_chat"].decode_request(body, IN_BODY, Envelopes(b"secret"))
    return Asked(tenant, "openai_chat", provider, body, (), request)


def scope_of(one: Asked, embeddings: str = "vec/small") -> str:
    question = question_of(one, embeddings)
    assert question is not None
    return question.scope


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def test_questions_that_differ_in_their_text_alone_share_a_scope() -> None:
    assert scope_of(asked()) == scope_of(asked([user("Tell me the capital of France.")]))


def test_a_stream_and_a_whole_answer_share_a_scope() -> None:
    assert scope_of(asked()) == scope_of(asked(stream=True))


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "u"}, {"provider": "p"}, {"model": "n"}, {"max_tokens": 5}, {"seed": 1}, {"top_p": 0.5}, {"stop": ["x"]},
        {"messages": [system("You are a pirate."), user(TEXT)]}, {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        {"reasoning_effort": "low"}, {"presence_penalty": 1}, {"frequency_penalty": 1},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_else_differs_is_another_scope(change: dict[str, Any]) -> None:
    assert scope_of(asked()) != scope_of(asked(**change))


def test_vectors_of_another_model_are_another_scope() -> None:
    assert scope_of(asked(), "vec/small") != scope_of(asked(), "vec/large")


def test_a_body_with_what_the_hub_does_not_know_shares_its_scope_with_no_other_text() -> None:
    assert scope_of(asked(unheard_of=1)) != scope_of(asked([user("Tell me the capital of France.")], unheard_of=1))


@pytest.mark.parametrize(
    "messages",
    [
        [user("Hi"), {"role": "assistant", "content": "Hello"}, user(TEXT)],
        [user("Hi"), user(TEXT)],
        [user(TEXT), system("Be brief.")],
        [user([{"type": "text", "text": TEXT}, {"type": "text", "text": "And of Spain?"}])],
        [
            user(
                [
                    {"type": "text", "text": TEXT},
                    {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
                ]
            )
        ],
        [user("x " * 300)],
        [user("What is this?\n\n    code()")],
        [user("")],
        [system("Translate into French."), user(TEXT)],
        [system("Count the words."), user(TEXT)],
        [system("You are a friendly editor."), user(TEXT)],
        [system("Classify the sentiment of the message."), user(TEXT)],
        [system("Be kind. " + "x" * MAX_SYSTEM_CHARACTERS), user(TEXT)],
    ],
    ids=str,
)
def test_what_is_no_single_plain_text_is_no_question(messages: list[dict[str, Any]]) -> None:
    assert question_of(asked(messages), "vec/small") is None
