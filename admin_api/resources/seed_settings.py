"""Settings under the seed system's paths: `/api/settings/<name>`. Each is a view of what workers obey; none is only stored.

| path              | what it is here                                                                     |
|-------------------|-------------------------------------------------------------------------------------|
| require-login     | always true: the admin API always asks who you are                                  |
| combo-defaults    | options of combos that say nothing of their own, and the strategy of new ones         |
| system-prompt     | `shaping.system_prompt`                                                              |
| thinking-budget   | `shaping.thinking`                                                                   |
"""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from admin_api.http.answers import saved
from admin_api.http.errors import bad_request
from admin_api.http.versions import IfMatch, Version, check_version
from admin_api.services.combo_rules import options_problems
from admin_api.services.keep_settings import keep_settings, load_settings, version_of
from admin_api.services.plane import Plane
from admin_api.store.settings import SettingRow
from gateway.config.snapshot import Strategy
from gateway.domain.shaping import MOST_BUDGET, Shaping, ThinkingRule

KEPT_PROMPT = "systemPromptKept"
"""The text of a prompt that is switched off."""


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    require_login: bool


class ComboDefaultsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`comboDefaults` holds `strategy` and options of combos; what is left out keeps its value, null takes it away.

    `providerOverrides` must be empty: options of a combo are not looked at by provider.
    """

    combo_defaults: dict[str, bool | int | float | str | None] = {}
    provider_overrides: dict[str, Any] = {}
    version: Version | msgspec.UnsetType = msgspec.UNSET


class PromptBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out keeps its value."""

    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    prompt: Annotated[str, msgspec.Meta(max_length=50_000)] | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


class ThinkingBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`customBudget` (tokens) is for `custom`, `effortLevel` for `adaptive`. What is left out keeps its value."""

    mode: Literal["off", "passthrough", "auto", "custom", "adaptive"] | msgspec.UnsetType = msgspec.UNSET
    custom_budget: Annotated[int, msgspec.Meta(ge=0, le=MOST_BUDGET)] | msgspec.UnsetType = msgspec.UNSET
    effort_level: Literal["none", "low", "medium", "high"] | msgspec.UnsetType = msgspec.UNSET
    version: Version | msgspec.UnsetType = msgspec.UNSET


_Rows = dict[str, SettingRow]


@get("/api/settings/require-login")
async def get_require_login() -> dict[str, bool]:
    return {"requireLogin": True}


@post("/api/settings/require-login", status_code=200)
async def set_require_login(data: JSONBody[LoginBody]) -> dict[str, bool]:
    if not data.require_login:
        raise bad_request(("requireLogin", "cannot be switched off: the admin API always asks who you are"))
    return {"requireLogin": True}


@get("/api/settings/combo-defaults")
async def get_combo_defaults(plane: NamedDependency[Plane]) -> dict[str, Any]:
    return _combo_defaults(await _load(plane))


@patch("/api/settings/combo-defaults")
async def patch_combo_defaults(
    data: JSONBody[ComboDefaultsBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    return await _set_combo_defaults(data, plane, if_match)


@put("/api/settings/combo-defaults")
async def put_combo_defaults(
    data: JSONBody[ComboDefaultsBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    return await _set_combo_defaults(data, plane, if_match)


@get("/api/settings/system-prompt")
async def get_system_prompt(plane: NamedDependency[Plane]) -> dict[str, Any]:
    return _prompt(await _load(plane))


@put("/api/settings/system-prompt")
async def put_system_prompt(
    data: JSONBody[PromptBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    """Put before the prompt of every request. Switched off, its text is kept."""
    async with plane.change() as change:
        rows = await load_settings(change.connection)
        check_version(version_of(rows), if_match, data.version)
        before = _prompt(rows)
        text = before["prompt"] if data.prompt is msgspec.UNSET else data.prompt
        enabled = before["enabled"] if data.enabled is msgspec.UNSET else data.enabled
        if data.enabled is msgspec.UNSET and data.prompt is not msgspec.UNSET and not before["prompt"]:
            enabled = True
        if enabled and not text:
            raise bad_request(("prompt", "is missing"))
        shaping = {**_shaping(rows), "system_prompt": text if enabled else ""}
        await keep_settings(change, {"shaping": shaping, KEPT_PROMPT: "" if enabled else text})
        view = _prompt(await load_settings(change.connection))
    return saved(view, await plane.published(), version=view["version"])


@get("/api/settings/thinking-budget")
async def get_thinking_budget(plane: NamedDependency[Plane]) -> dict[str, Any]:
    return _thinking(await _load(plane))


@put("/api/settings/thinking-budget")
async def put_thinking_budget(
    data: JSONBody[ThinkingBody], plane: NamedDependency[Plane], if_match: IfMatch = None
) -> Response[dict[str, Any]]:
    named = {"mode": data.mode, "budget": data.custom_budget, "effort": data.effort_level}
    given = {name: value for name, value in named.items() if value is not msgspec.UNSET}
    async with plane.change() as change:
        rows = await load_settings(change.connection)
        check_version(version_of(rows), if_match, data.version)
        shaping = _shaping(rows)
        rule = {**shaping.get("thinking", {}), **given}
        await keep_settings(change, {"shaping": {**shaping, "thinking": rule}})
        view = _thinking(await load_settings(change.connection))
    return saved(view, await plane.published(), version=view["version"])


async def _set_combo_defaults(data: ComboDefaultsBody, plane: Plane, if_match: str | None) -> Response[dict[str, Any]]:
    if data.provider_overrides:
        raise bad_request(("providerOverrides", "options of a combo are not looked at by provider"))
    async with plane.change() as change:
        rows = await load_settings(change.connection)
        check_version(version_of(rows), if_match, data.version)
        before = rows["comboDefaults"].value if "comboDefaults" in rows else {}
        merged = {name: said for name, said in {**before, **data.combo_defaults}.items() if said is not None}
        _check_defaults(merged)
        await keep_settings(change, {"comboDefaults": merged})
        view = _combo_defaults(await load_settings(change.connection))
    return saved(view, await plane.published(), version=view["version"])


def _check_defaults(merged: dict[str, Any]) -> None:
    problems = [
        ("comboDefaults", problem)
        for problem in options_problems({name: said for name, said in merged.items() if name != "strategy"})
    ]
    try:
        msgspec.convert(merged.get("strategy", "priority"), Strategy)
    except msgspec.ValidationError as error:
        problems.append(("comboDefaults.strategy", str(error)))
    if problems:
        raise bad_request(*problems)


async def _load(plane: Plane) -> _Rows:
    async with plane.database.read() as connection:
        return await load_settings(connection)


def _combo_defaults(rows: _Rows) -> dict[str, Any]:
    defaults = rows["comboDefaults"].value if "comboDefaults" in rows else {}
    return {"comboDefaults": defaults, "providerOverrides": {}, "version": version_of(rows)}


def _shaping(rows: _Rows) -> dict[str, Any]:
    return dict(rows["shaping"].value) if "shaping" in rows else {}


def _prompt(rows: _Rows) -> dict[str, Any]:
    active = msgspec.convert(_shaping(rows), Shaping).system_prompt
    kept = rows[KEPT_PROMPT].value if KEPT_PROMPT in rows else ""
    return {"enabled": bool(active), "prompt": active or kept, "version": version_of(rows)}


def _thinking(rows: _Rows) -> dict[str, Any]:
    rule = msgspec.convert(_shaping(rows).get("thinking", {}), ThinkingRule)
    return {
        "mode": rule.mode,
        "customBudget": rule.budget,
        "effortLevel": rule.effort,
        "version": version_of(rows),
    }


handlers = (
    get_require_login,
    set_require_login,
    get_combo_defaults,
    patch_combo_defaults,
    put_combo_defaults,
    get_system_prompt,
    put_system_prompt,
    get_thinking_budget,
    put_thinking_budget,
)
