// Written by `make docs` from the admin API's document; do not edit.

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Paths that a method has, as the API's document writes them. */
export type PathOf<M extends Method> = keyof Bodies[M] & string;

/** By method and path: the body that is sent, `undefined` where there is none. */
export interface Bodies {
  GET: {
    '/api/admin-tokens': undefined;
    '/api/auth/sessions': undefined;
    '/api/auth/status': undefined;
    '/api/cache': undefined;
    '/api/cache/stats': undefined;
    '/api/combos': undefined;
    '/api/combos/metrics': undefined;
    '/api/combos/{combo_id}': undefined;
    '/api/compliance/audit-log': undefined;
    '/api/db-backups': undefined;
    '/api/db-backups/export': undefined;
    '/api/db-backups/exportAll': undefined;
    '/api/fallback/chains': undefined;
    '/api/keys': undefined;
    '/api/keys/{key_id}': undefined;
    '/api/live': undefined;
    '/api/logs/console': undefined;
    '/api/models': undefined;
    '/api/models/alias': undefined;
    '/api/models/availability': undefined;
    '/api/models/catalog': undefined;
    '/api/monitoring/health': undefined;
    '/api/policies': undefined;
    '/api/pricing': undefined;
    '/api/pricing/defaults': undefined;
    '/api/pricing/export': undefined;
    '/api/pricing/list': undefined;
    '/api/pricing/models': undefined;
    '/api/pricing/unknown': undefined;
    '/api/provider-metrics': undefined;
    '/api/provider-models': undefined;
    '/api/provider-nodes': undefined;
    '/api/provider-nodes/{node_id}': undefined;
    '/api/providers': undefined;
    '/api/providers/{connection_id}': undefined;
    '/api/providers/{connection_id}/models': undefined;
    '/api/rate-limit': undefined;
    '/api/rate-limits': undefined;
    '/api/resilience': undefined;
    '/api/sessions': undefined;
    '/api/settings': undefined;
    '/api/settings/combo-defaults': undefined;
    '/api/settings/ip-filter': undefined;
    '/api/settings/proxy': undefined;
    '/api/settings/require-login': undefined;
    '/api/settings/system-prompt': undefined;
    '/api/settings/thinking-budget': undefined;
    '/api/storage/health': undefined;
    '/api/telemetry/summary': undefined;
    '/api/token-health': undefined;
    '/api/usage/analytics': undefined;
    '/api/usage/budget': undefined;
    '/api/usage/call-logs': undefined;
    '/api/usage/call-logs/{record_id}': undefined;
    '/api/usage/courses': undefined;
    '/api/usage/history': undefined;
    '/api/usage/logs': undefined;
    '/api/usage/logs/{record_id}': undefined;
    '/api/usage/proxy-logs': undefined;
    '/api/usage/quota': undefined;
    '/api/usage/request-logs': undefined;
    '/api/usage/{connection_id}': undefined;
    '/api/users': undefined;
    '/api/users/{user_id}': undefined;
  };
  POST: {
    '/api/admin-tokens': TokenBody;
    '/api/auth/login': auth_LoginBody;
    '/api/auth/login-link': LinkBody;
    '/api/auth/logout': undefined;
    '/api/auth/logout-all': undefined;
    '/api/auth/password': PasswordBody;
    '/api/combos': ComboBody;
    '/api/combos/test': ComboTestBody;
    '/api/combos/{combo_id}/duplicate': CopyBody | null;
    '/api/db-backups': RestoreBody;
    '/api/db-backups/import': undefined;
    '/api/fallback/chains': ChainBody;
    '/api/keys': KeyBody;
    '/api/keys/{key_id}/rotate': RotateBody | null;
    '/api/models/availability': AvailabilityBody;
    '/api/policies': PolicyBody;
    '/api/pricing/import': ImportBody;
    '/api/provider-models': ModelBody;
    '/api/provider-nodes': NodeBody;
    '/api/provider-nodes/validate': NodeProbeBody;
    '/api/providers': ConnectionBody;
    '/api/providers/reorder': OrderBody;
    '/api/providers/test-batch': BatchBody;
    '/api/providers/validate': ValidateBody;
    '/api/providers/{connection_id}/test': ProbeBody | null;
    '/api/rate-limit': EnableBody;
    '/api/rate-limits': EnableBody;
    '/api/rate-limits/reset': rate_limits_ResetBody;
    '/api/resilience/reset': resilience_ResetBody;
    '/api/routing/simulate': SimulateBody;
    '/api/settings/proxy/test': ProxyTestBody;
    '/api/settings/require-login': seed_settings_LoginBody;
    '/api/translator/detect': DetectBody;
    '/api/translator/key': undefined;
    '/api/translator/translate': TranslateBody;
    '/api/usage/budget': BudgetBody;
    '/api/users': UserBody;
  };
  PUT: {
    '/api/combos/{combo_id}': ComboBody;
    '/api/db-backups': undefined;
    '/api/models': AliasBody;
    '/api/models/alias': AliasBody;
    '/api/provider-nodes/{node_id}': NodeBody;
    '/api/providers/{connection_id}': ConnectionBody;
    '/api/resilience': ResilienceBody;
    '/api/settings': Record<string, unknown>;
    '/api/settings/combo-defaults': ComboDefaultsBody;
    '/api/settings/ip-filter': FilterBody;
    '/api/settings/proxy': ProxyBody;
    '/api/settings/system-prompt': PromptBody;
    '/api/settings/thinking-budget': ThinkingBody;
  };
  PATCH: {
    '/api/keys/{key_id}': KeyBody;
    '/api/pricing': Record<string, Record<string, PriceBody>>;
    '/api/resilience': ResilienceBody;
    '/api/settings': Record<string, unknown>;
    '/api/settings/combo-defaults': ComboDefaultsBody;
    '/api/users/{user_id}': UserBody;
  };
  DELETE: {
    '/api/admin-tokens/{token_id}': undefined;
    '/api/auth/sessions/{session_id}': undefined;
    '/api/cache': undefined;
    '/api/cache/stats': undefined;
    '/api/combos/{combo_id}': undefined;
    '/api/db-backups/{backup_id}': undefined;
    '/api/fallback/chains': undefined;
    '/api/keys/{key_id}': undefined;
    '/api/models/alias': undefined;
    '/api/monitoring/health': undefined;
    '/api/pricing': undefined;
    '/api/provider-models': undefined;
    '/api/provider-nodes/{node_id}': undefined;
    '/api/providers/{connection_id}': undefined;
    '/api/settings/proxy': undefined;
    '/api/users/{user_id}': undefined;
  };
}

export interface AliasBody {
  alias?: string;
  pattern?: string;
  model?: string;
  target?: string;
  version?: number;
}

export interface AvailabilityBody {
  action: string;
  provider: string;
  model?: string;
}

export interface BanBody {
  ip: string;
  durationS?: number;
  reason?: string;
}

export interface BatchBody {
  mode: "provider" | "oauth" | "free" | "apikey" | "compatible" | "all";
  providerId?: string;
}

export interface BudgetBody {
  apiKeyId: string;
  dailyLimitUsd?: number | null;
  weeklyLimitUsd?: number | null;
  monthlyLimitUsd?: number | null;
  totalLimitUsd?: number | null;
  warningThreshold?: number;
  secondWarningThreshold?: number;
  version?: number;
}

export interface ChainBody {
  name?: string;
  models?: readonly (string)[];
  model?: string;
  chain?: readonly (string | ChainProvider)[];
  version?: number;
}

export interface ChainProvider {
  provider: string;
  priority?: number;
  enabled?: boolean;
}

export interface ComboBody {
  name?: string;
  models?: readonly (string | Record<string, unknown>)[];
  strategy?: "priority" | "weighted" | "round-robin" | "random" | "least-used" | "cost-optimized" | "latency";
  config?: Record<string, boolean | number | string>;
  isActive?: boolean;
  version?: number;
}

export interface ComboDefaultsBody {
  comboDefaults?: Record<string, boolean | number | string | null>;
  providerOverrides?: Record<string, unknown>;
  version?: number;
}

export interface ComboTestBody {
  comboName?: string;
  comboId?: string;
}

export interface ConnectionBody {
  provider?: string;
  name?: string;
  apiKey?: string;
  priority?: number;
  tier?: "subscription" | "api-key" | "cheap" | "free";
  rpm?: number;
  minGapMs?: number;
  maxConcurrency?: number;
  models?: readonly (string)[];
  fingerprint?: string;
  proxy?: string;
  isActive?: boolean;
  globalPriority?: number | null;
  defaultModel?: string | null;
  testStatus?: string | null;
  providerSpecificData?: Record<string, unknown> | null;
  displayName?: string | null;
  email?: string | null;
  healthCheckInterval?: number | null;
  rateLimitProtection?: boolean | null;
  authType?: string | null;
  version?: number;
}

export interface CopyBody {
  name?: string;
}

export interface DefaultsBody {
  requestsPerMinute?: number;
  minTimeBetweenRequests?: number;
  concurrentRequests?: number;
}

export interface DetectBody {
  text: string;
}

export interface EnableBody {
  connectionId: string;
  enabled: boolean;
}

export interface FilterBody {
  enabled?: boolean;
  mode?: "blacklist" | "whitelist" | "whitelist-priority";
  blacklist?: readonly (string)[];
  whitelist?: readonly (string)[];
  addBlacklist?: readonly (string)[] | string;
  removeBlacklist?: readonly (string)[] | string;
  addWhitelist?: readonly (string)[] | string;
  removeWhitelist?: readonly (string)[] | string;
  tempBan?: BanBody | null;
  removeBan?: string | null;
  rpm?: number;
  force?: boolean;
  version?: number;
}

export interface ImportBody {
  prices: readonly (PriceItem)[];
  version?: number;
}

export interface KeyBody {
  name?: string;
  allowedModels?: readonly (string)[] | null;
  noLog?: boolean;
  rpm?: number;
  tpm?: number;
  concurrency?: number;
  budgetUsd?: number;
  budgetPeriod?: "daily" | "weekly" | "monthly" | "total" | string;
  priority?: "interactive" | "agent" | "batch";
  strict?: boolean;
  cacheScope?: string;
  cache?: "" | "on" | "off";
  singleFlight?: "" | "on" | "off";
  storeBodies?: "" | "on" | "off";
  unshaped?: readonly ("system_prompt" | "thinking" | "guard" | "pii" | "defaults")[];
  expiresAt?: number;
  isActive?: boolean;
  allowedProviders?: readonly (string)[] | null;
  allowedEndpoints?: readonly (string)[] | null;
  allowedIps?: readonly (string)[] | null;
  warningThreshold?: number;
  secondBudgetUsd?: number;
  secondBudgetPeriod?: "daily" | "weekly" | "monthly" | "total" | string;
  secondWarningThreshold?: number;
  version?: number;
}

export interface LinkBody {
  code: string;
}

export interface ModelBody {
  provider: string;
  modelId: string;
  modelName?: string;
  source?: "manual" | "imported" | "auto-sync";
  apiFormat?: "chat-completions" | "responses" | null;
  supportedEndpoints?: readonly (string | unknown)[];
  contextLength?: number;
  maxOutput?: number;
  version?: number;
}

export interface NeedsBody {
  vision?: boolean;
  tools?: boolean;
  structured?: boolean;
  tokens?: number;
}

export interface NodeBody {
  id?: string;
  name?: string;
  prefix?: string;
  baseUrl?: string;
  dialect?: "openai_chat" | "openai_responses" | "anthropic_messages" | "gemini";
  type?: "openai-compatible" | "anthropic-compatible";
  apiType?: "chat" | "responses";
  allowPrivate?: boolean;
  version?: number;
}

export interface NodeProbeBody {
  baseUrl: string;
  apiKey?: string;
  dialect?: "openai_chat" | "openai_responses" | "anthropic_messages" | "gemini";
  type?: "openai-compatible" | "anthropic-compatible";
  apiType?: "chat" | "responses";
  allowPrivate?: boolean;
  model?: string;
}

export interface OrderBody {
  provider: string;
  ids: readonly (string)[];
}

export interface PasswordBody {
  currentPassword: string;
  newPassword: string;
}

export interface PolicyBody {
  action: string;
  identifier: string;
}

export interface PriceBody {
  input?: number | null;
  output?: number | null;
  cached?: number | null;
  cache_creation?: number | null;
  cache_read?: number | null;
  cache_write?: number | null;
  reasoning?: number | null;
  from?: number;
}

export interface PriceItem {
  input?: number | null;
  output?: number | null;
  cached?: number | null;
  cache_creation?: number | null;
  cache_read?: number | null;
  cache_write?: number | null;
  reasoning?: number | null;
  from?: number;
  model: string;
}

export interface ProbeBody {
  model?: string;
}

export interface PromptBody {
  enabled?: boolean;
  prompt?: string;
  version?: number;
}

export interface ProxyBody {
  level?: "global" | "provider" | "connection" | "combo" | "key" | null;
  id?: string;
  proxy?: string | ProxyParts | null;
  global?: string | ProxyParts | null;
  providers?: Record<string, string | ProxyParts | null>;
  combos?: Record<string, unknown>;
  keys?: Record<string, unknown>;
}

export interface ProxyParts {
  host: string;
  type?: "http" | "https" | "socks5" | "socks5h";
  port?: number | string | null;
  username?: string;
  password?: string;
}

export interface ProxyTestBody {
  proxy: string | ProxyParts;
  provider?: string;
}

export interface ResilienceBody {
  profiles?: Record<string, Record<string, unknown> | null>;
  rules?: Record<string, Record<string, unknown> | null>;
  defaults?: DefaultsBody | null;
}

export interface RestoreBody {
  backupId: string;
  acceptOtherSecrets?: boolean;
}

export interface RotateBody {
  overlapS?: number;
  version?: number;
}

export interface SimulateBody {
  model?: string;
  body?: Record<string, unknown> | null;
  keyId?: string;
  provider?: string;
  session?: string;
  needs?: NeedsBody | null;
  chance?: number | null;
  states?: StatesBody | null;
}

export interface StatesBody {
  isCalm?: boolean;
  rests?: Record<string, number>;
  speeds?: Record<string, number>;
  uses?: Record<string, number>;
  tickets?: Record<string, number>;
  spentTiers?: readonly (string)[];
}

export interface ThinkingBody {
  mode?: "off" | "passthrough" | "auto" | "custom" | "adaptive";
  customBudget?: number;
  effortLevel?: "none" | "low" | "medium" | "high";
  version?: number;
}

export interface TokenBody {
  name: string;
  role?: "owner" | "operator" | "viewer";
  scopes?: readonly (string)[];
  expiresAt?: number;
}

export interface TranslateBody {
  source: "openai_chat" | "openai_responses" | "anthropic_messages" | "gemini" | "ollama";
  target: "openai_chat" | "openai_responses" | "anthropic_messages" | "gemini" | "ollama";
  text: string;
  kind?: "request" | "answer";
  model?: string;
  stream?: boolean;
}

export interface UserBody {
  name?: string;
  role?: "owner" | "operator" | "viewer";
  password?: string;
  isActive?: boolean;
  version?: number;
}

export interface ValidateBody {
  provider: string;
  apiKey?: string;
  model?: string;
  fingerprint?: string;
  proxy?: string;
}

export interface auth_LoginBody {
  password: string;
  username?: string;
}

export interface rate_limits_ResetBody {
  ids?: readonly (string)[] | null;
}

export interface resilience_ResetBody {
  ids?: readonly (string)[] | null;
}

export interface seed_settings_LoginBody {
  requireLogin: boolean;
}
