"""Algorithms of mmselfsup small enough for tests, with and without objectives on top.

A name added to ``ALGORITHMS`` is tested without new code.
"""

from dataclasses import dataclass, field

import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from luss.registry import MODELS

SIDE = 32
BATCH = 4
WIDTHS = {3: 32, 4: 64}
RESNET = {
    "type": "mmselfsup.ResNet",
    "depth": 18,
    "stem_channels": 8,
    "base_channels": 8,
    "strides": (1, 2, 2, 1),
}
VIT = {
    "arch": {"embed_dims": 32, "num_layers": 3, "num_heads": 2, "feedforward_channels": 48},
    "img_size": SIDE,
    "patch_size": 8,
}
CROSS_ENTROPY = {"type": "mmcls.CrossEntropyLoss"}
MAE_NECK = {
    "type": "MAEPretrainDecoder",
    "num_patches": 16,
    "patch_size": 8,
    "embed_dim": 32,
    "decoder_embed_dim": 16,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
    "mlp_ratio": 2.0,
}
MAE_HEAD = {
    "type": "MAEPretrainHead",
    "norm_pix": True,
    "patch_size": 8,
    "loss": {"type": "MAEReconstructionLoss"},
}


def nonlinear(in_channels=64, **settings):
    channels = {"in_channels": in_channels, "hid_channels": 16, "out_channels": 12}
    return {"type": "NonLinearNeck", **channels, **settings}


@dataclass
class Algorithm:
    """An algorithm of mmselfsup: its config, and what is to be known of it.

    Types in it have no prefix, as in mmselfsup's own configs.
    """

    config: dict
    backbone: dict = field(default_factory=lambda: RESNET)
    # Entries of out_indices that are stages 3 and 4, and how many channels these have.
    outputs: tuple = (3, 4)
    widths: dict = field(default_factory=lambda: WIDTHS)
    # Whether it gives feature maps of whole images.
    maps: bool = True
    # Views that go through the backbone itself (not a momentum copy) for the algorithm's loss.
    own_views: int = 2

    def backbone_of(self, stages):
        if not self.outputs:
            return self.backbone
        return {**self.backbone, "out_indices": [self.outputs[stage - 3] for stage in stages]}


ALGORITHMS = {
    "SimCLR": Algorithm(
        {
            "type": "mmselfsup.SimCLR",
            "neck": nonlinear(num_layers=2),
            "head": {"type": "ContrastiveHead", "loss": CROSS_ENTROPY},
        }
    ),
    "MoCo v2": Algorithm(
        {
            "type": "mmselfsup.MoCo",
            "queue_len": 3 * BATCH,
            "feat_dim": 12,
            "momentum": 0.9,
            "neck": {
                "type": "MoCoV2Neck",
                "in_channels": 64,
                "hid_channels": 16,
                "out_channels": 12,
            },
            "head": {"type": "ContrastiveHead", "loss": CROSS_ENTROPY, "temperature": 0.2},
        },
        own_views=1,
    ),
    "BYOL": Algorithm(
        {
            "type": "mmselfsup.BYOL",
            "base_momentum": 0.9,
            "neck": nonlinear(with_bias=True, with_last_bn=False),
            "head": {
                "type": "LatentPredictHead",
                "predictor": nonlinear(12, with_last_bn=False, with_avg_pool=False),
                "loss": {"type": "CosineSimilarityLoss"},
            },
        }
    ),
    "SimSiam": Algorithm(
        {
            "type": "mmselfsup.SimSiam",
            "neck": nonlinear(num_layers=3, with_last_bn_affine=False),
            "head": {
                "type": "LatentPredictHead",
                "predictor": nonlinear(12, with_last_bn=False, with_avg_pool=False),
                "loss": {"type": "CosineSimilarityLoss"},
            },
        }
    ),
    "SwAV": Algorithm(
        {
            "type": "mmselfsup.SwAV",
            "neck": {
                "type": "SwAVNeck",
                "in_channels": 64,
                "hid_channels": 16,
                "out_channels": 12,
            },
            "head": {
                "type": "SwAVHead",
                "loss": {
                    "type": "SwAVLoss",
                    "feat_dim": 12,
                    "num_crops": [2],
                    "num_prototypes": 6,
                },
            },
        }
    ),
    "DenseCL": Algorithm(
        {
            "type": "mmselfsup.DenseCL",
            "queue_len": 3 * BATCH,
            "feat_dim": 12,
            "momentum": 0.9,
            "neck": {
                "type": "DenseCLNeck",
                "in_channels": 64,
                "hid_channels": 16,
                "out_channels": 12,
            },
            "head": {"type": "ContrastiveHead", "loss": CROSS_ENTROPY, "temperature": 0.2},
        },
        own_views=1,
    ),
    "BarlowTwins": Algorithm(
        {
            "type": "mmselfsup.BarlowTwins",
            "neck": nonlinear(num_layers=3, with_last_bn=False),
            "head": {
                "type": "LatentCrossCorrelationHead",
                "in_channels": 12,
                "loss": {"type": "CrossCorrelationLoss"},
            },
        }
    ),
    "MoCo v3": Algorithm(
        {
            "type": "mmselfsup.MoCoV3",
            "base_momentum": 0.9,
            "neck": nonlinear(32, num_layers=3, with_avg_pool=False, vit_backbone=True),
            "head": {
                "type": "MoCoV3Head",
                "predictor": nonlinear(12, with_avg_pool=False),
                "loss": CROSS_ENTROPY,
            },
        },
        backbone={"type": "mmselfsup.MoCoV3ViT", "stop_grad_conv1": True, **VIT},
        outputs=(1, 2),
        widths={3: 32, 4: 32},
    ),
    "MAE": Algorithm(
        {"type": "mmselfsup.MAE", "neck": MAE_NECK, "head": MAE_HEAD},
        backbone={"type": "mmselfsup.MAEViT", **VIT},
        outputs=(),
        maps=False,
        own_views=1,
    ),
    "PixMIM": Algorithm(
        {
            "type": "mmselfsup.PixMIM",
            "neck": MAE_NECK,
            "head": MAE_HEAD,
            "target_generator": {
                "type": "LowFreqTargetGenerator",
                "radius": 10,
                "img_size": SIDE,
            },
        },
        backbone={"type": "mmselfsup.MAEViT", **VIT},
        outputs=(),
        maps=False,
        own_views=1,
    ),
}

OBJECTIVES = {
    "none": (),
    "P2P": ("p2p",),
    "D2S": ("clustering", "d2s"),
    "both": ("clustering", "d2s", "p2p"),
}
"""D2S learns from the codes of clustering, so the two come together."""


def objective_configs(names, widths):
    small = {"hidden_channels": 12, "embedding_channels": 8}
    configs = {
        "clustering": {"type": "Clustering", "in_channels": widths[4], "num_prototypes": 6},
        "d2s": {"type": "D2S", "in_channels": {3: widths[3]}},
        "p2p": {"type": "P2P", "in_channels": widths[4]},
        "pixpro": {"type": "PixPro", "in_channels": widths[4], "momentum": 0.6},
    }
    return {name: {**configs[name], **small} for name in names}


def model_config(name, objectives=(), **settings):
    """Config of an algorithm with objectives; D2S needs two stages."""
    algorithm = ALGORITHMS[name]
    stages = (3, 4) if "d2s" in objectives else (4,)
    return {
        "type": "AlgorithmWithObjectives",
        "algorithm": algorithm.config,
        "backbone": algorithm.backbone_of(stages),
        "stages": stages,
        "objectives": objective_configs(objectives, algorithm.widths),
        **settings,
    }


def build(name, objectives=(), seed=0, **settings):
    """An algorithm with objectives, in training mode."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope("luss"):
        model = MODELS.build(model_config(name, objectives, **settings))
    return _initialised(model, seed)


def build_alone(name, seed=0):
    """The same algorithm of mmselfsup; its backbone only returns the last map."""
    torch.manual_seed(seed)
    algorithm = ALGORITHMS[name]
    with DefaultScope.overwrite_default_scope("mmselfsup"):
        model = MODELS.build({**algorithm.config, "backbone": algorithm.backbone_of((4,))})
    return _initialised(model, seed)


def _initialised(model, seed):
    # Objectives have drawn their weights in between.
    torch.manual_seed(seed)
    model.init_weights()
    return model.train()


def batch(seed=0, large=2, small=0):
    """Views of ``BATCH`` photos as a preprocessor gives them, with rectangles that overlap."""
    # Algorithms with cosine momentum read the length of training here.
    MessageHub.get_current_instance().update_info("max_iters", 10)
    generator = torch.Generator().manual_seed(seed)
    sides = [SIDE] * large + [SIDE // 2] * small
    inputs = [torch.randn(BATCH, 3, side, side, generator=generator) for side in sides]
    left_top = torch.randint(0, 30, (BATCH, len(sides), 2), generator=generator)
    size = torch.randint(40, 80, (BATCH, len(sides), 2), generator=generator)
    flip = torch.randint(0, 2, (BATCH, len(sides), 1), generator=generator)
    photo = torch.tensor([120, 110]).expand(BATCH, len(sides), 2)
    return {"inputs": inputs, "geometry": torch.cat([left_top, size, flip, photo], dim=2).float()}
