"""Two optimizers with schedules of their own, as MMEngine documents them, beside the hooks."""

import copy
import math

import pytest
import torch
from mmengine.optim import OptimWrapperDict
from states import Killed
from tiny_run import read_tiny

from luss.engine.checkpoint import latest_checkpoint, load
from luss.errors import LussError
from luss.models.pretrainers import PASSPretrainer
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage
from luss.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9}
FREED = 5


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(force=True)
class PrototypesApart:
    """An optimizer for the prototypes, and one for the rest."""

    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        self.settings = {key: optim_wrapper_cfg[key] for key in ("features", "prototypes")}

    def __call__(self, model):
        apart = list(model.objectives["clustering"].prototypes.parameters())
        rest = [p for p in model.parameters() if all(p is not q for q in apart)]
        wrappers = {}
        for name, parameters in (("features", rest), ("prototypes", apart)):
            settings = copy.deepcopy(dict(self.settings[name]))
            optimizer = OPTIMIZERS.build({**settings.pop("optimizer"), "params": parameters})
            wrappers[name] = OPTIM_WRAPPERS.build(
                {"type": "OptimWrapper", **settings, "optimizer": optimizer}
            )
        return OptimWrapperDict(**wrappers)


@MODELS.register_module(force=True)
class TwoOptimizers(PASSPretrainer):
    """One loss, two steps."""

    def train_step(self, data, optim_wrapper):
        losses = self._run_forward(self.data_preprocessor(data, True), mode="loss")
        total, logs = self.parse_losses(losses)
        total.backward()
        for wrapper in optim_wrapper.values():
            wrapper.step()
            wrapper.zero_grad()
        return logs


def config(schedulers):
    config = read_tiny(stages__pretrain__model__objectives__clustering__frozen_prototype_iters=5)
    config.stages.pretrain.model.type = "TwoOptimizers"
    config.stages.pretrain.optim_wrapper = {
        "constructor": "PrototypesApart",
        "features": {"optimizer": SGD},
        "prototypes": {"optimizer": SGD},
    }
    config.stages.pretrain.param_scheduler = schedulers
    config.stages.pretrain.default_hooks = {"checkpoint": {"by_epoch": False, "interval": 1}}
    config.stages.pretrain.custom_hooks = [{"type": "ClusteringHook"}, {"type": "FaultHook"}]
    return config


BOTH = {
    "features": {"type": "CosineAnnealingLR", "convert_to_iter_based": True},
    "prototypes": [{"type": "ConstantLR", "factor": 0.5, "by_epoch": True}],
}


def test_both_train_freeze_and_resume(tmp_path, fault):
    seen = []

    def plan(runner):
        seen.append(runner.model.objectives["clustering"].prototypes.weight.detach().clone())

    fault.plan = plan
    pipeline = Pipeline(config(BOTH), str(tmp_path / "whole"))
    with pipeline.opened() as context:
        pipeline.check(pipeline.stages["pretrain"], context, made=["pretrain"])
        resolved = resolved_stage(pipeline.stages["pretrain"], context).runner_config(context)[
            "param_scheduler"
        ]
        assert [resolved[name][0]["end"] for name in BOTH] == [3, 3]
    pipeline.run("pretrain")
    whole = load(latest_checkpoint(tmp_path / "whole" / "pretrain"))
    assert whole["optimizer"].keys() == whole["param_schedulers"].keys() == BOTH.keys()
    # The last of 12 iterations of a cosine to zero, and a constant half.
    rates = [whole["optimizer"][name]["param_groups"][0]["lr"] for name in BOTH]
    assert rates == [pytest.approx(0.05 * (1 + math.cos(math.pi * 11 / 12))), pytest.approx(0.1)]
    torch.testing.assert_close(seen[0], seen[FREED - 1])
    assert not torch.allclose(seen[FREED - 1], seen[FREED])

    def kill(runner):
        if runner.iter == 6:
            raise Killed

    fault.plan = kill
    with pytest.raises(Killed):
        Pipeline(config(BOTH), str(tmp_path / "killed")).run("pretrain")
    fault.plan = None
    Pipeline(config(BOTH), str(tmp_path / "killed")).run("pretrain", resume=True)
    resumed = load(latest_checkpoint(tmp_path / "killed" / "pretrain"))
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][name]), name


@pytest.mark.parametrize(
    ("schedulers", "message"),
    [
        ({"features": BOTH["features"]}, "features, but .* features, prototypes"),
        ([{"type": "ConstantLR"}], None),
        ({"type": "ConstantLR"}, None),
    ],
)
def test_schedulers_for_all_or_for_each(tmp_path, schedulers, message):
    pipeline = Pipeline(config(schedulers), str(tmp_path))
    with pipeline.opened() as context:
        if message is None:
            pipeline.check(pipeline.stages["pretrain"], context, made=["pretrain"])
        else:
            with pytest.raises(LussError, match=message):
                pipeline.check(pipeline.stages["pretrain"], context, made=["pretrain"])
