"""Outputs of training iterations that stay on the device until many are read at once."""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["UnreadOutputs"]

_INTERVAL = 10


class UnreadOutputs:
    """Losses of iterations, which are copied from the device together.

    Reading a value waits until the device has computed it. Then the device waits for the next
    iteration to be prepared. CPUs do not wait, so they read every iteration.

    Args:
        interval: iterations between readings; by default 1 on CPUs and 10 on other devices.
    """

    def __init__(self, interval: int | None = None) -> None:
        self.interval = interval
        self._iterations: list[int] = []
        self._outputs: list[dict[str, float | Tensor]] = []

    def add(self, iteration: int, outputs: Mapping[str, float | Tensor] | None) -> None:
        """Keep the outputs of an iteration.

        Args:
            iteration: its number, from 0.
            outputs: name -> number, or tensor with one element.
        """
        kept = {
            name: value.detach().float().reshape(()) if isinstance(value, Tensor) else value
            for name, value in (outputs or {}).items()
        }
        self._iterations.append(iteration)
        self._outputs.append(kept)

    def is_due(self, batch_idx: int, batches: int) -> bool:
        """Return whether to read now: after ``interval`` iterations, and at the end of an epoch.

        Args:
            batch_idx: number of the iteration in its epoch, from 0.
            batches: iterations of an epoch.
        """
        tensors = [v for kept in self._outputs for v in kept.values() if isinstance(v, Tensor)]
        on_cpu = all(value.device.type == "cpu" for value in tensors)
        interval = self.interval or (1 if on_cpu else _INTERVAL)
        return len(self._outputs) >= interval or batch_idx + 1 == batches

    def read(self) -> list[tuple[int, dict[str, float]]]:
        """Return the iterations that were not read yet, with their outputs, by one copy."""
        iterations, outputs = self._iterations, self._outputs
        self._iterations, self._outputs = [], []
        tensors = [v for kept in outputs for v in kept.values() if isinstance(v, Tensor)]
        values = iter(torch.stack(tensors).tolist() if tensors else ())
        numbers = [
            {name: next(values) if isinstance(v, Tensor) else v for name, v in kept.items()}
            for kept in outputs
        ]
        return list(zip(iterations, numbers, strict=True))
