"""Content parts of messages and tool results, both ways."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.dialects.codec import Unsupported
from gateway.dialects.fields import mapping, text, wrong_type
from gateway.dialects.media import data_url, from_data_url, normal_media_type, sniff_image
from gateway.domain.chat import Citation, File, Image, Part, Refusal, Text
from gateway.domain.errors import BadRequest

ContentPart = Text | Image | File | Refusal

_SOUND = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_SUFFIXES = {"application/pdf": ".pdf", "text/plain": ".txt", "text/csv": ".csv", "application/json": ".json"}


def read_content(raw: object, at: str) -> list[ContentPart]:
    """A string, or parts. Null is nothing."""
    if raw is None:
        return []
    if isinstance(raw, str):
        return [Text(text=raw)]
    if not isinstance(raw, list):
        raise wrong_type(at, "a string or an array of parts")
    return [_read_part(part, f"{at}[{index}]") for index, part in enumerate(raw)]


def _read_part(raw: object, at: str) -> ContentPart:
    if isinstance(raw, str):
        return Text(text=raw)
    if not isinstance(raw, dict):
        raise wrong_type(at, "an object")
    kind = raw.get("type")
    read = READ_PARTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise BadRequest(f"{at}.type is not a known kind of content", code="invalid_value", param=f"{at}.type")
    return read(raw, at + ".")


def _read_text(raw: dict[str, Any], at: str) -> Text:
    if not isinstance(raw.get("text"), str):
        raise wrong_type(f"{at}text", "a string")
    annotations = raw.get("annotations")
    return Text(text=raw["text"], citations=read_annotations(annotations) if annotations else ())


def _read_refusal(raw: dict[str, Any], at: str) -> Refusal:
    return Refusal(text=text(raw, "refusal", at))


def _read_image(raw: dict[str, Any], at: str) -> Image | File:
    """`image_url` is a string here; some clients send the object of Chat Completions."""
    nested = raw.get("image_url")
    url = text(nested, "url", f"{at}image_url.") if isinstance(nested, dict) else text(raw, "image_url", at)
    detail = text(nested, "detail", at) if isinstance(nested, dict) else text(raw, "detail", at)
    if not url:
        file_id = text(raw, "file_id", at)
        if not file_id:
            raise BadRequest(f"{at}image_url must be given", code="missing_field", param=f"{at}image_url")
        return File(media_type="image/*", file_id=file_id)
    if url[:5].lower() != "data:":
        return Image(url=url, detail=detail)
    found = from_data_url(url)
    media_type = sniff_image(found[1]) if found else ""
    if found is None or not media_type:
        raise BadRequest(
            f"{at}image_url holds no picture in base64 that we know", code="invalid_image", param=f"{at}image_url"
        )
    return Image(media_type=media_type, data=found[1], detail=detail)


def _read_file(raw: dict[str, Any], at: str) -> File:
    nested = raw.get("file")
    fields = nested if isinstance(nested, dict) else raw
    name = text(fields, "filename", at)
    data = text(fields, "file_data", at)
    if data:
        found = from_data_url(data) or from_data_url(f"data:application/pdf;base64,{data}")
        if found is None:
            raise BadRequest(f"{at}file_data is not base64", code="invalid_value", param=f"{at}file_data")
        return File(media_type=found[0], data=found[1], name=name)
    url, file_id = text(fields, "file_url", at), text(fields, "file_id", at)
    if not url and not file_id:
        raise BadRequest(f"{at}file_data must be given", code="missing_field", param=f"{at}file_data")
    return File(url=url, file_id="" if url else file_id, name=name)


def _read_sound(raw: dict[str, Any], at: str) -> File:
    sound = mapping(raw, "input_audio", at)
    form = text(sound, "format", f"{at}input_audio.")
    found = from_data_url(f"data:{_SOUND.get(form, f'audio/{form}')};base64,{text(sound, 'data', f'{at}input_audio.')}")
    if found is None:
        raise BadRequest(f"{at}input_audio.data is not base64", code="invalid_value", param=f"{at}input_audio.data")
    return File(media_type=found[0], data=found[1])


READ_PARTS: Mapping[str, Callable[[dict[str, Any], str], ContentPart]] = {
    "input_text": _read_text,
    "output_text": _read_text,
    "text": _read_text,
    "summary_text": _read_text,
    "refusal": _read_refusal,
    "input_image": _read_image,
    "image_url": _read_image,
    "computer_screenshot": _read_image,
    "input_file": _read_file,
    "file": _read_file,
    "input_audio": _read_sound,
}
"""The last three of each kind are spellings that clients use though the reference has another one."""


def read_annotations(raw: object) -> tuple[Citation, ...]:
    """What is no citation is left out: annotations come from anybody."""
    found = (citation_of(value) for value in (raw if isinstance(raw, list) else ()))
    return tuple(citation for citation in found if citation is not None)


def citation_of(raw: object) -> Citation | None:
    """A citation of a page or a file; None for other annotations."""
    if not isinstance(raw, dict) or raw.get("type") not in _CITING:
        return None
    start = raw.get("start_index", raw.get("index"))
    end = raw.get("end_index", raw.get("index"))
    return Citation(
        url=str(raw.get("url") or ""),
        title=str(raw.get("title") or raw.get("filename") or raw.get("file_id") or ""),
        start=start if isinstance(start, int) else -1,
        end=end if isinstance(end, int) else -1,
    )


_CITING = ("url_citation", "file_citation", "container_file_citation")


def annotation_of(citation: Citation, length: int) -> dict[str, object]:
    """`length`: characters of the text so far, where a citation points that does not say its place."""
    start = citation.start if citation.start >= 0 else length
    end = citation.end if citation.end >= 0 else length
    if not citation.url:
        return {"type": "file_citation", "file_id": "", "filename": citation.title, "index": end}
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "url": citation.url,
        "title": citation.title,
    }


def write_content(parts: Sequence[Part], at: str) -> list[dict[str, Any]]:
    """Parts of a user message or a tool result. Empty texts are left out. Raises Unsupported for what has no form."""
    written = [_write_part(part, at) for part in parts if not (isinstance(part, Text) and not part.text)]
    return [part for part in written if part]


def _write_part(part: Part, at: str) -> dict[str, Any]:
    if isinstance(part, Text | Refusal):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, Image):
        url = part.url or data_url(part.media_type or sniff_image(part.data) or "image/png", part.data)
        return {"type": "input_image", "image_url": url} | ({"detail": part.detail} if part.detail else {})
    return _write_file(part, at) if isinstance(part, File) else {}


def _write_file(file: File, at: str) -> dict[str, Any]:
    kind = normal_media_type(file.media_type)
    if file.text:
        return {"type": "input_text", "text": f"{file.name}\n\n{file.text}" if file.name else file.text}
    if file.file_id and kind.startswith("image/"):
        return {"type": "input_image", "file_id": file.file_id}
    if kind in ("audio/mpeg", "audio/wav") and file.data:
        form = "mp3" if kind == "audio/mpeg" else "wav"
        return {"type": "input_audio", "input_audio": {"data": file.data, "format": form}}
    if kind.startswith(("audio/", "video/")):
        raise Unsupported(f"this model's wire format takes no {kind}", at)
    if file.data:
        name = file.name or f"file{_SUFFIXES.get(kind, '')}"
        url = data_url(kind or "application/octet-stream", file.data)
        return {"type": "input_file", "filename": name, "file_data": url}
    if file.url:
        return {"type": "input_file", "file_url": file.url}
    return {"type": "input_file", "file_id": file.file_id}
