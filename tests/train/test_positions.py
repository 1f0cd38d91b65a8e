from grpo_tiny import make_spec

from xreasoner.train.positions import Positions


def test_positions_cover_the_same_prompts_in_every_update_whatever_the_processes():
    spec = make_spec(prompts_per_step=8, steps=2)
    for processes in (1, 2, 4):
        copies = 8 // processes
        order = list(Positions(spec, processes, copies))
        assert len(order) == len(Positions(spec, processes, copies)) == 2 * copies * 32
        first = order[:32]
        assert order[: 32 * copies] == first * copies
        assert set(order[32 * copies :]) == set(range(8, 16))
        local = 32 // processes
        for update in range(2):
            seen = []
            for rank in range(processes):
                mine = first[rank * local : (rank + 1) * local]
                seen += mine[update * local // 2 : (update + 1) * local // 2]
            assert sorted(seen) == [p for p in range(4 * update, 4 * update + 4) for _ in range(4)]
