"""A worker program for tests of the supervisor: the product's granian server around a tiny application.

`/readyz`, `/pid`, `/count` (adds one to a counter metric), `/slow` (streams a chunk each 50 ms for `?s=` seconds),
`/exit` (ends this worker at once).
"""

import asyncio
import os
import urllib.parse
from typing import Any

import prometheus_client

from gateway.config.settings import load_settings
from gateway.serve.granian_server import run_workers
from gateway.telemetry.logs import configure_logging


def create_app() -> Any:
    if os.environ.get("STUB_BROKEN_WORKERS"):
        os._exit(9)
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("stub_calls", "Calls.", registry=registry)
    alive = prometheus_client.Gauge("stub_alive", "1 each.", registry=registry, multiprocess_mode="livesum")
    alive.set(1)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await asyncio.sleep(0.2)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        query = urllib.parse.parse_qs(scope["query_string"].decode())
        if scope["path"] == "/exit":
            os._exit(9)
        if scope["path"] == "/count":
            counter.inc()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/slow":
            for _ in range(int(float(query["s"][0]) * 20)):
                await send({"type": "http.response.body", "body": b"data: chunk\n\n", "more_body": True})
                await asyncio.sleep(0.05)
        body = f"{os.getpid()} {os.environ.get('REDIS_URL', '')}".encode()
        await send({"type": "http.response.body", "body": body})

    return app


if __name__ == "__main__":
    settings = load_settings(os.environ)
    configure_logging(settings.log_level, settings.log_format)
    run_workers(settings, create_app)
