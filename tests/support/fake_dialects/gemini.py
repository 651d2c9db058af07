"""Gemini's generateContent as a strict provider of it reads and writes. Field names may come in snake_case too."""

import base64
import json
import re
from typing import Any

from tests.support.fake_dialects.scenarios import signature_of
from tests.support.fake_dialects.script import (
    COUNTED,
    Answer,
    Asked,
    Call,
    Counts,
    Picture,
    Refused,
    Result,
    Streamed,
    Turn,
    expect,
    list_in,
    names,
    only,
    picture_of,
    text_in,
)

NAME = "gemini"
DUMMIES = ("context_engineering_is_the_way_to_go", "skip_thought_signature_validator")
"""Documented stand-ins where a call was not this model's own."""
STREAM_TYPE = "text/event-stream"
_TOP = names("contents systemInstruction tools toolConfig generationConfig safetySettings cachedContent labels")
_GENERATION = names(
    "temperature topP topK candidateCount maxOutputTokens stopSequences responseMimeType responseSchema responseJsonSchema"
    " responseModalities seed presencePenalty frequencyPenalty responseLogprobs logprobs thinkingConfig mediaResolution"
    " speechConfig"
)
_DATA = ("text", "inlineData", "fileData", "functionCall", "functionResponse")
_PART = frozenset({*_DATA, "thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution"})
_DECLARATION = names("name description parameters parametersJsonSchema response responseJsonSchema behavior")
_SCHEMA = names(
    "type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength"
    " maxLength pattern example anyOf propertyOrdering default items minimum maximum"
)
_OPAQUE = names("args response parameters parametersJsonSchema responseSchema responseJsonSchema labels")
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_FINISH = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_PATH = re.compile(r"/v1(?:beta)?/models/(?P<model>[^/:]+):(?P<verb>generateContent|streamGenerateContent|countTokens)")


def read(path: str, headers: dict[str, str], body: Any) -> Asked:
    where, _, query = path.partition("?")
    match = _PATH.fullmatch(where)
    expect(match, "Requested entity was not found.", status=404)
    assert match
    expect("x-goog-api-key" in headers, "Method doesn't allow unregistered callers", status=403)
    is_stream = match["verb"] == "streamGenerateContent"
    expect(not is_stream or "alt=sse" in query, "this fake streams events only (alt=sse)")
    body = _camel(body)
    if match["verb"] == "countTokens":
        body = _of_count(body)
    only(_TOP, body, "")
    asked = Asked(NAME, match["model"], is_stream=is_stream)
    _read_config(body.get("generationConfig") or {}, asked)
    _read_tools(body, asked)
    if body.get("systemInstruction") is not None:
        only(frozenset({"role", "parts"}), body["systemInstruction"], "systemInstruction")
        parts = list_in(body["systemInstruction"].get("parts"), "systemInstruction.parts")
        asked.system += [text_in(part.get("text"), "systemInstruction.parts") for part in parts]
    asked.settings = {name: body[name] for name in sorted(_TOP & body.keys()) if name not in ("contents", "tools")}
    _read_contents(list_in(body.get("contents"), "contents"), asked)
    return asked


def _camel(value: Any) -> Any:
    """Names of the API's own fields in camelCase; what is the user's (arguments, results, schemas) stays."""
    if isinstance(value, list):
        return [_camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = {name: re.sub(r"_([a-z])", lambda found: found[1].upper(), name) for name in value}
    return {named[name]: one if named[name] in _OPAQUE else _camel(one) for name, one in value.items()}


def _of_count(body: Any) -> Any:
    only(frozenset({"contents", "generateContentRequest"}), body, "")
    expect(("contents" in body) != ("generateContentRequest" in body), "one of the two fields, not both")
    if "generateContentRequest" in body:
        inner = dict(body["generateContentRequest"])
        expect(inner.pop("model", "").startswith("models/"), "must be models/…", "generateContentRequest.model")
        return inner
    return body


def _read_config(config: dict[str, Any], asked: Asked) -> None:
    only(_GENERATION, config, "generationConfig")
    asked.temperature = config.get("temperature")
    asked.max_tokens = config.get("maxOutputTokens")
    expect(config.get("candidateCount") in (None, 1), "only one is supported", "generationConfig.candidateCount")
    expect(len(config.get("stopSequences") or ()) <= 5, "at most five", "generationConfig.stopSequences")
    thinking = config.get("thinkingConfig") or {}
    only(frozenset({"includeThoughts", "thinkingBudget", "thinkingLevel"}), thinking, "thinkingConfig")
    has_both = "thinkingBudget" in thinking and "thinkingLevel" in thinking
    expect(not has_both, "You can only set only one of thinking budget and thinking level.", "thinkingConfig")
    levels = (None, "MINIMAL", "LOW", "MEDIUM", "HIGH")
    level = thinking.get("thinkingLevel")
    expect((level.upper() if level else None) in levels, f"Invalid value {level!r}", "thinkingConfig.thinkingLevel")
    expect(isinstance(thinking.get("thinkingBudget", 0), int), "Invalid value", "thinkingConfig.thinkingBudget")
    asked.thinks = bool(thinking) and thinking.get("thinkingBudget") != 0
    asked.shows_thoughts = thinking.get("includeThoughts") is True
    schemas = [name for name in ("responseSchema", "responseJsonSchema") if config.get(name) is not None]
    expect(len(schemas) <= 1, "only one of responseSchema and responseJsonSchema", "generationConfig")
    if schemas:
        is_json = config.get("responseMimeType") == "application/json"
        expect(is_json, "needs the response mime type application/json", "generationConfig.responseMimeType")
        asked.schema = config[schemas[0]]
        if schemas == ["responseSchema"]:
            _check_schema(asked.schema, "generationConfig.responseSchema")


def _read_tools(body: dict[str, Any], asked: Asked) -> None:
    for i, tool in enumerate(body.get("tools") or ()):
        where = f"tools[{i}]"
        only(frozenset({"functionDeclarations"}), tool, where)
        for j, one in enumerate(list_in(tool.get("functionDeclarations"), where)):
            at = f"{where}.functionDeclarations[{j}]"
            only(_DECLARATION, one, at)
            expect(_TOOL_NAME.fullmatch(one.get("name", "")), "Invalid function name.", f"{at}.name")
            schemas = [name for name in ("parameters", "parametersJsonSchema") if one.get(name) is not None]
            expect(len(schemas) <= 1, "parameters and parametersJsonSchema are exclusive", at)
            schema = one[schemas[0]] if schemas else {}
            if schemas == ["parameters"]:
                _check_schema(schema, f"{at}.parameters")
                empty = schema.get("type", "").upper() == "OBJECT" and not schema.get("properties")
                expect(not empty, "should be non-empty for OBJECT type", f"{at}.parameters.properties")
            asked.tools[one["name"]] = schema
    config = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    only(frozenset({"mode", "allowedFunctionNames"}), config, "toolConfig.functionCallingConfig")
    mode, names = config.get("mode"), config.get("allowedFunctionNames")
    expect(mode in (None, "AUTO", "ANY", "NONE", "VALIDATED"), "Invalid value", "toolConfig.functionCallingConfig.mode")
    expect(not names or mode in ("ANY", "VALIDATED"), "allowed function names only with ANY", "toolConfig")
    expect(all(name in asked.tools for name in names or ()), "names no function", "toolConfig")
    asked.tool_choice = names[0] if names else (mode or "")


def _check_schema(schema: Any, where: str) -> None:
    """The OpenAPI-like subset: an unknown key is refused, also deep inside."""
    for name in schema:
        expect(name in _SCHEMA, f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.', where)
    expect(isinstance(schema.get("type", ""), str), "Proto field is not repeating, cannot start list.", f"{where}.type")
    for name, inner in schema.get("properties", {}).items():
        _check_schema(inner, f"{where}.properties.{name}")
    if "items" in schema:
        _check_schema(schema["items"], f"{where}.items")
    expect("ARRAY" not in schema.get("type", "").upper() or "items" in schema, "missing field.", f"{where}.items")


def _read_contents(contents: list[Any], asked: Asked) -> None:
    expect(contents, "contents are required", "contents")
    for i, content in enumerate(contents):
        where = f"contents[{i}]"
        only(frozenset({"role", "parts"}), content, where)
        role = content.get("role", "user" if len(contents) == 1 else "")
        expect(role in ("user", "model"), "Please use a valid role: user, model.", where)
        before = asked.turns[-1] if asked.turns else Turn("")
        expect(before.role != role, f"two contents of the role {role} follow each other", where)
        turn = Turn(role)
        parts = list_in(content.get("parts"), f"{where}.parts")
        expect(parts, "must include at least one parts field", where)
        for j, part in enumerate(parts):
            _read_part(part, f"{where}.parts[{j}]", turn, before)
        if turn.calls:
            is_signed = "thoughtSignature" in next(part for part in parts if "functionCall" in part)
            expect(is_signed or not asked.thinks, "Function call is missing a thought_signature.", where)
            expect(before.role == "user", "a function call turn comes after a user turn", where)
        if before.calls or turn.results:
            same = [call.name for call in before.calls] == [result.name for result in turn.results]
            expect(
                len(before.calls) == len(turn.results),
                "Please ensure that the number of function response parts is equal to the number of function call parts"
                " of the function call turn.",
                where,
            )
            expect(same, "the function responses are not in the order of the calls", where)
        asked.turns.append(turn)
    expect(not asked.turns[-1].calls, "the last function call has no response", "contents")


def _read_part(part: Any, where: str, turn: Turn, before: Turn) -> None:
    only(_PART, part, where)
    data = [name for name in _DATA if name in part]
    expect(len(data) == 1, f"one data field was expected, got {data}", where)
    signature = part.get("thoughtSignature")
    if signature is not None:
        own = (signature_of(NAME, "thought"), signature_of(NAME, "call"))
        is_known = signature in DUMMIES or _standard(signature, where) in own
        expect(is_known, "Thought signature is not valid.", where)
        turn.signatures.append(signature if signature in DUMMIES else _standard(signature, where))
    kind = data[0]
    if kind == "text":
        place = turn.thoughts if part.get("thought") else turn.texts
        place.append(text_in(part["text"], where))
    elif kind == "inlineData":
        only(frozenset({"mimeType", "data", "displayName"}), part["inlineData"], where)
        picture = part["inlineData"]
        turn.pictures.append(picture_of(picture["mimeType"], text_in(picture["data"], where), where, url_safe=True))
    elif kind == "fileData":
        only(frozenset({"mimeType", "fileUri", "displayName"}), part["fileData"], where)
        turn.pictures.append(Picture(part["fileData"].get("mimeType", ""), url=part["fileData"]["fileUri"]))
    elif kind == "functionCall":
        call = part["functionCall"]
        only(frozenset({"id", "name", "args"}), call, where)
        expect(turn.role == "model", "a function call is the model's", where)
        expect(isinstance(call.get("args", {}), dict), "must be an object", f"{where}.args")
        turn.calls.append(Call(call.get("id") or f"{where}#{len(turn.calls)}", call["name"], call.get("args", {})))
    else:
        _read_response(part["functionResponse"], where, turn, before)


def _read_response(response: Any, where: str, turn: Turn, before: Turn) -> None:
    only(frozenset({"id", "name", "response"}), response, where)
    expect(isinstance(response.get("response"), dict), "must be an object", f"{where}.response")
    expect(turn.role == "user", "a function response is the user's", where)
    at = len(turn.results)
    expect(at < len(before.calls), "a function response comes immediately after its function call turn", where)
    told = response["response"]
    alone = next(iter(told.values())) if len(told) == 1 else None
    text = alone if isinstance(alone, str) else json.dumps(told, ensure_ascii=False)
    turn.results.append(Result(before.calls[at].id, response["name"], text, is_error="error" in told))


def _standard(signature: Any, where: str) -> str:
    try:
        raw = base64.b64decode(str(signature).replace("-", "+").replace("_", "/"), validate=True)
    except ValueError as error:
        raise Refused(f"Base64 decoding failed for {signature!r:.60}", where) from error
    return base64.b64encode(raw).decode()


# -- answers ---------------------------------------------------------------------------------------------------------


def whole(asked: Asked, answer: Answer) -> Any:
    opening, texts, closing = _parts(asked, answer)
    joined = "".join(part["text"] for part in texts)
    signed = {name: part[name] for part in texts for name in part if name == "thoughtSignature"}
    parts = [*opening, *([{"text": joined, **signed}] if texts else []), *closing]
    return _chunk(asked, parts, _FINISH[answer.finish], _usage(answer.counts))


def stream(asked: Asked, answer: Answer) -> Streamed:
    """A text's signature comes after it on an empty part, as the API does it."""

    def event(parts: list[Any], finish: str = "") -> bytes:
        counts = answer.counts
        early = {"promptTokenCount": counts.input, "totalTokenCount": counts.input}
        chunk = _chunk(asked, parts, finish, _usage(counts) if finish else early)
        return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n"

    opening, texts, closing = _parts(asked, answer)
    last: dict[str, Any] = {"text": ""}
    if texts and "thoughtSignature" in texts[-1]:
        last["thoughtSignature"] = texts[-1].pop("thoughtSignature")
    return Streamed(
        [event([part]) for part in opening],
        [event([part]) for part in texts],
        [*(event([part]) for part in closing), event([last], _FINISH[answer.finish])],
    )


def error(status: int, message: str, code: str = "", param: str = "") -> Any:
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}
    name = (names | {429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}).get(status, "INTERNAL")
    told: dict[str, Any] = {"code": status, "message": message, "status": name}
    if status == 429:
        told["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    return {"error": told}


def stream_error(status: int, message: str) -> list[bytes]:
    return [b"data: " + json.dumps(error(503, message)).encode() + b"\r\n\r\n"]


def count(_: Asked) -> Any:
    return {"totalTokens": COUNTED, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": COUNTED}]}


def _parts(asked: Asked, answer: Answer) -> tuple[list[Any], list[Any], list[Any]]:
    shown = answer.thoughts if asked.shows_thoughts else ()
    opening: list[Any] = [{"text": piece, "thought": True} for piece in shown]
    texts: list[Any] = [{"text": piece} for piece in answer.texts]
    calls: list[Any] = [{"functionCall": {"name": name, "args": arguments}} for name, arguments in answer.calls]
    if answer.is_signed:
        signed, what = (calls[0], "call") if calls else (texts[-1], "thought")
        signed["thoughtSignature"] = signature_of(NAME, what)
    return opening, texts, calls


def _chunk(asked: Asked, parts: list[Any], finish: str, usage: dict[str, Any]) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if finish:
        candidate["finishReason"] = finish
    candidate["index"] = 0
    return {
        "candidates": [candidate], "usageMetadata": usage, "modelVersion": asked.model, "responseId": "fakeGeminiAnswer01",
    }  # fmt: skip


def _usage(counts: Counts) -> dict[str, Any]:
    """`candidatesTokenCount` does not hold the thoughts."""
    usage = {
        "promptTokenCount": counts.input,
        "candidatesTokenCount": counts.output - counts.reasoning,
        "totalTokenCount": counts.input + counts.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": counts.input}],
    }
    if counts.cached:
        usage["cachedContentTokenCount"] = counts.cached
    return usage | ({"thoughtsTokenCount": counts.reasoning} if counts.reasoning else {})
