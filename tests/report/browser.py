"""Headless Chromium from Debian's packages, driven by Selenium, with no way to a network.

python -m tests.report.browser install
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.debian import apt_install

# Figures are measured in Liberation Sans, as wide as Arial; what replaces it elsewhere is wider.
PACKAGES = ("chromium", "chromium-driver", "fonts-liberation")
PROGRAMS = ("chromium", "chromedriver")
WAIT = 20.0


def unavailable() -> str | None:
    """Why no browser can be started here; None where it can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


def install() -> str | None:
    """Install Debian's packages unless they are there; returns why that was not possible."""
    if unavailable() is None:
        return None
    return apt_install(PACKAGES) or unavailable()


class Page:
    """A page in the browser."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Open a file and wait until its charts are drawn."""
        self.driver.get(path.resolve().as_uri())
        self.until(
            "return document.readyState === 'complete' && [...document.querySelectorAll('.plot')]"
            ".every(plot => plot.classList.contains('drawn'))"
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; returns what it returns."""
        return self.driver.execute_script(script, *arguments)

    def until(self, condition: str | Callable[[], Any]) -> None:
        """Wait until JavaScript (or a function) returns something true; raises TimeoutError."""
        limit = time.monotonic() + WAIT
        while not (self.run(condition) if isinstance(condition, str) else condition()):
            if time.monotonic() > limit:
                raise TimeoutError(f"not within {WAIT:g} s: {condition}")
            time.sleep(0.05)

    def find(self, css: str) -> Any:
        """The first element of a CSS selector."""
        return self.driver.find_element("css selector", css)

    def choose(self, css: str, label: str) -> None:
        """Choose an option of a drop-down by what it says."""
        from selenium.webdriver.support.ui import Select

        Select(self.find(css)).select_by_visible_text(label)

    def complaints(self) -> list[str]:
        """What the console said since the last call: errors, and whatever a policy refused."""
        return [f"{e['level']}: {e['message']}" for e in self.driver.get_log("browser")]

    def fetched(self) -> list[str]:
        """Addresses asked for since the last call, without those that are data themselves."""
        events = [json.loads(e["message"])["message"] for e in self.driver.get_log("performance")]
        asked = [
            e["params"]["request"]["url"]
            for e in events
            if e["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith(("data:", "blob:"))]


@contextlib.contextmanager
def browser(folder: Path, width: int = 1300, height: int = 1000) -> Iterator[Page]:
    """A browser of its own in which no name of a host is found; this machine's address is reached.

    Args:
        folder: for its profile.
        width, height: of the window, in pixels.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--force-device-scale-factor=1",
        f"--window-size={width},{height}",
        f"--user-data-dir={folder / 'profile'}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        driver.get("about:blank")
        page = Page(driver)
        page.fetched()  # of the browser's own first page
        yield page
    finally:
        driver.quit()


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit(__doc__)
    reason = install()
    print(reason or "Chromium is installed")
    sys.exit(1 if reason else 0)
