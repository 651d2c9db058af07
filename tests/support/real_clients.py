"""Real command-line clients, unmodified: how each is told of the gateway, and one run of it in an empty home.

They are installed with npm outside the repository: docs/clients.md says how. A run has an emptied environment, and what
is not on this machine is sent to a proxy that is not there, so that nothing leaves it.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WISH = "Use your shell to write a file named made.txt, then say what you did."
LIMIT_S = 60.0
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Gateway:
    """What a client must know: `url` without `/v1`, a key, and a model's name."""

    url: str
    key: str
    model: str


Prepared = tuple[list[str], dict[str, str]]
"""Arguments (the first is a program in the folder of the installation) and environment variables."""


@dataclass(frozen=True, slots=True)
class Client:
    """`dialect` is what it speaks; `prepare` writes its settings below a home and says how to start it."""

    name: str
    dialect: str
    prepare: Callable[[Path, Gateway], Prepared]


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    output: str
    errors: str


def run(client: Client, gateway: Gateway, installed: Path, folder: Path) -> Run:
    """One run in `folder/work`; ended with all its children after LIMIT_S seconds."""
    home, work = folder / "home", folder / "work"
    (home / "tmp").mkdir(parents=True)
    work.mkdir()
    (program, *arguments), variables = client.prepare(home, gateway)
    environment = {
        "HOME": str(home), "TMPDIR": str(home / "tmp"), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb",
        "HTTPS_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1", **variables,
    }  # fmt: skip
    process = subprocess.Popen(
        [str(installed / program), *arguments],
        env=environment,
        cwd=work,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
    return Run(process.returncode, output, errors)


def _claude(_: Path, gateway: Gateway) -> Prepared:
    variables = {
        "ANTHROPIC_BASE_URL": gateway.url,
        "ANTHROPIC_AUTH_TOKEN": gateway.key,
        "ANTHROPIC_MODEL": gateway.model,
        "ANTHROPIC_SMALL_FAST_MODEL": gateway.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    return ["node_modules/.bin/claude", "-p", WISH, "--allowedTools", "Bash"], variables


_CODEX = ["node_modules/.bin/codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]


def _codex(home: Path, gateway: Gateway) -> Prepared:
    lines = [
        f'model = "{gateway.model}"',
        'model_provider = "omniroute"',
        "[model_providers.omniroute]",
        'name = "OmniRoute"',
        f'base_url = "{gateway.url}/v1"',
        'env_key = "OMNIROUTE_KEY"',
        'wire_api = "responses"',
    ]
    _write(home / ".codex/config.toml", "\n".join(lines))
    return [*_CODEX, WISH], {"OMNIROUTE_KEY": gateway.key}


def _codex_built_in(_: Path, gateway: Gateway) -> Prepared:
    """Its own provider entry: tries a WebSocket first."""
    base = f'openai_base_url="{gateway.url}/v1"'
    return [*_CODEX, "-c", base, "-m", gateway.model, WISH], {"CODEX_API_KEY": gateway.key}


def _gemini(home: Path, gateway: Gateway) -> Prepared:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"disableAutoUpdate": True},
    }
    _write(home / ".gemini/settings.json", json.dumps(settings))
    variables = {
        "GOOGLE_GEMINI_BASE_URL": gateway.url,
        "GEMINI_API_KEY": gateway.key,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    chosen = ["-m", gateway.model] if gateway.model else []
    return ["node_modules/.bin/gemini", "-p", WISH, "--yolo", *chosen], variables


def _opencode(package: str, version: str) -> Callable[[Path, Gateway], Prepared]:
    def prepare(home: Path, gateway: Gateway) -> Prepared:
        settings = {
            "autoupdate": False,
            "permission": {"bash": "allow"},
            "model": f"omniroute/{gateway.model}",
            "small_model": f"omniroute/{gateway.model}",
            "provider": {
                "omniroute": {
                    "npm": package,
                    "options": {"baseURL": f"{gateway.url}{version}", "apiKey": gateway.key},
                    "models": {gateway.model: {"tool_call": True}},
                }
            },
        }
        _write(home / ".config/opencode/opencode.json", json.dumps(settings))
        return ["node_modules/.bin/opencode", "run", WISH], {"OPENCODE_DISABLE_MODELS_FETCH": "1"}

    return prepare


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(text)


CLAUDE = Client("claude", "anthropic_messages", _claude)
CODEX = Client("codex", "openai_responses", _codex)
CODEX_BUILT_IN = Client("codex-built-in", "openai_responses", _codex_built_in)
GEMINI = Client("gemini", "gemini", _gemini)
OPENCODE_CHAT = Client("opencode-chat", "openai_chat", _opencode("@ai-sdk/openai-compatible", "/v1"))
OPENCODE_MESSAGES = Client("opencode-messages", "anthropic_messages", _opencode("@ai-sdk/anthropic", "/v1"))
OPENCODE_RESPONSES = Client("opencode-responses", "openai_responses", _opencode("@ai-sdk/openai", "/v1"))
OPENCODE_GOOGLE = Client("opencode-google", "gemini", _opencode("@ai-sdk/google", "/v1beta"))
