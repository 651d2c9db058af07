"""One question in several grammars: `what is the height of x` and `how tall is x`. Pure, over lower-case tokens.

A turn is here only when both ways of asking have the same answer whatever the other words are.
"""

from gateway.cache.semantic import words as w

_BE = w.BE_NOW | w.BE_THEN
_ANYBODY = frozenset(["i", "you", "one", "we"])


def turned(kind: str, tokens: list[str]) -> tuple[str, list[str]]:
    """The question in its one form. `tokens` are without the question word."""
    tokens = _without_anybody(kind, tokens)
    if kind == "what":
        kind, tokens = _of_what(tokens)
    elif kind == "how":
        tokens = _of_how(tokens)
    elif kind == "who":
        tokens = _of_who(tokens)
    elif kind == "where" and tokens and tokens[-1] in ("located", "situated"):
        tokens = tokens[:-1]
    return kind, tokens


def _without_anybody(kind: str, tokens: list[str]) -> list[str]:
    """`how often should i`, `how often should you` and `should one` ask the same."""
    if kind in ("how", "what", "when", "where") and "should" in tokens[:-1]:
        at = tokens.index("should") + 1
        at += tokens[at] == "not" and at + 1 < len(tokens)
        if tokens[at] in _ANYBODY:
            return tokens[:at] + tokens[at + 1 :]
    return tokens


def _of_what(tokens: list[str]) -> tuple[str, list[str]]:
    core = tokens[1:] if tokens and tokens[0] in _BE else tokens
    if len(core) > 3 and core[0] == "the" and core[1] in w.ATTRIBUTES and core[2] == "of":
        return "how", [w.ATTRIBUTES[core[1]], *core[3:]]
    if len(tokens) > 3 and tokens[1] in ("does", "do") and tokens[-1] == "have":
        return "what", [tokens[0], "of", *tokens[2:-1]]
    if len(tokens) > 3 and tokens[1] in _BE and tokens[2] == "the" and tokens[3].endswith("est"):
        return "what", [tokens[1], "the", tokens[3], tokens[0], *tokens[4:]]
    if core and core[0][:1].isdigit() and core.count("in") == 1 and len(core) > core.index("in") + 1:
        return "act", ["convert", *("to" if term == "in" else term for term in core)]
    return "what", tokens


def _of_how(tokens: list[str]) -> list[str]:
    if len(tokens) > 4 and tokens[0] == "many" and tokens[2] in ("does", "do") and tokens[-1] == "have":
        return [*tokens[:2], "in", *tokens[3:-1]]
    if tokens[:1] == ["long"] and tokens[-1] == "for":
        return tokens[:-1]
    return tokens


def _of_who(tokens: list[str]) -> list[str]:
    if len(tokens) > 4 and tokens[0] == "is" and tokens[1] == "the" and tokens[2] in w.MAKERS and tokens[3] == "of":
        return [w.MAKERS[tokens[2]], *tokens[4:]]
    return tokens
