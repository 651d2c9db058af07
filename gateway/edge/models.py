"""The lists of models: `GET /v1/models` and `/v1/models/{id}` in OpenAI's shape."""

import msgspec

from gateway.admission.permit import may_use
from gateway.domain.caller import Caller
from gateway.routing.catalog import Catalog
from gateway.routing.resolve import unknown_model


def list_models(catalog: Catalog, caller: Caller) -> bytes:
    """`{"object": "list", "data": [...]}` of what this key may use."""
    data = [_entry(name, owner) for name, owner in catalog.listed if may_use(caller, name)]
    return msgspec.json.encode({"object": "list", "data": data})


def get_model(catalog: Catalog, caller: Caller, model: str) -> bytes:
    """One model. Raises NotFound with near names."""
    for name, owner in catalog.listed:
        if name == model and may_use(caller, name):
            return msgspec.json.encode(_entry(name, owner))
    raise unknown_model(model, catalog)


def _entry(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": owner}
