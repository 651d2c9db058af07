"""The five dashboards. What a metric means stands in docs/metrics.md; here is what to look at, and in which order."""

from deploy.dashboards.board import Board, Variable, line, percentiles, stat

PROVIDER = Variable("provider", "Provider", 'label_values(omniroute_attempts_total{namespace=~"$namespace"}, provider)')
MODEL = Variable(
    "model",
    "Model",
    'label_values({__name__=~"omniroute_(cost_usd|unpriced_tokens)_total",namespace=~"$namespace"}, model)',
)
KEY = Variable("key", "Key", 'label_values(omniroute_key_requests_total{namespace=~"$namespace"}, key)')

_RATE = "[$__rate_interval]"
_FAILED = (
    f'(sum(rate(omniroute_requests_total{{$where,status=~"5.."}}{_RATE})) or vector(0))'
    f' + (sum(rate(omniroute_requests_total{{$where,status!~"5..",error=~"stream_.+|provider_error_event"}}{_RATE})) or vector(0))'
)
_ALL = f"sum(rate(omniroute_requests_total{{$where}}{_RATE}))"
_ERROR_SHARE = f"({_FAILED}) / ({_ALL} > 0) or vector(0)"
_SAVED = f"sum(rate(omniroute_saved_usd_total{{$where}}{_RATE})) * 3600"


OVERVIEW = Board(
    "omniroute-overview",
    "OmniRoute / Overview",
    "Is it well, how fast are answers, what do they cost.",
    "",
    (
        (
            "",
            (
                stat("Requests", "Requests a second, answered or refused.", "reqps", _ALL),
                stat(
                    "Errors", "Share of requests that ended with 5xx or whose stream broke. What callers did wrong is none.",
                    "percentunit", _ERROR_SHARE, warn=0.001, bad=0.01, decimals=2,
                ),
                stat(
                    "Time to first token, p95", "Streams: from the request's head to the first useful byte.", "s",
                    "histogram_quantile(0.95, sum by (le) (rate(omniroute_first_byte_seconds_bucket"
                    f'{{$where,kind="stream"}}{_RATE})))', warn=3, bad=10,
                ),
                stat("Open streams", "Streamed answers being sent now.", "short", "sum(omniroute_open_streams{$where})"),
                stat(
                    "Cost an hour", "What providers' answers cost now, by the prices that are known.", "currencyUSD",
                    f"(sum(rate(omniroute_cost_usd_total{{$where}}{_RATE})) or vector(0)) * 3600", decimals=2,
                ),
                stat(
                    "Shared state", "1 while every worker reaches Redis or Valkey; at 0 limits are approximate.", "short",
                    "min(omniroute_redis_up{$where})", warn=1, bad=0,
                ),
            ),
        ),
        (
            "Requests",
            (
                line(
                    "Requests by status", "Requests a second by HTTP status; 499: the caller left.", "reqps",
                    (f"sum by (status) (rate(omniroute_requests_total{{$where}}{_RATE}))", "{{status}}"), stacks=True,
                ),
                line(
                    "Errors by cause", "Requests a second that ended with an error, by its code.", "reqps",
                    (f'sum by (error) (rate(omniroute_requests_total{{$where,error!=""}}{_RATE}))', "{{error}}"),
                ),
                line(
                    "Interrupted streams", "Streams that ended early, by whose fault.", "ops",
                    (f"sum by (side) (rate(omniroute_streams_interrupted_total{{$where}}{_RATE}))", "{{side}}"),
                ),
            ),
        ),
        (
            "Latency",
            (
                percentiles(
                    "Time to first token", "Streams: from the request's head to the first useful byte sent.",
                    "omniroute_first_byte_seconds", 'kind="stream"',
                ),
                percentiles(
                    "Duration, not streamed", "From the request's head to the end of its answer.",
                    "omniroute_request_duration_seconds", 'kind="unary"',
                ),
                percentiles(
                    "The gateway's own time", "Time to the first byte that no provider took: reading, limits, routing, waiting for a slot.",
                    "omniroute_overhead_seconds",
                ),
            ),
        ),
        (
            "Work",
            (
                line(
                    "Tokens a second", "By kind; cache reads are part of input, reasoning of output.", "short",
                    (f"sum by (kind) (rate(omniroute_tokens_total{{$where}}{_RATE}))", "{{kind}}"),
                ),
                line(
                    "Cost and savings an hour", "Money spent, and money that answers from the cache did not cost.", "currencyUSD",
                    (f"(sum(rate(omniroute_cost_usd_total{{$where}}{_RATE})) or vector(0)) * 3600", "spent"),
                    (f"({_SAVED}) or vector(0)", "saved"),
                ),
                line(
                    "Open", "Requests and streams being served.", "short",
                    ("sum(omniroute_open_requests{$where})", "requests"), ("sum(omniroute_open_streams{$where})", "streams"),
                ),
            ),
        ),
    ),
)  # fmt: skip

_AT = '$where,provider=~"$provider"'

PROVIDERS = Board(
    "omniroute-providers",
    "OmniRoute / Providers",
    "Who answers, how fast, who fails, and who is left alone for it.",
    "providers",
    (
        (
            "Calls",
            (
                line(
                    "Attempts by outcome", "Calls to providers a second: `committed` is an answer, everything else moved on or failed.", "ops",
                    (f"sum by (outcome) (rate(omniroute_attempts_total{{{_AT}}}{_RATE}))", "{{outcome}}"), stacks=True,
                ),
                line(
                    "Failed attempts", "Share of calls to a provider that brought no answer.", "percentunit",
                    (
                        (f'1 - (sum by (provider) (rate(omniroute_attempts_total{{{_AT},outcome="committed"}}{_RATE}))'
                        f" or 0 * sum by (provider) (rate(omniroute_attempts_total{{{_AT}}}{_RATE})))"
                        f" / (sum by (provider) (rate(omniroute_attempts_total{{{_AT}}}{_RATE})) > 0)"),
                        "{{provider}}",
                    ), most=1,
                ),
                line(
                    "Calls beyond the first", "Made after a failure, or refused to spare providers (the retry budget).", "ops",
                    (f"sum by (verdict) (rate(omniroute_retries_total{{$where}}{_RATE}))", "{{verdict}}"),
                ),
            ),
        ),
        (
            "Latency by provider",
            (
                percentiles(
                    "Time to first token", "Streams, by the provider that answered.", "omniroute_first_byte_seconds",
                    'provider=~"$provider",kind="stream"', "provider", width=12,
                ),
                percentiles(
                    "Duration", "Of requests that were not streamed.", "omniroute_request_duration_seconds",
                    'provider=~"$provider",kind="unary"', "provider", width=12,
                ),
            ),
        ),
        (
            "Throughput",
            (
                line(
                    "Requests", "Answered requests a second.", "reqps",
                    (f'sum by (provider) (rate(omniroute_requests_total{{{_AT},status="200"}}{_RATE}))', "{{provider}}"),
                ),
                line(
                    "Output tokens a second", "Written by providers, reasoning among them.", "short",
                    (f'sum by (provider) (rate(omniroute_tokens_total{{{_AT},kind="output"}}{_RATE}))', "{{provider}}"),
                ),
                line(
                    "Prompt cache", "Share of input tokens that a provider's own prompt cache served.", "percentunit",
                    (
                        (f'sum by (model) (rate(omniroute_prompt_cache_tokens_total{{$where,kind="read"}}{_RATE}))'
                        f' / (sum by (model) (rate(omniroute_prompt_cache_tokens_total{{$where,kind="input"}}{_RATE})) > 0)'),
                        "{{model}}",
                    ), most=1,
                ),
            ),
        ),
        (
            "Limits",
            (
                line(
                    "Left alone", "Targets by why: cooling down, breaker open, half open (the next request tries), ramping up again.", "short",
                    (f"sum by (provider, connection, state) (max by (provider, connection, state) (omniroute_resting{{{_AT}}}))",
                     "{{provider}} {{connection}} {{state}}"),
                ),
                line(
                    "Providers' own limits", "Used part of what providers tell of their limits.", "percentunit",
                    (f"max by (provider, connection, window) (omniroute_quota_used_ratio{{{_AT}}})",
                     "{{provider}} {{connection}} {{window}}"), warn=0.8, bad=0.95, most=1,
                ),
                line(
                    "Waiting for a slot", "Requests in line because a connection is at its limit, and calls under way.", "short",
                    ('sum(omniroute_queue_size{$where,queue="waiting_for_slots"})', "waiting"),
                    ('sum(omniroute_queue_size{$where,queue=~".*_calls"})', "calls"),
                ),
            ),
        ),
    ),
    (PROVIDER,),
)  # fmt: skip

_OF_MODEL = '$where,provider=~"$provider",model=~"$model"'
_OF_KEY = '$where,key=~"$key"'

COST = Board(
    "omniroute-cost",
    "OmniRoute / Keys and cost",
    "Who asks how much, what it costs, what was saved, which budgets go to their end.",
    "usage",
    (
        (
            "",
            (
                stat(
                    "Spent", "In the time that is shown.", "currencyUSD",
                    f"sum(increase(omniroute_cost_usd_total{{{_OF_MODEL}}}[$__range])) or vector(0)", decimals=2, width=6,
                ),
                stat(
                    "Saved by the cache", "In the time that is shown: what kept answers had cost.", "currencyUSD",
                    "sum(increase(omniroute_saved_usd_total{$where}[$__range])) or vector(0)", decimals=2, width=6,
                ),
                stat(
                    "Tokens without a price", "In the time that is shown; they cost nothing here, and no budget sees them.", "short",
                    f"sum(increase(omniroute_unpriced_tokens_total{{{_OF_MODEL}}}[$__range])) or vector(0)", warn=1, width=6,
                ),
                stat(
                    "Budget furthest used", "The largest used part of a key's budget.", "percentunit",
                    "max(omniroute_key_budget_used_ratio{$where}) or vector(0)", warn=0.8, bad=0.95, width=6,
                ),
            ),
        ),
        (
            "Cost",
            (
                line(
                    "By provider", "Money an hour.", "currencyUSD",
                    (f"sum by (provider) (rate(omniroute_cost_usd_total{{{_OF_MODEL}}}{_RATE})) * 3600", "{{provider}}"), stacks=True,
                ),
                line(
                    "By model", "Money an hour, the ten dearest. `other`: models that no configuration names.", "currencyUSD",
                    (f"topk(10, sum by (model) (rate(omniroute_cost_usd_total{{{_OF_MODEL}}}{_RATE})) * 3600)", "{{model}}"),
                ),
                line(
                    "By key", "Money an hour, the ten dearest.", "currencyUSD",
                    (f"topk(10, sum by (key) (rate(omniroute_key_cost_usd_total{{{_OF_KEY}}}{_RATE})) * 3600)", "{{key}}"),
                ),
            ),
        ),
        (
            "Keys",
            (
                line(
                    "Requests", "A second, the ten busiest keys.", "reqps",
                    (f"topk(10, sum by (key) (rate(omniroute_key_requests_total{{{_OF_KEY}}}{_RATE})))", "{{key}}"),
                ),
                line(
                    "Refused and failed", "Requests a second that were refused (4xx: limits, rights, mistakes) or failed.", "reqps",
                    (f'topk(10, sum by (key, result) (rate(omniroute_key_requests_total{{{_OF_KEY},result!="ok"}}{_RATE})))',
                     "{{key}} {{result}}"),
                ),
                line(
                    "Tokens", "A second, the ten busiest keys.", "short",
                    (f"topk(10, sum by (key, kind) (rate(omniroute_key_tokens_total{{{_OF_KEY}}}{_RATE})))", "{{key}} {{kind}}"),
                ),
                line(
                    "Budgets of keys", "Used part, those that are furthest.", "percentunit",
                    ('topk(10, max by (key, period) (omniroute_key_budget_used_ratio{$where,key=~"$key"}))', "{{key}} {{period}}"),
                    warn=0.8, bad=0.95, width=12,
                ),
                line(
                    "Budgets of tiers", "Used part of what subscriptions, API keys, cheap and free connections may cost.", "percentunit",
                    ("max by (tier) (omniroute_tier_budget_used_ratio{$where})", "{{tier}}"), warn=0.8, bad=0.95, width=12,
                ),
            ),
        ),
        (
            "Repeats",
            (
                line(
                    "Cache", "Cacheable requests a second by where their answer was; `miss`: a provider was asked.", "reqps",
                    (f"sum by (found) (rate(omniroute_cache_lookups_total{{$where}}{_RATE}))", "{{found}}"), stacks=True,
                ),
                line(
                    "Saved an hour", "Money, by how the kept or shared answer was found.", "currencyUSD",
                    (f"sum by (how) (rate(omniroute_saved_usd_total{{$where}}{_RATE})) * 3600", "{{how}}"),
                ),
                line(
                    "Usage counted here", "Answers a second whose provider told no usage: their cost is an estimate.", "ops",
                    (f"sum(rate(omniroute_estimated_usage_total{{$where}}{_RATE})) or vector(0)", "estimated"),
                ),
            ),
        ),
    ),
    (PROVIDER, MODEL, KEY),
)  # fmt: skip

RUNTIME = Board(
    "omniroute-runtime",
    "OmniRoute / Runtime",
    "Processes, load, queues, records on their way to the database.",
    "health",
    (
        (
            "",
            (
                stat("Processes down", "Of all instances.", "short", "count(omniroute_up{$where} == 0) or vector(0)", bad=1),
                stat("Draining", "Instances that are being stopped.", "short", "sum(omniroute_draining{$where})"),
                stat(
                    "Loop lag", "The largest delay of a worker's loop; above 0.1 s streams stutter.", "s",
                    "max(omniroute_event_loop_lag_seconds{$where})", warn=0.05, bad=0.1,
                ),
                stat(
                    "Record lag", "Age of the oldest record that is not in the database.", "s",
                    "max(omniroute_ledger_lag_seconds{$where})", warn=10, bad=60,
                ),
                stat(
                    "Records lost", "In the time that is shown; neither Redis nor the disk took them.", "short",
                    'sum(increase(omniroute_records_total{$where,path="lost"}[$__range]))', bad=1,
                ),
                stat("Revision", "The oldest configuration that a worker runs.", "none", "min(omniroute_snapshot_revision{$where})"),
            ),
        ),
        (
            "Processes",
            (
                line(
                    "CPU", "Cores used; a worker cannot use more than one.", "short",
                    (f"sum by (instance, process) (rate(omniroute_process_cpu_seconds_total{{$where}}{_RATE}))", "{{instance}} {{process}}"),
                ),
                line(
                    "Memory", "Resident, of all workers of an instance together, and of the admin process.", "bytes",
                    ("sum by (instance, process) (omniroute_process_memory_bytes{$where})", "{{instance}} {{process}}"),
                ),
                line(
                    "Open files", "Descriptors: a connection of a caller and one of a provider each.", "short",
                    ("sum by (instance, process) (omniroute_process_open_files{$where})", "{{instance}} {{process}}"),
                ),
                line(
                    "Restarts", "Processes and workers that ended and were started again.", "short",
                    ("sum by (process) (increase(omniroute_process_restarts_total{$where}[5m]))", "{{process}}"),
                    ("sum(increase(omniroute_worker_restarts_total{$where}[5m]))", "workers"),
                ),
                line(
                    "Loop lag", "By instance, the largest of its workers.", "s",
                    ("max by (instance) (omniroute_event_loop_lag_seconds{$where})", "{{instance}}"), warn=0.05, bad=0.1,
                ),
                line(
                    "Version", "Instances by version: two during an upgrade.", "short",
                    ("count by (version) (omniroute_build_info{$where})", "{{version}}"), stacks=True,
                ),
            ),
        ),
        (
            "Load",
            (
                line(
                    "Refused for too much work", "Requests a second, by class of key and why.", "reqps",
                    (f"sum by (class, reason) (rate(omniroute_shed_requests_total{{$where}}{_RATE}))", "{{class}} {{reason}}"),
                ),
                line(
                    "Refused keys and addresses", "Requests a second without a valid key, or from where nobody may come.", "reqps",
                    (f"sum by (reason) (rate(omniroute_auth_refusals_total{{$where}}{_RATE}))", "key: {{reason}}"),
                    (f"sum(rate(omniroute_address_refusals_total{{$where}}{_RATE})) or vector(0)", "address"),
                ),
                line(
                    "Queues", "What waits or is under way, the ten longest.", "short",
                    ('topk(10, sum by (queue) (omniroute_queue_size{$where,queue!~".*bytes"}))', "{{queue}}"),
                ),
                line(
                    "Caches", "Entries of bounded tables, the ten largest.", "short",
                    ('topk(10, sum by (cache) (omniroute_cache_size{$where,cache!~".*bytes"}))', "{{cache}}"),
                ),
                line(
                    "Memory of caches", "Kept answers and what waits to be sent, in workers.", "bytes",
                    ("sum(omniroute_cache_front_bytes{$where})", "kept answers"),
                    ('sum by (queue) (omniroute_queue_size{$where,queue=~".*bytes"})', "{{queue}}"),
                ),
                line(
                    "Folded series", "Changes a second that were counted under `other`, as there were too many label values.", "ops",
                    (f"sum by (metric) (rate(omniroute_folded_series_total{{$where}}{_RATE})) or vector(0)", "{{metric}}"),
                ),
            ),
        ),
        (
            "Control plane",
            (
                line(
                    "Records", "Handed over a second: to the stream, to the disk (Redis away or full), lost.", "ops",
                    (f"sum by (path) (rate(omniroute_records_total{{$where}}{_RATE}))", "{{path}}"),
                ),
                line(
                    "Records that wait", "In the stream, and set aside because they could not be read.", "short",
                    ("max(omniroute_ledger_waiting_records{$where})", "waiting"),
                    ("max(omniroute_ledger_rejected_records{$where})", "set aside"),
                ),
                line(
                    "Failing jobs", "Background jobs of the admin process that failed at their last run.", "short",
                    ("max by (name) (omniroute_job_failing{$where}) > 0 or max(omniroute_job_failing{$where})", "{{name}}"),
                ),
                line("Spool", "Records on disk that Redis has not yet.", "bytes", ("sum by (instance) (omniroute_spool_bytes{$where})", "{{instance}}")),
                line("Database", "1 while the admin process reaches it.", "short", ("min by (instance) (omniroute_sql_up{$where})", "{{instance}}"), most=1),
                line(
                    "Configurations refused", "Published configurations that workers could not use.", "short",
                    ("sum by (reason) (increase(omniroute_snapshot_failures_total{$where}[5m]))", "{{reason}}"),
                ),
            ),
        ),
    ),
)  # fmt: skip

VALKEY = Board(
    "omniroute-valkey",
    "OmniRoute / Valkey",
    "The state store (limits, records, what rests) and the cache store (kept answers), as the admin process and the workers see them.",
    "health",
    (
        (
            "",
            (
                stat("State store", "1 while it answers the admin process.", "short", 'max(omniroute_valkey_up{$where,store="state"})', warn=1, bad=0),
                stat("Cache store", "1 while it answers; without it everything is a miss.", "short", 'max(omniroute_valkey_up{$where,store="cache"}) or vector(0)', warn=1, bad=0),
                stat("Workers that reach it", "1 when all do.", "short", "min(omniroute_redis_up{$where})", warn=1, bad=0),
                stat(
                    "State store's memory", "Used part of what it may use; it refuses writes when it is full.", "percentunit",
                    'max(omniroute_valkey_memory_bytes{$where,store="state"}) / (max(omniroute_valkey_memory_limit_bytes{$where,store="state"}) > 0)'
                    " or vector(0)", warn=0.7, bad=0.9,
                ),
                stat("Round trip", "Of a ping to the state store.", "s", 'max(omniroute_valkey_ping_seconds{$where,store="state"})', warn=0.01, bad=0.05),
                stat("Writes to disk", "1 while the last one went well.", "short", "min(omniroute_valkey_persistence_ok{$where})", warn=1, bad=0),
            ),
        ),
        (
            "Workers' trips",
            (
                line(
                    "Failed trips", "Trips to the state store a second that failed or took longer than their budget (50 ms).", "ops",
                    (f"sum by (operation) (rate(omniroute_redis_errors_total{{$where}}{_RATE}))", "{{operation}}"),
                ),
                line(
                    "Local mode", "Share of time that workers were on their own, and times that they entered it.", "short",
                    (f"sum(rate(omniroute_local_mode_seconds_total{{$where}}{_RATE}))", "workers"),
                    ("sum by (cause) (increase(omniroute_redis_outages_total{$where}[5m]))", "entered: {{cause}}"),
                ),
                line(
                    "Trips under way", "To the state store and the cache store, of all workers.", "short",
                    ('sum by (queue) (omniroute_queue_size{$where,queue=~"redis_trips|cache_trips"})', "{{queue}}"),
                ),
            ),
        ),
        (
            "Servers",
            (
                line("Commands a second", "Of everybody who uses the server.", "ops", (f"max by (store) (rate(omniroute_valkey_commands_total{{$where}}{_RATE}))", "{{store}}")),
                line(
                    "Memory", "Used, and the most that may be used.", "bytes",
                    ("max by (store) (omniroute_valkey_memory_bytes{$where})", "{{store}}"),
                    ("max by (store) (omniroute_valkey_memory_limit_bytes{$where}) > 0", "{{store}} limit"),
                ),
                line("Round trips", "Of a ping.", "s", ("max by (store) (omniroute_valkey_ping_seconds{$where})", "{{store}}")),
                line("Clients", "Connections, and those refused in five minutes.", "short",
                     ("max by (store) (omniroute_valkey_clients{$where})", "{{store}}"),
                     ("max by (store) (increase(omniroute_valkey_refused_connections_total{$where}[5m]))", "{{store}} refused")),
                line("Keys", "In the server.", "short", ("max by (store) (omniroute_valkey_keys{$where})", "{{store}}")),
                line("Replicas", "Connected to the server that is written to.", "short", ("max by (store) (omniroute_valkey_replicas{$where})", "{{store}}")),
            ),
        ),
        (
            "Cache store",
            (
                line(
                    "Look-ups of keys", "By what came of them; of the state store most are scripts' own.", "ops",
                    (f"max by (store, result) (rate(omniroute_valkey_key_looks_total{{$where}}{_RATE}))", "{{store}} {{result}}"), width=12,
                ),
                line(
                    "Evicted keys, failed trips", "Of the cache store eviction is usual; of the state store there must be none.", "ops",
                    (f"max by (store) (rate(omniroute_valkey_evicted_keys_total{{$where}}{_RATE}))", "{{store}} evicted"),
                    (f"sum by (operation) (rate(omniroute_cache_failures_total{{$where}}{_RATE}))", "cache {{operation}} failed"), width=12,
                ),
            ),
        ),
    ),
)  # fmt: skip

BOARDS = (OVERVIEW, PROVIDERS, COST, RUNTIME, VALKEY)
