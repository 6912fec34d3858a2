"""Schedules, networks and pipelines as the sources have them, in plain values.

Each group names its sources:

- P: the paper, by section; its supplement is not among the sources.
- N: notes on the method and the released code, ``pass_method.md``, by their headings (the same as
  in facts.py); I: those on the data set, ``imagenet_s.md``. Neither is part of the repository.
- B and S: mmselfsup's installed configs of BYOL and SwAV, by file; test_sources.py reads them.

'Ours' is what none of them says.
"""

import math
from itertools import pairwise

import pytest

# Curves: all iterations of two an epoch.
# P 5.1, both paragraphs ("gradually decays with the cosine learning rate schedule"; "five warm-up
# epochs"). N, step 1, under the table: once an iteration over T = epochs * iterations, "the final
# rate is approached, not reached"; PixPro: warm-up "from lr / 100". That the base rate belongs to
# the last iteration of the warm-up, and the start of AdamW's (1e-6), are ours: docs/deviations.md.


def cosine(base: float, end: float, epochs: int):
    """From ``base`` at iteration 0 towards ``end``, which is approached, not reached."""
    return pytest.approx(_cosine(base, end, 2 * epochs), rel=1e-6)


def warm_cosine(base: float, end: float, warm: int, epochs: int, start: float = 1e-6):
    """Straight from ``start * base`` to ``base`` in ``warm`` epochs, then as :func:`cosine`."""
    steps = 2 * warm
    up = [base * (start + (1 - start) * step / (steps - 1)) for step in range(steps)]
    return pytest.approx([*up, *_cosine(base, end, 2 * epochs - steps)], rel=1e-5)


def _cosine(base, end, steps):
    return [end + (base - end) * (1 + math.cos(math.pi * t / steps)) / 2 for t in range(steps)]


# Networks
# Depths: P 5.1. Strides: N, backbone ("v1 with the stride in the 3x3 convolution"). Stride 16: the
# authors' later semi-supervised code.


def resnet(depth: int, last_stride: int = 2, last_dilation: int = 1) -> dict[str, tuple]:
    """Convolutions of a ResNet v1 with its stride in the 3x3 convolution (He et al., table 1).

    The first block of the last stage keeps dilation 1.
    """
    found = {"conv1": (3, 64, 7, 2, 3, 1, False)}
    blocks = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[depth]
    channels = 64
    for stage, count in enumerate(blocks, start=1):
        width = 32 * 2**stage
        for block in range(count):
            stride = 1 if stage == 1 or block else (last_stride if stage == 4 else 2)
            dilation = last_dilation if stage == 4 and block else 1
            spread = (3, 1, dilation, dilation, False)
            first = (3, stride, dilation, dilation, False)
            if depth == 18:
                out = width
                convs = [(channels, width, *first), (width, width, *spread)]
            else:
                out = 4 * width
                convs = [
                    (channels, width, 1, 1, 0, 1, False),
                    (width, width, *first),
                    (width, out, 1, 1, 0, 1, False),
                ]
            name = f"layer{stage}.{block}"
            found |= {f"{name}.conv{n}": conv for n, conv in enumerate(convs, start=1)}
            if stride != 1 or channels != out:
                found[f"{name}.downsample.0"] = (channels, out, 1, stride, 0, 1, False)
            channels = out
    return found


def linear_projector(width: int, hidden: int) -> list[str]:
    """M_I: Linear, BN, ReLU, Linear to 128, BN without affine (N, L_e for PASS_s; L_D2S)."""
    return [
        f"Linear {width}->{hidden} bias",
        f"BN {hidden} affine",
        "ReLU",
        f"Linear {hidden}->128 bias",
        "BN 128",
    ]


def pixel_projector(*widths: int) -> list[str]:
    """1x1 convolutions without bias, each with BN, the last without affine; ReLU between.

    M_p and M_K: N, L_P2P and L_D2S. P 4.2 has two layers in M_p; the configs follow the code.
    """
    words = []
    for before, after in pairwise(widths):
        words += [f"Conv1x1 {before}->{after}", f"BN {after} affine", "ReLU"]
    return [*words[:-2], f"BN {widths[-1]}"]


def attention(width: int) -> list[str]:
    """M_A: Conv1x1, BN, ReLU, Conv1x1, BN; convolutions with bias, BN affine.

    P 4.3, equation 6, and N, step 2.1.
    """
    half = [f"Conv1x1 {width}->{width} bias", f"BN {width} affine"]
    return [*half, "ReLU", *half]


def layer_rates(decay: float, blocks: tuple[int, ...]) -> dict:
    """Rates over that of the head: one factor for each block of a ResNet, and one for its stem.

    N, protocols, semi-supervised: "layer-wise lr decay". What counts as a layer is as in the
    authors' later code.
    """
    names = [f"backbone.layer{s}.{b}" for s, count in enumerate(blocks, 1) for b in range(count)]
    names = ["backbone", *names, "decode_head"]
    return {name: pytest.approx(decay**depth) for depth, name in enumerate(reversed(names))}


# Pipelines
# Flip probability: S and B, imagenet_swav_mcrop-2-6.py and imagenet_byol.py. Aspect ratio and
# Pillow's bilinear resizing (B: bicubic): N, normalisation. Sizes and scales are given by facts.py.

LOAD = ("LoadRGBImage", {})
FLIP = ("RandomFlipWithMask", {"prob": 0.5, "direction": "horizontal", "swap_seg_labels": None})
PACK = ("PackInputs", {})
RATIO = [3 / 4, 4 / 3]


def multi_crop(*views: tuple) -> list:
    """Views of (count, side, smallest and largest scale)."""
    specs = [
        ("ViewSpec", {"count": count, "size": size, "scale": scale}) for count, size, scale in views
    ]
    settings = {"specs": specs, "ratio": RATIO, "flip_probability": 0.5, "backend": "pillow"}
    return [LOAD, ("MultiCrop", settings), ("PackViews", {})]


def load_mask(optional: bool) -> tuple:
    return ("LoadMask", {"num_classes": None, "optional": optional})


def short_side(size: int) -> tuple:
    settings = {"size": size, "max_long": None, "resize_mask": False, "multiple_of": None}
    return ("ResizeShortSide", settings)


def crop_with_mask(size: int, scale: list) -> list:
    crop = ("RandomResizedCropWithMask", {"size": size, "scale": scale, "ratio": RATIO})
    return [LOAD, load_mask(optional=False), crop, FLIP, PACK]


# N, step 2.2: "centre crop 224, no augmentation"; the other settings are mmcv's own.
CENTER_CROP = (
    "CenterCrop",
    {
        "crop_size": [224, 224],
        "auto_pad": False,
        "pad_cfg": {"type": "Pad"},
        "clip_object_border": True,
    },
)
# I, inference, and N, step 2.3: "short side 256, whole image".
WHOLE_IMAGE = [LOAD, load_mask(optional=True), short_side(256), PACK]
# N, step 1, views; S, imagenet_swav_mcrop-2-6.py. The reach of the blur is ours: three times the
# largest deviation.
SWAV_COLOURS = [
    ("ColorJitter", {"strengths": [0.8, 0.8, 0.8], "hue": 0.2, "probability": 0.8}),
    ("RandomGrayscale", {"probability": 0.2}),
    ("GaussianBlur", {"radius": [0.1, 2.0], "reach": 6, "probability": 0.5}),
]
# N, L_e for PASS_p: "colour jitter 0.4, 0.4, 0.2, 0.1, p 0.8; grayscale 0.2; blur p 1.0 / 0.1;
# solarise p 0 / 0.2"; B, imagenet_byol.py: the same, sigma 0.1 to 2. The threshold is Pillow's:
# levels from 128 on, which are those above 0.5.
BYOL_COLOURS = [
    ("ColorJitter", {"strengths": [0.4, 0.4, 0.2], "hue": 0.1, "probability": 0.8}),
    ("RandomGrayscale", {"probability": 0.2}),
]
BYOL_VIEWS = [
    [
        *BYOL_COLOURS,
        ("GaussianBlur", {"radius": [0.1, 2.0], "reach": 6, "probability": 1.0}),
    ],
    [
        *BYOL_COLOURS,
        ("GaussianBlur", {"radius": [0.1, 2.0], "reach": 6, "probability": 0.1}),
        ("Solarize", {"threshold": 0.5, "probability": 0.2}),
    ],
]
