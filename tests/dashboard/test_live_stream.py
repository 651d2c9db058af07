"""The live stream through the whole product. Without a browser."""

import threading

import httpx
import pytest

from tests.support.product import REAL, products, wait_for

pytestmark = pytest.mark.process
TOKEN = "admin-token-of-the-live-stream"
STREAMS_LIMIT_S = 120.0
"""How long running streams are given at a stop: far longer than this test would wait."""


def test_an_open_dashboard_does_not_hold_up_a_stop(tmp_path):
    with products() as make:
        product = make(
            tmp_path / "data", REAL, OMNIROUTE_ADMIN_TOKEN=TOKEN, SHUTDOWN_TIMEOUT_S=str(STREAMS_LIMIT_S)
        ).wait_ready()
        heard: list[str] = []

        def listen() -> None:
            headers = {"authorization": f"Bearer {TOKEN}"}
            with httpx.stream("GET", f"{product.url}/api/live", headers=headers, timeout=60) as live:
                heard.extend(live.iter_text())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        wait_for(lambda: any("event: health" in text for text in heard), 30, lambda: product.errors)
        assert product.stop(limit_s=STREAMS_LIMIT_S / 2) == 0
        listener.join(30)
        assert not listener.is_alive()
