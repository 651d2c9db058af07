"""Dialects tried out: `/api/translator/…`. What is given is translated by the gateway's own codecs; no provider is asked.

For a real request the dashboard gets a gateway key for ten minutes (`/api/translator/key`) and sends it as a client would. Its
rows are named `test: <user>`, and it is given no kept answer.
"""

from typing import Annotated, Any, Literal, get_args

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request
from admin_api.services.detect_dialect import detect
from admin_api.services.plane import Plane
from admin_api.services.tester_keys import issue_tester_key
from admin_api.services.translate import Translated, Untranslatable, translate_answer, translate_request
from gateway.domain.dialect import CallerDialect, ProviderDialect

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=900_000)]
_Model = Annotated[str, msgspec.Meta(max_length=512)]


class DetectBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A request or an answer, whole or a stream, as it is written."""

    text: _Text


class TranslateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A request goes from a caller's dialect to a provider's, an answer from a provider's to a caller's. `ollama` has callers only.

    `model` is its name at the provider, or the name that the caller asked for. `stream` counts for Gemini's requests.
    """

    source: CallerDialect
    target: CallerDialect
    text: _Text
    kind: Literal["request", "answer"] = "request"
    model: _Model = ""
    stream: bool = False


@post("/api/translator/detect", status_code=200)
async def detect_text(data: JSONBody[DetectBody]) -> dict[str, Any]:
    """`kind` and `dialect`, null when it is none that is known."""
    found = detect(data.text)
    return {"kind": found.kind if found else None, "dialect": found.dialect if found else None}


@post("/api/translator/translate", status_code=200)
async def translate(data: JSONBody[TranslateBody]) -> dict[str, Any]:
    """`text` as it would be sent, `notes` on what could not be said, `path` below the provider's base URL, of a request."""
    try:
        return _view(_translated(data))
    except Untranslatable as error:
        raise bad_request(("text", str(error))) from error


@post("/api/translator/key")
async def make_key(plane: NamedDependency[Plane]) -> Response[dict[str, Any]]:
    """A key for ten minutes of tests, with the limits of one who tries something out. The secret is in this answer only."""
    row, secret = await issue_tester_key(plane)
    body = {"id": row.id, "name": row.name, "key": secret, "expiresAt": row.expires_at}
    return saved(body, await plane.published(), status=201)


def _translated(data: TranslateBody) -> Translated:
    if data.kind == "request":
        return translate_request(
            data.text, data.source, _of_provider("target", data.target), data.model, is_stream=data.stream
        )
    return translate_answer(data.text, _of_provider("source", data.source), data.target, data.model)


def _of_provider(field: str, dialect: CallerDialect) -> ProviderDialect:
    for known in get_args(ProviderDialect):
        if known == dialect:
            return known  # type: ignore[no-any-return]  # get_args gives Any
    raise bad_request((field, "no provider speaks it"))


def _view(found: Translated) -> dict[str, Any]:
    return {
        "text": found.text,
        "path": found.path or None,
        "notes": found.notes,
        "toolNames": found.names,
        "isPassedOn": found.passed_on,
        "violations": found.violations,
    }


handlers = (detect_text, translate, make_key)
