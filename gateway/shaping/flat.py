"""A text as a pattern should see it: letters that only look different are the plain ones, invisible characters are gone."""

import unicodedata
from array import array

_INVISIBLE = dict.fromkeys(
    [0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF,
     *range(0xFE00, 0xFE10), *range(0xE0000, 0xE0080)]
)  # fmt: skip
_LATIN = {
    "aeopcyxijsdqhw": [0x430, 0x435, 0x43E, 0x440, 0x441, 0x443, 0x445, 0x456, 0x458, 0x455, 0x501, 0x51B, 0x4BB, 0x51D],
    "ABEKMHOPCTXIJS": [0x410, 0x412, 0x415, 0x41A, 0x41C, 0x41D, 0x41E, 0x420, 0x421, 0x422, 0x425, 0x406, 0x408, 0x405],
    "aoivptABEHIKMNOPTXZ": [
        0x3B1, 0x3BF, 0x3B9, 0x3BD, 0x3C1, 0x3C4, 0x391, 0x392, 0x395, 0x397, 0x399, 0x39A, 0x39C, 0x39D, 0x39F, 0x3A1,
        0x3A4, 0x3A7, 0x396,
    ],
    "'''\"\"\"": [0x2018, 0x2019, 0x201A, 0x201C, 0x201D, 0x201E],
}  # fmt: skip
_LOOKALIKES = {code: plain for plains, codes in _LATIN.items() for plain, code in zip(plains, codes, strict=True)}
"""Cyrillic and Greek letters that look Latin, and quotation marks."""


def flat(text: str) -> tuple[str, "array[int] | None"]:
    """The plain text, and the place of each of its characters in `text`; None = they are the same places."""
    if text.isascii():
        return text, None
    letters: list[str] = []
    places = array("I")
    for place, letter in enumerate(text):
        if letter < "\x80":
            plain = letter
        elif ord(letter) in _INVISIBLE:
            continue
        else:
            plain = unicodedata.normalize("NFKC", letter).translate(_LOOKALIKES)
        letters.append(plain)
        places.extend([place] * len(plain))
    places.append(len(text))
    return "".join(letters), places
