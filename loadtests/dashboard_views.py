"""How long every view of the dashboard takes until it shows something, in a real browser: `make bench-dashboard`.

It starts the product on a fresh folder, or on one that `admin_data.py` has filled (`--folder`), or takes one that runs
(`--url`, `--password`), opens each view with an empty cache, and prints per view, the median of its rounds:

first   first paint with content, ms (the browser's own `first-contentful-paint`)
shown   until the answers of the API are drawn in place of the grey shapes, ms
shift   layout shift in all (0.1 is the limit of what counts as good)
asks    questions to the API; 3 at most
kB      what came over the wire

With `--strict` a view that takes longer than a second, jumps or asks too much fails the run.
"""

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

from tests.support.dashboard import CHROMIUM, CHROMIUM_ARGS, Dashboard, missing
from tests.support.product import REAL, products

VIEWS = (
    "", "providers", "combos", "models", "keys", "usage", "usage/budgets", "usage/prices", "quotas", "logs", "logs/audit",
    "logs/console", "health", "endpoint", "translator", "settings", "settings/storage",
)  # fmt: skip
ROUNDS = 3
SHOWN_MS, SHIFT, ASKS = 1000.0, 0.1, 3
_PASSWORD = "correct horse battery"
_WATCH = """
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifted = (window.shifted ?? 0) + entry.value;
}).observe({type: 'layout-shift', buffered: true});
const look = () => {
  const main = document.querySelector('main');
  const isShown = main?.querySelector('h1') && main.children.length > 1 && main.children[1].childElementCount && !main.querySelector('.loading');
  if (isShown) requestAnimationFrame(() => (document.documentElement.dataset.shown = performance.now()));
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
_READ = """() => ({
  first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
  shown: Number(document.documentElement.dataset.shown),
  shift: window.shifted ?? 0,
  kB: [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]
    .reduce((sum, one) => sum + one.transferSize, 0) / 1000,
})"""

Figures = dict[str, float]


def measure(browser: Browser, url: str, session: str, view: str) -> Figures:
    """One opening with an empty cache. Raises if the view shows nothing in the patience of a test."""
    tab = Dashboard(browser, url, session)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    tab.page.add_init_script(_WATCH)
    tab.page.goto(f"{url}/dashboard/{view}")
    tab.page.locator("html[data-shown]").wait_for()
    tab.page.wait_for_timeout(300)  # what jumps, jumps soon after
    found: Figures = tab.page.evaluate(_READ)
    found["asks"] = sum("/api/auth/" not in address and not address.endswith("/api/live") for address in asked)
    tab.close()
    return found


def run(url: str, password: str, *, is_strict: bool) -> int:
    answer = httpx.post(f"{url}/api/auth/login", json={"password": password}, timeout=60)
    answer.raise_for_status()
    session, bad = answer.cookies["auth_token"], []
    headers = {"x-csrf-token": answer.json()["csrfToken"]}
    done = httpx.patch(
        f"{url}/api/settings", json={"setupComplete": True}, cookies=dict(answer.cookies), headers=headers, timeout=60
    )
    done.raise_for_status()  # else the first-start guide takes the overview's place
    print(f"{'view':20} {'first':>7} {'shown':>7} {'shift':>7} {'asks':>5} {'kB':>7}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        measure(browser, url, session, "")  # the browser's own first start
        for view in VIEWS:
            rounds = [measure(browser, url, session, view) for _ in range(ROUNDS)]
            found = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
            is_bad = found["shown"] > SHOWN_MS or found["shift"] > SHIFT or found["asks"] > ASKS
            bad += [view] * is_bad
            figures = f"{found['first']:7.0f} {found['shown']:7.0f} {found['shift']:7.3f} {found['asks']:5.0f} {found['kB']:7.0f}"
            print(f"{view or 'overview':20} {figures}{'  over budget' if is_bad else ''}")
        browser.close()
    return 1 if bad and is_strict else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="", help="a product that runs")
    parser.add_argument("--password", default=_PASSWORD)
    parser.add_argument("--folder", type=Path, help="a data folder that admin_data.py has filled")
    parser.add_argument("--strict", action="store_true")
    chosen = parser.parse_args()
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    if chosen.url:
        return run(chosen.url, chosen.password, is_strict=chosen.strict)
    with ExitStack() as stack:
        make: Any = stack.enter_context(products())
        folder = chosen.folder or Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        product = make(folder, REAL, INITIAL_PASSWORD=chosen.password).wait_ready()
        return run(product.url, chosen.password, is_strict=chosen.strict)


if __name__ == "__main__":
    sys.exit(main())
