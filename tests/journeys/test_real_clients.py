"""Claude Code, Codex, Gemini CLI and OpenCode, unmodified, through the started product to providers of other dialects.

Each is asked to write a file with its own shell tool and to say so: two answers, a call and its result between them. The
provider's side is strict and wants its own signed thoughts back, where the client asked for thoughts.

Runs only where OMNIROUTE_REAL_CLIENTS names a folder in which npm installed them (docs/clients.md).
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_dialects.scenarios import SHELL_DONE
from tests.support.product import wait_for
from tests.support.real_clients import (
    CLAUDE,
    CODEX,
    CODEX_BUILT_IN,
    GEMINI,
    OPENCODE_CHAT,
    OPENCODE_GOOGLE,
    OPENCODE_MESSAGES,
    OPENCODE_RESPONSES,
    Client,
    Gateway,
    run,
)
from tests.support.real_gateway import KEY, RealGateway, running_gateway

INSTALLED = os.environ.get("OMNIROUTE_REAL_CLIENTS", "")

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not INSTALLED, reason="OMNIROUTE_REAL_CLIENTS names no folder with the clients installed"),
]

PREFIXES = {"openai_chat": "chat", "openai_responses": "resp", "anthropic_messages": "anth", "gemini": "gem"}
KNOWN = {
    ("claude", "openai_chat"): "claude-opus-5",
    ("claude", "openai_responses"): "claude-sonnet-5",
    ("claude", "gemini"): "claude-opus-4-8",
    ("gemini", "openai_chat"): "gemini-2.5-pro",
    ("gemini", "openai_responses"): "gemini-3.1-pro-preview",
    ("gemini", "anthropic_messages"): "gemini-2.5-flash",
}
"""Aliases that these clients know as models: they send more to such (thinking, instructions between the turns)."""

ROUNDS = [
    (client, provider)
    for client in (CLAUDE, CODEX, GEMINI, OPENCODE_CHAT)
    for provider in PREFIXES
    if provider != client.dialect
] + [
    (CODEX_BUILT_IN, "openai_chat"),
    (OPENCODE_MESSAGES, "openai_chat"),
    (OPENCODE_RESPONSES, "openai_chat"),
    (OPENCODE_GOOGLE, "openai_chat"),
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    nodes = {prefix: dialect for dialect, prefix in PREFIXES.items()}
    with running_gateway(tmp_path_factory.mktemp("clients"), nodes=nodes) as running:
        config = json.loads(running.config.read_text())
        config["aliases"] += [
            {"pattern": name, "target": f"{PREFIXES[provider]}/shell-round"} for (_, provider), name in KNOWN.items()
        ]
        config["aliases"].append({"pattern": "gemini-*", "target": "chat/shell-round"})
        running.reload(json.dumps(config))
        wait_for(lambda: running.chat("gemini-any").status_code == 200, 10)
        yield running


def model_of(client: Client, provider: str) -> str:
    return KNOWN.get((client.name, provider), f"{PREFIXES[provider]}/shell-round")


@pytest.mark.parametrize(("client", "provider"), ROUNDS, ids=lambda one: getattr(one, "name", one))
def test_a_client_runs_a_command_and_says_so(
    gateway: RealGateway, tmp_path: Path, client: Client, provider: str
) -> None:
    play(gateway, tmp_path, client, model_of(client, provider), PREFIXES[provider], requests=2)


def test_the_router_of_gemini_cli_reads_its_choice(gateway: RealGateway, tmp_path: Path) -> None:
    """Without a model's name it first asks, not streamed and with a schema, which model to take."""
    play(gateway, tmp_path, GEMINI, "", "chat", requests=3)


def play(gateway: RealGateway, folder: Path, client: Client, model: str, prefix: str, *, requests: int) -> None:
    mark, started_at = gateway.mark, time.time()
    ended = run(client, Gateway(gateway.url, KEY, model), Path(INSTALLED), folder)
    said = f"{ended.output}\n{ended.errors}"[-4000:]
    assert ended.code == 0, said
    assert "".join(SHELL_DONE) in ended.output, said
    assert (folder / "work/made.txt").read_text() == "round trip\n"

    seen = gateway.seen(mark)
    assert [record.status for record in seen] == [200] * len(seen)
    assert len(seen) >= requests  # a title may be asked for beside

    def rows() -> list[dict[str, Any]]:
        return [row for row in gateway.rows() if row["at"] >= started_at]

    wait_for(lambda: len(rows()) >= len(seen), 4)
    assert {(row["status"], row["error"], row["dialect"], row["provider"]) for row in rows()} == {
        (200, "", client.dialect, prefix)
    }
    assert all(row["input_tokens"] and row["output_tokens"] and not row["is_estimated"] for row in rows())
