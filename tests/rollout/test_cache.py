import torch
from transformers import DynamicCache

from xreasoner.rollout.cache import growing_cache


def test_grows_and_selects_as_the_stock_cache_does():
    torch.manual_seed(0)
    ours, stock = growing_cache(), DynamicCache()

    def update(batch: int, length: int) -> None:
        for layer in range(2):
            new = torch.randn(2, batch, 3, length, 4)
            for a, b in zip(ours.update(new[0], new[1], layer), stock.update(new[0], new[1], layer), strict=True):
                assert torch.equal(a, b)

    def select(*rows: int) -> None:
        for cache in (ours, stock):
            cache.batch_select_indices(torch.tensor(rows))

    assert ours.get_seq_length() == 0
    update(2, 5)
    select(0, 0, 1, 1, 1)
    for _ in range(70):  # past the room taken at once
        update(5, 1)
    select(4, 1)
    update(2, 1)
    update(2, 100)
    assert ours.get_seq_length() == stock.get_seq_length() == 176


def test_branches_do_not_share_memory():
    cache = growing_cache()
    cache.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2), 0)
    cache.batch_select_indices(torch.tensor([0, 0]))
    keys, _ = cache.update(torch.tensor([[[[1.0, 1.0]]], [[[2.0, 2.0]]]]), torch.zeros(2, 1, 1, 2), 0)
    assert keys[:, 0, :, 0].tolist() == [[0, 1], [0, 2]]


def test_the_last_rows_move_to_the_places_of_those_that_leave():
    torch.manual_seed(0)
    ours, stock = growing_cache(), DynamicCache()
    for cache in (ours, stock):
        torch.manual_seed(1)
        cache.update(torch.randn(5, 1, 3, 2), torch.randn(5, 1, 3, 2), 0)
    order, filled = torch.tensor([0, 4, 2]), torch.tensor([1])  # rows 1 and 3 leave, 4 takes the place of 1
    ours.layers[0].keep_rows(order, filled)
    stock.batch_select_indices(order)
    new = torch.randn(2, 3, 1, 1, 2)
    for a, b in zip(ours.update(*new, 0), stock.update(*new, 0), strict=True):
        assert torch.equal(a, b)
