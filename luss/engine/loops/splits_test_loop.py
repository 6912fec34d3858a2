"""Testing on several data sets, one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.evaluator import Evaluator
from mmengine.runner import BaseLoop
from mmengine.runner.amp import autocast
from torch.utils.data import DataLoader

from luss.engine.progress import Progress
from luss.engine.workers import iterate
from luss.errors import LussError
from luss.ranks import fail_together
from luss.registry import LOOPS
from luss.structures.batches import step_by_size

__all__ = ["SplitsTestLoop", "autocast_settings"]


def autocast_settings(fp16: bool = False, bf16: bool = False) -> dict[str, Any]:
    """Return the arguments of MMEngine's ``autocast`` for a precision of tests.

    Raises:
        LussError: if both are set.
    """
    if fp16 and bf16:
        raise LussError("SplitsTestLoop: fp16 and bf16 are both set; set only one of them")
    return {"enabled": fp16 or bf16, "dtype": torch.bfloat16 if bf16 else None}


@LOOPS.register_module()
class SplitsTestLoop(BaseLoop):
    """MMEngine's ``TestLoop`` for several splits, each with its own evaluator.

    Images of a batch may differ in size; images of one size are predicted together. Hooks are
    called before and after each split's epoch, with metrics named ``<split>/<metric>``.
    ``dataloader`` and ``evaluator`` are those of the current split.

    Args:
        runner: the runner.
        dataloader: split -> a data loader or its config, in the order of testing. An entry
            without a sampler has MMEngine's ``DefaultSampler`` in order.
        evaluator: split -> an evaluator, or the config of its metrics, one or a list; or a single
            one of these for every split.
        fp16: run the model under autocast, with the device's usual half precision.
        bf16: run the model under autocast with bfloat16.

    Raises:
        LussError: if there is no split, a split has no evaluator, an evaluator has no split, or
            both precisions are set.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: Mapping[str, Any],
        evaluator: Mapping[str, Any] | Sequence[dict] | Evaluator,
        fp16: bool = False,
        bf16: bool = False,
    ) -> None:
        if not isinstance(dataloader, Mapping) or not dataloader:
            raise LussError(
                f"SplitsTestLoop: test_dataloader is {dataloader!r}, expected a data loader's "
                "config for each split, by the split's name"
            )
        self.autocast = autocast_settings(fp16, bf16)
        evaluators = _by_split(evaluator, list(dataloader))
        diff_rank_seed = runner._randomness_cfg.get("diff_rank_seed", False)
        self.dataloaders = {
            split: runner.build_dataloader(_in_order(config), runner.seed, diff_rank_seed)
            for split, config in dataloader.items()
        }
        self.evaluators = {
            split: runner.build_evaluator(config) for split, config in evaluators.items()
        }
        for split, loader in self.dataloaders.items():
            self.evaluators[split].dataset_meta = getattr(loader.dataset, "metainfo", None)
        first = next(iter(self.dataloaders))
        super().__init__(runner, self.dataloaders[first])
        self.evaluator = self.evaluators[first]

    def run(self) -> dict[str, dict[str, float]]:
        """Test every split.

        Returns:
            Split -> metric -> value.

        Raises:
            LussError: on all ranks, if an image of any of them cannot be read or evaluated.
        """
        self.runner.call_hook("before_test")
        metrics = {split: self._run_split(split) for split in self.dataloaders}
        self.runner.call_hook("after_test")
        return metrics

    def _run_split(self, split: str) -> dict[str, float]:
        self.dataloader, self.evaluator = self.dataloaders[split], self.evaluators[split]
        self.runner.visualizer.dataset_meta = self.evaluator.dataset_meta
        images = len(self.dataloader.dataset)
        self.runner.call_hook("before_test_epoch")
        self.runner.model.eval()
        with fail_together():
            progress = Progress(
                len(self.dataloader), f"predicting {split}", unit=_unit(self.dataloader)
            )
            for index, batch in enumerate(iterate(self.dataloader)):
                self.run_iter(index, batch)
                progress.advance(1)
        metrics = self.evaluator.evaluate(images)
        named = {f"{split}/{name}": value for name, value in metrics.items()}
        self.runner.call_hook("after_test_epoch", metrics=named)
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Test one batch.

        Args:
            idx: of the batch in its split.
            data_batch: as the data loader gives it.
        """
        self.runner.call_hook("before_test_iter", batch_idx=idx, data_batch=data_batch)
        with autocast(**self.autocast):
            outputs = step_by_size(self.runner.model.test_step, data_batch)
        self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        self.runner.call_hook(
            "after_test_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )


def _unit(loader: DataLoader) -> str:
    return "images" if loader.batch_size == 1 else "batches"


def _by_split(evaluator: Any, splits: list[str]) -> dict[str, Any]:
    if not isinstance(evaluator, Mapping) or {"type", "metrics"} & evaluator.keys():
        if isinstance(evaluator, Evaluator) and len(splits) > 1:
            raise LussError(
                "SplitsTestLoop: there is one built evaluator for several splits; give its config, "
                "or one evaluator for each split"
            )
        return dict.fromkeys(splits, evaluator)
    if evaluator.keys() != set(splits):
        raise LussError(
            f"SplitsTestLoop: test_evaluator has entries for {', '.join(evaluator)}, expected one "
            f"for each split of test_dataloader: {', '.join(splits)}"
        )
    return {split: evaluator[split] for split in splits}


def _in_order(config: Any) -> Any:
    if not isinstance(config, Mapping) or "sampler" in config or "batch_sampler" in config:
        return config
    return {**config, "sampler": {"type": "DefaultSampler", "shuffle": False}}
