"""What the seed system's API has and this one has not, or has elsewhere: told in errors and in `docs/api.md`. Data only."""

SETTINGS_ELSEWHERE: dict[str, str] = {
    "a2aEnabled": "A2A is not served",
    "backgroundDegradation": "nothing here guesses which requests run in the background",
    "baseUrl": "the variable BASE_URL",
    "cliCompatProviders": "a connection's `fingerprint`",
    "cloudEnabled": "nothing is sent to a cloud: /api/db-backups moves what is here",
    "cloudUrl": "nothing is sent to a cloud: /api/db-backups moves what is here",
    "comboDefaults": "/api/settings/combo-defaults",
    "corsOrigins": "browsers of any origin may call the paths of callers, with a key and without cookies; none may call /api",
    "customAgents": "no programs of the machine are started from here",
    "enableRequestLogs": "the variable ENABLE_REQUEST_LOGS, or a key's `storeBodies`",
    "enableSocks5Proxy": "SOCKS5 proxies always work",
    "hideHealthCheckLogs": "health checks are not logged",
    "ipFilter": "/api/settings/ip-filter",
    "logRetentionDays": "`log_retention_days` in `logs`",
    "mcpEnabled": "MCP is not served",
    "mcpTransport": "MCP is not served",
    "modelAliases": "/api/models/alias",
    "password": "`currentPassword` and `newPassword`",
    "providerOverrides": "/api/settings/combo-defaults",
    "providerProfiles": "/api/resilience",
    "rateLimitDefaults": "/api/resilience",
    "requireAuthForModels": "lists of models ask for a key as all paths do (the variable REQUIRE_API_KEY)",
    "systemPrompt": "/api/settings/system-prompt",
    "thinkingBudget": "/api/settings/thinking-budget",
    "wildcardAliases": "/api/models/alias",
}
"""The seed's settings that `/api/settings` does not take: where they are, or why they are not."""

_NO_ACCOUNTS = "subscription accounts are not part of this version"
_NO_CLOUD = "it sent every secret to a server: backups and exports move what is here"

ROUTES_ABSENT: dict[str, str] = {
    "/api/a2a/*": "A2A is not served",
    "/api/acp/*": "no programs of the machine are started from here",
    "/api/cli-tools/*": "it wrote into files of the machine it ran on; the dashboard says what each client is told",
    "/api/cloud/*": _NO_CLOUD,
    "/api/combos/auto": "there it was kept in memory and routed nothing",
    "DELETE /api/combos/metrics": "they are sums of the ledger, which forgets nothing",
    "/api/evals": "it judged answers that the caller had sent",
    "/api/init": "a first start does by itself what it did",
    "/api/mcp/*": "MCP is not served",
    "/api/models/openrouter-catalog": "GET /api/providers/{connection_id}/models asks any provider for its list",
    "/api/oauth/*": _NO_ACCOUNTS,
    "/api/providers/client": "secrets never come out",
    "/api/restart": "SIGTERM ends all after a drain; whoever started it starts it again",
    "/api/settings/background-degradation": "nothing here guesses which requests run in the background",
    "/api/settings/model-aliases": "PUT /api/models/alias",
    "/api/shutdown": "SIGTERM ends all after a drain",
    "/api/sync/*": _NO_CLOUD,
    "/api/translator/history": "the log of requests is the history: GET /api/usage/logs",
    "/api/translator/load": "it kept five files on the machine; of what is tried out here nothing is kept",
    "/api/translator/save": "it kept five files on the machine; of what is tried out here nothing is kept",
    "/api/translator/send": "POST /api/translator/key gives a key for real requests",
}
"""The seed's routes that are not here, and why or what stands in their place. `*` = and all below."""
