"""A seed system's `storage.sqlite`, made from what is told of it (docs/moving.md): no database of a real one is at hand."""

import json
import os
import sqlite3
from contextlib import closing

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

SEED_KEY = "the old storage key, any text"
KEY_OF_CI = "sk-0123456789abcdef-k3y1d1-1a2b3c4d"
UPSTREAM_KEY = "sk-upstream-0123456789abcdef"
ACCESS_TOKEN = "access-token-of-a-subscription"

SCHEMA = """
CREATE TABLE provider_connections (id TEXT PRIMARY KEY, provider TEXT NOT NULL, auth_type TEXT, name TEXT, email TEXT,
  priority INTEGER DEFAULT 0, is_active INTEGER DEFAULT 1, access_token TEXT, refresh_token TEXT, expires_at TEXT,
  test_status TEXT, api_key TEXT, id_token TEXT, provider_specific_data TEXT, display_name TEXT, global_priority INTEGER,
  default_model TEXT, rate_limit_protection INTEGER DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE provider_nodes (id TEXT PRIMARY KEY, type TEXT NOT NULL, name TEXT NOT NULL, prefix TEXT, api_type TEXT,
  base_url TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE key_value (namespace TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (namespace, key));
CREATE TABLE combos (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, data TEXT NOT NULL,
  sort_order INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL, updated_at TEXT NOT NULL);
CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE, machine_id TEXT,
  allowed_models TEXT DEFAULT '[]', no_log INTEGER NOT NULL DEFAULT 0, created_at TEXT NOT NULL);
CREATE TABLE usage_history (id INTEGER PRIMARY KEY, model TEXT);
CREATE TABLE domain_fallback_chains (model TEXT PRIMARY KEY, chain TEXT NOT NULL);
"""
_NOW = "2026-02-01T00:00:00.000Z"
NODE_ID = "openai-compatible-chat-0b5f6c1e-1111-4222-8333-444455556666"


def sealed(text, key=SEED_KEY):
    """As the seed seals: AES-256-GCM, an initial vector of 16 bytes, the key by scrypt with a fixed salt."""
    derived = Scrypt(salt=b"omniroute-field-encryption-v1", length=32, n=16384, r=8, p=1).derive(key.encode())
    iv = os.urandom(16)
    both = AESGCM(derived).encrypt(iv, text.encode(), None)
    return f"enc:v1:{iv.hex()}:{both[:-16].hex()}:{both[-16:].hex()}"


def make_seed_database(path, base_url="http://127.0.0.1:9001/v1", *, is_wal=False):
    """One of everything that moves, and of what does not."""
    with closing(sqlite3.connect(path)) as database:
        if is_wal:
            database.execute("PRAGMA journal_mode=WAL")
        database.executescript(SCHEMA)
        insert(database, "provider_nodes", id=NODE_ID, type="openai-compatible", name="Local", prefix="local",
               api_type="chat", base_url=base_url)  # fmt: skip
        insert(database, "provider_nodes", id="n2", type="openai-compatible", name="Metadata", prefix="meta",
               api_type="chat", base_url="http://169.254.169.254/v1")  # fmt: skip
        insert(database, "provider_connections", id="c1", provider=NODE_ID, auth_type="apikey", name="main", priority=2,
               api_key=sealed(UPSTREAM_KEY), default_model="m1", rate_limit_protection=1,
               provider_specific_data=json.dumps({"region": "eu", "copilotToken": "not-to-move"}))  # fmt: skip
        insert(database, "provider_connections", id="c2", provider="openai", auth_type="apikey", name="plain",
               api_key="sk-never-sealed-0123456789", is_active=0)  # fmt: skip
        insert(database, "provider_connections", id="c3", provider="claude", auth_type="oauth", email="a@b.example",
               access_token=sealed(ACCESS_TOKEN))  # fmt: skip
        insert(database, "provider_connections", id="c4", provider="openai", auth_type="apikey", name="lost",
               api_key=sealed("sk-with-another-key", "another key"))  # fmt: skip
        combo = {"models": ["local/m1", {"model": "cursor/default", "weight": 1}, {"model": "local/m2", "weight": 2}],
                 "strategy": "weighted", "config": {"maxRetries": 3, "stickyLimit": 2}}  # fmt: skip
        insert(database, "combos", id="b1", name="always-on", data=json.dumps(combo))
        insert(database, "combos", id="b2", name="nowhere", data=json.dumps({"models": ["cursor/default"]}))
        insert(database, "combos", id="b3", name="broken", data="{")
        insert(database, "api_keys", id="k1", name="ci", key=KEY_OF_CI, allowed_models='["local/*"]', no_log=1)
        insert(database, "api_keys", id="k2", name="odd", key="with a space")
        insert(database, "api_keys", id="k3", name="unclear", key="sk-unclear-0123456789", allowed_models="[")
        database.execute("INSERT INTO domain_fallback_chains VALUES ('local/m1', '[\"local/m2\"]')")
        database.execute("INSERT INTO usage_history VALUES (1, 'm')")
        for namespace, key, value in (
            ("modelAliases", "fast", "local/m1"),
            ("modelAliases", "gone", "cursor/default"),
            ("pricing", "local", {"m1": {"input": 1.5, "output": 2, "cached": 0.25, "reasoning": 3}}),
            ("customModels", NODE_ID, [{"id": "m9", "name": "Nine", "source": "manual"}]),
            ("proxyConfig", "keys", {"c2": {"type": "socks5", "host": "proxy.example", "port": "1081", "username": "u", "password": "p@ss"}}),
            ("settings", "fallbackStrategy", "round-robin"),
            ("settings", "password", "$2b$12$abcdefghijklmnopqrstuv"),
        ):  # fmt: skip
            database.execute("INSERT INTO key_value VALUES (?, ?, ?)", (namespace, key, json.dumps(value)))
        database.commit()
    return path


def insert(database, table, **values):
    columns = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
    values |= {name: _NOW for name in ("created_at", "updated_at") if name in columns}
    marks = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
