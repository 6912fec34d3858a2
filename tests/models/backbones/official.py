"""Published weight files: names and shapes of their tensors, written down from their programs."""

import argparse

import torch

_ON_META = {"device": "meta"}


def tensor(*shape):
    return torch.empty(*shape, **_ON_META)


def linear(name, inputs, outputs, bias=True):
    found = {f"{name}.weight": tensor(outputs, inputs)}
    return found | {f"{name}.bias": tensor(outputs)} if bias else found


def norm(name, width):
    return {f"{name}.weight": tensor(width), f"{name}.bias": tensor(width)}


def batch_norm(name, width):
    return {
        **norm(name, width),
        f"{name}.running_mean": tensor(width),
        f"{name}.running_var": tensor(width),
        f"{name}.num_batches_tracked": torch.empty((), dtype=torch.int64, **_ON_META),
    }


def resnet50():
    """As in torchvision, without the classifier."""
    found = {"conv1.weight": tensor(64, 3, 7, 7), **batch_norm("bn1", 64)}
    channels = 64
    for stage, count in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(count):
            name = f"layer{stage + 1}.{block}"
            for number, shape in enumerate(
                [(width, channels, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)], 1
            ):
                found[f"{name}.conv{number}.weight"] = tensor(*shape)
                found |= batch_norm(f"{name}.bn{number}", shape[0])
            if block == 0:
                found[f"{name}.downsample.0.weight"] = tensor(4 * width, channels, 1, 1)
                found |= batch_norm(f"{name}.downsample.1", 4 * width)
            channels = 4 * width
    return found


def vit(width, patch, size, depth=12, ratio=4, scale=False, registers=0):
    """As in the authors' programs, all of which follow timm's first vision transformer."""
    found = {
        "cls_token": tensor(1, 1, width),
        "pos_embed": tensor(1, 1 + (size // patch) ** 2, width),
        "patch_embed.proj.weight": tensor(width, 3, patch, patch),
        "patch_embed.proj.bias": tensor(width),
        **norm("norm", width),
    }
    if registers:
        found["register_tokens"] = tensor(1, registers, width)
    for block in range(depth):
        name = f"blocks.{block}"
        found |= norm(f"{name}.norm1", width) | norm(f"{name}.norm2", width)
        found |= linear(f"{name}.attn.qkv", width, 3 * width)
        found |= linear(f"{name}.attn.proj", width, width)
        found |= linear(f"{name}.mlp.fc1", width, ratio * width)
        found |= linear(f"{name}.mlp.fc2", ratio * width, width)
        if scale:
            found |= {f"{name}.ls{number}.gamma": tensor(width) for number in (1, 2)}
    return found


def dinov3(width, heads, depth=12, hidden=None, gated=False):
    found = vit(width, 16, 16, depth, scale=True) | {
        "storage_tokens": tensor(1, 4, width),
        "mask_token": tensor(1, width),
        "rope_embed.periods": tensor(width // heads // 4).bfloat16(),
    }
    del found["pos_embed"]
    hidden = hidden or 4 * width
    for block in range(depth):
        name = f"blocks.{block}"
        found[f"{name}.attn.qkv.bias_mask"] = tensor(3 * width)
        for part in ("fc1", "fc2"):
            for kind in ("weight", "bias"):
                del found[f"{name}.mlp.{part}.{kind}"]
        if gated:
            found |= linear(f"{name}.mlp.w1", width, hidden)
            found |= linear(f"{name}.mlp.w2", width, hidden)
            found |= linear(f"{name}.mlp.w3", hidden, width)
        else:
            found |= linear(f"{name}.mlp.fc1", width, hidden)
            found |= linear(f"{name}.mlp.fc2", hidden, width)
    return found


def convnext(depths, widths):
    found = {
        "downsample_layers.0.0.weight": tensor(widths[0], 3, 4, 4),
        "downsample_layers.0.0.bias": tensor(widths[0]),
        **norm("downsample_layers.0.1", widths[0]),
        **norm("norm", widths[-1]),
        **linear("head", widths[-1], 1000),
    }
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            before = widths[stage - 1]
            found |= norm(f"downsample_layers.{stage}.0", before)
            found[f"downsample_layers.{stage}.1.weight"] = tensor(width, before, 2, 2)
            found[f"downsample_layers.{stage}.1.bias"] = tensor(width)
        for block in range(depth):
            name = f"stages.{stage}.{block}"
            found[f"{name}.gamma"] = tensor(width)
            found[f"{name}.dwconv.weight"] = tensor(width, 1, 7, 7)
            found[f"{name}.dwconv.bias"] = tensor(width)
            found |= norm(f"{name}.norm", width)
            found |= linear(f"{name}.pwconv1", width, 4 * width)
            found |= linear(f"{name}.pwconv2", 4 * width, width)
    return found


def swin(width, depths, heads, window=7, size=224):
    found = {
        "patch_embed.proj.weight": tensor(width, 3, 4, 4),
        "patch_embed.proj.bias": tensor(width),
        **norm("patch_embed.norm", width),
        **norm("norm", 8 * width),
        **linear("head", 8 * width, 1000),
    }
    pairs = torch.empty(window**2, window**2, dtype=torch.int64, **_ON_META)
    for stage, depth in enumerate(depths):
        channels, grid = width * 2**stage, size // 4 // 2**stage
        for block in range(depth):
            name = f"layers.{stage}.blocks.{block}"
            found |= norm(f"{name}.norm1", channels) | norm(f"{name}.norm2", channels)
            found |= linear(f"{name}.attn.qkv", channels, 3 * channels)
            found |= linear(f"{name}.attn.proj", channels, channels)
            found[f"{name}.attn.relative_position_bias_table"] = tensor(
                (2 * window - 1) ** 2, heads[stage]
            )
            found[f"{name}.attn.relative_position_index"] = pairs
            found |= linear(f"{name}.mlp.fc1", channels, 4 * channels)
            found |= linear(f"{name}.mlp.fc2", 4 * channels, channels)
            if block % 2 and grid > window:
                found[f"{name}.attn_mask"] = tensor((grid // window) ** 2, window**2, window**2)
        if stage < 3:
            found |= norm(f"layers.{stage}.downsample.norm", 4 * channels)
            name = f"layers.{stage}.downsample.reduction"
            found |= linear(name, 4 * channels, 2 * channels, bias=False)
    return found


def efficientnet_lite0():
    """Of efficientnet-lite-pytorch: kernel, expansion, channels and number of blocks by stage."""
    stages = [
        (3, 1, 16, 1),
        (3, 6, 24, 2),
        (5, 6, 40, 2),
        (3, 6, 80, 3),
        (5, 6, 112, 3),
        (5, 6, 192, 4),
        (3, 6, 320, 1),
    ]
    found = {"_conv_stem.weight": tensor(32, 3, 3, 3), **batch_norm("_bn0", 32)}
    channels, number = 32, 0
    for kernel, expansion, width, count in stages:
        for _ in range(count):
            name, inner = f"_blocks.{number}", channels * expansion
            if expansion > 1:
                found[f"{name}._expand_conv.weight"] = tensor(inner, channels, 1, 1)
                found |= batch_norm(f"{name}._bn0", inner)
            found[f"{name}._depthwise_conv.weight"] = tensor(inner, 1, kernel, kernel)
            found |= batch_norm(f"{name}._bn1", inner)
            found[f"{name}._project_conv.weight"] = tensor(width, inner, 1, 1)
            found |= batch_norm(f"{name}._bn2", width)
            channels, number = width, number + 1
    found["_conv_head.weight"] = tensor(1280, 320, 1, 1)
    return found | batch_norm("_bn1", 1280) | linear("_fc", 1280, 1000)


def below(prefix, tensors):
    return {prefix + name: value for name, value in tensors.items()}


def of_swav(network):
    heads = linear("projection_head.0", 2048, 2048) | batch_norm("projection_head.1", 2048)
    heads |= linear("projection_head.3", 2048, 128) | linear("prototypes", 128, 3000, bias=False)
    return below("module.", network | heads)


def of_moco_v2(network):
    head = linear("fc.0", 2048, 2048) | linear("fc.2", 2048, 128)
    return {
        "epoch": 800,
        "arch": "resnet50",
        "state_dict": below("module.encoder_q.", network | head)
        | below("module.encoder_k.", network | head)
        | {"module.queue": tensor(128, 65536)},
    }


def of_moco_v3(network, head):
    head = linear(f"{head}.0", 2048, 4096, bias=False) | batch_norm(f"{head}.1", 4096)
    return {
        "epoch": 300,
        "state_dict": below("module.base_encoder.", network | head)
        | below("module.momentum_encoder.", network | head)
        | below("module.predictor.", linear("0", 256, 4096, bias=False)),
    }


def of_openmmlab(network, width=2048):
    return {
        "meta": {"epoch": 100},
        "state_dict": below("backbone.", network) | linear("head.fc", width, 1000),
    }


def of_pixpro(network):
    return {
        "opt": argparse.Namespace(arch="resnet50", crop=0.2),
        "model": below("module.encoder.", network)
        | below("module.encoder_k.", network)
        | below("module.projector.", linear("linear1", 2048, 2048)),
        "epoch": 400,
    }


def of_pass(network):
    heads = linear("projection_head.0", 2048, 2048)
    heads |= linear("projection_head_shallow.projection_head_shallow3.0", 1024, 2048)
    heads |= linear("prototypes", 128, 500, bias=False)
    return {"epoch": 100, "state_dict": below("module.", network | heads)}


def of_sere(network, width):
    heads = linear("channel_sere.mlp.0", width, 2 * width) | linear("pixel_sere.q", width, width)
    return {"state_dict": network | heads}


MMCLS_CONVNEXT = [
    (".dwconv.", ".depthwise_conv."),
    (".pwconv1.", ".pointwise_conv1."),
    (".pwconv2.", ".pointwise_conv2."),
]
MMCLS_SWIN = [
    ("patch_embed.proj.", "patch_embed.projection."),
    ("layers.", "stages."),
    (".attn.", ".attn.w_msa."),
    (".mlp.fc1.", ".ffn.layers.0.0."),
    (".mlp.fc2.", ".ffn.layers.1."),
]


def of_mmcls(network, renames):
    """Of OpenMMLab's program: its own names, without masks, and the last norm has a number."""
    found = {}
    for name, value in network.items():
        if name.startswith("head.") or name.endswith("attn_mask"):
            continue
        for old, new in renames:
            name = name.replace(old, new)
        found["norm3." + name.removeprefix("norm.") if name.startswith("norm.") else name] = value
    return of_openmmlab(found, found["norm3.bias"].shape[0])


CONVNEXTS = {
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
}
SWINS = {
    "tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
}
WIDTHS = {"s": 384, "b": 768, "l": 1024}
DEPTHS = {"s": 12, "b": 12, "l": 24}


def _vit(letter, patch, size, **options):
    return vit(WIDTHS[letter], patch, size, DEPTHS[letter], **options)


FILES = {
    "torchvision_resnet50": lambda: resnet50() | linear("fc", 2048, 1000),
    "openmmlab_resnet50": lambda: of_openmmlab(resnet50()),
    "swav_resnet50": lambda: of_swav(resnet50()),
    "mocov2_resnet50": lambda: of_moco_v2(resnet50()),
    "mocov3_resnet50": lambda: of_moco_v3(resnet50(), "fc"),
    "dino_resnet50": resnet50,
    "byol_resnet50": lambda: {"state_dict": below("backbone.", resnet50())},
    "pixpro_resnet50": lambda: of_pixpro(resnet50()),
    "pass_resnet50": lambda: of_pass(resnet50()),
    "efficientnet_lite0": efficientnet_lite0,
    "dinov3_vits16": lambda: dinov3(384, 6),
    "dinov3_vits16plus": lambda: dinov3(384, 6, hidden=1536, gated=True),
    "dinov3_vitb16": lambda: dinov3(768, 12),
    "dinov3_vitl16": lambda: dinov3(1024, 16, depth=24),
}
for s, p in (("s", 16), ("s", 8), ("b", 16), ("b", 8)):
    FILES[f"dino_vit{s}{p}"] = lambda s=s, p=p: _vit(s, p, 224)
for s in "sbl":
    mask = {"mask_token": tensor(1, WIDTHS[s])}
    FILES[f"dinov2_vit{s}14"] = lambda s=s, m=mask: _vit(s, 14, 518, scale=True) | m
    FILES[f"dinov2_vit{s}14_reg"] = lambda s=s, m=mask: (
        _vit(s, 14, 518, scale=True, registers=4) | m
    )
for s in "sb":
    FILES[f"ibot_vit{s}16"] = lambda s=s: {"state_dict": _vit(s, 16, 224)}
    FILES[f"mocov3_vit{s}16"] = lambda s=s: of_moco_v3(_vit(s, 16, 224), "head")
    FILES[f"deit_vit{s}16"] = lambda s=s: {
        "model": _vit(s, 16, 224) | linear("head", WIDTHS[s], 1000)
    }
    FILES[f"sere_vit{s}16"] = lambda s=s: of_sere(_vit(s, 16, 224), WIDTHS[s])
for s in "bl":
    FILES[f"mae_vit{s}16"] = lambda s=s: {"model": _vit(s, 16, 224)}
for n, arch in CONVNEXTS.items():
    FILES[f"convnext_{n}"] = lambda arch=arch: {"model": convnext(*arch)}
    FILES[f"openmmlab_convnext_{n}"] = lambda arch=arch: of_mmcls(convnext(*arch), MMCLS_CONVNEXT)
for n, arch in SWINS.items():
    FILES[f"swin_{n}"] = lambda arch=arch: {"model": swin(*arch)}
    FILES[f"openmmlab_swin_{n}"] = lambda arch=arch: of_mmcls(swin(*arch), MMCLS_SWIN)


def with_values(content, seed=0):
    """Fill a file with random values, small enough for deep networks."""
    generator = torch.Generator().manual_seed(seed)

    def filled(name, value):
        if isinstance(value, dict):
            return {key: filled(key, inner) for key, inner in value.items()}
        if not isinstance(value, torch.Tensor):
            return value
        if not value.is_floating_point():
            return torch.zeros(value.shape, dtype=value.dtype)
        found = torch.randn(value.shape, generator=generator) * 0.02
        if name.endswith(("running_var", "norm.weight", "gamma", "bias_mask")):
            found = found.abs() + 0.5
        if name.endswith("periods"):
            found = 100 ** torch.linspace(0, 1, len(value))
        return found.to(value.dtype)

    return filled("", content)
