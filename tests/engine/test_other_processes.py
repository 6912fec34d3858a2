"""A run goes on with as many processes as it was begun with, or not at all."""

import pytest
import torch
from toy_training import toy_runner

from luss.errors import LussError


@pytest.mark.parametrize(
    ("change", "said"),
    [({"processes": 2}, r"2 process\(es\) with 3"), ({"iterations_per_epoch": 4}, "with 4 iter")],
)
def test_a_checkpoint_of_another_world_is_refused(tmp_path, change, said):
    toy_runner(tmp_path).train()
    checkpoint = torch.load(tmp_path / "iter_6.pth", weights_only=True)
    checkpoint["meta"] |= change
    torch.save(checkpoint, tmp_path / "iter_6.pth")
    again = toy_runner(tmp_path, epochs=3, load_from=str(tmp_path / "iter_6.pth"))
    with pytest.raises(LussError, match=said):
        again.train()
