"""`generationConfig`, both ways."""

from typing import Any

from gateway.dialects.codec import Destination
from gateway.dialects.gemini.fields import Place
from gateway.dialects.gemini.openapi import to_json_schema
from gateway.dialects.gemini.schema import level_down
from gateway.dialects.reasoning import budget_of, effort_of
from gateway.domain.chat import ChatRequest, Effort, OutputFormat, Reasoning
from gateway.domain.errors import BadRequest

MOST_STOPS = 5
MOST_BUDGET = 24576
"""What every model that takes a budget allows; more is refused by some."""

_KNOWN = frozenset({
    "temperature", "topP", "topK", "candidateCount", "maxOutputTokens", "stopSequences", "presencePenalty",
    "frequencyPenalty", "seed", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema",
    "responseJsonSchema", "thinkingConfig",
})  # fmt: skip
_EFFORTS: dict[str, Effort] = {
    "MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high", "XHIGH": "xhigh",
}  # fmt: skip
_LEVELS: dict[Effort, str] = {
    "none": "MINIMAL", "minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH",
    "max": "HIGH",
}  # fmt: skip
_INT32 = 1 << 31


def read_config(request: Place, notes: list[str]) -> dict[str, Any]:
    """Fields of ChatRequest by name. What the hub has no word for goes into `notes`."""
    config = request.object("generationConfig")
    if config is None:
        return {}
    unsaid = (name for name in config.names() if name not in _KNOWN)
    notes += [
        f"generationConfig.{name}" for name in unsaid if name != "responseModalities" or not _is_text_only(config)
    ]
    count = config.whole("candidateCount")
    if count is not None and not 1 <= count <= 8:
        raise BadRequest(
            f"{config.path('candidateCount')} must be 1 to 8", code="invalid_value", param=config.path("candidateCount")
        )
    return {
        "temperature": config.number("temperature"),
        "top_p": config.number("topP"),
        "top_k": _rounded(config.number("topK")),
        "n": count or 1,
        "max_tokens": config.whole("maxOutputTokens"),
        "stop": config.texts("stopSequences"),
        "presence_penalty": config.number("presencePenalty"),
        "frequency_penalty": config.number("frequencyPenalty"),
        "seed": config.whole("seed"),
        "logprobs": (config.whole("logprobs") or 0) if config.flag("responseLogprobs") else None,
        "output_format": _read_format(config, notes),
        "reasoning": read_thinking(config, notes),
    }


def read_thinking(config: Place, notes: list[str]) -> Reasoning | None:
    """`thinkingConfig`. Of a level and a budget together the level counts."""
    thinking = config.object("thinkingConfig")
    if thinking is None:
        return None
    level = thinking.text("thinkingLevel").upper()
    budget = thinking.whole("thinkingBudget")
    effort = _EFFORTS.get(level)
    if effort is None and level not in ("", "THINKING_LEVEL_UNSPECIFIED"):
        raise BadRequest(
            f"{thinking.path('thinkingLevel')} must be MINIMAL, LOW, MEDIUM or HIGH",
            code="invalid_value", param=thinking.path("thinkingLevel"),
        )  # fmt: skip
    if effort is not None and budget is not None:
        notes.append("thinkingBudget beside thinkingLevel")
        budget = None
    return Reasoning(
        effort=effort, budget=None if budget is None else max(budget, -1), shows=thinking.flag("includeThoughts")
    )


def write_config(request: ChatRequest, destination: Destination, notes: list[str]) -> dict[str, Any]:
    """What can be said; the rest is noted."""
    config: dict[str, Any] = {
        "maxOutputTokens": _within(request.max_tokens, destination.max_output, notes),
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k,
        "presencePenalty": request.presence_penalty,
        "frequencyPenalty": request.frequency_penalty,
    }
    if request.seed is not None:
        if -_INT32 <= request.seed < _INT32:
            config["seed"] = request.seed
        else:
            notes.append("seed")
    stops = [stop for stop in request.stop if stop]
    if stops:
        config["stopSequences"] = stops[:MOST_STOPS]
        if len(stops) > MOST_STOPS:
            notes.append(f"stop: only {MOST_STOPS} of {len(stops)}")
    if request.output_format is not None:
        _write_format(request.output_format, destination, config, notes)
    if request.reasoning is not None:
        config["thinkingConfig"] = write_thinking(request.reasoning, destination, notes) or None
    return {name: value for name, value in config.items() if value is not None}


def write_thinking(reasoning: Reasoning, destination: Destination, notes: list[str]) -> dict[str, Any]:
    """A level where the provider wants one (then thinking cannot be off, only least), else a budget; never both."""
    budget, effort = reasoning.budget, reasoning.effort
    written: dict[str, Any] = {}
    if "thinking_level" in destination.quirks:
        told = effort if effort is not None else effort_of(budget) if budget is not None and budget >= 0 else None
        if told is not None:
            written["thinkingLevel"] = _LEVELS[told]
        if told in ("none", "xhigh", "max"):
            notes.append(f"reasoning {told}: sent as {_LEVELS[told].lower()}")
    else:
        if budget is None and effort is not None:
            budget = budget_of(effort)
        if budget is None and reasoning.is_adaptive:
            budget = -1
        if budget is not None:
            if budget > MOST_BUDGET:
                notes.append(f"thinking budget: {MOST_BUDGET} of {budget}")
            written["thinkingBudget"] = min(budget, MOST_BUDGET)
    is_off = budget == 0 or effort == "none"
    is_asked = reasoning.summary != "" or reasoning.effort is not None  # Chat Completions has no word for showing them
    if (reasoning.shows or (reasoning.shows is None and is_asked)) and not is_off:
        written["includeThoughts"] = True
    return written


def _read_format(config: Place, notes: list[str]) -> OutputFormat | None:
    kind = config.text("responseMimeType")
    schema = config.object("responseJsonSchema") or config.object("responseSchema")
    if kind == "application/json":
        return OutputFormat(schema=to_json_schema(schema.value) if schema is not None else None)
    if kind not in ("", "text/plain") or schema is not None:
        notes.append(f"generationConfig.responseMimeType {kind[:64] or 'missing beside a schema'}")
    return None


def _write_format(wanted: OutputFormat, destination: Destination, config: dict[str, Any], notes: list[str]) -> None:
    config["responseMimeType"] = "application/json"
    if wanted.schema is None:
        return
    if "openapi_schemas" in destination.quirks:
        config["responseSchema"], dropped = level_down(wanted.schema)
        notes += [f"response_format.{what}" for what in dropped]
    else:
        config["responseJsonSchema"] = wanted.schema


def _within(count: int | None, most: int, notes: list[str]) -> int | None:
    if count is not None and 0 < most < count:
        notes.append(f"max_tokens: {most} of {count}")
        return most
    return count


def _rounded(number: float | None) -> int | None:
    return None if number is None else int(number)


def _is_text_only(config: Place) -> bool:
    return all(isinstance(one, str) and one.upper() == "TEXT" for one in config.listed("responseModalities"))
