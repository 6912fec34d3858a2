"""Checkpoint layouts: tensor names of other programs and the corresponding names in luss."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

__all__ = ["LAYOUTS", "MMSEG_VIT", "PASS_PARTS", "UNNAMED", "Layout", "Renames"]

Renames = Sequence[tuple[str, str]]
"""(regular expression, replacement) pairs, applied in order."""


@dataclass(frozen=True)
class Layout:
    """Checkpoint format of a program.

    Attributes:
        keys: possible keys of the tensors; the file itself if it has none of them.
        prefixes: possible prefixes of the names; the one that matches most tensors of a module is
            chosen.
        convert: from the file's tensors to those of luss, by their names in the file, without the
            prefix; for layouts with other values or shapes.
        renames: from the file's names, without the prefix, to the names in luss.
        variants: further renames, for networks with different names in luss; the one that matches
            most tensors of a module is chosen.
        alternatives: renames of single tensors, applied if only the result exists in the module.
        dropped: prefixes of the file's names, without ``prefixes``, that are ignored if the module
            has no such part, such as classifiers.
        parts: prefixes of names beside the backbone, without ``module.`` -> modules in luss.
        heads: width of the program's vision transformers -> number of heads, which the tensors do
            not show.
        position_offset: offset for resizing position embeddings, see
            :func:`luss.models.backbones.vision_transformer.resized_positions`; None if models of
            the layout differ.
    """

    keys: tuple[str, ...] = ("state_dict", "model", "teacher")
    prefixes: tuple[str, ...] = ("module.", "")
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    renames: Renames = ()
    variants: tuple[Renames, ...] = ((),)
    alternatives: Renames = ()
    dropped: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()
    heads: Mapping[int, int] = field(default_factory=dict)
    position_offset: float | None = None


_TIMM_VIT: Renames = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    # Training code for many GPUs nests blocks in chunks.
    (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),
    (r"^blocks\.", "layers."),
    (r"^(layers\.\d+)\.norm([12])\.", r"\1.ln\2."),
    (r"^(layers\.\d+)\.mlp\.fc1\.", r"\1.ffn.layers.0.0."),
    (r"^(layers\.\d+)\.mlp\.fc2\.", r"\1.ffn.layers.1."),
    # The names in LayerScaleVisionTransformer.
    (r"^(layers\.\d+)\.ls1\.gamma$", r"\1.attn.gamma1.weight"),
    (r"^(layers\.\d+)\.ls2\.gamma$", r"\1.ffn.layers.3.weight"),
    (r"^norm\.", "ln1."),
)
# A plain timm network, OpenMMLab's TIMMBackbone, and timm's feature wrappers in either.
_OWN_TIMM: tuple[Renames, ...] = tuple(
    (("^", f"{outer}{inner}"),) if outer or inner else ()
    for outer in ("", "timm_model.")
    for inner in ("", "model.", "body.")
)
# timm's feature wrappers flatten the parts of some stems and stages, such as stages_0.
_TIMM_FLAT: Renames = tuple(
    (rf"^({prefix})(\w+)\.(\w+)\.", r"\1\2_\3.")
    for prefix in (r"(?:timm_model\.)?", r"(?:timm_model\.)?(?:model|body)\.")
)
_TIMM_TOPS = (
    "AuxLogits.",
    "attn_pool.",
    "aux_head.",
    "bn2.",
    "classif.",
    "classifier.",
    "conv_head.",
    "downsamp_modules.",
    "fc.",
    "fc_norm.",
    "final_conv.",
    "final_layer.",
    "head.",
    "head_dist.",
    "heads.",
    "last_linear.",
    "mask_token",
    "norm.",
    "norm_head.",
    "pre_logits.",
)
"""Parts of timm's networks after the feature maps."""

_BLOCKS_OF_B0 = (1, 2, 2, 3, 3, 4, 1)
"""Blocks per stage of EfficientNet-B0 and Lite0; the package below numbers them through."""
_EFFICIENTNET_PYTORCH: Renames = (
    (r"^_conv_stem\.", "conv_stem."),
    (r"^_bn0\.", "bn1."),
    (r"^_conv_head\.", "conv_head."),
    (r"^_bn1\.", "bn2."),
    # The first block has no expansion, and timm names its projection differently.
    (r"^_blocks\.0\._project_conv\.", "_blocks.0.conv_pw."),
    (r"^_blocks\.0\._bn([12])\.", r"_blocks.0.bn\1."),
    (r"\._expand_conv\.", ".conv_pw."),
    (r"\._depthwise_conv\.", ".conv_dw."),
    (r"\._project_conv\.", ".conv_pwl."),
    (r"\._se_(reduce|expand)\.", r".se.conv_\1."),
    *((rf"^(_blocks\.\d+)\._bn{number}\.", rf"\1.bn{number + 1}.") for number in (2, 1, 0)),
    *(
        (rf"^_blocks\.{sum(_BLOCKS_OF_B0[:stage]) + place}\.", f"blocks.{stage}.{place}.")
        for stage, count in enumerate(_BLOCKS_OF_B0)
        for place in range(count)
    ),
)

_TORCHVISION_VIT: Renames = (
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.projection."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.ln_", r"layers.\1.ln"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_", r"layers.\1.attn.qkv."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj", r"layers.\1.attn.proj"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(linear_1|0)\.", r"layers.\1.ffn.layers.0.0."),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.mlp\.(linear_2|3)\.", r"layers.\1.ffn.layers.1."),
    (r"^encoder\.ln\.", "ln1."),
)
MMSEG_VIT: Renames = (
    (r"\.attn\.qkv\.weight$", ".attn.attn.in_proj_weight"),
    (r"\.attn\.qkv\.bias$", ".attn.attn.in_proj_bias"),
    (r"\.attn\.proj\.", ".attn.attn.out_proj."),
)
"""From the names in mmcls to those in mmseg's vision transformer."""

_DINOV3: Renames = (
    (r"^storage_tokens$", "reg_token"),
    (r"^rope_embed\.", "rope."),
    (r"\.ls([12])\.gamma$", r".gamma_\1"),
    (r"\.mlp\.w1\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)


def _split_biases(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Split DINOv3's biases of queries, keys and values as timm does; those of keys are zero."""
    found: dict[str, Tensor] = {}
    for name, value in tensors.items():
        if name.endswith("attn.qkv.bias"):
            query, _, values = value.chunk(3)
            stem = name.removesuffix("qkv.bias")
            found |= {f"{stem}q_bias": query, f"{stem}v_bias": values}
        elif not name.endswith("attn.qkv.bias_mask"):
            found[name] = value
    return found


_CONVNEXT: Renames = (
    (r"\.dwconv\.", ".depthwise_conv."),
    (r"\.pwconv([12])\.", r".pointwise_conv\1."),
    (r"^norm\.", "norm3."),
)
_SWIN: Renames = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^layers\.", "stages."),
    (r"\.attn\.", ".attn.w_msa."),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    (r"^norm\.", "norm3."),
)


_MERGED = re.compile(r"layers\.\d+\.downsample\.(norm|reduction)\.")


def _order_merged_channels(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Order the channels of Swin's merged patches as mmcls does: by channel, row and column.

    The authors concatenate four pixels: both rows of the first column, then those of the second.
    Masks and index tables, which networks compute themselves, are dropped.
    """
    return {
        name: value.unflatten(-1, (2, 2, -1)).movedim(-1, -3).mT.flatten(-3)
        if _MERGED.match(name) and value.ndim and value.shape[-1] % 4 == 0
        else value
        for name, value in tensors.items()
        if not name.endswith(("attn_mask", "relative_position_index"))
    }


PASS_PARTS: tuple[tuple[str, str], ...] = (
    ("projection_head.", "objectives.clustering.projector."),
    ("prototypes.", "objectives.clustering.prototypes."),
    ("projection_head_pixel.", "objectives.p2p.projector."),
    ("predictor_head_pixel.", "objectives.p2p.predictor."),
    *(
        pair
        for stage in (1, 2, 3)
        for pair in (
            (
                f"projection_head_shallow.projection_head_shallow{stage}.",
                f"objectives.d2s.embeddings.{stage}.projector.",
            ),
            (
                f"projection_head_pixel_shallow.projection_head_pixel{stage}.",
                f"objectives.d2s.embeddings.{stage}.pixel_projector.",
            ),
        )
    ),
    # Pixel attention (step 2.1) and the segmentation head (step 3).
    ("fbg.", "attention."),
    ("last_layer.", "decode_head.conv_seg."),
)
"""Prefixes of names in the released PASS -> prefixes of the same modules in luss."""

_DINOV2 = Layout(
    keys=("teacher", "model", "state_dict"),
    prefixes=("module.backbone.", "backbone.", "module.", ""),
    renames=_TIMM_VIT,
    # Only used in masked training.
    dropped=("mask_token", "head."),
    heads={384: 6, 768: 12, 1024: 16, 1536: 24},
    position_offset=0.1,
)

LAYOUTS: dict[str, Layout] = {
    # Also the layout of luss.
    "openmmlab": Layout(
        prefixes=("module.backbone.", "backbone.", "module.", ""),
        parts=tuple(
            (part, part) for part in ("objectives.", "attention.", "decode_head.conv_seg.")
        ),
    ),
    "torchvision": Layout(
        renames=_TORCHVISION_VIT,
        dropped=("fc.", "heads."),
        heads={768: 12, 1024: 16, 1280: 16},
    ),
    # Also EfficientNet-B0 and Lite0 of the package efficientnet-pytorch.
    "timm": Layout(
        renames=_EFFICIENTNET_PYTORCH,
        variants=(*_OWN_TIMM, _TIMM_VIT),
        alternatives=_TIMM_FLAT,
        dropped=(*_TIMM_TOPS, "_conv_head.", "_bn1.", "_fc."),
    ),
    "timm_vit": Layout(
        renames=_TIMM_VIT, dropped=("head.", "head_dist.", "fc_norm.", "pre_logits.")
    ),
    # Also iBOT and SERE.
    "dino": Layout(
        keys=("teacher", "state_dict", "model"),
        prefixes=("module.backbone.", "backbone.", "module.", ""),
        renames=_TIMM_VIT,
        dropped=("head.", "fc.", "masked_embed", "channel_sere", "pixel_sere"),
        heads={192: 3, 384: 6, 768: 12, 1024: 16},
        position_offset=0.1,
    ),
    "dinov2": _DINOV2,
    "dinov2_reg": replace(_DINOV2, position_offset=0.0),
    "dinov3": replace(
        _DINOV2,
        convert=_split_biases,
        renames=_DINOV3,
        variants=_OWN_TIMM,
        # Without the norm if the outputs of other blocks are taken.
        dropped=("mask_token", "head.", "norm.", "local_cls_norm."),
        position_offset=None,
    ),
    "mae": Layout(
        renames=_TIMM_VIT,
        dropped=("decoder_", "mask_token", "head.", "fc_norm."),
        heads={768: 12, 1024: 16, 1280: 16},
        position_offset=0.0,
    ),
    "moco": Layout(
        prefixes=("module.encoder_q.", "encoder_q.", "module.base_encoder."),
        renames=_TIMM_VIT,
        dropped=("fc.", "head."),
        # MoCo v3's ViT-S has twice as many heads as others.
        heads={384: 12, 768: 12},
    ),
    "swav": Layout(dropped=("projection_head.", "prototypes.")),
    "pixpro": Layout(prefixes=("module.encoder.", "encoder.")),
    # The authors' files, for the networks of mmcls.
    "convnext": Layout(renames=_CONVNEXT, dropped=("head.",)),
    "swin": Layout(convert=_order_merged_channels, renames=_SWIN, dropped=("head.",)),
    "pass": Layout(dropped=tuple(theirs for theirs, _ in PASS_PARTS), parts=PASS_PARTS),
}
"""Known layouts by name."""

UNNAMED = Layout(prefixes=("module.backbone.", "backbone.", "module.", ""))
"""Names as in luss, of the module itself or of a model that has it as backbone."""
