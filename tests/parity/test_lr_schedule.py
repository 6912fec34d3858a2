"""MMEngine's schedulers, wired as the configs wire them, give the released schedule."""

import numpy as np
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR


def test_every_iteration(golden):
    arrays = golden("lr_schedule.npz")
    for case in range(int(arrays["ncases"])):

        def setting(name, case=case):
            return arrays[f"case{case}_{name}"].item()

        warmup = setting("iters_per_epoch") * setting("warmup_epochs")
        total = setting("iters_per_epoch") * setting("epochs")
        base_lr, expected = setting("base_lr"), arrays[f"case{case}_lr"]
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr)
        schedulers = []
        if warmup:
            # LinearLR cannot start at 0: start there with its first step already taken.
            start = max(setting("start_warmup") / base_lr, 1e-12)
            schedulers.append(LinearLR(optimizer, start_factor=start, end=warmup, by_epoch=False))
        schedulers.append(
            CosineAnnealingLR(
                optimizer,
                T_max=total - warmup,
                eta_min=setting("final_lr"),
                begin=warmup,
                end=total,
                by_epoch=False,
            )
        )
        rates = []
        for _ in range(total):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
        np.testing.assert_allclose(rates, expected, rtol=0, atol=1e-9 * base_lr, err_msg=str(case))
