"""External weights: read files of other programs, and load them into backbones."""

from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from luss.datasets.reproducible import seeded
from luss.engine.checkpoint import load
from luss.engine.pretrained import load_pretrained, take_pretrained
from luss.errors import LussError
from luss.models.backbones.filling import fill_from
from luss.models.backbones.picking import parts_beside_the_backbone
from luss.models.backbones.presets import nearest_preset
from luss.models.backbones.weights import WeightsEntry
from luss.registry import MODELS

__all__ = ["build_backbone", "fill_backbone", "read_parts"]


def fill_backbone(backbone: nn.Module, weights: object, where: str = "weights") -> None:
    """Load all weights of a backbone from a file.

    Args:
        backbone: to fill.
        weights: a path, or a dict, see :class:`luss.models.backbones.weights.WeightsEntry`.
        where: its place in the config, for messages.

    Raises:
        LussError: if the file is missing, contains code, or names or shapes of tensors differ; then
            it names the preset that the file fits best.
    """
    entry = WeightsEntry.parse(weights, where)
    content = load(entry.path)
    try:
        fill_from(backbone, content, entry)
    except LussError as error:
        raise LussError(f"{error}.{nearest_preset(content, entry.file)}") from error


def read_parts(weights: object, where: str = "weights") -> dict[str, Tensor]:
    """Return a file's tensors of a pretrainer outside of its backbone, by luss' names."""
    entry = WeightsEntry.parse(weights, where)
    return parts_beside_the_backbone(load(entry.path), entry)


def build_backbone(
    config: Mapping, weights: object, seed: int, where: str = "weights"
) -> nn.Module:
    """Build a backbone in evaluation mode.

    Args:
        config: of any model with feature maps, such as ``dict(type='mmcls.ResNet')``.
        weights: see :func:`fill_backbone`; None for random weights, with a warning.
        seed: of random weights.
        where: the place of weights in the config, for messages.
    """
    init_default_scope("luss")
    with seeded(seed):
        backbone = MODELS.build(config)
        pretrained = take_pretrained(backbone)
        if weights is None and hasattr(backbone, "init_weights"):
            backbone.init_weights()
    if weights is None and pretrained:
        load_pretrained(pretrained)
    elif weights is None:
        print_log(
            f"NO WEIGHTS ARE LOADED: {config['type']} has random weights, so its results are "
            "meaningless; add --cfg-options weights=FILE",
            "current",
            level=30,
        )
    else:
        fill_backbone(backbone, weights, where)
    # Not chained: train() of mmcls' backbones returns None.
    backbone.eval()
    return backbone
