"""How long a search may go on, in processor time of its thread: a busy machine changes no verdict.

Knows the clock only, and asks it seldom: on some systems that takes longer than what is measured.
"""

from __future__ import annotations

import time

EVERY = 64
"""How many questions there are to one look at the clock."""


class Budget:
    """So many seconds from now on.

    >>> Budget(60.0).spent()
    False
    """

    def __init__(self, seconds: float, every: int = EVERY) -> None:
        self._stop = time.thread_time() + seconds
        self._asked, self._every = 0, every
        self._spent = False

    def spent(self) -> bool:
        """Whether the time is used up."""
        self._asked += 1
        if not self._spent and self._asked % self._every == 0:
            self._spent = time.thread_time() > self._stop
        return self._spent

    def extend(self, seconds: float) -> None:
        """Allow so many seconds from now on, at least."""
        self._stop = max(self._stop, time.thread_time() + seconds)
        self._spent = False
