"""What the supervisor prints when the product is ready. Pure text; secrets appear in it once, on the first start."""

import json
import shlex

import msgspec

from gateway.config.settings import Settings
from gateway.serve.readiness import reachable_host


class AdminReady(msgspec.Struct, frozen=True, rename="camel"):
    """The line that the admin process writes when it listens and has published.

    `password` and `key` are set only when it has just made them; `config_error` when the config file was refused;
    `seed_database` when a seed system's database lies in the data dir and nobody has moved in from it yet.
    `login_code` logs the browser in that is opened, once and soon.
    """

    ready: bool = True
    password: str = ""
    key: str = ""
    config_error: str = ""
    seed_database: str = ""
    login_code: str = ""

    def __repr__(self) -> str:
        return "AdminReady(...)"


def local_url(host: str, port: int) -> str:
    """The URL by which this machine reaches a server that listens on `host`."""
    name = reachable_host(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def gateway_port(settings: Settings) -> int:
    """The port on which the workers listen."""
    return settings.port if settings.api_port is None else settings.api_port


def gateway_url(settings: Settings) -> str:
    """Where callers reach the workers."""
    return local_url(settings.host, gateway_port(settings))


def dashboard_url(settings: Settings) -> str:
    """Where the operator's browser goes."""
    if settings.dashboard_port is not None:
        return local_url(settings.host, settings.dashboard_port)
    return gateway_url(settings)


def login_url(settings: Settings, code: str) -> str:
    """What the operator's browser opens. The code is in the part of an address that a browser sends to no server."""
    return f"{dashboard_url(settings)}/dashboard/" + (f"#login={code}" if code else "")


def banner(settings: Settings, ready: AdminReady) -> str:
    """The lines to print once everything answers."""
    lines = ["", f"OmniRoute is ready: {dashboard_url(settings)}", ""]
    if ready.config_error:
        lines += [f"  The config file was not applied: {ready.config_error}", ""]
    if ready.seed_database:
        lines += [
            f"  Moving in? {ready.seed_database} is there:",
            f"  omniroute import {shlex.quote(ready.seed_database)}   (--dry-run says what would move; the file is not touched)",
            "",
        ]
    if ready.password:
        lines += [f"  Admin password  {ready.password}   (shown once; `omniroute reset-password` makes a new one)"]
    if ready.key:
        lines += [f"  Gateway key     {ready.key}   (shown once)"]
    if ready.password or ready.key:
        lines += [""]
    else:
        lines += [
            "  Password lost?  omniroute reset-password",
            "  Another key?    on the dashboard, or under `keys:` of the config file",
            "",
        ]
    if settings.is_demo_enabled:
        lines += ["  Try it:", "  " + demo_call(gateway_url(settings), ready.key or settings.initial_key), ""]
    return "\n".join(lines)


def admin_announcement(url: str, ready: AdminReady) -> str:
    """The lines of `omniroute admin`. It shows no secret: what a replica prints is shipped to where many may read it."""
    lines = [f"OmniRoute admin is ready: {url}"]
    if ready.config_error:
        lines += [f"  The config file was not applied: {ready.config_error}"]
    if ready.password:
        lines += ["  No INITIAL_PASSWORD was given: `omniroute reset-password`, run beside it, makes and prints one"]
    return "\n".join(lines)


def demo_call(url: str, key: str) -> str:
    """A command that streams an answer of the built-in demo model."""
    body = {"model": "demo/story", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    authorization = f"Authorization: Bearer {key or 'YOUR_KEY'}"
    return " ".join(
        (
            "curl -N", f"{url}/v1/chat/completions",
            "-H", shlex.quote(authorization) if "'" in authorization else f'"{authorization}"',
            "-H", '"Content-Type: application/json"',
            "-d", shlex.quote(json.dumps(body, separators=(",", ":"))),
        )
    )  # fmt: skip
