"""Exports: the configuration comes back equal from its own file, and no credential or hash is in what is given away."""

import gzip
import io
import os
import re
import sqlite3
import tarfile

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admin_api.app import build_plane, connect_redis
from admin_api.publish import build_snapshot
from admin_api.services.apply_config_file import apply_config_file
from admin_api.services.export_config import export_config
from admin_api.services.key_rules import new_key_row
from admin_api.store.combos import ComboRow, combos
from admin_api.store.connections import blank_connection, connections
from admin_api.store.keys import keys
from admin_api.store.names import AliasRow, ChainRow, aliases, chains
from admin_api.store.nodes import NodeRow, nodes
from admin_api.store.prices import PriceRow, price_id, prices
from admin_api.store.settings import SettingRow, settings_rows
from gateway.config.envelope import open_sealed
from tests.support.admin_plane import make_settings, place_database

_word = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
_text = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\x7f"), min_size=1, max_size=20)
_tricky = _text | st.sampled_from(
    ["${HOME}", "$${x}", "${", "yes", "null", "1.0", "2026-01-01", "a: b", "#c", "'", '"', "-"]
)
_count = st.integers(0, 10**9)
EXACT_NANO_USD = 4 * 10**15
"""Dollars are numbers in the file: above some four million, two of them are more than a nano-dollar apart."""
_usd = st.none() | st.floats(0, 1e6, allow_nan=False)


@st.composite
def configurations(draw):
    words = draw(st.lists(_word, min_size=1, max_size=3, unique=True).map(lambda found: [f"n-{one}" for one in found]))
    names = draw(st.lists(_tricky, min_size=1, max_size=3, unique=True))
    return {
        "nodes": [(word, draw(st.sampled_from(["openai_chat", "anthropic_messages"])), draw(_text)) for word in words],
        "connections": [(words[0], name, draw(_count), draw(st.booleans()), draw(st.lists(_tricky, max_size=2))) for name in names],
        "combos": [(f"c{i}", [f"{words[0]}/{name}" for name in names], draw(st.sampled_from(["priority", "weighted"]))) for i in range(2)],
        "aliases": draw(st.dictionaries(_text, st.just(f"{words[0]}/m"), max_size=2)),
        "keys": [(name, draw(_count), draw(st.integers(0, EXACT_NANO_USD)), draw(st.lists(_tricky, max_size=2)), draw(st.integers(0, 2 * 10**9))) for name in names],
        "prices": {f"{words[0]}/{name}": (draw(_usd), draw(_usd)) for name in names},
        "settings": draw(st.fixed_dictionaries({}, optional={
            "stickyRoundRobinLimit": st.integers(0, 1000), "timeouts": st.just({"gap_s": 7.5}), "explainsAll": st.booleans(),
            "providerStrategies": st.just({"openai": {"account_strategy": "random", "sticky_limit": 2}}),
            "sessionAffinity": st.sampled_from(["named", "turns", "off"]), "rateLimitDefaults": st.just({"rpm": 9}),
        })),
    }  # fmt: skip


async def fill(plane, wanted):
    async with plane.change() as change:
        database, now = change.connection, plane.now()
        for word, dialect, name in wanted["nodes"]:
            await nodes.insert(
                database, NodeRow(word, word, dialect, "http://127.0.0.1:1/v1", name, True, False, now, now)
            )
        for provider, name, rpm, has_proxy, models in wanted["connections"]:
            row = blank_connection(plane.new_id(), provider, name, now)
            proxy = plane.seal("http://proxy.example:8080", row.id) if has_proxy else ""
            await connections.insert(database, msgspec.structs.replace(
                row, rpm=rpm, models=models, proxy=proxy, api_key=plane.seal(f"secret of {name}", row.id)))  # fmt: skip
        for name, models, strategy in wanted["combos"]:
            entries = [{"model": model, "weight": index} for index, model in enumerate(models)]
            await combos.insert(
                database, ComboRow(plane.new_id(), name, entries, strategy, {"cache": True}, True, False, now, now)
            )
        for pattern, target in wanted["aliases"].items():
            await aliases.insert(database, AliasRow(pattern, target, managed=False))
        await chains.insert(database, ChainRow("prod", ["x", "y"], managed=False))
        for name, rpm, nano, allowed, expires in wanted["keys"]:
            row = new_key_row(plane, f"sk-or-secret-of-{name}", name, change.revision)
            await keys.insert(database, msgspec.structs.replace(
                row, rpm=rpm, budget_nano_usd=nano, budget_period="daily", second_budget_nano_usd=nano * 2,
                second_budget_period="total" if nano else "", second_warn_share=0.25 if nano else 0.8, allowed_models=allowed, expires_at=float(expires)))  # fmt: skip
        for model, (one, two) in wanted["prices"].items():
            await prices.insert(
                database, PriceRow(price_id(model, 0), model, 0.0, one, two, None, None, None, False, now, 1)
            )
        for name, value in wanted["settings"].items():
            await settings_rows.insert(database, SettingRow(name, value, managed=False))


async def bare_plane(settings):
    """Before its first start: hashing a password for each example would take most of the time."""
    place_database(settings)
    return build_plane(settings, connect_redis(settings.redis_url))


async def picture(plane):
    """What workers would see, without ids and times."""
    async with plane.database.read() as connection:
        snapshot = await build_snapshot(connection, is_demo_enabled=True, now=0.0)
        found = await keys.load_all(connection)
    seen = msgspec.to_builtins(msgspec.structs.replace(snapshot, revision=0))
    for one, row in zip(seen["connections"], snapshot.connections, strict=True):
        one["proxy"] = open_sealed(row.proxy, row.id, plane.encryption_key)
        del one["id"], one["api_key"]
    for one in seen["combos"]:
        del one["id"]
    hidden = {"id", "digest", "hint", "version", "revision", "managed", "created_at", "updated_at"}
    seen["keys"] = sorted(
        (
            {k: v for k, v in msgspec.to_builtins(row).items() if k not in hidden}
            for row in found
            if row.name != "default"
        ),
        key=lambda one: one["name"],
    )
    return seen


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(wanted=configurations())
async def test_an_exported_configuration_applied_to_an_empty_instance_is_equal(tmp_path_factory, shared_valkey, wanted):
    folder = tmp_path_factory.mktemp("export")
    plane = await bare_plane(make_settings(folder / "a", shared_valkey.url))
    path = folder / "omniroute.yaml"
    other = await bare_plane(make_settings(folder / "b", shared_valkey.url, config_file=path))
    try:
        await fill(plane, wanted)
        exported = await export_config(plane)
        assert exported.left_out == []
        path.write_text(exported.text)
        values = {name: f"sk-filled-in-for-{name}" for name in exported.variables}
        values |= dict.fromkeys(re.findall(r" proxy: \$\{(\w+)\}", exported.text), "http://proxy.example:8080")
        before = dict(os.environ)
        os.environ.update(values)
        try:
            await apply_config_file(other)
        finally:
            for name in values:
                os.environ.pop(name)
            os.environ.update(before)
        assert other.config_file.error == ""
        assert await picture(other) == await picture(plane)
    finally:
        await plane.close()
        await other.close()


async def test_connections_whose_names_give_one_variable_keep_a_proxy_each(admin):
    for name in ("a!", "a?", "a" * 90):
        body = {"provider": "openai", "name": name, "apiKey": "sk-x", "proxy": "http://proxy.example:8080"}
        assert (await admin.post("/api/providers", json=body)).status_code == 201
    text = (await admin.get("/api/db-backups/export?format=yaml")).text
    assert len(re.findall(r" proxy: \$\{\w+\}", text)) == 3, text


async def test_no_export_holds_a_credential_or_a_hash(admin, plane):
    secret, proxy = "sk-upstream-canary-0123456789", "http://user:canary-password@proxy.example:1"
    await admin.post(
        "/api/provider-nodes", json={"prefix": "one", "baseUrl": "http://127.0.0.1:1/v1", "allowPrivate": True}
    )
    await admin.post("/api/providers", json={"provider": "one", "name": "a", "apiKey": secret, "proxy": proxy})
    await admin.put("/api/settings/proxy", json={"global": proxy})
    key = (await admin.post("/api/keys", json={"name": "canary"})).json()["key"]
    with sqlite3.connect(plane.database.path) as database:
        hashes = [
            row[0]
            for row in database.execute(
                "SELECT digest FROM api_keys UNION SELECT api_key FROM provider_connections UNION SELECT proxy FROM provider_connections UNION SELECT password_hash FROM users"
            )
        ]
    packed = (await admin.get("/api/db-backups/exportAll")).content
    whole = gzip.decompress(packed).decode()
    text = (await admin.get("/api/db-backups/export?format=yaml")).text
    for canary in (secret, "canary-password", key, key[-12:], "v1:", *filter(None, hashes)):
        assert canary not in whole
        assert canary not in text
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = archive.getnames()
    assert {"config.yaml", "providers.json", "api-keys.json", "combos.json", "settings.json", "metadata.json"} <= set(
        names
    )
    assert "api_key: ${ONE_A_API_KEY}" in text


async def test_what_a_config_file_cannot_say_is_told_and_the_rest_can_be_applied(admin, plane):
    await admin.post(
        "/api/provider-nodes", json={"prefix": "Big", "baseUrl": "http://127.0.0.1:1/v1", "allowPrivate": True}
    )
    await admin.post("/api/providers", json={"provider": "Big", "name": "a", "apiKey": "sk-x"})
    await admin.post("/api/providers", json={"provider": "openai", "name": "off", "apiKey": "sk-x", "isActive": False})
    await admin.patch("/api/settings", json={"theme": "dark"})
    exported = await export_config(plane)
    told = "\n".join(exported.left_out)
    for word in ("Big", "off", "theme"):
        assert word in told
        assert word in exported.text.split("version: 1")[0]
    assert "Big" not in exported.text.split("version: 1")[1]


async def test_the_exported_database_is_one_that_can_be_imported(admin, plane):
    data = (await admin.get("/api/db-backups/export")).content
    answer = await admin.post(
        "/api/db-backups/import", content=data, headers={"content-type": "application/octet-stream"}
    )
    assert (answer.status_code, answer.json()["kind"]) == (200, "backup")
