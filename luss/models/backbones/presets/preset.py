"""What a preset consists of."""

import copy
import importlib.util
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.overrides import TorchFunctionMode

from luss.registry import MODELS

__all__ = ["Preset", "is_installed", "tensor_shapes", "without_memory"]


@dataclass(frozen=True)
class Preset:
    """A pretrained backbone.

    Attributes:
        network: its architecture, for tables.
        backbone: its config; the outputs are the feature maps to use, from shallow to deep.
        weights: how its file is read, as :class:`luss.models.backbones.weights.WeightsEntry`.
        trained: method and images of its training.
        labels: whether the training used image labels; None if unknown.
        file: name of the published file.
        source: who publishes it.
        licence: of the file.
        size: side in pixels of the images at the end of the training.
        multiple: both sides of all images must be multiples of it, so that feature maps cover the
            complete image.
        mean: of red, green and blue, in [0, 1].
        std: standard deviations, of the same.
        needs: an optional package that the network needs.
    """

    network: str
    backbone: Mapping[str, Any]
    weights: Mapping[str, Any]
    trained: str
    labels: bool | None
    file: str
    source: str
    licence: str
    size: int = 224
    multiple: int = 1
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    needs: str | None = None

    @property
    def in_index(self) -> list[int]:
        """Return the positions of the feature maps of stages, for heads of mmseg."""
        return list(range(len(self.backbone.get("out_indices", (-1,)))))

    def backbone_config(self) -> dict:
        """Return a copy of the backbone's config, for classes that change their arguments."""
        return copy.deepcopy(dict(self.backbone))


def is_installed(package: str | None) -> bool:
    """Return whether a package can be imported; True for None."""
    return package is None or importlib.util.find_spec(package) is not None


def tensor_shapes(preset: Preset) -> Mapping[str, Tensor]:
    """Return the tensors of a preset's network by name, without values."""
    return _shapes(json.dumps(preset.backbone))


@cache
def _shapes(backbone: str) -> Mapping[str, Tensor]:
    # mmcls logs each layer of timm's networks.
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with DefaultScope.overwrite_default_scope("luss"), without_memory():
            return MODELS.build(json.loads(backbone)).state_dict()
    finally:
        logging.disable(before)


@contextmanager
def without_memory() -> Iterator[None]:
    """Create the tensors of networks on the meta device, which takes little time and memory.

    Unlike ``torch.device("meta")``, leaves alone tensors whose values constructors read.
    """
    with _ParametersOnMeta():
        yield


class _ParametersOnMeta(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones, torch.randn):
            kwargs["device"] = "meta"
        return function(*args, **kwargs)
