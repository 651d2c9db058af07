"""No secret passes into a log, wherever it stands."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.telemetry.logs import redact, redact_text

CANARY = "c4n4ry-c4n4ry"


def redacted(**event: Any) -> dict[str, Any]:
    return dict(redact(None, "info", event))


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization: bearer   {CANARY}",
        f"Basic {CANARY}",
        f"GET /v1beta/models?key={CANARY}",
        f"GET /v1beta/models?alt=sse&key={CANARY}&x=1",
        f"the key sk-{CANARY} was refused",
        f"sk-or-v1-{CANARY}",
        f'{{"error": "Incorrect API key provided: sk-{CANARY}."}}',
        f"redis://user:{CANARY}@127.0.0.1:6379/0",
        f"redis://:{CANARY}@127.0.0.1:6379/0",
        f"rediss://default:{CANARY}@cache.internal:6380",
        f"postgresql+asyncpg://omniroute:{CANARY}@db/omniroute",
        f"socks5://user:{CANARY}@10.0.0.1:1080",
        f"two: redis://a:{CANARY}@h and http://b:{CANARY}@h",
    ],
)
def test_text_that_looks_like_a_secret_is_masked(text: str) -> None:
    masked = redact_text(text)
    assert CANARY not in masked
    assert "[redacted]" in masked
    assert CANARY not in json.dumps(
        redacted(event=text, inner={"deep": [text, {"x": (text,)}]}, raw=text.encode()), default=str
    )


@pytest.mark.parametrize(
    "name",
    ["api_key", "apikey", "apiKey", "secret", "client_secret", "access_token", "password", "passwd", "authorization",
     "Cookie", "credential", "proxy"],
)  # fmt: skip
@pytest.mark.parametrize("value", [CANARY, CANARY.encode(), [CANARY], {"x": CANARY}])
def test_fields_named_like_secrets_are_masked_whatever_they_hold(name: str, value: object) -> None:
    assert CANARY not in str(redacted(**{name: value}))
    assert CANARY not in str(redacted(config={"inner": {name: value}}))


def test_what_is_no_secret_stays() -> None:
    event = {
        "event": "request_failed", "key_id": "k-1234", "key_name": "ci", "tokens": 5, "input_tokens": 7, "status": 502,
        "url": "http://127.0.0.1:9001/v1/chat", "address": "redis://cache:6379/0", "task": "task-watch_snapshot",
        "at": 1.5, "attempts": [{"provider": "local", "status": 503}], "none": None, "risk": "risk-averse-caller",
    }  # fmt: skip
    assert redacted(**event) == event


def test_the_event_itself_is_not_changed_elsewhere() -> None:
    inner = {"password": CANARY}
    redacted(inner=inner)
    assert inner == {"password": CANARY}


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_whole_process_logs_no_secret(format_: str) -> None:
    script = (
        "import structlog\nfrom gateway.telemetry.logs import configure_logging\n"
        f"configure_logging('info', {format_!r})\nlog = structlog.get_logger()\n"
        f"log.info('up', api_key={CANARY!r}, url='redis://:{CANARY}@h', headers={{'authorization': {CANARY!r}}})\n"
        "log.debug('unseen')\n"
        f"try:\n    raise ValueError('Bearer {CANARY}')\nexcept ValueError:\n    log.exception('failed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert CANARY not in done.stderr
    assert done.stdout == ""
    assert "failed" in done.stderr
    assert "unseen" not in done.stderr
    if format_ == "json":
        first, second = map(json.loads, done.stderr.splitlines())
        assert (first["event"], first["level"]) == ("up", "info")
        assert "ValueError" in second["exception"]
