"""Writes `docs/dialects.md` from the cells: `python -m tests.journeys.matrix.document [FILE]`. Same cells, same bytes."""

import sys
from pathlib import Path

from tests.journeys.matrix.cells import CALLERS, CASES, DROPPED, PROVIDERS, THOUGHTS_HIDDEN, Cell

DOCUMENT = Path("docs/dialects.md")
LETTERS = {"openai_chat": "C", "openai_responses": "R", "anthropic_messages": "A", "gemini": "G"}
NAMES = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
    "gemini": "generateContent",
    "ollama": "Ollama",
}

_HEAD = """\
# Dialects

Written by `python -m tests.journeys.matrix.document` from `tests/journeys/matrix/cells.py`; do not edit.

A caller of any dialect is served by a provider of any other. The path decides the caller's dialect, the provider's data
file or the node's `dialect` the provider's.

| caller's dialect | paths | proven with |
|---|---|---|
| Chat Completions (`openai_chat`) | `/v1/chat/completions` | OpenAI's SDK |
| Responses (`openai_responses`) | `/v1/responses`, `/v1/responses/input_tokens` | OpenAI's SDK |
| Messages (`anthropic_messages`) | `/v1/messages`, `/v1/messages/count_tokens` | Anthropic's SDK |
| generateContent (`gemini`) | `/v1beta/models/{model}:generateContent`, `:streamGenerateContent`, `:countTokens`; `/v1/…` too | Google's SDK |
| Ollama (`ollama`) | `/api/chat`, `/v1/api/chat` | plain HTTP |

No provider is asked in Ollama's dialect; its servers speak Chat Completions.

## One dialect on both sides

The body goes up as it came, but for the model's name, and the answer comes down as it came. Nothing is lost and nothing is
checked: what the provider refuses is the provider's word. One exception: a body that holds state of another provider (see
below) is read and written anew, since nobody but the gateway can read that state; unknown fields are then left out.

## Two dialects

The request is read into a form of no dialect and written in the provider's; the answer travels back the same way. What
cannot be said in the provider's dialect is treated by one of three rules.

- **It would change the answer's meaning, or its shape:** the target refuses, and the next one is tried. When none is left the
  caller gets 400 `unsupported_by_target` with the field's name: several answers (`n`), stop sequences at Responses, a tool that
  another provider runs, files that the dialect cannot hold, a picture that cannot be fetched.
- **It can be said in another way:** it is, with a note where something is lost: a system text in the middle goes as the user's
  words where the dialect has no place for it, a failed tool's result says so in words, an effort becomes a budget of tokens and
  back, names of tools that are too long or odd are made legal and restored in the answer.
- **It is a wish that the dialect does not know** (`seed`, `top_k`, cache marks …): it is left out with a note.

How a caller learns of it: the header `x-omniroute-dropped` lists the notes, separated by `; ` (1,000 bytes at most), and the
attempt in the ledger holds them as `dropped`. When headers went out early because a stream was slow to begin, only the ledger
has them. A count of tokens that the gateway estimated itself has the header `x-omniroute-estimated: true`.

### What each pair leaves out

Each caller set what its dialect has beside the usual; these are the notes it got.

"""

_STATE = """
What is more, and depends on the request:

- To **Messages**: `temperature` is held within 0 and 1 and left out while the model thinks, so is `top_k`; `temperature` goes
  before `top_p`; the budget of thinking is fitted below the limit; `max_tokens` is the model's own when none was asked.
- To **Responses**: the limit is 16 tokens at least; a budget of thinking becomes an effort; nothing is stored there, so
  `previous_response_id` is refused.
- To **generateContent**: five stop sequences at most; pictures by address are fetched, from public addresses only.
- To **Chat Completions**: four stop sequences at most; reasoning of earlier turns is left out, unless the provider asks for it.
- To **Ollama's callers**: signatures and citations; counts of cached tokens and of reasoning.

## Reasoning and its signatures

Thoughts come back as the caller's dialect shows them: `reasoning_content`, a `reasoning` item's summary, a `thinking` block,
parts with `thought`, `thinking`. Not shown are they between {hidden}: Chat Completions asks for an effort only, and these
providers show thoughts to those who ask for them.

What a provider signed must come back to it in the next turn, bytewise. It travels in the client's own history, in an envelope
that only the gateway makes and opens:

| caller | where |
|---|---|
| Chat Completions | `reasoning_details` of the message, `extra_content` of a tool call |
| Responses | `encrypted_content` of a reasoning item |
| Messages | `signature` of a thinking block, `data` of a redacted one |
| generateContent | `thoughtSignature` of the part |
| Ollama | nowhere |

A signature goes to nobody but who gave it. When a conversation moves to another provider, reasoning is left out with the note
`reasoning of another provider`, and the conversation goes on; so it does when a client kept words and calls only. One signature is
left out without a note: what Gemini puts on an answer's last text, for callers of Messages. Claude Code prints only what stands
last, and Gemini does not ask for that one again.

## The matrix

Each cell is a test through the started product: the caller's SDK on one side, on the other a provider that checks requests as
strictly as the real one and answers 400 with the reason. Text, tools' names and arguments, the reason for the end, usage,
errors and the row in the ledger are compared. Providers: C = Chat Completions, R = Responses, A = Messages,
G = generateContent. A number is a note below: the right answer is a refusal, or the cell cannot exist.

"""


def document() -> str:
    """The whole page as Markdown."""
    hidden = " and ".join(f"{NAMES[caller]} and {NAMES[provider]}" for caller, provider in sorted(THOUGHTS_HIDDEN))
    return _HEAD + _dropped() + _STATE.format(hidden=hidden) + _matrix()


def _dropped() -> str:
    rows = ["| caller | to | left out |\n|---|---|---|\n"]
    for (caller, provider), names in DROPPED.items():
        told = ", ".join(f"`{name}`" for name in names)
        rows.append(f"| {NAMES[caller]} | {NAMES[provider]} | {told} |\n")
    return "".join(rows)


def _matrix() -> str:
    notes: list[str] = []
    head = (
        "| case | asked | " + " | ".join(NAMES[caller] for caller in CALLERS) + " |\n|---|---|" + "---|" * len(CALLERS)
    )
    ways: dict[tuple[str, str], list[str]] = {}
    for case in CASES:
        squares = (_square([Cell(case, caller, one) for one in PROVIDERS], notes) for caller in CALLERS)
        row = (case.title.removesuffix(", streamed"), " | ".join(squares))
        ways.setdefault(row, []).append("streamed" if case.streams else "whole")
    rows = [f"| {title} | {', '.join(asked)} | {squares} |\n" for (title, squares), asked in ways.items()]
    listed = "".join(f"{number}. {note}\n" for number, note in enumerate(notes, 1))
    return head + "\n" + "".join(rows) + "\nNotes:\n\n" + listed


def _square(cells: list[Cell], notes: list[str]) -> str:
    """Of one caller and case: the providers that are proven, then the others with the number of their note."""
    proven = [LETTERS[cell.provider] for cell in cells if not cell.reason and not cell.refusal]
    others: dict[int, list[str]] = {}
    for cell in cells:
        note = f"Cannot be: {cell.reason}." if cell.reason else f"Refused: {cell.refusal}." if cell.refusal else ""
        if note:
            if note not in notes:
                notes.append(note)
            others.setdefault(notes.index(note) + 1, []).append(LETTERS[cell.provider])
    noted = [f"{' '.join(of)} [{at}]" if len(of) < len(cells) else f"[{at}]" for at, of in others.items()]
    return "; ".join([" ".join(proven)] * bool(proven) + noted)


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENT).write_text(document())
