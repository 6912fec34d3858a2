"""The lead at frames over two processes, each with half the views."""

import torch
from halves_of_maps import draw, find_lead
from processes import run_ranks

from c2am.trainer import lead_at_frame


def test_the_lead_at_frames_is_that_of_all_views(tmp_path):
    run_ranks(find_lead, tmp_path)
    expected = lead_at_frame(*draw(), torch.tensor(0.0))
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pth", weights_only=True)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
