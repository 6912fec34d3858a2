"""Mixed precision: what a CPU does with it, and that resuming is exact."""

import pytest
import torch
from states import assert_same
from toy_training import SGD, Line, state_of, toy_runner, train_until

from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.optimizers import AmpOptimWrapper, amp_optim_wrapper, cpu_has_bf16_units
from luss.errors import LussError
from luss.registry import OPTIM_WRAPPERS

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is about CPUs")


class Watching(Line):
    """Notes in which type its layer computes, and that of the loss."""

    def __init__(self):
        super().__init__()
        self.types = set()

    def forward(self, inputs, mode="loss"):
        self.types.add(self.layer(inputs).dtype)
        return super().forward(inputs, mode)


def train(work_dir, dtype="bfloat16", counts=1, load_from=None, **optimizer):
    wrapper = {
        "type": "AmpOptimWrapper",
        "optimizer": {**SGD, **optimizer},
        "accumulative_counts": counts,
        "clip_grad": {"max_norm": 0.05},
        "dtype": dtype,
    }
    runner = {"optim_wrapper": wrapper}
    built = toy_runner(
        work_dir, epochs=3, runner=runner, load_from=load_from, interval=1, by_epoch=False
    )
    torch.manual_seed(0)
    built.model = Watching()
    return built


@no_gpu
@pytest.mark.parametrize(
    ("dtype", "units", "computed", "said"),
    [
        ("bfloat16", True, torch.bfloat16, None),
        ("bfloat16", False, torch.float32, "this CPU has no units for bfloat16"),
        ("float16", True, torch.float32, "no GPU: training in full precision"),
        (None, True, torch.float32, "no GPU: training in full precision"),
    ],
)
def test_a_cpu_computes_in_bfloat16_where_it_can_and_should(
    tmp_path, monkeypatch, dtype, units, computed, said
):
    monkeypatch.setattr(amp_optim_wrapper, "cpu_has_bf16_units", lambda: units)
    runner = train(tmp_path, dtype)
    runner.train()
    assert type(runner.optim_wrapper) is AmpOptimWrapper
    assert runner.model.types == {computed}
    assert runner.model.layer.weight.dtype == torch.float32
    log = "".join(path.read_text() for path in tmp_path.glob("*/*.log"))
    if said is None:
        assert "full precision" not in log
    else:
        assert log.count(said) == 1


@no_gpu
def test_full_precision_is_that_of_the_plain_wrapper(tmp_path):
    train(tmp_path / "amp", None).train()
    plain = train(tmp_path / "plain", None)
    plain.optim_wrapper = {k: v for k, v in plain.optim_wrapper.items() if k != "dtype"}
    plain.optim_wrapper["type"] = "OptimWrapper"
    plain.train()
    assert_same(state_of(tmp_path / "amp"), state_of(tmp_path / "plain"))


@pytest.mark.parametrize("optimizer", [{}, {"type": "LARS", "lr": 0.5}])
@pytest.mark.parametrize("killed_in", [4, 6])
def test_resumed_training_is_exact(tmp_path, monkeypatch, optimizer, killed_in):
    monkeypatch.setattr(amp_optim_wrapper, "cpu_has_bf16_units", lambda: True)
    train(tmp_path / "whole", counts=2, **optimizer).train()
    train_until(train(tmp_path / "killed", counts=2, **optimizer), killed_in)
    newest = str(latest_checkpoint(tmp_path / "killed"))
    train(tmp_path / "killed", counts=2, load_from=newest, **optimizer).train()
    assert_same(state_of(tmp_path / "whole"), state_of(tmp_path / "killed"))


@no_gpu
def test_a_scaler_that_scales_nothing_is_not_saved(tmp_path):
    train(tmp_path).train()
    assert "loss_scaler" not in load(tmp_path / "iter_9.pth")["optimizer"]


@no_gpu
def test_other_dtypes_are_refused():
    parameter = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(LussError, match="dtype is 'int8', expected"):
        OPTIM_WRAPPERS.build(
            {
                "type": AmpOptimWrapper,
                "optimizer": torch.optim.SGD([parameter], lr=1.0),
                "dtype": "int8",
            }
        )


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("flags\t\t: fpu avx512f avx512_fp16\n", False),
        ("Features\t: fp asimd i8mm bf16\n", True),
        ("flags : avx512_bf16\n\nflags : avx2\n", False),
        ("model name : bf16\n", False),
        ("", False),
    ],
)
def test_units_are_told_from_the_flags_of_all_cores(text, has):
    assert cpu_has_bf16_units(text) == has
