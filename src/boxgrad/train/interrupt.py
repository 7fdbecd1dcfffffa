"""Ctrl-C: the first one asks the run to end after the present step, the second ends it at once.

Knows signals; knows nothing of training.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupt:
    """A context in which SIGINT and SIGTERM are requests; ``asked`` says whether one has come."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            self._put_back()
            raise KeyboardInterrupt
        self.asked = True

    def _put_back(self) -> None:
        while self._before:
            signal.signal(*self._before.popitem())

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():  # only it may set handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back()
