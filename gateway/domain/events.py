"""A streamed answer as events, in no dialect: what every stream decoder gives and every stream encoder takes.

What decoders promise, so that encoders can be simple:

* `Started` comes first, once, before any other event.
* Tool calls have `index` 0, 1, 2 … in the order in which they start. `ToolCallStarted` has an id that is unique in the
  answer and a name (a decoder waits for both, and makes up an id where the provider gives none). Deltas of several calls
  may interleave. Every call that started has exactly one `ToolCallDone` before `Finished`. The deltas of a function call
  join to JSON text of an object; a call without arguments has the one delta `{}`.
* Reasoning comes as `ThinkingDelta`s and one `ThinkingDone` a block, before anything of another kind follows.
* `UsageTold` is cumulative: the last one counts, and it comes before `Finished`.
* `Finished` comes at most once and last. A stream that ends without it was cut.
* `StreamFailed` is the provider's own error inside the stream; nothing follows it.
* The same events come out for any split of the bytes.
"""

import msgspec

from gateway.domain.chat import Citation, Finish, Image, Signature, ToolKind
from gateway.domain.usage import Usage


class Started(msgspec.Struct, frozen=True):
    """The provider's own id and model. `usage` if it already tells what the prompt used (Anthropic)."""

    id: str = ""
    model: str = ""
    usage: Usage | None = None


class TextDelta(msgspec.Struct, frozen=True):
    """`signature`: Gemini's, on the text part that it came with (the text may be empty then)."""

    text: str
    signature: Signature | None = None


class CitationAdded(msgspec.Struct, frozen=True):
    """About the text so far."""

    citation: Citation


class RefusalDelta(msgspec.Struct, frozen=True):
    text: str


class ThinkingDelta(msgspec.Struct, frozen=True):
    text: str


class ThinkingDone(msgspec.Struct, frozen=True):
    """Ends a block of reasoning, also one that had no text at all."""

    signature: Signature | None = None
    is_redacted: bool = False


class ToolCallStarted(msgspec.Struct, frozen=True):
    index: int
    id: str
    name: str
    kind: ToolKind = "function"
    namespace: str = ""


class ToolCallDelta(msgspec.Struct, frozen=True):
    index: int
    arguments: str


class ToolCallDone(msgspec.Struct, frozen=True):
    """`signature` is Gemini's, of the call."""

    index: int
    signature: Signature | None = None


class ImageMade(msgspec.Struct, frozen=True):
    """A picture in the answer, whole."""

    image: Image


class UsageTold(msgspec.Struct, frozen=True):
    usage: Usage


class Finished(msgspec.Struct, frozen=True):
    finish: Finish
    stop_sequence: str = ""
    native_finish: str = ""


class StreamFailed(msgspec.Struct, frozen=True):
    """`status` as an HTTP status if the provider names one, else 0; `code` is its own word, may be empty."""

    message: str
    status: int = 0
    code: str = ""


Event = (
    Started | TextDelta | CitationAdded | RefusalDelta | ThinkingDelta | ThinkingDone | ToolCallStarted | ToolCallDelta
    | ToolCallDone | ImageMade | UsageTold | Finished | StreamFailed
)  # fmt: skip
