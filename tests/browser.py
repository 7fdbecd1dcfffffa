"""Headless Chromium, driven through a pair of pipes: the DevTools protocol without a web socket.

Knows the protocol; knows nothing of what the pages are about.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60


def chromium() -> str:
    """The browser's path."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert found is not None, "no Chromium: apt-get install chromium"
    return found


class Browser:
    """One tab. ``messages`` collects console errors, warnings and uncaught exceptions."""

    def __init__(self, width: int = 1440, height: int = 1000) -> None:
        self._profile = tempfile.mkdtemp(prefix="page-")
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()

        def wire() -> None:  # the browser reads commands from 3 and answers on 4
            commands, answers = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (down_read, up_write))
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        self._process = subprocess.Popen(
            [
                chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
                "--disable-background-networking", "--force-color-profile=srgb",
                f"--user-data-dir={self._profile}", "about:blank",
            ],
            close_fds=False, preexec_fn=wire,  # noqa: PLW1509 - no threads here
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(down_read)
        os.close(up_write)
        self._down, self._up = down_write, up_read
        self._number, self._rest = 0, b""
        self._events: list[dict[str, Any]] = []
        self.messages: list[str] = []
        self._session: str | None = None
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable")
        self.size(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser, and remove its profile."""
        self._process.terminate()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._down)
        os.close(self._up)
        shutil.rmtree(self._profile, ignore_errors=True)

    # ---- the protocol
    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        number = self._number
        request = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            request["sessionId"] = self._session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self._down, data) :]
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer.get("result", {})

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._up], [], [], max(0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            part = os.read(self._up, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        raw, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        method, details = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.messages.append(json.dumps(details["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and details["type"] in ("error", "warning", "assert"):
            self.messages.append(json.dumps(details["args"]))
        elif method == "Log.entryAdded" and details["entry"]["level"] in ("error", "warning"):
            self.messages.append(details["entry"]["text"])
        if method is not None:
            self._events.append(message)

    def _wait_for(self, method: str) -> None:
        while not any(event["method"] == method for event in self._events):
            self._receive()

    # ---- what a person does
    def size(self, width: int, height: int, scale: float = 1) -> None:
        """Set the size of the window in CSS pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
            mobile=False,
        )  # fmt: skip

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a file and wait until it is there."""
        self.command("Page.navigate", url="about:blank")
        self.evaluate("0")
        self._events.clear()
        self.messages.clear()
        self.command("Page.navigate", url=path.resolve().as_uri() + (f"#{fragment}" if fragment else ""))
        self._wait_for("Page.loadEventFired")

    def follow(self, script: str) -> None:
        """Do what leads to another page, such as clicking a link, and wait until that is there."""
        self._events.clear()
        self.evaluate(f"setTimeout(() => {{ {script} }}), 0")
        self._wait_for("Page.loadEventFired")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        answer = self.command(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def key(self, name: str) -> None:
        """Press and release a key: ``ArrowRight``, ``Enter``, ``Home`` …"""
        codes = {"Enter": 13, " ": 32, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}
        text = {"Enter": "\r", " ": " "}.get(name, "")
        rest = {"key": name, "code": "Space" if name == " " else name, "windowsVirtualKeyCode": codes[name]}
        self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **rest)
        self.command("Input.dispatchKeyEvent", type="keyUp", **rest)

    def _middle(self, selector: str) -> tuple[float, float]:
        place = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()"
        )
        return place[0], place[1]

    def hover(self, selector: str) -> None:
        """Point at the middle of an element."""
        x, y = self._middle(selector)
        self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        """Click the middle of an element."""
        x, y = self._middle(selector)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        options: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            content = self.command("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {**content, "scale": 1}
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", **options)["data"]))

    def pdf(self, path: Path) -> None:
        """Write what would be printed."""
        answer = self.command("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(answer["data"]))


# ---- pages of explanations
def load(browser: Browser, file: Path, fragment: str = "") -> None:
    browser.open(file, fragment)
    ready = "document.documentElement.dataset.ready"
    browser.evaluate(f"(async () => {{ while (!{ready}) await new Promise((r) => setTimeout(r, 10)) }})()")


def settled(browser: Browser, drawing: str) -> None:
    """Wait until a drawing is there."""
    there = f"document.getElementById('canvas').dataset.name === '{drawing}'"
    browser.evaluate(f"(async () => {{ while (!({there})) await new Promise((r) => setTimeout(r, 10)) }})()")


def count(browser: Browser, selector: str) -> int:
    return browser.evaluate(f"document.querySelectorAll({selector!r}).length")


def text(browser: Browser, selector: str) -> str:
    return browser.evaluate(f"document.querySelector({selector!r}).textContent")
