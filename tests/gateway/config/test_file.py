"""The config file: what is read, what is refused and how it is told."""

import random
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

import pytest
import yaml

from gateway.config.file import MAX_BYTES, ConfigFileError, FileConfig, load_config_file
from gateway.config.snapshot import Alias, ComboModel, FallbackChain, Price, Timeouts
from tests.support.forbidden_hosts import NEVER, NEVER_BY_NAME

KEY = "sk-or-0123456789abcdef"
ENVIRONMENT = {"LOCAL_KEY": "sk-local-secret-1", "OMNIROUTE_KEY": KEY, "SHORT": "tooshort-secret", "EMPTY": ""}

WHOLE = """\
version: 1
nodes:
  - {id: local, prefix: local, dialect: openai_chat, base_url: "http://127.0.0.1:9001/v1/", allow_private: true}
connections:
  - {provider: local, name: a, api_key: "${LOCAL_KEY}", priority: 1, tier: api-key, rpm: 600, min_gap_ms: 0, \
max_concurrency: 100, models: [m1, m2], fingerprint: chrome, proxy: "socks5://127.0.0.1:1080"}
combos:
  - {name: always-on, strategy: priority, models: [local/m1, {model: local/m2, weight: 2}], config: {max_retries: 1}}
aliases:
  - {pattern: "gpt-*", target: local/m1}
fallback_chains:
  - {name: production-fallback, models: [local/m1, local/m2]}
keys:
  - {name: ci, secret: "${OMNIROUTE_KEY}", allowed_models: ["local/*"], rpm: 600, tpm: 100000, concurrency: 50, \
budget: {usd: 50, period: monthly}, priority: interactive, strict: false, expires: 2027-01-01}
prices:
  - {model: local/m1, input: 1.0, output: 2.0, cache_read: 0.1}
settings: {account_strategy: fill-first, sticky_limit: 3, timeouts: {first_event_s: 15}}
"""


def load(text: str | bytes, folder: Path) -> FileConfig:
    path = folder / "omniroute.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_config_file(path, ENVIRONMENT)


def problems_of(text: str | bytes, folder: Path) -> list[str]:
    with pytest.raises(ConfigFileError) as caught:
        load(text, folder)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return list(caught.value.problems)


def test_the_documented_file_is_read_whole(tmp_path):
    config = load(WHOLE, tmp_path)
    node, connection, key = config.nodes[0], config.connections[0], config.keys[0]
    assert (node.id, node.base_url, node.allow_private) == ("local", "http://127.0.0.1:9001/v1", True)
    assert (connection.api_key, connection.models, connection.rpm) == ("sk-local-secret-1", ("m1", "m2"), 600)
    assert config.combos[0].models == (ComboModel("local/m1"), ComboModel("local/m2", 2.0))
    assert config.combos[0].config == {"max_retries": 1}
    assert config.aliases == (Alias("gpt-*", "local/m1"),)
    assert config.fallback_chains == (FallbackChain("production-fallback", ("local/m1", "local/m2")),)
    assert (key.secret, key.budget_usd, key.budget_period) == (KEY, 50.0, "monthly")
    assert key.expires == datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert config.prices == (Price("local/m1", input=1.0, output=2.0, cache_read=0.1),)
    assert config.settings is not None
    assert config.settings.timeouts == Timeouts(first_event_s=15)
    assert (config.settings.sticky_limit, config.settings.early_headers_s) == (3, None)
    assert config.warnings == ()


def test_an_almost_empty_file_is_an_empty_config(tmp_path):
    assert load("version: 1\nnodes:\ncombos: []\n", tmp_path) == FileConfig()


def test_no_repr_shows_a_secret(tmp_path):
    shown = repr(load(WHOLE.replace("socks5://", "socks5://me:hush-hush@"), tmp_path))
    assert KEY not in shown
    assert "sk-local-secret-1" not in shown
    assert "hush-hush" not in shown


NODE = "nodes: [{id: n, prefix: p, dialect: openai_chat, base_url: %s}]"
CONNECTION = "connections: [{provider: openai, name: a, %s}]"
AKEY = "keys: [{name: k, secret: '${OMNIROUTE_KEY}', %s}]"


def connection(fields: str) -> str:
    return "version: 1\n" + CONNECTION % fields


ONE_PROBLEM = [
    ("nods: []", "unknown field `nods`; did you mean `nodes`?"),
    ("nodes: {}", "nodes: must be a list: each entry begins with `-`"),
    (CONNECTION % "rmp: 1", "connections[0]: unknown field `rmp`; did you mean `rpm`?"),
    (CONNECTION % "rpm: many", "connections[0].rpm: expected `int`, got `str`"),
    (CONNECTION % "rpm: true", "connections[0].rpm: expected `int`, got `bool`"),
    (CONNECTION % "rpm: -1", "connections[0].rpm: expected `int` >= 0"),
    (CONNECTION % "rpm: 1e400", "connections[0].rpm: expected `int`, got `str`"),
    (CONNECTION % "api_key: ", "connections[0].api_key: expected `str`, got `null`"),
    (CONNECTION % 'api_key: "a\\nb"', "connections[0].api_key: holds a line break, or a space at an end"),
    (CONNECTION % "models: m1", "connections[0].models: expected `array`, got `str`"),
    (CONNECTION % "models: [m1, 2]", "connections[0].models[1]: expected `str`, got `int`"),
    (CONNECTION % "proxy: 'ftp://p:1'", "connections[0].proxy: must begin with one of `http://`, `https://`, `socks5://`, `socks5h://`"),
    (CONNECTION % "proxy: 'http://p:99999'", "connections[0].proxy: must be a URL like `socks5://host:1080`"),
    ("connections: [{provider: openai}]", "connections[0]: the field `name` is missing"),
    ("connections: [openai]", "connections[0]: expected `object`, got `str`"),
    ("connections: [{provider: opnai, name: a}]", "connections[0].provider: `opnai` is neither a provider nor the id of a node; did you mean `openai`?"),
    (CONNECTION % "tier: gratis", "connections[0].tier: must be `subscription` or `api-key` or `cheap` or `free`"),
    (NODE % "'ftp://host/v1'", "nodes[0].base_url: must begin with `http://` or `https://`"),
    (NODE % "host/v1", "nodes[0].base_url: must be a URL like `https://host/v1`"),
    (NODE % "'https://u:p@host/v1'", "nodes[0].base_url: must not hold a user or password; give `api_key` in a connection"),
    (NODE % "'https://host/v1?a=b'", "nodes[0].base_url: must not have a query or fragment; the operation's path is appended to it"),
    (NODE % "'https://host/v1#'", "nodes[0].base_url: must not have a query or fragment; the operation's path is appended to it"),
    ("nodes: [{id: n, prefix: P, dialect: gemini, base_url: 'https://h/v1'}]", "nodes[0].prefix: characters that may not stand here: It may hold small letters, digits, and after the first `.`, `_`, `-`."),
    ("nodes: [{id: openai, prefix: p, dialect: gemini, base_url: 'https://h/v1'}]", "nodes[0].id: `openai` is taken by the built-in provider `openai`"),
    ("nodes: [{id: n, prefix: demo, dialect: gemini, base_url: 'https://h/v1'}]", "nodes[0].prefix: `demo` is taken by the built-in provider `demo`"),
    ("combos: [{name: a, models: []}]", "combos[0].models: expected `array` of length >= 1"),
    ("combos: [{name: a, models: [{model: m, weight: 101}]}]", "combos[0].models[0].weight: expected `float` <= 100.0"),
    ("combos: [{name: a, models: [{modl: m}]}]", None),
    ("combos: [{name: a, models: [m], config: {retries: 1}}]", "combos[0].config: unknown option `retries`; did you mean `max_retries`?"),
    ("combos: [{name: a, models: [m], config: {sticky_limit: .inf}}]", "combos[0].config: `sticky_limit` must be a whole number from 1 to 1000000"),
    ("combos: [{name: a, models: [m], config: {account_strategy: fastest}}]", None),
    ("combos: [{name: a, models: [m], config: {sticky_limit: 0}}]", "combos[0].config: `sticky_limit` must be a whole number from 1 to 1000000"),
    ("combos: [{name: a, models: [m], config: {affinity: 1}}]", "combos[0].config: `affinity` must be true or false"),
    ("combos: [{name: a, models: [m], config: {context_length_fallback: 1}}]", "combos[0].config: `context_length_fallback` must be true or false"),
    ("combos: [{name: a, models: [m], config: {content_policy_fallback: 'yes'}}]", "combos[0].config: `content_policy_fallback` must be true or false"),
    ("combos: [{name: a, models: [m], config: {tiers: 'free, dear'}}]", None),
    ("combos: [{name: a, models: [m, opnai/x]}]", "combos[0].models: number 2 names neither a provider nor a node nor a combo; did you mean `openai`?"),
    ("combos: [{name: a, models: [{model: m, weight: -1}]}]", None),
    ("combos: [{name: a, models: [m]}, {name: a, models: [m]}]", "combos[1].name: the same as combos[0].name on line 2"),
    ("combos: [{name: a, models: [a]}]", "combos[0].models: combos hold each other in a circle: a → a"),
    ("combos: [{name: a, models: [b]}]\naliases: [{pattern: b, target: a}]", "combos[0].models: combos hold each other in a circle: a → a"),
    ("aliases: [{pattern: a, target: b}, {pattern: a, target: c}]", "aliases[1].pattern: the same as aliases[0].pattern on line 2"),
    ("fallback_chains: [{name: a, models: [m]}, {name: a, models: [m]}]", "fallback_chains[1].name: the same as fallback_chains[0].name on line 2"),
    ("aliases: [{pattern: a, target: a}]", "aliases[0].target: the alias leads back to itself"),
    ("combos: [{name: a, models: [{model: m, weight: .nan}]}]", None),
    ("combos: [{name: a, models: [{model: m, weight: 1e9}]}]", None),
    (CONNECTION % "max_concurrency: -1", "connections[0].max_concurrency: expected `int` >= 0"),
    (CONNECTION % "min_gap_ms: 1.5", None),
    (AKEY % "rpm: -5", "keys[0].rpm: expected `int` >= 0"),
    (AKEY % "budget: {usd: -1, period: daily}", "keys[0].budget.usd: expected `float` >= 0.0"),
    ("settings: {waiting: {max_wait_s: -1}}", "settings.waiting.max_wait_s: expected `float` >= 0.0"),
    ("settings: {waiting: {adaptive_start: 0}}", "settings.waiting.adaptive_start: expected `int` >= 1"),
    ("settings: {resilience: {retry_after_max_s: 1000000000}}", "settings.resilience.retry_after_max_s: expected `float` <= 86400.0"),
    ("settings: {profiles: {opnai: {failures: 2}}}", "settings.profiles: `opnai` is neither a provider nor the id of a node, nor `apikey`"),
    ("settings: {profiles: {openai: {failures: 0}}}", None),
    ("settings: {profiles: {openai: {open_sec: 1}}}", None),
    ("settings: {rate_limit_defaults: {rpm: -1}}", "settings.rate_limit_defaults.rpm: expected `int` >= 0"),
    ("prices: [{model: m, input: -1}]", "prices[0].input: expected `float` >= 0.0"),
    ("prices: [{model: m, input: .nan}]", "prices[0].input: expected `float` >= 0.0"),
    ("keys: [{name: k, secret: '${SHORT}'}]", "keys[0].secret: expected `str` of length >= 16"),
    (AKEY % "budget: {usd: 1, period: yearly}", "keys[0].budget.period: must be `daily` or `weekly` or `monthly` or `total`"),
    (AKEY % "budget: 5", "keys[0].budget: expected `array`, got `int`"),
    (AKEY % "budget: [{usd: 1, period: daily}, {usd: 2, period: daily}]", "keys[0].budget: two budgets must have different periods"),
    (AKEY % "expires: soon", "keys[0].expires: must be a date or a date and time, like `2027-01-01` or `2027-01-01T12:00:00Z`"),
    (AKEY % "priority: high", "keys[0].priority: must be `interactive` or `agent` or `batch`"),
    ("settings: {timeouts: {gap_s: 0}}", "settings.timeouts.gap_s: expected `float` > 0.0"),
    ("settings: {resilience: {failures: 0}}", "settings.resilience.failures: expected `int` >= 1"),
    ("settings: {tier_budgets: {api-key: {usd: 0}}}", "settings.tier_budgets.api-key.usd: expected `float` > 0.0"),
    ("settings: {tier_budgets: {api_key: {usd: 1}}}", "settings.tier_budgets: unknown field `api_key`; did you mean `api-key`?"),
    ("settings: {tier_budgets: {cheap: {usd: 1, period: hourly}}}", "settings.tier_budgets.cheap.period: must be `daily` or `weekly` or `monthly` or `total`"),
    ("settings: {session_affinity: always}", "settings.session_affinity: must be `named` or `turns` or `off`"),
    ("settings: {retry_budget: {share: -1}}", "settings.retry_budget.share: expected `float` >= 0.0"),
    ("settings: {resilience: {open_sec: 1}}", "settings.resilience: unknown field `open_sec`; did you mean `open_s`?"),
    ("settings: {timeout: {}}", "settings: unknown field `timeout`; did you mean `timeouts`?"),
    ("settings: {provider_strategies: {opnai: {account_strategy: random}}}", "settings.provider_strategies: `opnai` is neither a provider nor the id of a node; did you mean `openai`?"),
    ("settings: {provider_strategies: {openai: {account_strategy: fastest}}}", None),
    ("settings: {provider_strategies: {openai: {account_strategy: random, sticky_limit: 0}}}", None),
    ("settings: {blocked_providers: [opnai]}", "settings.blocked_providers: `opnai` is neither a provider nor the id of a node; did you mean `openai`?"),
    ("settings: {account_strategy: round_robin}", None),
    ("combos: [{name: a, name: b, models: [m]}]", "combos[0]: the field `name` stands twice, first on line 2"),
    ("combos: [{1: b, name: a, models: [m]}]", "combos[0]: a field name must be text; put it in quotes"),
    ("settings: !!python/object:os.system {}", "settings: a YAML tag that has no meaning here"),
    (CONNECTION % "api_key: '${NOT_THERE}'", "connections[0].api_key: the environment variable `NOT_THERE` is not set"),
    (CONNECTION % "api_key: '${file:/no/such/file}'", "connections[0].api_key: no file at `/no/such/file`"),
    (CONNECTION % "api_key: '${file:/dev/zero}'", "connections[0].api_key: no file at `/dev/zero`"),
    (CONNECTION % "api_key: '${LOCAL_KEY'", "connections[0].api_key: `${` without its `}`; write `$${` for a literal one"),
    (CONNECTION % "api_key: '${LOCAL_KEY:-x}'", "connections[0].api_key: `${...}` takes the name of a variable or `file:` and a path; write `$${` for a literal `${`"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), ONE_PROBLEM)
def test_a_mistake_is_told_with_its_line_and_path(text, problem, tmp_path):
    problems = problems_of("version: 1\n" + text, tmp_path)
    assert all(line.startswith("line 2: ") for line in problems), problems
    assert problem is None or problems == [f"line 2: {problem}"]


@pytest.mark.parametrize("version", ["", "version: 2", "version: '1'", "version: true", "version:"])
def test_a_file_of_no_or_another_version_is_refused(version, tmp_path):
    assert "version" in problems_of(f"{version}\naliases: []\n", tmp_path)[0]


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "10.1.2.3", "192.168.0.1", "172.16.0.1", "[::1]",
     "[fd00::1]", "[::ffff:127.0.0.1]", "100.64.0.1", "api.localhost", "LOCALHOST."],
)  # fmt: skip
def test_private_hosts_need_the_operators_word(host, tmp_path):
    text = f"version: 1\n{NODE % repr(f'http://{host}:8000/v1')}"
    (problem,) = problems_of(text, tmp_path)
    assert "set `allow_private: true` on this node" in problem
    assert load(text.replace("}]", ", allow_private: true}]"), tmp_path).nodes[0].allow_private


@pytest.mark.parametrize("host", NEVER + NEVER_BY_NAME)
def test_metadata_and_link_local_hosts_are_refused_even_with_allow_private(host, tmp_path):
    text = f"version: 1\n{NODE % repr(f'http://{host}/v1')}".replace("}]", ", allow_private: true}]")
    (problem,) = problems_of(text, tmp_path)
    assert "never allowed" in problem


@pytest.mark.parametrize(
    ("host", "scheme"), list(zip(NEVER + NEVER_BY_NAME, cycle(["http", "https", "socks5", "socks5h"]), strict=False))
)
def test_a_proxy_is_never_at_such_an_address(host, scheme, tmp_path):
    (problem,) = problems_of("version: 1\n" + CONNECTION % f"proxy: '{scheme}://me:pw@{host}:80'", tmp_path)
    assert "connections[0].proxy" in problem
    assert "never allowed" in problem
    assert "pw" not in problem


def test_all_problems_of_all_items_are_told_at_once_in_order_of_lines(tmp_path):
    text = """\
version: 1
connections:
  - provider: openai
    name: a
    rpm: x
    tier: y
  - provider: nobody
    name: b
aliases:
  - pattern: a
keys:
  - name: k
    secret: ${NOT_THERE}
"""
    problems = problems_of(text, tmp_path)
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["line 5", "connections[0].rpm"],
        ["line 6", "connections[0].tier"],
        ["line 7", "connections[1].provider"],
        ["line 10", "aliases[0]"],
        ["line 13", "keys[0].secret"],
        ["line 13", "keys[0].secret"],
    ]


def test_a_connection_to_a_node_with_a_mistake_is_not_a_second_mistake(tmp_path):
    text = "version: 1\nnodes: [{id: n, prefix: p, dialect: x, base_url: 'https://h/v1'}]\n"
    assert len(problems_of(text + "connections: [{provider: n, name: a}]", tmp_path)) == 1


def test_nodes_must_not_share_ids_or_prefixes(tmp_path):
    node = "  - {id: %s, prefix: %s, dialect: gemini, base_url: 'https://h/v1'}\n"
    text = "version: 1\nnodes:\n" + node % ("a", "a") + node % ("b", "a") + node % ("a", "c")
    assert problems_of(text, tmp_path) == [
        "line 4: nodes[1].prefix: `a` is taken by nodes[0]",
        "line 5: nodes[2].id: `a` is taken by nodes[0]",
    ]


def test_two_connections_of_one_provider_need_two_names(tmp_path):
    text = "version: 1\nconnections:\n  - {provider: openai, name: a}\n  - {provider: demo, name: a}\n"
    assert len(load(text, tmp_path).connections) == 2
    assert (
        "connections[1].name: the same as connections[0].name on line 3"
        in problems_of(text.replace("demo", "openai"), tmp_path)[0]
    )


def test_a_combo_may_name_all_that_can_be_routed_to(tmp_path):
    text = """
version: 1
nodes: [{id: box, prefix: bx, dialect: openai_chat, base_url: "https://x.test/v1"}]
connections: [{provider: openai, name: a, models: [vendor/model]}]
aliases: [{pattern: 'fast/*', target: 'openai/*'}, {pattern: team/best, target: openai/x}]
combos:
  - {name: everywhere, models: ['openai/*', 'bx/*', box/m]}
  - {name: all, models: [vendor/model, fast/m, team/best, everywhere/m, auto/tiered, auto/tiered/m, bare, everywhere]}
  - {name: odd, models: [openai/x], config: {account_strategy: p2c, sticky_limit: 2, affinity: true, tiers: 'free,cheap'}}
"""
    assert len(load(text, tmp_path).combos) == 3


def test_an_option_of_a_combo_that_nothing_obeys_is_told(tmp_path):
    text = "version: 1\ncombos:\n  - {name: c, models: [openai/x], config: {max_retriez: 1}}\n"
    assert problems_of(text, tmp_path) == [
        "line 3: combos[0].config: unknown option `max_retriez`; did you mean `max_retries`?"
    ]
    for wrong in ("11", "-1", "true", "x"):
        [problem] = {
            one
            for one in problems_of(text.replace("max_retriez: 1", f"max_retries: {wrong}"), tmp_path)
            if "from 0 to 10" in one
        }
        assert "`max_retries` must be a whole number from 0 to 10" in problem


def combos(count: int) -> str:
    chain = [f"  - {{name: c{i}, models: [c{i + 1}]}}" for i in range(count - 1)]
    return "\n".join(["version: 1", "combos:", *chain, f"  - {{name: c{count - 1}, models: [m]}}"])


def test_combos_may_be_five_deep_and_no_deeper(tmp_path):
    assert len(load(combos(5), tmp_path).combos) == 5
    assert problems_of(combos(6), tmp_path) == ["line 3: combos[0].models: combos inside combos may be 5 deep at most"]


def test_a_long_circle_of_combos_is_found(tmp_path):
    (problem,) = problems_of(combos(300).replace("models: [m]", "models: [c0]"), tmp_path)
    assert problem.startswith("line 3: combos[0].models: combos hold each other in a circle: ")


@pytest.mark.parametrize(
    ("expires", "moment"),
    [
        ("2027-01-01", datetime(2027, 1, 1, tzinfo=UTC)),
        ("'2027-01-01'", datetime(2027, 1, 1, tzinfo=UTC)),
        ("2027-01-01T12:30:00Z", datetime(2027, 1, 1, 12, 30, tzinfo=UTC)),
        ("2027-01-01 12:30:00", datetime(2027, 1, 1, 12, 30, tzinfo=UTC)),
        ("2027-01-01T12:30:00+02:00", datetime(2027, 1, 1, 10, 30, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_read_as_yaml_or_text_and_is_utc_if_unsaid(expires, moment, tmp_path):
    assert load(f"version: 1\n{AKEY % f'expires: {expires}'}", tmp_path).keys[0].expires == moment.timestamp()


def test_references_are_filled_from_variables_and_files_and_can_be_escaped(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    text = connection(f"api_key: 'a-${{LOCAL_KEY}}-${{file:{secret}}}-$${{LOCAL_KEY}}-$x'")
    assert load(text, tmp_path).connections[0].api_key == "a-sk-local-secret-1-from-a-file-${LOCAL_KEY}-$x"


def test_a_filled_in_value_is_not_filled_in_again(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("${OMNIROUTE_KEY}")
    config = load(connection(f"api_key: '${{file:{secret}}}'"), tmp_path)
    assert config.connections[0].api_key == "${OMNIROUTE_KEY}"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_a_secret_file_that_is_no_short_text_is_refused(content, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(content)
    (problem,) = problems_of(connection(f"api_key: '${{file:{secret}}}'"), tmp_path)
    assert problem.startswith(f"line 2: connections[0].api_key: the file `{secret}` is ")


def test_literal_secrets_are_warned_of_with_their_line_but_not_shown(tmp_path):
    text = connection("api_key: sk-in-the-file, proxy: 'http://me:hush@p:1'") + f"\nkeys: [{{name: k, secret: {KEY}}}]"
    warnings = load(text, tmp_path).warnings
    assert [warning.split(": ")[:2] for warning in warnings] == [
        ["line 2", "connections[0].api_key"],
        ["line 2", "connections[0].proxy"],
        ["line 3", "keys[0].secret"],
    ]
    assert not any(secret in "".join(warnings) for secret in ("sk-in-the-file", "hush", KEY))


def test_a_secret_that_comes_out_empty_is_warned_of(tmp_path):
    (warning,) = load(connection("api_key: '${EMPTY}'"), tmp_path).warnings
    assert warning == "line 2: connections[0].api_key: the variable or file it comes from is empty"


@pytest.mark.parametrize(
    "text",
    [
        "connections: [{provider: '${LOCAL_KEY}', name: a}]",
        "connections: [{provider: openai, name: a, tier: '${LOCAL_KEY}'}]",
        "connections: [{provider: openai, name: a, api_key:sk-local-secret-1}]",
        "connections: [{provider: openai, name: a, api_key: *sk-local-secret-1}]",
        "connections: [{provider: openai, name: a, api_key: !sk-local-secret-1!x y}]",
        "connections: [{provider: openai, name: a, api_key: sk-local-secret-1",
        "connections:\n  - provider: openai\n    api_key:sk-local-secret-1\n    name: a",
        "connections: [{provider: openai, name: a, proxy: 'ftp://u:sk-local-secret-1@h'}]",
        "connections: [{provider: openai, name: a, proxy: 'http://u:sk-local-secret-1@h:x'}]",
        "connections: [{provider: openai, name: a, rpm: sk-local-secret-1}]",
        "keys: [{name: k, secret: '${SHORT}sk-local-secret-1\\x01', expires: sk-local-secret-1}]",
        "keys: [{name: k, secret: sk-local-secret-1}, {name: j, secret: sk-local-secret-1}]",
        NODE % "'https://u:sk-local-secret-1@h/v1'",
        "aliases: [{pattern: '${LOCAL_KEY}', target: a}, {pattern: '${LOCAL_KEY}', target: a}]",
        "combos: [{name: '${LOCAL_KEY}', models: ['${LOCAL_KEY}']}]",
        "nodes: [{id: openai, prefix: '${LOCAL_KEY}', dialect: gemini, base_url: 'https://${LOCAL_KEY}:x'}]",
    ],
)
def test_no_problem_shows_a_secret(text, tmp_path):
    assert "local-secret" not in "".join(problems_of("version: 1\n" + text, tmp_path))


def test_anchors_aliases_and_merge_keys_work(tmp_path):
    text = """\
version: 1
connections:
  - &first {provider: openai, name: a, rpm: 5, models: &models [m1]}
  - {<<: *first, name: b}
  - {<<: [{rpm: 7}, *first], name: c, models: *models}
"""
    first, second, third = load(text, tmp_path).connections
    assert (second.provider, second.name, second.rpm, second.models) == ("openai", "b", 5, first.models)
    assert (third.name, third.rpm, third.models) == ("c", 7, first.models)


def test_a_billion_laughs_are_refused_at_once(tmp_path):
    levels = "\n".join(f"  l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 30))
    (problem,) = problems_of(f"version: 1\nx:\n  l0: &l0 [a]\n{levels}", tmp_path)
    assert problem == "line 1: the file holds more than 200,000 values once its aliases are expanded"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\ncombos: &a [*a]", "line 2: an alias stands inside the value of its own anchor"),
        ("version: 1\nnodes:\n\t- id: n", "line 3: not YAML: a tab stands where YAML wants spaces"),
        ("version: 1\nkeys: [1, 2", "line 2: not YAML: while parsing a flow sequence, expected ',' or ']'"),
        ("version: 1\n---\nversion: 1", "line 2: not YAML: expected a single document in the stream"),
        ("version: 1\nname: a\0b", "line 2: a character that YAML does not allow"),
        ("", "line 1: the file is empty"),
        ("# only a comment", "line 1: the file is empty"),
        ("- a\n- b", "line 1: the file must be a mapping that begins with `version: 1`"),
        ("just text", "line 1: the file must be a mapping"),
        ("[" * 20_000, "line 1: lists and mappings are nested too deeply"),
        (b"version: 1\nname: \xff", "line 2: not UTF-8 text"),
    ],
)
def test_what_is_not_a_config_at_all_is_told_with_its_line(text, problem, tmp_path):
    assert problems_of(text, tmp_path)[0].startswith(problem)


def test_a_missing_file_a_folder_and_a_huge_file_are_config_errors(tmp_path):
    with pytest.raises(ConfigFileError, match="does not exist"):
        load_config_file(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigFileError, match="is not a file"):
        load_config_file(tmp_path, {})
    assert "larger than 1,048,576 bytes" in problems_of(b"#" * (MAX_BYTES + 1), tmp_path)[0]


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert load(b"\xef\xbb\xbfversion: 1\n", tmp_path) == FileConfig()


def test_the_example_of_the_documentation_is_a_good_file(tmp_path):
    documentation = (Path(__file__).parents[3] / "docs/config.md").read_text()
    example = documentation.split("```yaml\n")[1].split("```")[0]
    config = load(example, tmp_path)
    assert config.nodes
    assert yaml.safe_load(example).keys() >= {"version", "nodes", "connections", "combos", "keys", "prices", "settings"}


PIECES = ("\0", "\t", "\ufeff", "\u202e", "&a ", "*a", "!!python/object:os.system", "${", "${file:/", "}", "{", "[", "- ", ": ", "\n", "'", '"', "0x", "1e309", "~", "9" * 50)  # fmt: skip


def test_a_spoilt_file_is_a_config_or_is_refused_by_name(tmp_path):
    """Cut, repeated and with foreign pieces in it, 150 times: never another exception, never a secret in what is told."""
    chance = random.Random(7)
    told: list[ConfigFileError] = []
    for _ in range(150):
        text = WHOLE
        for _ in range(chance.randint(1, 4)):
            at, end = sorted(chance.choices(range(len(text) + 1), k=2))
            kind = chance.randrange(3)
            piece = chance.choice(PIECES) if kind else ""
            text = text[:at] + piece + (text[end:] if kind == 1 and end - at < 40 else text[at + (kind == 0) :])
        try:
            load(text, tmp_path)
        except ConfigFileError as error:
            told.append(error)
    assert len(told) > 75
    assert all(error.problems for error in told)
    assert not [error for error in told if "sk-local-secret-1" in str(error)]
