"""What a provider says in an output item or at the end of an answer, for streams and whole answers alike."""

import json
from typing import Any

import msgspec

from gateway.dialects.calls import made_up_id
from gateway.dialects.codec import UNREADABLE, Origin
from gateway.dialects.media import sniff_image, standard_base64
from gateway.domain.chat import Finish, Image, Signature

_STATUSES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "usage_limit_reached": 429,
    "server_error": 500,
    "server_is_overloaded": 503,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "invalid_api_key": 401,
    "model_not_found": 404,
}
"""HTTP statuses of the error codes that come inside an answer, where there is no status."""


def answered(response: dict[str, Any], *, is_incomplete: bool, has_calls: bool) -> tuple[Finish, str]:
    """(finish, the provider's own word) of an answer that came to an end."""
    if not is_incomplete:
        return ("tool_calls" if has_calls else "stop"), "completed"
    details = response.get("incomplete_details")
    reason = str(details.get("reason") or "") if isinstance(details, dict) else ""
    return ("content_filter" if reason == "content_filter" else "length"), reason or "incomplete"


def signature_of(item: dict[str, Any], origin: Origin) -> Signature | None:
    data, item_id = item.get("encrypted_content"), item.get("id")
    if not isinstance(data, str) or not data:
        return None
    return Signature(
        dialect="openai_responses",
        data=data,
        provider=origin.provider,
        id=item_id if isinstance(item_id, str) else "",
    )


def reasoning_text(item: dict[str, Any]) -> str:
    """The reasoning itself where a provider shows it (open models), else its summary."""
    return _texts(item.get("content")) or _texts(item.get("summary"))


def _texts(parts: object) -> str:
    if not isinstance(parts, list):
        return ""
    return "\n\n".join(
        part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]
    )


def call_id_of(item: dict[str, Any]) -> str:
    call_id = item.get("call_id")
    return call_id if isinstance(call_id, str) else ""


class CallIds:
    """Ids of an answer's calls, each its own: made up where the provider gives none or one twice."""

    def __init__(self, origin: Origin) -> None:
        self._request_id = origin.request_id
        self._taken: set[str] = set()

    def __len__(self) -> int:
        return len(self._taken)

    def take(self, call_id: str) -> str:
        if not call_id or call_id in self._taken:
            index = len(self._taken)
            numbered = f"{call_id}_{index}"
            call_id = numbered if call_id and numbered not in self._taken else made_up_id(self._request_id, index)
        self._taken.add(call_id)
        return call_id


def ordinary_arguments(text: str) -> str:
    """Arguments as JSON text of an object: `{}` for nothing, and undone where a provider encoded them twice."""
    if not text.strip():
        return "{}"
    if text.lstrip().startswith('"'):
        try:
            inner = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return text
        if isinstance(inner, str) and inner.lstrip().startswith("{"):
            return inner
        if not inner:
            return "{}"
    return "{}" if text.strip() == "null" else text


def is_object(text: str) -> bool:
    """Whether a call's arguments are JSON text of an object, half characters and control characters within strings too."""
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except (ValueError, RecursionError):
        return False


def image_of(item: dict[str, Any]) -> Image | None:
    """The picture of an `image_generation_call`."""
    result = item.get("result")
    if not isinstance(result, str) or not result:
        return None
    try:
        data = standard_base64(result)
    except ValueError:
        return None
    return Image(media_type=sniff_image(data) or f"image/{item.get('output_format') or 'png'}", data=data)


def error_of(source: object) -> tuple[str, int, str]:
    """(message, status, code) of an error object, or of something that holds one under `error`."""
    error = source
    if isinstance(error, dict):
        error = error.get("error") or error
    if not isinstance(error, dict):
        return (str(error)[:300] if error else "the provider reported an error"), 0, ""
    code = error.get("code") or error.get("type") or ""
    told = error.get("status")
    status = told if isinstance(told, int) else code if isinstance(code, int) else 0
    if not 400 <= status < 600:
        status = _STATUSES.get(str(code), 0)
    message = error.get("message") or code or "the provider reported an error"
    return str(message)[:300], status, "" if code == "error" else str(code)


def json_object(data: bytes) -> dict[str, Any]:
    """Empty for what is none."""
    try:
        value = msgspec.json.decode(data)
    except UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}
