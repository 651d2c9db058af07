"""Input items of a caller → turns. Items are flat on the wire; what the model did in one go becomes one assistant turn.

Items of tools that a provider ran itself keep what can be read of them; the calls of tools that a client runs (local
shell, patches, computer) become calls and results like any other.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import structs

from gateway.dialects.envelope import PREFIX, Envelopes
from gateway.dialects.fields import needed_text, text, wrong_type
from gateway.dialects.media import from_data_url
from gateway.dialects.openai_responses.carried import freed, is_signed, owner
from gateway.dialects.openai_responses.content import READ_PARTS, read_content
from gateway.domain.chat import (
    File,
    Image,
    Part,
    Refusal,
    Role,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.domain.errors import BadRequest

_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}

_UNREADABLE = {
    "item_reference": "items are not stored here: send the item itself instead of a reference to it",
    "compaction": "only the provider that made a compaction item can read it: send the items that it stands for",
    "compaction_summary": "only the provider that made a compaction item can read it: send the items that it stands for",
}
_NOTED = frozenset(
    {
        "web_search_call", "file_search_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response",
        "tool_search_call", "compaction_trigger", "configuration_update", "program", "program_output", "exec",
    }
)  # fmt: skip
"""Items of a provider's own tools that say nothing which the messages around them do not say."""

_encode = msgspec.json.Encoder().encode


class ReadInput(msgspec.Struct, frozen=True):
    """`tools` are definitions that came as items, each with its place."""

    turns: tuple[Turn, ...]
    tools: tuple[tuple[object, str], ...] = ()


def read_input(raw: object, envelopes: Envelopes, notes: list[str]) -> ReadInput:
    """`input`: a string is one user message. Raises BadRequest with the place of what cannot be read."""
    if isinstance(raw, str):
        return ReadInput((Turn("user", (Text(text=raw),)),))
    if raw is None:
        raise BadRequest("you must provide an input parameter", code="missing_input", param="input")
    if not isinstance(raw, list):
        raise BadRequest("input must be a string or an array of items", code="invalid_input", param="input")
    reader = _Reader(envelopes, notes)
    for index, item in enumerate(raw):
        reader.read(item, f"input[{index}]")
    return reader.done()


class _Reader:
    """Collects turns item by item."""

    def __init__(self, envelopes: Envelopes, notes: list[str]) -> None:
        self._envelopes = envelopes
        self._notes = notes
        self._turns: list[tuple[Role, list[Part]]] = []
        self._is_joining = False
        """Whether the last turn takes further items of its role: what one model answer or one round of results is."""
        self._tools: list[tuple[object, str]] = []
        self._carried: list[Signature] = []

    def done(self) -> ReadInput:
        for signature in self._carried:
            self._give_back(signature)
        return ReadInput(tuple(Turn(role, tuple(parts)) for role, parts in self._turns), tuple(self._tools))

    def read(self, item: object, at: str) -> None:
        if not isinstance(item, dict):
            raise wrong_type(at, "an object")
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if not isinstance(kind, str):
            raise wrong_type(f"{at}.type", "a string")
        read = _READ.get(kind)
        if read is not None:
            read(self, item, at)
        elif kind in _UNREADABLE:
            raise BadRequest(f"{at}: {_UNREADABLE[kind]}", code="unsupported_item", param=f"{at}.type")
        elif kind in _NOTED:
            self._notes.append(f"input item {kind}")
        else:
            raise BadRequest(f"{at}.type is not a known kind of item", code="invalid_value", param=f"{at}.type")

    def _message(self, item: dict[str, Any], at: str) -> None:
        name = needed_text(item, "role", f"{at}.")
        if name not in _ROLES:
            raise BadRequest(
                f"{at}.role must be user, assistant, system or developer", code="invalid_value", param=f"{at}.role"
            )
        parts: list[Part] = [*read_content(item.get("content"), f"{at}.content")]
        if _ROLES[name] == "assistant":
            self._add("assistant", *parts)
        else:
            self._turns.append((_ROLES[name], parts))
            self._is_joining = False

    def _function_call(self, item: dict[str, Any], at: str) -> None:
        self._add(
            "assistant",
            ToolCall(
                id=_call_id(item, at),
                name=needed_text(item, "name", f"{at}."),
                arguments=_arguments(item.get("arguments"), f"{at}.arguments"),
                namespace=text(item, "namespace", f"{at}."),
            ),
        )

    def _custom_call(self, item: dict[str, Any], at: str) -> None:
        self._add(
            "assistant",
            ToolCall(
                id=_call_id(item, at),
                name=needed_text(item, "name", f"{at}."),
                arguments=text(item, "input", f"{at}."),
                kind="custom",
                namespace=text(item, "namespace", f"{at}."),
            ),
        )

    def _result(self, item: dict[str, Any], at: str) -> None:
        self._add("user", ToolResult(call_id=_call_id(item, at), content=_output(item.get("output"), f"{at}.output")))

    def _client_call(self, item: dict[str, Any], at: str) -> None:
        """A call of a tool that is built in but runs at the client."""
        action = item.get("action") or item.get("actions") or item.get("operation") or {}
        name = item["type"].removesuffix("_call")
        self._add("assistant", ToolCall(id=_call_id(item, at), name=name, arguments=_encode(action).decode()))

    def _reasoning(self, item: dict[str, Any], at: str) -> None:
        data = text(item, "encrypted_content", f"{at}.")
        shown = _texts(item.get("content"), f"{at}.content") or _texts(item.get("summary"), f"{at}.summary")
        signature: Signature | None = None
        if data.startswith(PREFIX):
            signature = self._envelopes.open(data)
            if signature is None:
                self._notes.append("reasoning in an envelope that is not ours")
            elif owner(signature)[0]:
                self._carried.append(signature)
                return
            elif not is_signed(signature):
                signature = None
        elif data:
            signature = Signature(dialect="openai_responses", data=data, id=text(item, "id", f"{at}."))
        if shown or signature is not None:
            self._add("assistant", Thinking(text=shown, signature=signature, is_redacted=not shown))

    def _code(self, item: dict[str, Any], at: str) -> None:
        """A program that the provider ran: its text and what it printed."""
        outputs = item.get("outputs")
        logs = [
            str(output["logs"])
            for output in (outputs if isinstance(outputs, list) else ())
            if isinstance(output, dict) and output.get("logs")
        ]
        shown = "\n".join([text(item, "code", f"{at}."), *logs]).strip()
        self._notes.append("input item code_interpreter_call (as text)")
        if shown:
            self._add("assistant", Text(text=shown))

    def _mcp_call(self, item: dict[str, Any], at: str) -> None:
        self._notes.append("input item mcp_call (as text)")
        result = item.get("output") or item.get("error") or ""
        shown = result if isinstance(result, str) else _encode(result).decode()
        self._add("assistant", Text(text=f"{item.get('name') or 'tool'}({item.get('arguments') or ''})\n{shown}"))

    def _picture(self, item: dict[str, Any], at: str) -> None:
        data = text(item, "result", f"{at}.")
        if data:
            form = item.get("output_format")
            media_type = f"image/{form}" if isinstance(form, str) and form else "image/png"
            found = from_data_url(f"data:{media_type};base64,{data}")
            if found is None:
                raise wrong_type(f"{at}.result", "base64")
            self._add("assistant", Image(media_type=found[0], data=found[1]))

    def _added_tools(self, item: dict[str, Any], at: str) -> None:
        tools = item.get("tools")
        if not isinstance(tools, list):
            raise wrong_type(f"{at}.tools", "an array")
        self._tools += [(tool, f"{at}.tools[{index}]") for index, tool in enumerate(tools)]

    def _add(self, role: Role, *parts: Part) -> None:
        if self._is_joining and self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(parts)
        else:
            self._turns.append((role, list(parts)))
            self._is_joining = True

    def _give_back(self, signature: Signature) -> None:
        """To the call that it names, or to the last text before."""
        kind, call_id = owner(signature)
        for role, parts in reversed(self._turns):
            for index in range(len(parts) - 1, -1, -1) if role == "assistant" else ():
                part = parts[index]
                if (isinstance(part, ToolCall) and kind == "call" and part.id == call_id) or (
                    isinstance(part, Text) and kind == "text" and part.signature is None
                ):
                    parts[index] = structs.replace(part, signature=freed(signature))
                    return
        self._notes.append("a signature of what is no longer there")


_READ: Mapping[str, Callable[[_Reader, dict[str, Any], str], None]] = {
    "message": _Reader._message,
    "function_call": _Reader._function_call,
    "custom_tool_call": _Reader._custom_call,
    "function_call_output": _Reader._result,
    "custom_tool_call_output": _Reader._result,
    "reasoning": _Reader._reasoning,
    "local_shell_call": _Reader._client_call,
    "local_shell_call_output": _Reader._result,
    "shell_call": _Reader._client_call,
    "shell_call_output": _Reader._result,
    "apply_patch_call": _Reader._client_call,
    "apply_patch_call_output": _Reader._result,
    "computer_call": _Reader._client_call,
    "computer_call_output": _Reader._result,
    "code_interpreter_call": _Reader._code,
    "mcp_call": _Reader._mcp_call,
    "image_generation_call": _Reader._picture,
    "additional_tools": _Reader._added_tools,
    "tool_search_output": _Reader._added_tools,
}


def _call_id(item: dict[str, Any], at: str) -> str:
    """Local shell items have their call's id in `id`."""
    return text(item, "call_id", f"{at}.") or needed_text(item, "id" if item.get("id") else "call_id", f"{at}.")


def _arguments(raw: object, at: str) -> str:
    """JSON text; clients send the object itself now and then, or nothing."""
    if isinstance(raw, dict):
        return _encode(raw).decode()
    if raw is not None and not isinstance(raw, str):
        raise wrong_type(at, "a string of JSON")
    return raw if raw and raw.strip() else "{}"


def _output(raw: object, at: str) -> tuple[Text | Image | File, ...]:
    if isinstance(raw, str):
        return (Text(text=raw),) if raw else ()
    if isinstance(raw, list) and all(map(_is_part, raw)):
        return tuple(Text(text=part.text) if isinstance(part, Refusal) else part for part in read_content(raw, at))
    if isinstance(raw, dict) and isinstance(raw.get("image_url"), str):
        return tuple(
            part for part in read_content([raw | {"type": "input_image"}], at) if not isinstance(part, Refusal)
        )
    if raw is not None and not isinstance(raw, dict | list):
        raise wrong_type(at, "a string or an array of parts")
    return () if raw is None else (Text(text=_encode(raw).decode()),)


def _is_part(raw: object) -> bool:
    kind = raw.get("type") if isinstance(raw, dict) else None
    return isinstance(kind, str) and kind in READ_PARTS


def _texts(raw: object, at: str) -> str:
    if raw is None:
        return ""
    if not isinstance(raw, list):
        raise wrong_type(at, "an array")
    return "\n\n".join(
        part["text"] for part in raw if isinstance(part, dict) and isinstance(part.get("text"), str) and part["text"]
    )
