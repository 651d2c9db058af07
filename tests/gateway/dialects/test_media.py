"""Inline pictures and files, in whatever spelling they come."""

import struct
from base64 import b64decode, b64encode, urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dialects.media import data_url, from_data_url, image_size, normal_media_type, sniff_image, standard_base64

CALM = settings(deadline=None, database=None, max_examples=200)


def base64(data: bytes) -> str:
    return b64encode(data).decode()


PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + bytes(5)
GIF = b"GIF89a" + struct.pack("<HH", 640, 480) + bytes(8)
LOSSY = b"RIFF\x00\x00\x00\x00WEBPVP8 " + bytes(4) + b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", 640, 480)
LOSSLESS = b"RIFF\x00\x00\x00\x00WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 639 | 479 << 14) + bytes(4)
EXTENDED = (
    b"RIFF\x00\x00\x00\x00WEBPVP8X"
    + bytes(8)
    + (639).to_bytes(3, "little")
    + (479).to_bytes(3, "little")
)  # fmt: skip
JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xe1\x40\x02" + bytes(0x4000)
    + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", 480, 640) + bytes(12)
)  # fmt: skip

PICTURES = [
    (PNG, "image/png"),
    (GIF, "image/gif"),
    (b"GIF87a" + GIF[6:], "image/gif"),
    (LOSSY, "image/webp"),
    (LOSSLESS, "image/webp"),
    (EXTENDED, "image/webp"),
    (JPEG, "image/jpeg"),
]


@pytest.mark.parametrize(("picture", "media_type"), PICTURES)
def test_a_picture_is_what_its_first_bytes_say_and_as_large_as_its_header_says(picture: bytes, media_type: str) -> None:
    assert sniff_image(base64(picture)) == media_type
    assert image_size(base64(picture)) == (640, 480)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"II*\x00" + bytes(20), "image/tiff"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), "image/heic"),
        (b"\x00\x00\x00\x18ftypavif" + bytes(20), "image/avif"),
        (b"BM" + bytes([90, 1, 0, 0]) + bytes(20), "image/bmp"),
        (b"BMW makes cars in Munich", ""),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ""),
        (b"<!doctype html>", ""),
        (b"%PDF-1.7", ""),
        (b"\x00\x00\x00\x18ftypisom" + bytes(20), ""),
        (b"RIFF\x00\x00\x00\x00WAVE", ""),
        (b"", ""),
    ],
)
def test_what_is_no_picture_is_not_called_one(data: bytes, media_type: str) -> None:
    assert sniff_image(base64(data)) == media_type


@CALM
@given(st.text(max_size=200) | st.binary(max_size=200).map(base64) | st.sampled_from(PICTURES).flatmap(
    lambda pair: st.integers(0, len(pair[0])).map(lambda end: base64(pair[0][:end]))))  # fmt: skip
def test_looking_at_anything_never_fails(data: str) -> None:
    sniff_image(data)
    size = image_size(data)
    assert size is None or min(size) > 0


@CALM
@given(st.binary(max_size=100), st.booleans(), st.booleans(), st.sampled_from(["", "\n", " \r\n\t"]))
def test_every_spelling_of_base64_becomes_the_standard_one(data: bytes, safe: bool, padded: bool, space: str) -> None:
    text = (urlsafe_b64encode if safe else b64encode)(data).decode()
    if not padded:
        text = text.rstrip("=")
    assert standard_base64(space + space.join(text[at : at + 7] for at in range(0, len(text), 7))) == base64(data)


@pytest.mark.parametrize("text", ["a", "abcde", "ab=c", "a b!", "äöü=", "https://example.com/a.png"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        standard_base64(text)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,aGk=", ("image/png", "aGk=")),
        ("DATA:IMAGE/JPG;BASE64,aGk", ("image/jpeg", "aGk=")),
        ("data:text/plain;charset=utf-8;base64,aGk=", ("text/plain", "aGk=")),
        ("data:image/png; base64 , aG\nk=", ("image/png", "aGk=")),
        ("data:image/png;base64,aGk%3D", ("image/png", "aGk=")),
        ("data:;base64,-_-_", ("text/plain", "+/+/")),
        ("data:,hello%20you", ("text/plain", base64(b"hello you"))),
        ("data:image/svg+xml,<svg/>", ("image/svg+xml", base64(b"<svg/>"))),
        ("data:image/png;base64,", ("image/png", "")),
    ],
)
def test_a_data_url_is_its_type_and_standard_base64(url: str, expected: tuple[str, str]) -> None:
    assert from_data_url(url) == expected


@pytest.mark.parametrize(
    "url", ["https://a/b", "", "data:image/png;base64", "data:image/png;base64,a", "data:x;base64,ä"]
)
def test_what_is_no_good_data_url_is_none(url: str) -> None:
    assert from_data_url(url) is None


def test_a_written_data_url_reads_as_it_was() -> None:
    assert from_data_url(data_url("image/png", base64(PNG))) == ("image/png", base64(PNG))
    assert b64decode(data_url("image/png", base64(PNG)).partition(",")[2]) == PNG


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("image/jpg", "image/jpeg"),
        ("IMAGE/PNG; q=1", "image/png"),
        (" audio/mp3", "audio/mpeg"),
        ("", ""),
        ("a/b", "a/b"),
    ],
)
def test_a_media_type_has_one_name(written: str, normal: str) -> None:
    assert normal_media_type(written) == normal
