"""What an operator has done to requests on their way, and to answers on their way back. Everything is off by default."""

from typing import Annotated, Literal

import msgspec

ShapingStep = Literal["system_prompt", "thinking", "guard", "pii", "defaults"]
"""What a key may be spared (`KeyEntry.unshaped`)."""

PiiKind = Literal["email", "card", "iban", "ssn", "cpf", "cnpj", "phone", "ip", "aws_key", "api_key"]
Scanned = Literal["system", "user", "tool"]
MOST_BUDGET = 131_072
"""Tokens of thought, whatever is set."""

Budget = Annotated[int, msgspec.Meta(ge=0, le=MOST_BUDGET)]


class ThinkingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much models think. `budget` (tokens) is for `custom`, `effort` for `adaptive`; `caps` are by provider id.

    `passthrough` reads `thinkingLevel` and names that end in `-thinking` and leaves the rest alone; `off` leaves all alone.
    """

    mode: Literal["off", "passthrough", "auto", "custom", "adaptive"] = "off"
    budget: Budget = 10_240
    effort: Literal["none", "low", "medium", "high"] = "medium"
    caps: dict[str, Budget] = {}


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prompt injection. `blocks`: what `block` refuses, findings of lower severity are warned of. `scans`: whose texts."""

    mode: Literal["off", "log", "warn", "redact", "block"] = "off"
    blocks: Literal["high", "medium"] = "high"
    scans: tuple[Scanned, ...] = ("system", "user", "tool")


class Pii(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Personal data. No `kinds` = all. Arguments of tool calls and reasoning (providers sign it) are left alone unless set."""

    input: Literal["off", "detect", "redact"] = "off"
    output: Literal["off", "redact"] = "off"
    kinds: tuple[PiiKind, ...] = ()
    tool_arguments: bool = False
    reasoning: bool = False


class ModelDefaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters for names that match the pattern `model` (`*`, `?`), where the caller says nothing. None = not set."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, msgspec.Meta(ge=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] | None = None
    stop: Annotated[tuple[str, ...], msgspec.Meta(max_length=4)] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, msgspec.Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, msgspec.Meta(ge=-2, le=2)] | None = None


class Shaping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For all requests; a combo may add a prompt of its own (`system_prompt` in its `config`), a key may be spared steps."""

    system_prompt: Annotated[str, msgspec.Meta(max_length=50_000)] = ""
    thinking: ThinkingRule = ThinkingRule()
    guard: Guard = Guard()
    pii: Pii = Pii()
    defaults: Annotated[tuple[ModelDefaults, ...], msgspec.Meta(max_length=500)] = ()


OFF = Shaping()
