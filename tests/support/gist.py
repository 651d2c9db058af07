"""What of a request, an answer or a stream must survive translation, in a shape that can be compared.

Two gists are equal when a person who reads both answers would say that the same was said, thought and called.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gateway.domain.chat import (
    Answer,
    ChatRequest,
    File,
    Finish,
    Image,
    Refusal,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from gateway.domain.events import (
    CitationAdded,
    Event,
    Finished,
    ImageMade,
    RefusalDelta,
    StreamFailed,
    TextDelta,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    UsageTold,
)
from gateway.domain.usage import Usage
from tests.support.traffic import json_of


@dataclass
class AnswerGist:
    """`calls` are (name, arguments as a JSON value). `failed` is a provider's error within the stream."""

    text: str = ""
    refusal: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    images: int = 0
    citations: int = 0
    signatures: list[str] = field(default_factory=list)
    finish: Finish | None = None
    usage: Usage | None = None
    failed: str = ""


def of_events(events: Iterable[Event]) -> AnswerGist:
    gist = AnswerGist()
    calls: dict[int, tuple[str, list[str]]] = {}
    for event in events:
        match event:
            case TextDelta():
                gist.text += event.text
                _sign(gist, event.signature)
            case RefusalDelta():
                gist.refusal += event.text
            case ThinkingDelta():
                gist.thinking += event.text
            case ThinkingDone() | ToolCallDone():
                _sign(gist, event.signature)
            case ToolCallStarted():
                calls[event.index] = (event.name, [])
            case ToolCallDelta():
                calls[event.index][1].append(event.arguments)
            case ImageMade():
                gist.images += 1
            case CitationAdded():
                gist.citations += 1
            case UsageTold():
                gist.usage = event.usage
            case Finished():
                gist.finish = event.finish
            case StreamFailed():
                gist.failed = event.message
            case _:
                pass
    gist.calls = [(name, json_of("".join(pieces))) for name, pieces in calls.values()]
    return gist


def of_answer(answer: Answer) -> AnswerGist:
    gist = AnswerGist(finish=answer.finish, usage=answer.usage)
    for part in answer.parts:
        match part:
            case Text():
                gist.text += part.text
                gist.citations += len(part.citations)
                _sign(gist, part.signature)
            case Refusal():
                gist.refusal += part.text
            case Thinking():
                gist.thinking += part.text
                _sign(gist, part.signature)
            case ToolCall():
                gist.calls.append((part.name, json_of(part.arguments)))
                _sign(gist, part.signature)
            case Image():
                gist.images += 1
            case _:
                pass
    return gist


def _sign(gist: AnswerGist, signature: Signature | None) -> None:
    if signature is not None and signature.data:
        gist.signatures.append(signature.data)


@dataclass
class RequestGist:
    """Texts in order, by who says them; calls and their results by the order of the calls."""

    asked: list[str] = field(default_factory=list)
    """What system and user say: a later system text may have to become a user's."""
    answered: list[str] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    results: dict[int, str] = field(default_factory=dict)
    """Place of the call → the result's text."""
    pictures: list[str] = field(default_factory=list)
    files: int = 0
    tools: list[str] = field(default_factory=list)


def of_request(request: ChatRequest) -> RequestGist:
    gist = RequestGist(tools=[tool.name for tool in request.tools])
    places: dict[str, int] = {}
    for turn in request.turns:
        for part in turn.parts:
            match part:
                case Text() | Refusal():
                    if part.text.strip():
                        (gist.answered if turn.role == "assistant" else gist.asked).append(part.text)
                case ToolCall():
                    places[part.id] = len(gist.calls)
                    gist.calls.append((part.name, json_of(part.arguments)))
                case ToolResult():
                    gist.results[places.get(part.call_id, -1)] = _result_text(gist, part)
                case Image():
                    gist.pictures.append(part.data or part.url)
                case File():
                    gist.files += 1
                case _:
                    pass
    return gist


def _result_text(gist: RequestGist, result: ToolResult) -> str:
    gist.pictures += [part.data or part.url for part in result.content if isinstance(part, Image)]
    gist.files += sum(isinstance(part, File) for part in result.content)
    return "".join(part.text for part in result.content if isinstance(part, Text))
