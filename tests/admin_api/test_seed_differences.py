"""Every route and every setting of the seed system is here, or the documents say why not and what to do instead."""

import re
from pathlib import Path

import pytest

from admin_api.resources.settings import SettingsBody
from admin_api.services.seed_differences import ROUTES_ABSENT, SETTINGS_ELSEWHERE

ROUTES = """
POST /api/auth/login, POST /api/auth/logout, GET /api/auth/status, GET /api/settings, PATCH /api/settings, GET /api/settings/require-login,
POST /api/settings/require-login, GET /api/settings/combo-defaults, PATCH /api/settings/combo-defaults, GET /api/settings/proxy,
PUT /api/settings/proxy, DELETE /api/settings/proxy, POST /api/settings/proxy/test, GET /api/settings/ip-filter, PUT /api/settings/ip-filter,
GET /api/settings/system-prompt, PUT /api/settings/system-prompt, GET /api/settings/thinking-budget, PUT /api/settings/thinking-budget,
GET /api/settings/model-aliases, PUT /api/settings/model-aliases, POST /api/settings/model-aliases, DELETE /api/settings/model-aliases,
GET /api/settings/background-degradation, PUT /api/settings/background-degradation, POST /api/settings/background-degradation,
GET /api/providers, POST /api/providers, GET /api/providers/{}, PUT /api/providers/{}, DELETE /api/providers/{}, POST /api/providers/{}/test,
GET /api/providers/{}/models, POST /api/providers/validate, POST /api/providers/test-batch, GET /api/providers/client, GET /api/provider-nodes,
POST /api/provider-nodes, PUT /api/provider-nodes/{}, DELETE /api/provider-nodes/{}, POST /api/provider-nodes/validate, GET /api/provider-models,
POST /api/provider-models, DELETE /api/provider-models, GET /api/provider-metrics, GET /api/models, PUT /api/models, GET /api/models/alias,
PUT /api/models/alias, DELETE /api/models/alias, GET /api/models/catalog, GET /api/models/availability, POST /api/models/availability,
GET /api/models/openrouter-catalog, GET /api/combos, POST /api/combos, GET /api/combos/{}, PUT /api/combos/{}, DELETE /api/combos/{},
POST /api/combos/test, GET /api/combos/metrics, DELETE /api/combos/metrics, GET /api/combos/auto, POST /api/combos/auto, GET /api/fallback/chains,
POST /api/fallback/chains, DELETE /api/fallback/chains, GET /api/policies, POST /api/policies, GET /api/keys, POST /api/keys, GET /api/keys/{},
PATCH /api/keys/{}, DELETE /api/keys/{}, GET /api/pricing, PATCH /api/pricing, DELETE /api/pricing, GET /api/pricing/defaults, GET /api/pricing/models,
GET /api/usage/history, GET /api/usage/logs, GET /api/usage/request-logs, GET /api/usage/call-logs, GET /api/usage/call-logs/{},
GET /api/usage/proxy-logs, GET /api/usage/analytics, GET /api/usage/budget, POST /api/usage/budget, GET /api/usage/quota, GET /api/usage/{},
GET /api/rate-limits, POST /api/rate-limits, GET /api/rate-limit, POST /api/rate-limit, GET /api/resilience, PATCH /api/resilience,
POST /api/resilience/reset, GET /api/monitoring/health, DELETE /api/monitoring/health, GET /api/telemetry/summary, GET /api/token-health,
GET /api/sessions, GET /api/storage/health, GET /api/logs/console, GET /api/cache, DELETE /api/cache, GET /api/cache/stats, DELETE /api/cache/stats,
GET /api/compliance/audit-log, GET /api/evals, POST /api/evals, GET /api/evals/{}, POST /api/translator/detect, POST /api/translator/translate,
POST /api/translator/send, GET /api/translator/history, GET /api/translator/load, POST /api/translator/save, GET /api/oauth/{}/authorize,
GET /api/oauth/{}/device-code, POST /api/oauth/{}/exchange, POST /api/oauth/{}/poll, POST /api/oauth/cursor/import, GET /api/oauth/kiro/auto-import,
GET /api/cli-tools/{}, POST /api/cli-tools/{}, GET /api/db-backups, PUT /api/db-backups, POST /api/db-backups, GET /api/db-backups/export,
GET /api/db-backups/exportAll, POST /api/db-backups/import, GET /api/sync/cloud, POST /api/sync/cloud, GET /api/sync/initialize, GET /api/cloud/auth,
PUT /api/cloud/credentials/update, GET /api/cloud/model/resolve, GET /api/cloud/models/alias, PUT /api/cloud/models/alias, GET /api/init,
POST /api/restart, POST /api/shutdown, GET /api/mcp/status, GET /api/mcp/tools, GET /api/mcp/audit, GET /api/mcp/sse, GET /api/a2a/status,
GET /api/a2a/tasks, GET /api/acp/agents
"""
SETTINGS = """
requireLogin password setupComplete cloudEnabled fallbackStrategy stickyRoundRobinLimit comboDefaults providerOverrides requireAuthForModels
blockedProviders providerProfiles rateLimitDefaults thinkingBudget systemPrompt ipFilter wildcardAliases modelAliases backgroundDegradation
cliCompatProviders customAgents mcpEnabled mcpTransport a2aEnabled theme language instanceName hideHealthCheckLogs enableRequestLogs corsOrigins
logRetentionDays cloudUrl baseUrl enableSocks5Proxy
"""


def said_to_be_absent(method: str, path: str) -> bool:
    """Whether a line of the table holds the route."""
    for line in ROUTES_ABSENT:
        word, _, route = line.rpartition(" ")
        below = route.removesuffix("/*")
        if word in ("", method) and (path == below or path.startswith(f"{below}/")):
            return True
    return False


async def test_each_route_of_the_seed_is_here_or_is_told_to_be_absent(client):
    document = (await client.get("/api/openapi.json")).json()
    ours = {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path))
        for path, item in document["paths"].items()
        for method in item
    }
    seeds = [(method, path) for method, path in (line.split() for line in ROUTES.replace("\n", " ").split(","))]
    assert len(seeds) > 130
    wrong = [
        f"{method} {path}" for method, path in seeds if ((method, path) in ours) == said_to_be_absent(method, path)
    ]
    assert wrong == [], "here and told to be absent, or neither"


def test_each_setting_of_the_seed_is_taken_or_the_refusal_says_where_it_is():
    ours = set(SettingsBody.__struct_encode_fields__)
    named = set(SETTINGS.split())
    assert not ours & set(SETTINGS_ELSEWHERE)
    assert named <= ours | set(SETTINGS_ELSEWHERE)
    assert set(SETTINGS_ELSEWHERE) <= named


@pytest.mark.parametrize(
    ("name", "word"), [("comboDefaults", "/api/settings/combo-defaults"), ("password", "newPassword")]
)
async def test_a_setting_that_is_elsewhere_is_refused_with_the_place(admin, name, word):
    answer = await admin.patch("/api/settings", json={name: {}})
    assert answer.status_code == 400
    assert word in answer.json()["error"]["message"]


def test_the_page_tells_all_of_them():
    page = (Path(__file__).parents[2] / "docs/api.md").read_text()
    assert all(f"| `{name}` |" in page for name in (*ROUTES_ABSENT, *SETTINGS_ELSEWHERE))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/usage/analytics?range=forever", "range"), ("/api/keys?range=forever", "range"),
        (f"/api/usage/budget?apiKeyId={'x' * 200}", "apiKeyId"), ("/api/usage/logs?limit=0", "limit"),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_named_as_the_caller_names_it(admin, path, field):
    answer = await admin.get(path)
    assert answer.status_code == 400
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [field]
