"""Requests start at most so often, and not during a pause."""

import asyncio

from xreasoner.rollout.pace import Pace


def starts(pace: Pace, n: int, pause: float = 0) -> list[float]:
    """Seconds from now at which `n` requests start that all come at once."""

    async def begin() -> list[float]:
        clock = asyncio.get_running_loop().time
        first = clock()
        if pause:
            pace.pause(pause)
            pace.pause(pause / 2)

        async def one() -> float:
            await pace.turn()
            return clock() - first

        return sorted(await asyncio.gather(*(one() for _ in range(n))))

    return asyncio.run(begin())


def test_starts_are_spaced() -> None:
    at = starts(Pace(1200), 4)
    assert all(seconds >= 0.99 * 0.05 * i for i, seconds in enumerate(at))


def test_without_a_limit_nobody_waits_but_for_a_pause() -> None:
    assert max(starts(Pace(None), 50)) < 1
    assert min(starts(Pace(None), 3, pause=0.2)) >= 0.99 * 0.2


def test_after_a_pause_not_all_start_at_the_same_moment() -> None:
    at = starts(Pace(None), 20, pause=0.4)
    assert at[-1] - at[0] > 0.01  # of nearly 0.1
