"""Feature maps of a frozen backbone as a separate stage, for stages that read them."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process

from luss.datasets.feature_files import FeatureFolder, FeatureWriter
from luss.engine.checkpoint import checkpoint_digest
from luss.engine.loops.foreground_maps import digest_of_ids, digest_of_settings, split_of
from luss.engine.loops.streaming_loop import StreamingLoop
from luss.errors import LussError
from luss.label_generation.step_record import StepRecord
from luss.models.backbones import extract_maps, probe
from luss.ranks import fail_together
from luss.registry import LOOPS
from luss.structures import step_by_size

__all__ = ["FeatureLoop", "dtype_of"]

_DTYPES = {"single": "float32", "half": "float16"}
_ROOT = "maps"


def dtype_of(precision: str) -> str:
    """Return the type of stored values for a precision.

    Raises:
        LussError: if the precision is unknown.
    """
    if precision not in _DTYPES:
        raise LussError(f"FeatureLoop: precision is {precision!r}, expected {' or '.join(_DTYPES)}")
    return _DTYPES[precision]


@LOOPS.register_module()
class FeatureLoop(StreamingLoop):
    """Loop that writes the feature maps of a model's backbone, once for each photo.

    ``<folder>/maps/<split>`` is a folder of :mod:`luss.datasets.feature_files`, which
    ``LoadFeatures`` reads. A complete split is kept; an incomplete one is computed again.

    Args:
        runner: with a model that has a ``backbone``, such as ``BackboneFeatures``.
        dataloader: split -> config of a data loader.
        evaluator: of MMEngine's test loops; not used.
        precision: ``single``, or ``half`` for half of the disk space.

    Raises:
        LussError: if the precision is unknown.
    """

    roles: ClassVar[Mapping[str, str]] = {"features": _ROOT}
    begun_by: ClassVar[tuple[str, ...]] = (_ROOT,)

    def __init__(
        self,
        runner,
        dataloader: dict[str, dict],
        evaluator: object = None,
        *,
        precision: str = "single",
    ) -> None:
        super().__init__(runner, dataloader)
        self.dtype = dtype_of(precision)
        self.record = StepRecord(Path(runner.work_dir))

    @torch.no_grad()
    def run(self) -> dict:
        """Write the features of the splits that are not complete.

        Returns:
            ``photos``, the number of photos with features, of all splits.
        """
        (self.record.folder / _ROOT).mkdir(parents=True, exist_ok=True)
        self.runner.call_hook("before_test")
        self.runner.model.eval()
        self.strides = [stage.stride for stage in probe(self.model.backbone)]
        count = 0
        for name in self.configs:
            loader = self.loader(name)
            split = split_of(loader)
            folder = self.record.folder / _ROOT / split
            sources = {
                "checkpoint": checkpoint_digest(self.weights),
                "type": self.dtype,
                "list of photos": digest_of_ids(loader.dataset),
                "pipeline": digest_of_settings(self.configs[name]["dataset"].get("pipeline")),
            }
            if is_main_process() and not FeatureFolder(folder).is_complete:
                shutil.rmtree(folder, ignore_errors=True)
            self.record.ensure(f"{_ROOT}/{split}", sources, partial(self._write, name, folder))
            count += len(FeatureFolder(folder))
        self.runner.call_hook("after_test")
        return {"photos": count}

    def _write(self, name: str, folder: Path) -> None:
        """Write the features of a data loader's photos; each process writes a part."""
        own = folder / f"part_{get_rank()}"
        with fail_together():
            if is_main_process():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
        with fail_together():
            own.mkdir()
            with FeatureWriter(own, self.dtype, self.strides) as writer:
                self._write_share(name, writer)
                writer.finish()
        with fail_together():
            if is_main_process():
                _join(folder, get_world_size())
        barrier()

    def _write_share(self, name: str, writer: FeatureWriter) -> None:
        loader = self.loader(name)
        expected = [
            loader.dataset.get_data_info(index)["image_id"] for index in loader.sampler.indices
        ]
        place = 0
        for batch in self.batches(loader, f"features of {split_of(loader)}"):
            for sample, maps in zip(
                batch["data_samples"], step_by_size(self._extract, batch), strict=True
            ):
                # The data set replaces unreadable photos by others.
                if sample.image_id == expected[place]:
                    sizes = sample.ori_shape[:2], sample.img_shape[:2]
                    writer.add(sample.image_id, maps, *sizes)
                else:
                    writer.add_unreadable([expected[place]])
                place += 1

    def _extract(self, batch: dict[str, list]) -> list[list]:
        """Return the maps (L, h, w) of each of a batch's photos, which have one size."""
        images = torch.stack(batch["inputs"])
        inputs = self.model.data_preprocessor({"inputs": [images]})["inputs"][0]
        maps = [found.float().cpu().numpy() for found in extract_maps(self.model.backbone, inputs)]
        return [list(of_photo) for of_photo in zip(*maps, strict=True)]


def _join(folder: Path, parts: int) -> None:
    """Make one folder of the parts of all processes, in their order."""
    first = folder / "part_0"
    if parts == 1:
        # The summary comes last, since it makes the folder complete.
        for path in sorted(first.iterdir(), key=lambda path: path.suffix == ".json"):
            path.rename(folder / path.name)
        first.rmdir()
        return
    found = FeatureFolder(first)
    with FeatureWriter(folder, found.dtype, found.strides) as writer:
        for rank in range(parts):
            part = folder / f"part_{rank}"
            writer.append(part)
            shutil.rmtree(part)
        writer.finish()
