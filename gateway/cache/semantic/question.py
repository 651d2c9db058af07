"""Which requests may be answered by what they mean, and which other ones their answers may come from. Pure."""

from hashlib import blake2b

import msgspec
from msgspec import structs

from gateway.cache.asked import Asked
from gateway.cache.canonical import signature
from gateway.cache.semantic.reading import MAX_CHARACTERS, Reading, read
from gateway.domain.chat import ChatRequest, Part, Text, Turn

MAX_SYSTEM_CHARACTERS = 20_000

_WORKS_ON_WORDS = (
    "translat", "rewrit", "rephras", "paraphras", "proofread", "correct", "edit", "gramm", "spell", "repeat", "echo", "quot",
    "verbatim", "word", " tone", "style", "letter", "transcri", "convert", "encod", "decod", "count", "scor", "grad", "classif",
    "sentiment", "label", "extract", "rhym", "summar", "original", "language", "user's", "users", "user text", "user input",
    "user message", "user question", "user query", "tone ",
)  # fmt: skip
"""In a system prompt: the answer may depend on how something is said, not only on what. Searched one by one: far cheaper
than one pattern without regard to case."""


class Question(msgspec.Struct, frozen=True):
    """`scope`: everything of the request but its text, 40 hex digits. Only questions of one scope may share an answer."""

    scope: str
    text: str
    reading: Reading


def question_of(asked: Asked, embeddings: str) -> Question | None:
    """None unless it is one plain text that the guard can read, with nothing before it but a system prompt.

    `embeddings` names the model of the vectors: those of two models do not compare.
    """
    text = _only_text(asked.request)
    if text is None or len(text) > MAX_CHARACTERS:
        return None
    reading = read(text)
    if reading is None:
        return None
    turns = (*asked.request.turns[:-1], Turn("user", ()))
    known = signature(structs.replace(asked, request=structs.replace(asked.request, turns=turns)))
    if known is None:
        return None
    scope = blake2b(f"{known}\n{embeddings}".encode(), digest_size=20).hexdigest()
    return Question(scope, text, reading)


def _only_text(request: ChatRequest) -> str | None:
    *before, last = request.turns or (Turn("system", ()),)
    if last.role != "user" or len(last.parts) != 1 or any(turn.role != "system" for turn in before):
        return None
    [part] = last.parts
    if not isinstance(part, Text) or part.citations or part.signature is not None:
        return None
    said = [part for turn in before for part in turn.parts]
    return None if any(_may_work_on_words(part) for part in said) else part.text


def _may_work_on_words(part: Part) -> bool:
    """Of a system prompt. A long one is not searched: it would hold up others, and says something of words anyway."""
    if not isinstance(part, Text) or len(part.text) > MAX_SYSTEM_CHARACTERS:
        return True
    said = part.text.lower()
    return any(word in said for word in _WORKS_ON_WORDS)
