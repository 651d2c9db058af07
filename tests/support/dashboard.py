"""A browser at the dashboard of a real product, for the tests of its pages.

`Dashboard` opens pages and remembers what went wrong in them: console errors, exceptions, answers from elsewhere. What a
test provokes on purpose it tells with `expect`; anything else fails it in the end.
"""

import re
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Dialog, Page

from tests.support.product import REPOSITORY

_BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, _BROWSERS)), "")
"""Rather the one without windows: of the same engine, and a fifth less work."""
_PARTS_SWITCHED_OFF = (
    # Pages of the browser's own, loaded beside each tab of ours: twice the work of our page.
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",
    # What playwright switches off; of two lists the browser takes the last.
    "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning", "OptimizationHints", "AimEnabled",
)  # fmt: skip
CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", f"--disable-features={','.join(_PARTS_SWITCHED_OFF)}",
]  # fmt: skip
BUNDLE = REPOSITORY / "admin_api/dashboard_bundle"
AXE = REPOSITORY / "dashboard/node_modules/axe-core/axe.min.js"
PATIENCE_MS = 30_000
"""Of every wait for something on a page: a slow machine is no failure."""
_AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def missing() -> str:
    """Why pages cannot be tested here; empty when they can."""
    if not CHROMIUM:
        return "there is no chromium here (Debian: apt-get install chromium-headless-shell)"
    return "" if (BUNDLE / "index.html").is_file() else "the dashboard is not built: make dashboard"


class Dashboard:
    """A tab. Without a `session` (the cookie's value) nobody is logged in."""

    def __init__(self, browser: Browser, url: str, session: str = "", **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-US", **options})
        self.context.set_default_timeout(PATIENCE_MS)
        if session:
            self.context.add_cookies([{"name": "auth_token", "value": session, "url": url}])
        self._problems: list[str] = []
        self.questions = 0
        """How often the browser itself asked before a page with something typed was left; it is left."""
        self._expected: list[str] = []
        self.page = self.watch(self.context.new_page())

    def watch(self, page: Page) -> Page:
        """Remember what goes wrong in a page."""
        page.on("console", lambda message: self._problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self._problems.append(str(error)))
        page.on("dialog", self._leave)
        page.on("request", lambda request: self._note_address(request.url))
        return page

    def open(self, path: str = "") -> Page:
        """`open('keys?id=1')`. Comes back when its heading is there."""
        self.page.goto(f"{self.url}/dashboard/{path}")
        self.page.locator("h1:visible").first.wait_for()
        return self.page

    def expect(self, pattern: str) -> None:
        """Something goes wrong here on purpose: `expect(r"status of 409")`."""
        self._expected.append(pattern)

    def problems(self) -> list[str]:
        """What went wrong and was not expected."""
        return [one for one in self._problems if not any(re.search(pattern, one) for pattern in self._expected)]

    def axe(self) -> list[str]:
        """What breaks WCAG 2.2 AA in what is shown, as axe-core tells it: rule and element."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        found = self.page.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})",
            _AXE_TAGS,
        )
        return [
            f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def has_no_sideways_scroll(self) -> bool:
        """Whether the page is as wide as the view."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))

    def screenshot(self, path: Path) -> None:
        self.page.screenshot(path=path, full_page=True)

    def close(self) -> None:
        self.context.close()

    def _leave(self, question: Dialog) -> None:
        self.questions += 1
        question.accept()

    def _note_address(self, address: str) -> None:
        if not address.startswith((self.url, "blob:", "data:")):
            self._problems.append(f"asked elsewhere: {address}")
