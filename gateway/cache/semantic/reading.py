"""A text as the guard reads it: its words in one form, in their order, and the few things that are not words.

Pure. A text that this cannot read (long, several lines, code) gives None, and what cannot be read is never a hit.
"""

import re
import unicodedata

import msgspec

from gateway.cache.semantic import words as w
from gateway.cache.semantic.turns_of_phrase import turned

MAX_CHARACTERS, MAX_WORDS = 400, 60

_TOKEN = re.compile(
    r"\d+(?:,\d{3})*(?:\.\d+)*(?:st|nd|rd|th)?\b|[^\W\d_]+(?:_[^\W\d_]+)*(?:'[^\W\d_]+)*(?:[+#]+(?!\w))?|\w+|[^\w\s]"
)
_SENTENCE_MARK = re.compile(r"[.?!,;:](?=\s|$)")
_UNREADABLE = re.compile(r"[\n\r\t{}<>\\|]|https?:")

Kind = str
"""What a text asks for: `what`, `who` … (its question word), `yesno`, `act` (an order), `bare` (neither)."""


class Reading(msgspec.Struct, frozen=True):
    """One text. `sequence` is its content in order, each word with its class; the other fields are compared beside it.

    `raw` is every term as written: all that counts when `is_verbatim` (words about words, quotations, no English).
    `forms` and `articles` belong to `sequence`: the word as written in lower case, and `a`, `the` or nothing before it.
    """

    kind: Kind
    sequence: tuple[str, ...]
    forms: tuple[str, ...]
    articles: tuple[str, ...]
    numbers: tuple[str, ...]
    negations: tuple[str, ...]
    modals: tuple[str, ...]
    time: str
    is_passive: bool
    is_verbatim: bool
    raw: tuple[str, ...]


_CLASS_OF = {word: min(group) for group in w.SYNONYM_GROUPS for word in group}


def are_synonyms(one: str, other: str) -> bool:
    """Whether the table says that one may stand for the other."""
    return one == other or (one in _CLASS_OF and _CLASS_OF[one] == _CLASS_OF.get(other))


def read(text: str) -> Reading | None:
    """None for what is too long, or is no plain sentence."""
    text = unicodedata.normalize("NFC", text).strip().translate(_QUOTES)
    if not text or len(text) > MAX_CHARACTERS or _UNREADABLE.search(text):
        return None
    tokens = _without_frame(_TOKEN.findall(_SENTENCE_MARK.sub(" \x1f ", text).replace("\x1f", _MARK)))
    if not tokens or len(tokens) > MAX_WORDS:
        return None
    raw = tuple(term for term in tokens if term != _MARK)
    if _is_verbatim(text, raw):
        return _verbatim(raw)
    return _plain(_spelled(tokens), raw)


_MARK = "¦"
_QUOTES = str.maketrans("\u2018\u2019\u201c\u201d\u00ab\u00bb", '\'\'""""')
"""Curly quotation marks and guillemets as straight ones."""


def _is_verbatim(text: str, raw: tuple[str, ...]) -> bool:
    """Whether only the very same words will do."""
    if '"' in text or "`" in text or " '" in text or not text.isascii():
        return True
    lower = {term.lower().partition("'")[0] for term in raw}
    plain = {term for term in raw if term not in w.CAPITAL_NAMES}
    is_about_words = {term.lower() for term in plain} & w.ABOUT_WORDS or raw[0].lower() in w.ORDERS_ABOUT_WORDS
    return bool(is_about_words or lower & w.NOT_ENGLISH or not lower & w.ENGLISH)


def _verbatim(raw: tuple[str, ...]) -> Reading:
    first = raw[0][:1].lower() + raw[0][1:]
    return Reading("", (), (), (), (), (), (), "", False, True, (first, *raw[1:]))


def _without_frame(tokens: list[str]) -> list[str]:
    """Without greetings, `please` and `could you` at the ends."""
    tokens = _trimmed(tokens)
    while True:
        before = len(tokens)
        lower = [term.lower() for term in tokens]
        for words in _OPENINGS:
            if tuple(lower[: len(words)]) == words and len(lower) > len(words) + 1:
                tokens = tokens[len(words) :]
                break
        else:
            tokens = _without_asking(tokens, lower)
        lower = [term.lower() for term in tokens]
        for words in _CLOSINGS:
            if tuple(lower[-len(words) :]) == words and len(lower) > len(words) + 1:
                tokens = tokens[: -len(words)]
                break
        tokens = _trimmed(tokens)
        if len(tokens) == before:
            return tokens


def _without_asking(tokens: list[str], lower: list[str]) -> list[str]:
    for words in _ASKS:
        if tuple(lower[: len(words)]) == words and len(lower) > len(words) and lower[len(words)] in w.ACTS:
            return tokens[len(words) :]
    return tokens


def _trimmed(tokens: list[str]) -> list[str]:
    start, end = 0, len(tokens)
    while start < end and tokens[start] == _MARK:
        start += 1
    while end > start and tokens[end - 1] == _MARK:
        end -= 1
    return tokens[start:end]


_OPENINGS = tuple(sorted((tuple(one.split()) for one in w.OPENINGS), key=len, reverse=True))
_CLOSINGS = tuple(sorted((tuple(one.split()) for one in w.CLOSINGS), key=len, reverse=True))
_ASKS = tuple(sorted((tuple(one.split()) for one in w.ASKS_TO_ACT), key=len, reverse=True))


def _spelled(tokens: list[str]) -> list[str]:
    """Contractions and possessives written out, capitals only where they tell words apart, phrases as one word."""
    out: list[str] = []
    for index, term in enumerate(tokens):
        before = out[-1] if out else ""
        out += _expanded(term, before, is_first=index == 0 or tokens[index - 1] == _MARK)
    return _possessives(_phrased(out))


def _expanded(term: str, before: str, *, is_first: bool) -> list[str]:
    lower = term.lower()
    stem, apostrophe, ending = lower.rpartition("'")
    if lower in ("cannot", "can't"):
        return ["can", "not"]
    if lower == "won't":
        return ["will", "not"]
    if lower.endswith("n't"):
        return [lower[:-3], "not"]
    if apostrophe and ending in ("re", "m", "ll", "ve"):
        return [stem, {"re": "are", "m": "am", "ll": "will", "ve": "have"}[ending]]
    if apostrophe and ending == "s":
        return [stem, "is"] if stem in w.BEFORE_IS else [_cased(term[: len(stem)], is_first=is_first), "'s"]
    if term == "%":
        return ["percent"]
    if lower in w.ORDINALS:
        return [w.ORDINALS[lower]]
    if lower[:1].isdigit() and lower[-2:] in ("st", "nd", "rd", "th"):
        return [lower[:-2] if before in w.MONTHS else lower]
    return [_cased(term, is_first=is_first)]


def _cased(term: str, *, is_first: bool) -> str:
    """Lower case, but for words that a capital changes (`US`), and for what may be a symbol (`MB`, `Mb`, `C`)."""
    lower = term.lower()
    if term == lower or lower in w.ENGLISH:
        return lower
    if lower in w.CASED and not is_first:
        return term
    if len(term) <= 2 and not is_first:
        return term
    return lower


def _phrased(tokens: list[str]) -> list[str]:
    lower = [term.lower() for term in tokens]
    for phrase, word in _PHRASES:
        for at in range(len(lower) - len(phrase), -1, -1):
            if lower[at] == phrase[0] and tuple(lower[at : at + len(phrase)]) == phrase:
                tokens[at : at + len(phrase)] = word
                lower[at : at + len(phrase)] = word
    return tokens


_PHRASES = tuple((tuple(phrase.split()), word.split()) for phrase, word in w.PHRASES)


def _possessives(tokens: list[str]) -> list[str]:
    """`japan 's largest city` is `largest city of japan`; the thing owned ends where the next small word stands."""
    while "'s" in tokens:
        at = tokens.index("'s")
        end = at + 1
        while end < len(tokens) and tokens[end] not in _ENDS_A_THING and tokens[end] != "'s":
            end += 1
        owner = at - 1
        while owner > 0 and tokens[owner - 1] not in _ENDS_A_THING:
            owner -= 1
        tokens = [*tokens[:owner], "the", *tokens[at + 1 : end], "of", *tokens[owner:at], *tokens[end:]]
    return tokens


_ENDS_A_THING = (
    w.QUESTION_WORDS | w.BE_NOW | w.BE_THEN | w.DO_NOW | w.DO_THEN | w.MODALS | w.ARTICLES.keys() | w.NEGATIONS
    | w.SCOPE_WORDS | w.ACTS | w.SMALL_WORDS
    | {_MARK}
)  # fmt: skip


def _plain(tokens: list[str], raw: tuple[str, ...]) -> Reading:
    tokens = _asked_first(tokens)
    lower = set(tokens)
    kind, tokens = turned(*_kind(tokens))
    time = "then" if lower & (w.BE_THEN | w.DO_THEN | {"had"}) else "now"
    has_be = bool(lower & (w.BE_NOW | w.BE_THEN))
    tokens = _numbered(_without_do(tokens))
    scope = bool(lower & w.SCOPE_WORDS)
    negations = [term for term in tokens if term in w.NEGATIONS]
    modals = [term for term in tokens if term in w.MODALS]
    is_not_apart = negations == ["not"] and not scope
    is_modal_apart = len(modals) == 1
    forms: list[str] = []
    articles: list[str] = []
    article = ""
    for index, term in enumerate(tokens):
        if term in w.ARTICLES:
            article = w.ARTICLES[term]
        elif _says_nothing(term, tokens[index - 1] if index else "") or (
            (term == "not" and is_not_apart) or (term in w.MODALS and is_modal_apart)
        ):
            continue
        else:
            forms.append(term)
            articles.append(article)
            article = ""
    forms, articles = _from_before_to(forms, articles)
    return Reading(
        kind=kind,
        sequence=tuple(_class_of(form) for form in forms),
        forms=tuple(forms),
        articles=tuple(articles),
        numbers=tuple(sorted(form for form in forms if form[:1].isdigit())),
        negations=tuple(sorted(negations)),
        modals=tuple(modals) if is_modal_apart else (),
        time=time,
        is_passive=has_be and any(_is_participle(form) for form in forms),
        is_verbatim=False,
        raw=raw,
    )


def _says_nothing(term: str, before: str) -> bool:
    """A mark, a form of `to be`, and the `there` after one."""
    return term == _MARK or term in _BE or (term == "there" and before in _BE)


_BE = w.BE_NOW | w.BE_THEN


def _asked_first(tokens: list[str]) -> list[str]:
    """`in python ¦ how do i …` is `how do i … in python`."""
    if tokens[0] in w.LEADING_PREPOSITIONS and _MARK in tokens:
        at = tokens.index(_MARK)
        rest = tokens[at + 1 :]
        if rest and _MARK not in rest and (rest[0] in w.QUESTION_WORDS or rest[0] in w.ACTS):
            return rest + tokens[:at]
    return tokens


def _kind(tokens: list[str]) -> tuple[Kind, list[str]]:
    """What is asked for, and the tokens without the words that only say so."""
    if tokens[0] in ("explain", "describe", "tell", "show", "say") and len(tokens) > 2:
        rest = tokens[2:] if tokens[1] == "me" else tokens[1:]
        if rest and rest[0] in w.QUESTION_WORDS:
            tokens = rest
    if (
        tokens[0] in ("in", "on", "at")
        and tokens[1:2] in (["what"], ["which"])
        and tokens[2:3]
        and tokens[2] in w.SPANS
    ):
        tokens = tokens[1:]
    first = tokens[0]
    if first in ("what", "which"):
        return "what", tokens[1:]
    if first == "how":
        return _how(tokens)
    if first in w.QUESTION_WORDS:
        return first, tokens[1:]
    if first in w.BE_NOW | w.BE_THEN | w.DO_NOW | w.DO_THEN | w.MODALS:
        return "yesno", tokens
    if first in w.ACTS or first in _CLASS_OF:
        return _act(tokens)
    return ("what" if first in w.ASKED_ALONE else "bare"), tokens


def _how(tokens: list[str]) -> tuple[Kind, list[str]]:
    """`how do i`, `how can i`, `how would i` and `how to` ask the same."""
    if tokens[1:2] == ["to"]:
        return "how to", tokens[2:]
    if len(tokens) > 2 and tokens[1] in ("do", "can", "would") and tokens[2] in ("i", "we"):
        return "how to", tokens[3:]
    return "how", tokens[1:]


def _act(tokens: list[str]) -> tuple[Kind, list[str]]:
    first, rest = tokens[0], tokens[1:]
    if rest[:1] == ["me"] and first in w.ACTS:
        rest = rest[1:]
    if (first in w.GIVES and rest[:1] == ["the"]) or first == "define":
        return "what", rest
    if first in ("calculate", "compute") and rest and (rest[0][:1].isdigit() or rest[0] in w.NUMBERS or "of" in rest):
        return "what", rest
    return "act", [first, *rest]


def _without_do(tokens: list[str]) -> list[str]:
    """The auxiliary goes, the verb stays: `what does x do`. An auxiliary comes first, or before `not`, or after the thing asked for."""
    for index, term in enumerate(tokens[:-1]):
        if term in w.DO_NOW or term in w.DO_THEN:
            return tokens[:index] + tokens[index + 1 :]
    return tokens


def _numbered(tokens: list[str]) -> list[str]:
    """Numbers in digits: `twenty five` is 25, `1,000` is 1000. A sign belongs to its number."""
    out: list[str] = []
    for term in tokens:
        value = w.NUMBERS.get(term)
        if value is not None:
            if out and out[-1] in _TENS and 0 < value < 10:
                out[-1] = str(int(out[-1]) + value)
            else:
                out.append(str(value))
        elif term[:1].isdigit():
            out.append(term.replace(",", ""))
        else:
            out.append(term)
    return out


_TENS = frozenset(str(number) for number in range(20, 100, 10))


def _from_before_to(forms: list[str], articles: list[str]) -> tuple[list[str], list[str]]:
    """`to y from x` is `from x to y`, where each stands once and nothing follows."""
    if forms.count("from") == 1 and forms.count("to") == 1 and forms.index("to") < forms.index("from"):
        to, from_ = forms.index("to"), forms.index("from")
        if from_ > to + 1 and not any(form in _ENDS_A_THING for form in forms[from_ + 1 :] + forms[to + 1 : from_]):
            order = [*range(to), *range(from_, len(forms)), *range(to, from_)]
            return [forms[at] for at in order], [articles[at] for at in order]
    return forms, articles


def _class_of(form: str) -> str:
    """The word for all words that may stand in its place; of others the singular."""
    known = _CLASS_OF.get(form)
    if known is not None:
        return known
    if len(form) > 3 and form.endswith("s") and not form.endswith(("ss", "us", "is")) and form.islower():
        return _singular(form)
    return form


def _singular(form: str) -> str:
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    if form.endswith(("ches", "shes", "xes", "sses", "zes", "oes")):
        return form[:-2]
    return form[:-1]


def _is_participle(form: str) -> bool:
    return form in w.IRREGULAR_PARTICIPLES or (len(form) > 4 and form.endswith("ed"))
