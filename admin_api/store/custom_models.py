"""Models that operators add to what is known of a provider."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from admin_api.store import tables
from admin_api.store.collection import Collection


class CustomModelRow(msgspec.Struct, frozen=True):
    """`id` is `provider/model`; `context` and `max_output` are tokens, 0 = not known."""

    id: str
    provider: str
    model: str
    name: str
    source: str
    context: int
    max_output: int
    created_at: float
    updated_at: float
    version: int = 1


_columns = tables.custom_models.c
custom_models = Collection(tables.custom_models, CustomModelRow)


def of_provider(provider: str) -> list[sa.ColumnElement[bool]]:
    """Those of one provider; all of them when it is empty."""
    return [_columns.provider == provider] if provider else []


async def load_models_of(connection: AsyncConnection, provider: str) -> list[CustomModelRow]:
    return await custom_models.load_all(connection, _columns.provider == provider)


def id_of_model(provider: str, model: str) -> str:
    return f"{provider}/{model}"
