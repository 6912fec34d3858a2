"""Every item is worked on by exactly one of any number of processes."""

import pytest

from luss import ranks


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 25])
def test_shares_make_up_the_whole_in_order(monkeypatch, world, count):
    shares = []
    monkeypatch.setattr(ranks, "get_world_size", lambda: world)
    for rank in range(world):
        monkeypatch.setattr(ranks, "get_rank", lambda rank=rank: rank)
        shares.append(ranks.own_share(count))
    assert [item for share in shares for item in share] == list(range(count))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
