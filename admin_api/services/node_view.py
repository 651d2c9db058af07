"""A node as the API shows it, with the seed's words for its dialect beside ours."""

from typing import Any

from admin_api.store.nodes import NodeRow


def node_view(row: NodeRow) -> dict[str, Any]:
    is_anthropic = row.dialect == "anthropic_messages"
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "baseUrl": row.base_url,
        "dialect": row.dialect,
        "type": "anthropic-compatible" if is_anthropic else "openai-compatible",
        "apiType": "responses" if row.dialect == "openai_responses" else "chat",
        "allowPrivate": row.allow_private,
        "managed": row.managed,
        "version": row.version,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }
