"""A pretrainer small enough for tests, and batches for it."""

import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from luss.models import PASSPretrainer

CHANNELS = {1: 16, 2: 32, 3: 64, 4: 128}


def build(shallow=(3,), seed=0, pixpro=False, **clustering):
    """PASS_s on a narrow ResNet-18, with D2S of the given stages; with PixPro it is PASS_p."""
    # The momentum copy reads the length of training here.
    MessageHub.get_current_instance().update_info("max_iters", 10)
    torch.manual_seed(seed)
    stages = tuple(sorted({*shallow, 4}))
    widths = {"hidden_channels": 12, "embedding_channels": 8}
    clustering = {"type": "Clustering", "in_channels": 128, "num_prototypes": 10, **clustering}
    with DefaultScope.overwrite_default_scope("luss"):
        model = PASSPretrainer(
            backbone={
                "type": "mmselfsup.ResNet",
                "depth": 18,
                "stem_channels": 16,
                "base_channels": 16,
                "out_indices": stages,
            },
            stages=stages,
            objectives={
                "clustering": {**widths, **clustering},
                "d2s": {
                    "type": "D2S",
                    "in_channels": {stage: CHANNELS[stage] for stage in shallow},
                    **widths,
                },
                "p2p": {"type": "P2P", "in_channels": 128, **widths},
                **({"pixpro": {"type": "PixPro", "momentum": 0.6, **widths}} if pixpro else {}),
            },
        )
    model.objectives["clustering"].set_progress(0, 0)
    return model.train()


def batch(count, large=2, small=2, seed=0):
    """Views of ``count`` photos: two sizes, and rectangles that mostly overlap."""
    generator = torch.Generator().manual_seed(seed)
    sides = [64] * large + [32] * small
    inputs = [torch.randn(count, 3, side, side, generator=generator) for side in sides]
    left_top = torch.randint(0, 30, (count, len(sides), 2), generator=generator)
    size = torch.randint(40, 80, (count, len(sides), 2), generator=generator)
    flip = torch.randint(0, 2, (count, len(sides), 1), generator=generator)
    photo = torch.tensor([120, 110]).expand(count, len(sides), 2)
    return {"inputs": inputs, "geometry": torch.cat([left_top, size, flip, photo], dim=2).float()}
