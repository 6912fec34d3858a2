"""Mistakes in optimizers, loops, hooks and checkpoints."""

from mutations.mutation import of

lars = of(
    "luss/engine/optimizers/lars.py",
    "tests/engine/optimizers/test_lars.py",
    "tests/engine/optimizers/test_lars_defaults.py",
    "tests/parity/test_lars.py",
)
layer_decay = of(
    "luss/engine/optimizers/layer_decay.py", "tests/engine/optimizers/test_layer_decay.py"
)
loop = of("luss/engine/loops/epoch_train_loop.py", "tests/engine/test_resume.py")
randomness = of(
    "luss/engine/hooks/stateless_randomness_hook.py",
    "tests/engine/hooks/test_randomness_hook.py",
    "tests/pipeline/test_kill_and_resume.py",
)
clustering_hook = of(
    "luss/engine/hooks/clustering_hook.py",
    "tests/models/objectives/test_clustering_schedule.py",
)
checkpoint_hook = of(
    "luss/engine/hooks/checkpoint_hook.py", "tests/engine/hooks", "tests/engine/test_resume.py"
)
collapse = of(
    "luss/engine/hooks/collapse_hook.py",
    "tests/engine/hooks/test_collapse_hook.py",
    "tests/engine/hooks/test_collapse_signs.py",
    "tests/pipeline/test_collapse_warning.py",
)
loss_guard = of(
    "luss/engine/hooks/loss_guard_hook.py", "tests/engine/hooks/test_checkpoint_hook.py"
)
checkpoint = of("luss/engine/checkpoint.py", "tests/engine/test_checkpoint.py")
runner = of(
    "luss/engine/runner.py",
    "tests/engine/test_other_processes.py",
    "tests/pipeline/test_hand_over.py",
)

MUTATIONS = [
    lars(
        "/ (grad_norms + weight_decay * param_norms + eps)",
        "/ (grad_norms + param_norms + eps)",
        "The divisor's weight decay is one.",
    ),
    lars(
        "(param_norms > 0) & (grad_norms > 0)",
        "(param_norms > 0) | (grad_norms > 0)",
        "Parameters that are zero, such as new biases, never move.",
    ),
    lars(
        'decay = list(torch.where(adapted, rates * group["weight_decay"], 0).unbind())',
        'decay = list(torch.where(adapted, group["weight_decay"], 0.0).unbind())',
        "Weight decay is not scaled by the adaptive rate.",
    ),
    lars(
        "scale = list(torch.where(adapted, rates, 1).unbind())",
        "scale = list(torch.where(adapted, rates, 0).unbind())",
        "A parameter that is not adapted does not move.",
    ),
    lars(
        "trust_coefficient: float = 0.001,",
        "trust_coefficient: float = 0.01,",
        "All rates are ten times as high.",
    ),
    lars("eps: float = 1e-8,", "eps: float = 1e-3,", "Small gradients get smaller rates."),
    lars(
        'torch._foreach_mul_(buffers, group["momentum"])\n'
        "            torch._foreach_add_(buffers, updates)",
        "torch._foreach_add_(buffers, updates)\n"
        '            torch._foreach_mul_(buffers, group["momentum"])',
        "Momentum shrinks the newest update.",
    ),
    layer_decay(
        "self.base_lr * self.layer_decay ** (last - layer)",
        "self.base_lr * self.layer_decay ** (last - layer + 1)",
        "Each layer has the rate of the one before.",
    ),
    layer_decay(
        "decays = parameter.ndim > 1 and",
        "decays = parameter.ndim > 0 and",
        "Biases and batch norms decay.",
    ),
    layer_decay(
        "last = len(blocks) + 1", "last = len(blocks)", "The head has the last block's rate."
    ),
    layer_decay(
        "|[bg]n1|patch_embed",
        "|patch_embed",
        "The stem's batch norm has the head's rate.",
    ),
    loop(
        "done = self._iter - self._epoch * len(self.dataloader)",
        "done = 0",
        "A resumed epoch repeats what was used.",
    ),
    loop(
        "sampler.start = done * self.dataloader.batch_size",
        "sampler.start = done",
        "A resumed epoch passes over too few samples.",
    ),
    randomness(
        "mix_seed(runner.seed, runner.iter, runner.rank)",
        "mix_seed(runner.seed, runner.rank)",
        "Every iteration augments alike.",
    ),
    randomness(
        "mix_seed(runner.seed, runner.iter, runner.rank)",
        "mix_seed(runner.seed, runner.iter)",
        "All ranks augment alike.",
    ),
    clustering_hook(
        "lambda *_: self.clustering.drop_frozen_gradients()",
        "lambda *_: None",
        "Frozen prototypes are trained.",
    ),
    clustering_hook(
        "self.clustering.set_progress(runner.epoch, runner.iter)",
        "self.clustering.set_progress(runner.iter, runner.iter)",
        "The queue starts after iterations, not epochs.",
    ),
    clustering_hook(
        "self.clustering.set_progress(runner.epoch, runner.iter)",
        "self.clustering.set_progress(runner.epoch, runner.epoch)",
        "Prototypes are frozen for epochs, not iterations.",
    ),
    checkpoint_hook(
        "(runner.iter + 1) % self.interval == 0",
        "runner.iter % self.interval == 0",
        "Checkpoints come an iteration late.",
    ),
    checkpoint_hook(
        "if epoch == runner.max_epochs or (self.by_epoch",
        "if (self.by_epoch",
        "The end of training may not be saved.",
    ),
    checkpoint_hook(
        "self._save(runner, runner.epoch, runner.iter + 1)",
        "self._save(runner, runner.epoch, runner.iter)",
        "A resumed run repeats an iteration.",
    ),
    checkpoint_hook(
        "sorted(paths)[: -self.max_keep_ckpts]",
        "sorted(paths, reverse=True)[: -self.max_keep_ckpts]",
        "The newest checkpoints are removed.",
    ),
    checkpoint_hook(
        "if value.is_floating_point() and not bool(value.isfinite().all())",
        "if value.is_floating_point() and bool(value.isnan().any())",
        "Infinite weights are saved.",
    ),
    collapse(
        "energy = outputs.square().sum(dim=1).mean()",
        "energy = outputs.square().mean(dim=1).mean()",
        "The spread depends on the width.",
    ),
    collapse(
        "abs(loss - ln_k) < self.loss_margin",
        "loss < self.loss_margin",
        "A loss that stays at ln K is not noticed.",
    ),
    collapse(
        "self.signs = self.signs + 1 if sign else 0",
        "self.signs = self.signs + 1 if sign else self.signs",
        "Signs count that are not in a row.",
    ),
    loss_guard(
        "not math.isfinite(value := ",
        "math.isnan(value := ",
        "Training goes on with an infinite loss.",
    ),
    checkpoint(
        "return found[max(found)] if found else None",
        "return found[min(found)] if found else None",
        "The oldest checkpoint is used.",
    ),
    checkpoint(
        'torch.load(path, map_location="cpu", weights_only=True)',
        'torch.load(path, map_location="cpu", weights_only=False)',
        "Code in a checkpoint is executed.",
    ),
    checkpoint(
        "if not found or found.keys() != wanted:",
        "if not found:",
        "A part that fits in parts leaves the rest random.",
    ),
    checkpoint(
        "if source.keys() != target.keys():",
        "if not source.keys() >= target.keys():",
        "Weights of a larger model are accepted.",
    ),
    runner(
        'start["checkpoint"], list(start["parts"]))',
        'start["checkpoint"], list(start["parts"])[:1])',
        "Only the first part of the stage before arrives.",
    ),
    runner(
        "if None not in then and then != now:",
        "if None not in then and then[0] != now[0]:",
        "A run of two processes goes on in one.",
    ),
]
