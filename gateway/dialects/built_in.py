"""Tools that a provider runs itself, asked of a provider that cannot: refused by name, or left out where the client allows it."""

from gateway.dialects.codec import Unsupported
from gateway.domain.chat import BuiltInTool, ChatRequest
from gateway.domain.dialect import ProviderDialect


def own_tools(request: ChatRequest, dialect: ProviderDialect, notes: list[str]) -> tuple[BuiltInTool, ...]:
    """The built-in tools that are the dialect's own. Another dialect's raise Unsupported, or become a note."""
    own = []
    for tool in request.built_in_tools:
        if tool.dialect == dialect:
            own.append(tool)
        elif request.does_without_tools:
            notes.append(f"tool {tool.type}")
        else:
            raise Unsupported(
                f"the tool {tool.type!r} is run by another kind of provider; with the header "
                "'x-omniroute-unsupported-tools: drop' it is left out",
                "tools",
            )
    return tuple(own)
