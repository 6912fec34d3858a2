"""The labelled vectors that distance matching needs before a test."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from torch import nn

from luss.engine.bare_model import bare_model
from luss.engine.progress import Progress
from luss.engine.workers import iterate
from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank, class_vectors
from luss.evaluation.distance_matcher import DistanceMatcher
from luss.ranks import fail_together, main_process_decides
from luss.registry import HOOKS

__all__ = ["DistanceBankHook"]

_VOTING = ("k", "temperature")
"""Settings of the model that its bank does not depend on."""


@HOOKS.register_module()
class DistanceBankHook(Hook):
    """Hook that fills the bank of a ``DistanceMatcher`` before a test, and caches it in a file.

    The file is reused for the same backbone, images and settings.

    Args:
        dataloader: config of the data loader of labelled images, as MMEngine's; its samples have
            ``sample_idx`` and ``gt_sem_seg``.
        file: the ``.npz`` of the bank.
    """

    def __init__(self, dataloader: Mapping[str, Any], file: str | os.PathLike) -> None:
        self.dataloader = dataloader
        self.file = Path(file)

    def before_test(self, runner) -> None:
        """Fill the bank from the file, or from the images.

        Raises:
            LussError: if the model has no bank, or, on all ranks, if an image cannot be read.
        """
        model = bare_model(runner.model)
        if not isinstance(model, DistanceMatcher):
            raise LussError(
                f"DistanceBankHook: the model is a {type(model).__name__}, which has no bank; use "
                "a DistanceMatcher, or remove the hook from custom_hooks"
            )
        model.eval()
        in_order = {"type": "DefaultSampler", "shuffle": False}
        config = {"sampler": in_order, **self.dataloader}
        loader = runner.build_dataloader(config, runner.seed)
        settings = dict(runner.cfg.get("model") or {})
        settings = {key: value for key, value in settings.items() if key not in _VOTING}
        source = _fingerprint(model.backbone, [settings, config["dataset"]], loader.dataset)
        if main_process_decides(_is_bank_of(self.file, source)):
            print_log(f"reusing the bank {self.file}", "current")
        else:
            self._compute(model, loader, source)
        barrier()
        model.set_bank(DistanceBank.read(self.file))

    def _compute(self, model: DistanceMatcher, loader: Any, source: str) -> None:
        own = {}
        progress = Progress(len(loader.sampler), "bank of labelled images")
        with fail_together():
            for batch in iterate(loader):
                samples = batch["data_samples"]
                features = model.features_of(batch["inputs"])
                for sample, of_image in zip(samples, features, strict=True):
                    vectors, classes = class_vectors(of_image, sample.gt_sem_seg.data[0])
                    own[sample.sample_idx] = vectors.cpu().numpy(), classes.cpu().numpy()
                progress.advance(len(samples))
        # Samplers repeat images to give ranks equal numbers.
        rows = {row: found for part in all_gather_object(own) for row, found in part.items()}
        if is_main_process():
            order = sorted(rows)
            DistanceBank(
                np.concatenate([rows[row][0] for row in order]),
                np.concatenate([rows[row][1] for row in order]),
                np.concatenate([np.full(len(rows[row][1]), row, np.int64) for row in order]),
                source,
            ).write(self.file)


def _is_bank_of(path: Path, source: str) -> bool:
    """Return whether a file contains the bank of a source; log an error if it is damaged."""
    if not path.exists():
        return False
    try:
        return DistanceBank.read(path).source == source
    except LussError as error:
        print_log(f"{error}; it is recomputed", "current", level=30)
        return False


def _fingerprint(backbone: nn.Module, settings: list, dataset: Any) -> str:
    """Return a digest of everything that a bank depends on, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    digest.update(json.dumps([repr(backbone), settings], sort_keys=True, default=str).encode())
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        digest.update(str(info.get("image_id", info.get("img_path"))).encode())
    return digest.hexdigest()[:16]
