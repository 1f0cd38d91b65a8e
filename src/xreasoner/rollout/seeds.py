"""Random numbers as a pure function of (seed, position), so that a row's luck never depends on its batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _mix(z: int) -> int:
    """SplitMix64's finaliser, a bijection of 64-bit integers (Steele, Lea, Flood 2014,
    https://doi.org/10.1145/2714064.2660195)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def derive(*parts: int) -> int:
    """One 64-bit seed from several integers, order included: derive(run_seed, step), derive(seed, row, j)."""
    state = 0
    for part in parts:
        state = _mix((state + _GOLDEN + _mix((int(part) + _GOLDEN) & _MASK)) & _MASK)
    return state


def uniforms(seeds: npt.NDArray[np.uint64], position: int) -> npt.NDArray[np.float64]:
    """For each seed [B] the uniform number in [0, 1) at `position` (>= 0) of its SplitMix64 stream: [B], 53 bits."""
    z = seeds + np.uint64((position + 1) * _GOLDEN & _MASK)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
