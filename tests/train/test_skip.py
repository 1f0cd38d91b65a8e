import torch

from xreasoner.train.skip import micro_batches


def make_batch(advantages, prompt_lengths, completion_lengths):
    """Token id = row number + 1; 0 is padding."""
    rows = torch.arange(len(advantages))[:, None] + 1
    prompt_mask = torch.tensor([[0] * (4 - n) + [1] * n for n in prompt_lengths])
    completion_mask = torch.tensor([[1] * n + [0] * (6 - n) for n in completion_lengths])
    return {
        "prompt_ids": rows * prompt_mask,
        "prompt_mask": prompt_mask,
        "completion_ids": rows * completion_mask,
        "completion_mask": completion_mask,
        "advantages": torch.tensor(advantages),
        "num_items_in_batch": torch.tensor(sum(completion_lengths)),
    }


def rows_of(part):
    return (part["completion_ids"][:, 0] - 1).tolist()


BATCH = make_batch(
    [1.0, 0, -1, 0, 0.5, -0.5, 0, 0],
    prompt_lengths=[2, 2, 3, 4, 2, 1, 1, 1],
    completion_lengths=[5, 1, 2, 6, 1, 1, 3, 2],
)


def test_rows_without_advantage_go_and_the_rest_is_sorted_by_length_and_trimmed():
    first, second, third, fourth = micro_batches(BATCH, updates=2, per_update=2, skip=True)
    assert [rows_of(p) for p in (first, second, third, fourth)] == [[2], [0], [5], [4]]
    assert first["prompt_ids"].tolist() == [[3, 3, 3]]
    assert first["completion_ids"].tolist() == [[3, 3]]
    assert second["prompt_ids"].tolist() == [[1, 1]]
    assert second["completion_mask"].tolist() == [[1] * 5]
    assert all(p["num_items_in_batch"] == 21 for p in (first, second, third, fourth))


def test_without_skipping_every_row_stays_in_its_update():
    parts = micro_batches(BATCH, updates=2, per_update=2, skip=False)
    assert [sorted(rows_of(a) + rows_of(b)) for a, b in (parts[:2], parts[2:])] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [len(rows_of(p)) for p in parts] == [2, 2, 2, 2]


def test_rows_of_different_widths_keep_their_padding():
    (part,) = micro_batches(BATCH, updates=1, per_update=1, skip=True)
    assert rows_of(part) == [5, 4, 2, 0]
    assert part["prompt_ids"].tolist() == [[0, 0, 6], [0, 5, 5], [3, 3, 3], [0, 1, 1]]
    assert part["completion_ids"].shape == (4, 5)


def test_every_micro_batch_keeps_a_row_even_where_all_are_flat():
    flat = BATCH | {"advantages": torch.zeros(8)}
    parts = micro_batches(flat, updates=2, per_update=3, skip=True)
    assert [rows_of(p) for p in parts] == [[1]] * 3 + [[5]] * 3
    one = BATCH | {"advantages": torch.tensor([0.0, 0, 0, 1, 0, 0, 0, 0])}
    assert [rows_of(p) for p in micro_batches(one, updates=1, per_update=2, skip=True)] == [[3], [5]]
