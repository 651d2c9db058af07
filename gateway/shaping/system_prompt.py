"""The operator's prompt before the caller's: of all requests, then of the combo."""

from gateway.shaping.access import Access, Json


def prompt_of(everybodys: str, combos: object) -> str:
    """`combos` is what the combo's `config` says."""
    own = combos if isinstance(combos, str) else ""
    return f"{everybodys}\n\n{own}" if everybodys and own else everybodys or own


def add_prompt(access: Access, body: Json, prompt: str) -> bool:
    if not prompt:
        return False
    access.prepend_system(body, prompt)
    return True
