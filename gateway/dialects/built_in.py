"""Tools that a provider runs itself, asked of a provider that cannot: what may be left out, and what must be refused."""

from gateway.dialects.codec import Unsupported
from gateway.domain.chat import BuiltInTool, ChatRequest
from gateway.domain.dialect import ProviderDialect


def own_tools(request: ChatRequest, dialect: ProviderDialect, notes: list[str]) -> tuple[BuiltInTool, ...]:
    """The built-in tools that are the dialect's own.

    Coding clients (Codex 0.169 seen) put a search of the web into every request: another dialect's is left out with a
    note when there are other tools and it was not chosen by name. Everything else of another dialect raises Unsupported.
    """
    own = []
    chosen = request.tool_choice.names if request.tool_choice is not None else ()
    for tool in request.built_in_tools:
        if tool.dialect == dialect:
            own.append(tool)
        elif _is_search(tool.type) and request.tools and tool.type not in chosen:
            notes.append(f"tool {tool.type}")
        else:
            raise Unsupported(f"the tool {tool.type} is run by another kind of provider", "tools")
    return tuple(own)


def _is_search(kind: str) -> bool:
    """`web_search`, `web_search_preview`, `web_search_20250305` …; Google's in either way of writing."""
    return kind.startswith("web_search") or kind in {"google_search", "googleSearch"}
