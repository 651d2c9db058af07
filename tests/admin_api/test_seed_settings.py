"""Settings under the seed's paths change what workers see."""

import pytest

from tests.support.admin_plane import published_snapshot


async def shaping(redis):
    return (await published_snapshot(redis)).settings.shaping


async def test_the_system_prompt_reaches_workers_and_is_kept_while_it_is_off(admin, redis):
    assert (await admin.get("/api/settings/system-prompt")).json()["enabled"] is False
    answer = await admin.put("/api/settings/system-prompt", json={"enabled": True, "prompt": "Be brief."})
    assert (answer.json()["enabled"], answer.json()["prompt"]) == (True, "Be brief.")
    assert (await shaping(redis)).system_prompt == "Be brief."
    await admin.patch("/api/settings", json={"shaping": {"guard": {"mode": "warn"}}})
    off = await admin.put("/api/settings/system-prompt", json={"enabled": False})
    assert (off.json()["enabled"], off.json()["prompt"]) == (False, "Be brief.")
    assert ((await shaping(redis)).system_prompt, (await shaping(redis)).guard.mode) == ("", "warn")
    await admin.put("/api/settings/system-prompt", json={"enabled": True})
    assert (await shaping(redis)).system_prompt == "Be brief."
    assert (await admin.put("/api/settings/system-prompt", json={"prompt": "x" * 50_001})).status_code == 400
    assert "systemPromptKept" not in (await admin.get("/api/settings")).text


async def test_a_prompt_that_is_nothing_cannot_be_switched_on(admin):
    assert (await admin.put("/api/settings/system-prompt", json={"enabled": True})).status_code == 400


async def test_the_thinking_budget_reaches_workers_in_its_parts(admin, redis):
    await admin.put("/api/settings/thinking-budget", json={"mode": "custom", "customBudget": 2048})
    answer = await admin.put("/api/settings/thinking-budget", json={"effortLevel": "high"})
    assert {name: answer.json()[name] for name in ("mode", "customBudget", "effortLevel")} == {
        "mode": "custom", "customBudget": 2048, "effortLevel": "high",
    }  # fmt: skip
    rule = (await shaping(redis)).thinking
    assert (rule.mode, rule.budget, rule.effort) == ("custom", 2048, "high")
    assert (await admin.get("/api/settings/thinking-budget")).json()["customBudget"] == 2048


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("thinking-budget", {"mode": "more"}),
        ("thinking-budget", {"customBudget": 131_073}),
        ("thinking-budget", {"customBudget": -1}),
        ("thinking-budget", {"budget": 1}),
        ("system-prompt", {"text": "x"}),
        ("require-login", {"requireLogin": False}),
        ("proxy", {"level": "combo", "id": "c", "proxy": "http://h:1"}),
        ("proxy", {"level": "key", "id": "k", "proxy": "http://h:1"}),
        ("proxy", {"combos": {"c": "http://h:1"}}),
        ("proxy", {"level": "global", "proxy": "ftp://h:1"}),
        ("proxy", {"level": "global", "proxy": "http://169.254.169.254:80"}),
        ("proxy", {"level": "provider", "proxy": "http://h:1"}),
        ("proxy", {"level": "provider", "id": "nobody", "proxy": "http://h:1"}),
        ("proxy", {"level": "global", "proxy": {"host": "h", "port": "many"}}),
    ],
)
async def test_what_makes_no_sense_is_refused_and_nothing_is_published(admin, redis, path, body):
    before = (await published_snapshot(redis)).revision
    method = "POST" if path == "require-login" else "PUT"
    assert (await admin.request(method, f"/api/settings/{path}", json=body)).status_code == 400
    assert (await published_snapshot(redis)).revision == before


async def test_who_saw_older_settings_is_told(admin):
    version = (await admin.get("/api/settings/thinking-budget")).json()["version"]
    assert (
        await admin.put("/api/settings/thinking-budget", json={"mode": "auto", "version": version})
    ).status_code == 200
    late = await admin.put("/api/settings/system-prompt", json={"prompt": "x", "version": version})
    assert (late.status_code, late.json()["error"]["version"] > version) == (409, True)
