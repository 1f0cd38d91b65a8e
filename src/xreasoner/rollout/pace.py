"""When requests may start: at most so many a minute, and none while a server has asked for a pause."""

from __future__ import annotations

import asyncio


class Pace:
    """Evenly spaced starts: one every 60 / `per_minute` seconds; None: no limit but the pauses."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap_seconds = 60 / per_minute if per_minute else 0.0
        self._next = 0.0  # on the event loop's clock

    async def turn(self) -> None:
        """Returns when the caller may start its request."""
        clock = asyncio.get_running_loop().time
        while True:
            wait = self._next - clock()
            if wait <= 0:
                self._next = clock() + self._gap_seconds
                return
            await asyncio.sleep(wait)

    def pause(self, seconds: float) -> None:
        """Nobody starts within so many seconds from now."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)
