"""Mistakes in optimizers, loops, hooks and checkpoints."""

from mutations.mutation import of

lars = of(
    "luss/engine/optimizers/lars.py",
    "tests/engine/optimizers/test_lars.py",
    "tests/engine/optimizers/test_lars_defaults.py",
    "tests/parity/test_lars.py",
)
lars_groups = of(
    "luss/engine/optimizers/lars_groups.py", "tests/engine/optimizers/test_lars_groups.py"
)
layer_decay = of(
    "luss/engine/optimizers/layer_decay.py", "tests/engine/optimizers/test_layer_decay.py"
)
loop = of("luss/engine/loops/epoch_train_loop.py", "tests/engine/test_resume.py")
iter_loop = of("luss/engine/loops/iter_train_loop.py", "tests/engine/test_iterations.py")
accumulation = of("luss/engine/hooks/graceful_stop_hook.py", "tests/engine/test_accumulation.py")
updates = of("luss/engine/accumulation.py", "tests/engine/test_accumulation.py")
ema = of("luss/engine/hooks/ema_hook.py", "tests/engine/test_accumulation.py")
best = of("luss/engine/hooks/checkpoint_hook.py", "tests/engine/hooks/test_best_checkpoint.py")
validated_loop = of(
    "luss/engine/loops/epoch_train_loop.py", "tests/engine/hooks/test_best_checkpoint.py"
)
mixed_precision = of(
    "luss/engine/optimizers/amp_optim_wrapper.py",
    "tests/engine/optimizers/test_amp_optim_wrapper.py",
)
early_stopping = of(
    "luss/engine/hooks/early_stopping_hook.py", "tests/engine/hooks/test_early_stopping.py"
)
resume_from = of("luss/engine/resume_from.py", "tests/pipeline/test_resume_from.py")
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
    "luss/engine/hooks/loss_guard_hook.py",
    "tests/engine/hooks/test_checkpoint_hook.py",
    "tests/engine/hooks/test_loss_guard.py",
)
checkpoint = of("luss/engine/checkpoint.py", "tests/engine/test_checkpoint.py")
runner = of(
    "luss/engine/runner.py",
    "tests/engine/test_other_processes.py",
    "tests/pipeline/test_hand_over.py",
)
pretrained = of("luss/engine/pretrained.py", "tests/engine/test_pretrained.py")
converter = of("luss/engine/convert_checkpoint.py", "tests/engine/test_convert_checkpoint.py")
weights = of("luss/models/backbones/weights.py", "tests/models/backbones/test_weights.py")

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
        "shares = list(torch.where(adapted, rates * decay, 0).unbind())",
        "shares = list(torch.where(adapted, decay, 0.0).unbind())",
        "Weight decay is not scaled by the adaptive rate.",
    ),
    lars(
        "list(torch.where(adapted, rates, 1).unbind())",
        "list(torch.where(adapted, rates, 0).unbind())",
        "A parameter that is not adapted does not move.",
    ),
    lars(
        "grads, decay = _plain(params, grads, group), 0.0",
        "grads, decay = _plain(params, grads, group), decay",
        "The weight decay that comes first is added once more.",
    ),
    lars(
        '(_plain if group["lars_exclude"] else _adapted)',
        "_adapted",
        "What is left out of the adaptation is adapted.",
    ),
    lars(
        'group.setdefault("decay_first", False)',
        'group.setdefault("decay_first", True)',
        "A state saved before the argument was there goes on with the weight decay first.",
    ),
    lars_groups(
        "if parameter.ndim <= 1]",
        "if parameter.ndim < 1]",
        "Biases and norms are adapted, those of no group are not trained.",
    ),
    lars_groups(
        '"weight_decay": 0.0, "lars_exclude": True}',
        '"lars_exclude": True}',
        "Biases and norms decay.",
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
        "self.clustering.set_progress(runner.epoch, runner.iter // self.counts)",
        "self.clustering.set_progress(runner.epoch, runner.iter)",
        "Prototypes are frozen for iterations, not updates.",
    ),
    clustering_hook(
        "self.clustering.set_progress(runner.epoch, runner.iter // self.counts)",
        "self.clustering.set_progress(runner.iter, runner.iter // self.counts)",
        "The queue starts after iterations, not epochs.",
    ),
    clustering_hook(
        "self.clustering.set_progress(runner.epoch, runner.iter // self.counts)",
        "self.clustering.set_progress(runner.epoch, runner.epoch)",
        "Prototypes are frozen for epochs, not updates.",
    ),
    checkpoint_hook(
        "self.every_n_train_iters(runner, self.interval, self.save_begin)",
        "self.every_n_train_iters(runner, self.interval, self.save_begin + 1)",
        "Checkpoints come an iteration late.",
    ),
    checkpoint_hook(
        "if self.is_last_train_epoch(runner):",
        "if due and self.is_last_train_epoch(runner):",
        "The end of training may not be saved before validation.",
    ),
    checkpoint_hook(
        "self._waits = gradients_wait(runner.optim_wrapper)",
        "self._waits = False",
        "Checkpoints are written between updates, without the gradients summed so far.",
    ),
    checkpoint_hook(
        "if former not in (None, str(path)) and is_main_process():",
        "if former is not None and is_main_process():",
        "A best checkpoint that is written again is removed.",
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
        "in values.items() if not math.isfinite(value)}",
        "in values.items() if math.isnan(value)}",
        "Training goes on with an infinite loss.",
    ),
    loss_guard(
        "if not weight < _DIVERGED:",
        "if weight > _DIVERGED:",
        "Weights that are NaN are taken for sound ones.",
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
        "init_weights_from(self._bare_model, checkpoint, parts)",
        "init_weights_from(self._bare_model, checkpoint, parts[:1])",
        "Only the first part of the stage before arrives.",
    ),
    runner(
        "if None not in then and then != now:",
        "if None not in then and then[0] != now[0]:",
        "A run of two processes goes on in one.",
    ),
    pretrained(
        "for part in reversed(list(model.modules())):",
        "for part in model.modules():",
        "The file of an inner part takes the place of the whole model's.",
    ),
    pretrained(
        "others = [one for one in overrides if not _is_pretrained(one)]",
        "others = []",
        "An override that starts a part anew is passed over.",
    ),
    converter(
        "if block == 0 and (stage > 1 or convolutions == 3):",
        "if block == 0 and stage > 1:",
        "The first stage of ResNet-50 is expected without its shortcut.",
    ),
    converter(
        "kept[_QUEUE] = torch.zeros(2, queue_length, prototypes.shape[1])",
        "kept[_QUEUE] = torch.ones(2, queue_length, prototypes.shape[1])",
        "The queue of converted pixel attention is taken for a full one.",
    ),
    iter_loop(
        "sampler.start = (self._iter - info.get(_PASS_BEGIN, 0)) * self.dataloader.batch_size",
        "sampler.start = self._iter * self.dataloader.batch_size",
        "A resumed run passes over more of the data than this pass has used.",
    ),
    iter_loop(
        "sampler.set_epoch(info.get(_PASS, 0))",
        "sampler.set_epoch(self._epoch)",
        "A resumed run enters an endless order that was never begun.",
    ),
    iter_loop(
        "whole = self._iter == (self._epoch + 1) * len(self.dataloader)",
        "whole = False",
        "All of the training is one epoch.",
    ),
    validated_loop(
        "if self._iter > 0 and self._iter == self._epoch * len(self.dataloader):",
        "if False:",
        "A validation that was killed is left out.",
    ),
    validated_loop(
        "if self._iter > 0 and self._iter == self._epoch * len(self.dataloader):",
        "if self._iter > 0:",
        "A resumed epoch is validated again in its middle.",
    ),
    best(
        'self._write(runner, path, runner.epoch, runner.iter, ["optimizer", "param_schedulers"])',
        "self._write(runner, path, runner.epoch, runner.iter, [])",
        "Training can go on from the best model, as if it were the newest.",
    ),
    accumulation(
        "if not self.agreed or gradients_wait(runner.optim_wrapper):",
        "if not self.agreed:",
        "A signal between updates loses the gradients summed so far.",
    ),
    updates(
        "part.interval *= counts",
        "pass",
        "Momentum copies move in every forward pass.",
    ),
    ema(
        "if not gradients_wait(runner.optim_wrapper):",
        "if True:",
        "The average moves between updates.",
    ),
    mixed_precision(
        "elif not cpu_has_bf16_units():",
        "elif False:",
        "CPUs without units for bfloat16 emulate it.",
    ),
    mixed_precision(
        'if name != "bfloat16":',
        "if False:",
        "A config for GPUs trains in bfloat16 on CPUs, unasked.",
    ),
    early_stopping(
        "setattr(self, name, value)",
        "pass",
        "A resumed run waits anew before it stops early.",
    ),
    resume_from(
        "if (_step(other) or 0) > step:",
        "if False:",
        "A run that went back goes on from newer checkpoints after the next kill.",
    ),
    weights(
        "best = max(readings, key=lambda reading: len(reading.tensors.keys() & wanted.keys()))",
        "best = readings[0]",
        "Names of a whole model are read as those of its backbone.",
    ),
]
