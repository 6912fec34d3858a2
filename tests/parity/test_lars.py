import torch
from tolerance import assert_close

from luss.engine.optimizers import LARS


def test_every_step(golden):
    arrays = golden("larc.npz")
    for case in range(int(arrays["ncases"])):
        check(arrays, case)


def check(arrays, case):
    def read(kind):
        prefix = f"case{case}_{kind}::"
        return {
            key.removeprefix(prefix): torch.from_numpy(array) if array.ndim else array.item()
            for key, array in arrays.items()
            if key.startswith(prefix)
        }

    def setting(name):
        return arrays[f"case{case}_{name}"].item()

    params = {name: torch.nn.Parameter(value.clone()) for name, value in read("param0").items()}
    lrs = arrays[f"case{case}_lrs"]
    optimizer = LARS(
        params.values(),
        lr=lrs[0].item(),
        momentum=setting("momentum"),
        weight_decay=setting("weight_decay"),
        trust_coefficient=setting("trust"),
        eps=setting("eps"),
        clip=setting("clip"),
    )
    for step, lr in enumerate(lrs, start=1):
        gradients = read(f"grad{step}")
        assert {name for name, has in read(f"has_grad{step}").items() if has} == gradients.keys()
        for name, param in params.items():
            param.grad = gradients.get(name)
        optimizer.param_groups[0]["lr"] = lr.item()
        optimizer.step()
        for name, expected in read(f"param{step}").items():
            assert_close(params[name], expected)
