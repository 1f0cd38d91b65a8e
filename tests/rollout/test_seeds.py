import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xreasoner.rollout.seeds import derive, uniforms


def test_splitmix64_reference_stream():
    # The first outputs of SplitMix64 seeded with 1234567 (https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64)
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    for position, value in enumerate(expected):
        assert uniforms(np.array([1234567], dtype=np.uint64), position)[0] == (value >> 11) * 2.0**-53


@given(st.lists(st.integers(-(2**70), 2**70), max_size=5))
def test_derive_gives_64_bits_for_any_integers(parts):
    assert 0 <= derive(*parts) < 2**64
    assert derive(*parts) == derive(*parts)


def test_derive_tells_order_and_arity_apart():
    seeds = {derive(*parts) for parts in [(), (0,), (0, 0), (1,), (1, 0), (0, 1), (1, 1), (1, 2, 3), (3, 2, 1)]}
    assert len(seeds) == 9
    assert len({derive(a, b, c) for a in range(20) for b in range(20) for c in range(20)}) == 8000


def test_uniform_and_independent():
    seeds = np.array([derive(0, row, j) for row in range(200) for j in range(10)], dtype=np.uint64)
    u = np.stack([uniforms(seeds, position) for position in range(50)], 1)  # [2000, 50]
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, bins=100, range=(0, 1))[0]
    chi2 = ((counts - 1000) ** 2 / 1000).sum()
    assert 60 < chi2 < 150  # 99 degrees of freedom: mean 99, standard deviation 14
    bound = 4 / np.sqrt(u.size)
    assert abs(np.corrcoef(u[:, 1:].ravel(), u[:, :-1].ravel())[0, 1]) < bound  # neighbours in time
    assert abs(np.corrcoef(u[1:].ravel(), u[:-1].ravel())[0, 1]) < bound  # neighbours in the batch


def test_a_row_draws_the_same_in_any_company():
    seeds = np.array([5, 6, 7], dtype=np.uint64)
    assert uniforms(seeds, 3)[1] == uniforms(seeds[1:2], 3)[0]
