"""The annotation page in a browser: real strokes of a mouse, real keys, and what the page says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import uvicorn

from ..report.browser import Page, browser

Pixel = tuple[int, int]  # row and column of the image, or of the large plane of a volume
READY = "return window.annotator !== undefined && window.annotator.state().ready"


class Annotator:
    """Somebody at the page, in a browser of their own."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def begin(self, address: str, name: str) -> None:
        """Open the printed address, say one's name, and wait for the first region."""
        self.page.driver.get(address)
        self.introduce(name)
        self.wait()

    def introduce(self, name: str) -> None:
        """Say one's name."""
        self.page.until("return document.querySelector('dialog[open] input') !== null")
        self.page.find("dialog[open] input").send_keys(name)
        self.page.find("dialog[open] button.main").click()

    def wait(self, number: int | None = None) -> None:
        """Wait until a region (that one) is on screen."""
        self.page.until(READY)
        if number is not None:
            self.page.until(f"return window.annotator.state().id === {number}")
            self.page.until(READY)

    def saved(self) -> None:
        """Wait until the server has what is drawn."""
        self.page.until("return window.annotator.state().saved === 'saved'")

    @property
    def state(self) -> dict[str, Any]:
        """What is at work, and how it stands."""
        return self.page.run("return window.annotator.state()")

    @property
    def labels(self) -> np.ndarray:
        """The region as it would be stored: (planes, rows, columns), uint8."""
        held = self.page.run("return window.annotator.labels()")
        region = self.state["region"]
        return np.array(held, np.uint8).reshape(-1, region["height"], region["width"])

    @property
    def progress(self) -> str:
        """What the bar says, as "1 of 3, median 12 s, 1 minute left"."""
        return self.page.find("#progress").text

    def place(self, pixel: Pixel) -> tuple[int, int]:
        """Where the centre of a pixel is in the window."""
        x, y = self.page.run("return window.annotator.toScreen(...arguments)", *map(int, pixel))
        return round(x), round(y)

    def stroke(self, pixels: Sequence[Pixel]) -> None:
        """Press the mouse at the first pixel, move it to each of the others, let go."""
        actions = self._actions()
        mouse = actions.pointer_action
        for i, pixel in enumerate(pixels):
            mouse.move_to_location(*self.place(pixel))
            if i == 0:
                mouse.pointer_down()
        mouse.pointer_up()
        actions.perform()

    def click(self, pixel: Pixel) -> None:
        """Click on a pixel."""
        self.stroke([pixel])

    def wheel(self, pixel: Pixel, by: int) -> None:
        """Turn the wheel over a pixel; 100 is a notch towards oneself."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

        body = self.page.find("body")
        box = body.rect
        x, y = self.place(pixel)
        origin = ScrollOrigin.from_viewport(x, y)
        assert box["width"] > x and box["height"] > y
        ActionChains(self.page.driver).scroll_from_origin(origin, 0, by).perform()

    def press(self, *keys: str) -> None:
        """Press keys one after the other; "control+z" holds one while the other is pressed."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            *held, last = key.split("+") if len(key) > 1 else [key]
            actions = ActionChains(self.page.driver)
            for name in held:
                actions.key_down(getattr(Keys, name.upper()))
            actions.send_keys(getattr(Keys, last.upper()) if len(last) > 1 else last)
            for name in reversed(held):
                actions.key_up(getattr(Keys, name.upper()))
            actions.perform()

    def _actions(self) -> Any:
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        return ActionBuilder(self.page.driver, duration=0)  # no places between


@contextmanager
def annotator(folder: Path, width: int = 1400, height: int = 900) -> Iterator[Annotator]:
    """Somebody with a browser; in the end its console has said nothing."""
    with browser(folder, width, height) as page:
        yield Annotator(page)
        said = page.complaints()
        assert said == [], said  # also where pytest does not say it


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """The page's server in a thread of this process; yields the address that would be printed."""
    config = uvicorn.Config(
        app, port=port, log_level="warning", lifespan="off", server_header=False
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/#token={app.state.token}"
    finally:
        server.should_exit = True
        thread.join(10)
