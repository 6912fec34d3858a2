"""Finds operations that would wait for the device, on a machine without one."""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    _get_current_dispatch_mode,
)

_WAITING = {
    "aten::_local_scalar_dense",
    "aten::_unique2",
    "aten::equal",
    "aten::is_nonzero",
    "aten::masked_select",
    "aten::nonzero",
    "aten::repeat_interleave",
    "aten::unique_dim",
}
"""Operations whose output has a size, or a value of Python, that only the device knows."""

_TO_HOST = ("cpu", "numpy", "tolist")
"""Methods of tensors that copy to the host, without an operation where the tensor is there."""


class WaitingError(AssertionError):
    """An operation that waits for the device."""


class _NoWaiting(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name
        by_mask = name in ("aten::index", "aten::index_put_", "aten::index_put") and any(
            part is not None and part.dtype in (torch.bool, torch.uint8) for part in args[1]
        )
        if name in _WAITING or by_mask:
            raise WaitingError(f"{name} waits for the device")
        return function(*args, **(kwargs or {}))


@contextmanager
def no_waiting(monkeypatch):
    """Raise `WaitingError` where an operation within would wait for the device."""

    def forbid(name):
        original = getattr(torch.Tensor, name)

        def method(tensor, *args, **kwargs):
            if not isinstance(_get_current_dispatch_mode(), _NoWaiting):
                return original(tensor, *args, **kwargs)
            raise WaitingError(f"Tensor.{name} waits for the device")

        return method

    with monkeypatch.context() as patch, _NoWaiting():
        for name in _TO_HOST:
            patch.setattr(torch.Tensor, name, forbid(name))
        yield


allowed_to_wait = _disable_current_modes
"""Context within `no_waiting` in which waiting is allowed."""
