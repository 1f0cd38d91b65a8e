"""When requests may start: at most so many a minute, and none while a server has asked for a pause."""

from __future__ import annotations

import asyncio
import random


class Pace:
    """Evenly spaced starts: one every 60 / `per_minute` seconds; None: no limit but the pauses."""

    def __init__(self, per_minute: float | None) -> None:
        self._gap_seconds = 60 / per_minute if per_minute else 0.0
        self._next = self._held_until = 0.0  # on the event loop's clock

    async def turn(self) -> None:
        """Returns when the caller may start its request."""
        clock = asyncio.get_running_loop().time
        while True:
            now = clock()
            if (held := self._held_until - now) > 0:
                await asyncio.sleep(held * (1 + random.random() / 4))  # not all at the same moment
            elif (wait := self._next - now) > 0:
                await asyncio.sleep(wait)
            else:
                self._next = now + self._gap_seconds
                return

    def pause(self, seconds: float) -> None:
        """Nobody starts within so many seconds from now."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + seconds)
