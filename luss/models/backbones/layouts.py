"""How other programs name the tensors of their networks, and the names that these have here."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LAYOUTS", "MMSEG_VIT", "PASS_PARTS", "UNNAMED", "Layout", "Renames"]

Renames = Sequence[tuple[str, str]]
"""Regular expressions and what takes their place, one after the other."""


@dataclass(frozen=True)
class Layout:
    """How a program saves its networks.

    Attributes:
        keys: where the tensors may be; the file itself where there is none of them.
        prefixes: what the names may begin with; that below which most of a module is found counts.
        renames: from the file's names to those here, without the prefix.
        dropped: what names of parts begin with that a backbone has not, such as classifiers.
        parts: beginnings of names beside the backbone, without ``module.`` -> modules of models
            here.
    """

    keys: tuple[str, ...] = ("state_dict", "model", "teacher")
    prefixes: tuple[str, ...] = ("module.", "")
    renames: Renames = ()
    dropped: tuple[str, ...] = ()
    parts: tuple[tuple[str, str], ...] = ()


_TIMM_VIT: Renames = (
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    # Training code for many GPUs nests blocks in chunks.
    (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),
    (r"^blocks\.", "layers."),
    (r"^(layers\.\d+)\.norm([12])\.", r"\1.ln\2."),
    (r"^(layers\.\d+)\.mlp\.fc1\.", r"\1.ffn.layers.0.0."),
    (r"^(layers\.\d+)\.mlp\.fc2\.", r"\1.ffn.layers.1."),
    # As LayerScaleVisionTransformer has them.
    (r"^(layers\.\d+)\.ls1\.gamma$", r"\1.attn.gamma1.weight"),
    (r"^(layers\.\d+)\.ls2\.gamma$", r"\1.ffn.layers.3.weight"),
    (r"^norm\.", "ln1."),
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
"""From mmcls' names to those of mmseg's vision transformer."""

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
    # Of step 2.1 and of step 3.
    ("fbg.", "attention."),
    ("last_layer.", "decode_head.conv_seg."),
)
"""Beginnings of names in the released PASS -> those of the same modules in our configs."""

LAYOUTS: dict[str, Layout] = {
    # Of luss, too.
    "openmmlab": Layout(
        prefixes=("module.backbone.", "backbone.", "module.", ""),
        parts=tuple(
            (part, part) for part in ("objectives.", "attention.", "decode_head.conv_seg.")
        ),
    ),
    "torchvision": Layout(renames=_TORCHVISION_VIT, dropped=("fc.", "heads.")),
    "timm_vit": Layout(
        renames=_TIMM_VIT, dropped=("head.", "head_dist.", "fc_norm.", "pre_logits.")
    ),
    "dino": Layout(
        keys=("teacher", "state_dict", "model"),
        prefixes=("module.backbone.", "backbone.", "module.", ""),
        renames=_TIMM_VIT,
        dropped=("head.", "fc."),
    ),
    "dinov2": Layout(
        keys=("teacher", "model", "state_dict"),
        prefixes=("module.backbone.", "backbone.", "module.", ""),
        renames=_TIMM_VIT,
        # A token for masked training.
        dropped=("mask_token", "head."),
    ),
    "moco": Layout(
        prefixes=("module.encoder_q.", "encoder_q.", "module.base_encoder."),
        renames=_TIMM_VIT,
        dropped=("fc.", "head."),
    ),
    "pass": Layout(dropped=tuple(theirs for theirs, _ in PASS_PARTS), parts=PASS_PARTS),
}
"""Known layouts by name."""

UNNAMED = Layout(prefixes=("module.backbone.", "backbone.", "module.", ""))
"""Names as they are here, of the part alone or of a model that has it for a backbone."""
