"""Every table, as the newest migration leaves it. Instants are unix seconds, money is integer nano-dollars.

A change here needs a migration beside it; a test compares the two.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

settings = sa.Table(
    "settings",
    metadata,
    sa.Column("name", sa.String(100), primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

provider_nodes = sa.Table(
    "provider_nodes",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("prefix", sa.String(100), nullable=False, unique=True),
    sa.Column("dialect", sa.String(40), nullable=False),
    sa.Column("base_url", sa.String(2048), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("allow_private", sa.Boolean, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

provider_connections = sa.Table(
    "provider_connections",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("provider", sa.String(100), nullable=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("api_key", sa.Text, nullable=False),
    sa.Column("api_key_hint", sa.String(40), nullable=False),
    sa.Column("priority", sa.BigInteger, nullable=False),
    sa.Column("tier", sa.String(40), nullable=False),
    sa.Column("rpm", sa.BigInteger, nullable=False),
    sa.Column("min_gap_ms", sa.BigInteger, nullable=False),
    sa.Column("max_concurrency", sa.BigInteger, nullable=False),
    sa.Column("models", sa.JSON, nullable=False),
    sa.Column("fingerprint", sa.String(100), nullable=False),
    sa.Column("proxy", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("extra", sa.JSON, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
    sa.UniqueConstraint("provider", "name", name="provider_connections_natural"),
)

combos = sa.Table(
    "combos",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False, unique=True),
    sa.Column("models", sa.JSON, nullable=False),
    sa.Column("strategy", sa.String(40), nullable=False),
    sa.Column("config", sa.JSON, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("pattern", sa.String(400), primary_key=True),
    sa.Column("target", sa.String(400), nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

fallback_chains = sa.Table(
    "fallback_chains",
    metadata,
    sa.Column("name", sa.String(400), primary_key=True),
    sa.Column("models", sa.JSON, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("hint", sa.String(40), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.Column("allowed_models", sa.JSON, nullable=False),
    sa.Column("rpm", sa.BigInteger, nullable=False),
    sa.Column("tpm", sa.BigInteger, nullable=False),
    sa.Column("concurrency", sa.BigInteger, nullable=False),
    sa.Column("budget_nano_usd", sa.BigInteger, nullable=False),
    sa.Column("budget_period", sa.String(20), nullable=False),
    sa.Column("priority", sa.String(20), nullable=False),
    sa.Column("is_strict", sa.Boolean, nullable=False),
    sa.Column("is_no_log", sa.Boolean, nullable=False),
    sa.Column("cache_scope", sa.String(100), nullable=False),
    sa.Column("cache", sa.String(10), nullable=False, server_default=""),
    sa.Column("single_flight", sa.String(10), nullable=False, server_default=""),
    sa.Column("store_bodies", sa.String(10), nullable=False, server_default=""),
    sa.Column("allowed_providers", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("allowed_endpoints", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("allowed_ips", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("warn_share", sa.Double, nullable=False, server_default="0.8"),
    sa.Column("second_budget_nano_usd", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("second_budget_period", sa.String(20), nullable=False, server_default=""),
    sa.Column("second_warn_share", sa.Double, nullable=False, server_default="0.8"),
    sa.Column("counted_as", sa.String(64), nullable=False, server_default=""),
    sa.Column("old_digest", sa.String(64), nullable=False, server_default=""),
    sa.Column("old_until", sa.Double, nullable=False, server_default="0"),
    sa.Column("unshaped", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
)

custom_models = sa.Table(
    "custom_models",
    metadata,
    sa.Column("id", sa.String(600), primary_key=True),
    sa.Column("provider", sa.String(100), nullable=False, index=True),
    sa.Column("model", sa.String(400), nullable=False),
    sa.Column("name", sa.String(400), nullable=False),
    sa.Column("source", sa.String(40), nullable=False),
    sa.Column("context", sa.BigInteger, nullable=False),
    sa.Column("max_output", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

connection_tests = sa.Table(
    "connection_tests",
    metadata,
    sa.Column("connection_id", sa.String(100), primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("is_valid", sa.Boolean, nullable=False),
    sa.Column("type", sa.String(40), nullable=False),
    sa.Column("source", sa.String(20), nullable=False),
    sa.Column("code", sa.String(40), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("latency_ms", sa.Double, nullable=False),
    sa.Column("proxy", sa.String(2100), nullable=False, server_default=""),
    sa.Column("proxy_level", sa.String(20), nullable=False, server_default=""),
    sa.Column("models", sa.JSON, nullable=False, server_default="[]"),
)

sa.Index("ix_api_keys_created", api_keys.c.created_at, api_keys.c.id)

key_tombstones = sa.Table(
    "key_tombstones",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False, index=True),
    sa.Column("removed_at", sa.Double, nullable=False),
)

prices = sa.Table(
    "prices",
    metadata,
    sa.Column("id", sa.String(440), primary_key=True),
    sa.Column("model", sa.String(400), nullable=False),
    sa.Column("valid_from", sa.Double, nullable=False),
    sa.Column("input", sa.Double),
    sa.Column("output", sa.Double),
    sa.Column("cache_read", sa.Double),
    sa.Column("cache_write", sa.Double),
    sa.Column("reasoning", sa.Double),
    sa.Column("managed", sa.Boolean, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("model", "valid_from", name="prices_natural"),
)

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False),
    sa.Column("last_login_at", sa.Double, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("updated_at", sa.Double, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="1"),
)

first_start = sa.Table(
    "first_start",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("sealed_password", sa.Text, nullable=False),
    sa.Column("sealed_key", sa.Text, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(100), nullable=False, index=True),
    sa.Column("address", sa.String(100), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)

admin_tokens = sa.Table(
    "admin_tokens",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("expires_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("last_used_at", sa.Double, nullable=False, server_default="0"),
    sa.Column("created_by", sa.String(200), nullable=False, server_default=""),
)

revision = sa.Table(
    "revision",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("origin", sa.String(40), nullable=False),
    sa.Column("value", sa.BigInteger, nullable=False),
)

request_records = sa.Table(
    "request_records",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("dialect", sa.Text, nullable=False),
    sa.Column("requested_model", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Column("key_id", sa.String(200), nullable=False),
    sa.Column("key_name", sa.Text, nullable=False),
    sa.Column("combo", sa.Text, nullable=False),
    sa.Column("provider", sa.String(200), nullable=False),
    sa.Column("connection_id", sa.String(200), nullable=False),
    sa.Column("model", sa.String(400), nullable=False),
    sa.Column("is_stream", sa.Boolean, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("input_tokens", sa.BigInteger, nullable=False),
    sa.Column("output_tokens", sa.BigInteger, nullable=False),
    sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
    sa.Column("cache_write_tokens", sa.BigInteger, nullable=False),
    sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
    sa.Column("is_estimated", sa.Boolean, nullable=False),
    sa.Column("cost_nano_usd", sa.BigInteger),
    sa.Column("attempts", sa.Text, nullable=False),  # JSON, written as it comes
    sa.Column("first_byte_ms", sa.Double),
    sa.Column("duration_ms", sa.Double, nullable=False),
    sa.Column("bytes_in", sa.BigInteger, nullable=False),
    sa.Column("bytes_out", sa.BigInteger, nullable=False),
    sa.Column("routing", sa.Text),  # JSON
    sa.Column("cache", sa.String(20), nullable=False, server_default=""),
    sa.Column("saved_input_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("saved_output_tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("saved_nano_usd", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("noted", sa.Integer, nullable=False, server_default="0"),  # of its attempts: PROXIED + REFUSED
)

sa.Index("ix_request_records_key", request_records.c.key_id, request_records.c.at)
sa.Index("ix_request_records_provider", request_records.c.provider, request_records.c.at)
sa.Index("ix_request_records_connection", request_records.c.connection_id, request_records.c.at)
sa.Index("ix_request_records_model", request_records.c.model, request_records.c.at)
_HAS_COMBO = sa.text("combo <> ''")
sa.Index(
    "ix_request_records_combo",
    request_records.c.combo,
    request_records.c.at,
    sqlite_where=_HAS_COMBO,
    postgresql_where=_HAS_COMBO,
)
_HAS_FAILED = sa.text("status >= 400 OR error <> ''")
sa.Index("ix_request_records_failed", request_records.c.at, sqlite_where=_HAS_FAILED, postgresql_where=_HAS_FAILED)

_NOTED, _REFUSED = sa.text("noted > 0"), sa.text("noted >= 2")
sa.Index("ix_request_records_noted", request_records.c.at, sqlite_where=_NOTED, postgresql_where=_NOTED)
sa.Index("ix_request_records_refused", request_records.c.at, sqlite_where=_REFUSED, postgresql_where=_REFUSED)

usage_sums = sa.Table(
    "usage_sums",
    metadata,
    sa.Column("kind", sa.String(20), primary_key=True),
    sa.Column("span", sa.String(1), primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(700), primary_key=True),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in (
            "requests",
            "errors",
            "estimated",
            "input_tokens",
            "output_tokens",
            "cache_read_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "cost_nano_usd",
            "unpriced",
            "cached",
            "saved_input_tokens",
            "saved_output_tokens",
            "saved_nano_usd",
        )
    ),
    sqlite_with_rowid=False,
)
"""Sums of spans of time (`usage_sums.py` says which), of all requests, a provider, a model (`provider/model`), … ."""

latency_counts = sa.Table(
    "latency_counts",
    metadata,
    sa.Column("span", sa.String(1), primary_key=True),
    sa.Column("at", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("provider", sa.String(200), primary_key=True),
    sa.Column("measure", sa.String(20), primary_key=True),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

usage_tops = sa.Table(
    "usage_tops",
    metadata,
    sa.Column("days", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(700), nullable=False),
    sa.Column("sums", sa.Text, nullable=False),
    sa.Column("as_of", sa.Double, nullable=False),
)

rejected_records = sa.Table(
    "rejected_records",
    metadata,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

request_bodies = sa.Table(
    "request_bodies",
    metadata,
    sa.Column("id", sa.String(100), primary_key=True),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("asked_bytes", sa.BigInteger, nullable=False),
    sa.Column("answered", sa.Text, nullable=False),
    sa.Column("answered_bytes", sa.BigInteger, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
)
"""`id` is the record's. `size`: bytes of both texts as they are stored."""

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("at", sa.Double, nullable=False, index=True),
    sa.Column("actor_kind", sa.String(20), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("actor_id", sa.String(100), nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("address", sa.String(100), nullable=False),
    sa.Column("action", sa.String(100), nullable=False),
    sa.Column("kind", sa.String(60), nullable=False),
    sa.Column("object_id", sa.String(400), nullable=False, index=True),
    sa.Column("object_name", sa.String(400), nullable=False),
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Column("revision", sa.BigInteger, nullable=False),
)
