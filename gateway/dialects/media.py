"""Inline pictures and files: base64 made standard, `data:` URLs, and what the first bytes say they are.

Bytes are kept as base64 text: nothing here decodes more than a header, but for the check that it is base64 at all.
"""

import re
from base64 import b64encode
from binascii import a2b_base64
from urllib.parse import unquote_to_bytes

_HEADER_CHARS = 64
_SIZE_CHARS = 128 * 1024
"""A JPEG tells its size after its thumbnails and colour profile: 96 KiB of bytes hold nearly all of them."""

_SPACE = re.compile(r"\s")
_URL_SAFE = str.maketrans("-_", "+/")
_START_OF_FRAME = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})

_NORMAL = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "image/x-ms-bmp": "image/bmp",
    "audio/mp3": "audio/mpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "application/x-pdf": "application/pdf",
}

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_BRANDS = {
    b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif",
    b"msf1": "image/heif",
}  # fmt: skip


def from_data_url(url: str) -> tuple[str, str] | None:
    """(media type, standard base64) of a `data:` URL (RFC 2397); None when it is none, or holds no good base64.

    Parameters such as `;charset=` are left out; data that is percent-encoded becomes base64. The type is what the URL
    says, `text/plain` if nothing: it may lie.
    """
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    if not comma:
        return None
    media_type, *parameters = (word.strip() for word in head.split(";"))
    kind = normal_media_type(media_type) or "text/plain"
    if not any(word.lower() == "base64" for word in parameters):
        return kind, b64encode(unquote_to_bytes(data)).decode()
    try:
        return kind, standard_base64(unquote_to_bytes(data).decode("ascii") if "%" in data else data)
    except ValueError:
        return None


def data_url(media_type: str, data: str) -> str:
    """A `data:` URL of standard base64."""
    return f"data:{media_type};base64,{data}"


def standard_base64(text: str) -> str:
    """Base64 with the standard alphabet and padding. Takes white space, the url-safe alphabet and missing padding.

    Raises ValueError for anything that is not base64.
    """
    if _SPACE.search(text):
        text = _SPACE.sub("", text)
    if "-" in text or "_" in text:
        text = text.translate(_URL_SAFE)
    if len(text) % 4 or text.endswith("="):
        text = text.rstrip("=")
        text += "=" * (-len(text) % 4)
    a2b_base64(text, strict_mode=True)
    return text


def normal_media_type(text: str) -> str:
    """The usual name of a media type, in lower case and without parameters: `image/jpg` is `image/jpeg`."""
    kind = text.partition(";")[0].strip().lower()
    return _NORMAL.get(kind, kind)


def sniff_image(data: str) -> str:
    """The media type of a picture by its first bytes, given as standard base64; empty when it is no picture we know."""
    head = _first_bytes(data, _HEADER_CHARS)
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "image/bmp"
    return _BRANDS.get(head[8:12], "") if head[4:8] == b"ftyp" else ""


def image_size(data: str) -> tuple[int, int] | None:
    """(width, height) in pixels that a picture's header tells, given as standard base64; None when it is not found."""
    kind = sniff_image(data)
    head = _first_bytes(data, _SIZE_CHARS if kind == "image/jpeg" else _HEADER_CHARS)
    size = _READ_SIZE[kind](head) if kind in _READ_SIZE else None
    return size if size is not None and min(size) > 0 else None


def _first_bytes(data: str, chars: int) -> bytes:
    """As many whole groups of four as there are. What is no base64 gives nothing."""
    piece = data[:chars]
    try:
        return a2b_base64(piece[: len(piece) // 4 * 4])
    except ValueError:
        return b""


def _png_size(head: bytes) -> tuple[int, int]:
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _gif_size(head: bytes) -> tuple[int, int]:
    return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """The three kinds of WebP (RFC 9649): lossy, lossless, extended."""
    match head[12:16]:
        case b"VP8 ":
            return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
        case _:
            return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """The frame header, found by stepping from segment to segment (ITU T.81, B.1.1.4)."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in _START_OF_FRAME:
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


_READ_SIZE = {
    "image/png": _png_size,
    "image/gif": _gif_size,
    "image/webp": _webp_size,
    "image/jpeg": _jpeg_size,
}
