"""Mistakes in how stages hand on what they made."""

from mutations.mutation import of

_PIPELINE = "tests/pipeline"
_PROTOCOLS = f"{_PIPELINE}/protocols"

_RUNS = (
    f"{_PIPELINE}/test_seeds.py",
    f"{_PIPELINE}/test_hand_over.py",
    f"{_PIPELINE}/test_label_generation.py",
    f"{_PIPELINE}/test_bad_input.py",
    f"{_PIPELINE}/test_kill_and_resume.py",
)

pipeline = of("luss/pipeline/pipeline.py", *_RUNS)
context = of("luss/pipeline/context.py", *_RUNS, _PROTOCOLS)
train = of("luss/stages/train_stage.py", *_RUNS, f"{_PROTOCOLS}/test_semi_supervised.py")
starts = of("luss/stages/starting_parts.py", f"{_PIPELINE}/test_other_objectives.py")
schedules = of("luss/stages/train_stage.py", f"{_PIPELINE}/test_several_optimizers.py")
labels = of("luss/stages/label_generation_stage.py", *_RUNS)
label_loop = of("luss/engine/loops/label_generation_loop.py", *_RUNS)
embedders = of("luss/label_generation/embedders.py", *_RUNS)
sources = of("luss/label_generation/foreground/sources.py", *_RUNS)
rules = of("luss/label_generation/threshold_rules.py", *_RUNS)
finetune = of("luss/stages/finetune_stage.py", *_RUNS)
shares = of("luss/ranks.py", f"{_PIPELINE}/test_shares.py")
splits_loop = of(
    "luss/engine/loops/splits_test_loop.py", "tests/engine/loops/test_splits_test_loop.py"
)
results = of("luss/evaluation/results.py", "tests/evaluation/test_results.py")
find_mask = of("luss/datasets/transforms/find_mask.py", *_RUNS)
protocol_stage = of("luss/stages/protocol_stage.py", _PROTOCOLS)
dump_masks = of("luss/evaluation/dump_masks.py", _PROTOCOLS)
match_source = of("luss/evaluation/match_source.py", _PROTOCOLS)
bank_hook = of("luss/engine/hooks/distance_bank_hook.py", _PROTOCOLS)
matcher = of("luss/evaluation/distance_matcher.py", _PROTOCOLS)
unsupervised = of("luss/stages/fully_unsupervised.py", _PROTOCOLS)
semi_supervised = of("luss/stages/semi_supervised.py", _PROTOCOLS)
matching = of("luss/stages/distance_matching.py", _PROTOCOLS)
backbone = of("luss/engine/foreign_weights.py", _PROTOCOLS)

MUTATIONS = [
    starts(
        "if stated.issuperset(asked.values()):",
        "if True:",
        "Pixel attention demands a clustering loss of step 1.",
    ),
    starts(
        "if len(tails) > 1 and all(",
        "if False and all(",
        "A clustering loss of another name is not used, and nobody notices.",
    ),
    schedules(
        'if "type" not in schedulers:',
        "if True:",
        "A single scheduler is taken for one of each optimizer.",
    ),
    pipeline(
        "chosen = [self._stage(only)] if only else list(self.stages.values())",
        "chosen = list(self.stages.values())",
        "All stages run where one was asked for.",
    ),
    pipeline(
        "if main_process_decides(self.work_dir.is_done(stage.name)):",
        "if False:",
        "Stages whose output is whole run again.",
    ),
    context(
        'return self.config.get("seed", 0)',
        "return 0",
        "The config's seed changes nothing.",
    ),
    context(
        '{"seed": self.seed, **self.data, **config}',
        "{**self.data, **config}",
        "The run's seed does not reach the data sets.",
    ),
    train(
        'return config if self.seed is None else {"seed": self.seed, **config}',
        "return config",
        "A stage's seed does not reach its data set.",
    ),
    train(
        '"seed": context.seed if self.seed is None else self.seed,',
        '"seed": context.seed,',
        "A stage's seed does not reach its runner.",
    ),
    train(
        'scheduler.setdefault("end", max_epochs)',
        'scheduler.setdefault("end", max_epochs + 1)',
        "The rate does not reach its end.",
    ),
    train(
        '"init": self._starts(context).checkpoints(),',
        '"init": {},',
        "A stage starts from random weights.",
    ),
    train(
        '*given.get("custom_hooks", ()),',
        "",
        "The clustering objective is told no epoch, and the hooks of configs do nothing.",
    ),
    train(
        '"resume": True, **start}',
        '"resume": False, **start}',
        "A resumed stage starts its schedule anew.",
    ),
    embedders(
        "return model.embed_images(*inputs)",
        "return model.extract(inputs[0]).mean(dim=(2, 3))",
        "K-means clusters plain averages, without attention.",
    ),
    sources(
        "return photo.model.attention.mean_attention(photo.features)[0, 0]",
        "return photo.model.attention.mean_attention(photo.features)[0, 0] * 0 + 0.5",
        "The attention has no part in pseudo labels.",
    ),
    rules(
        "        return chosen.value\n\n\n@THRESHOLD_RULES.register_module()\nclass GivenThreshold",
        "        return 0.5\n\n\n@THRESHOLD_RULES.register_module()\nclass GivenThreshold",
        "The threshold that was found is not used.",
    ),
    labels(
        "str(context.checkpoint_of(self.model_from))",
        "str(min(context.work_dir.stage(self.model_from).glob('iter_*.pth')))",
        "Labels are made by an earlier checkpoint.",
    ),
    labels(
        '"ValidationThreshold" if masks else "OtsuThreshold"',
        '"OtsuThreshold" if masks else "OtsuThreshold"',
        "The threshold is Otsu's where there are validation masks.",
    ),
    label_loop(
        "self.centroids, photo.sample.ori_shape[:2]",
        "self.centroids, photo.sample.img_shape[:2]",
        "Pseudo labels have the size of the resized image.",
    ),
    labels(
        '{"num_clusters": context.num_categories, "seed": context.seed}',
        '{"num_clusters": context.num_categories, "seed": 0}',
        "K-means always has the same seed.",
    ),
    labels(
        "report = validation if context.splits_with_masks else train",
        "report = train",
        "The report's attention maps are of other images than its predictions.",
    ),
    label_loop(
        "self.runner.model.eval()",
        "self.runner.model.train()",
        "Labels are made with batch statistics.",
    ),
    finetune(
        "fill_num_classes(config, context.num_categories + 1, where)",
        "fill_num_classes(config, context.num_categories + 2, where)",
        "The segmentor has a class that no pixel has.",
    ),
    finetune(
        'config["pipeline"] = [find, *config["pipeline"]]',
        "pass",
        "Fine-tuning learns true masks, where there are any.",
    ),
    splits_loop(
        "self.runner.model.eval()",
        "self.runner.model.train()",
        "Predictions are made with batch statistics.",
    ),
    splits_loop(
        "self.dataloader, self.evaluator = self.dataloaders[split], self.evaluators[split]",
        "pass",
        "All splits are the first one.",
    ),
    results(
        "None if math.isnan(value)",
        "0.0 if math.isnan(value)",
        "What is not defined counts as 0.",
    ),
    shares(
        "rank * count // world, (rank + 1) * count // world)",
        "rank * (count // world), (rank + 1) * (count // world))",
        "The last images are left out where ranks do not divide them.",
    ),
    find_mask(
        "Path(self.root, f\"{results['image_id']}.png\")",
        "Path(self.root, f\"{Path(results['image_id']).name}.png\")",
        "Masks of one name in two folders are the same.",
    ),
    protocol_stage(
        '{"type": "ResizeShortSide", "size": 256},',
        '{"type": "ResizeShortSide", "size": 224},',
        "Whole images are predicted at short side 224.",
    ),
    dump_masks(
        'ids_of(sample, "pred_sem_seg"))',
        'ids_of(sample, "pred_sem_seg") * 0)',
        "Predictions are written as 'other' but counted.",
    ),
    unsupervised(
        "found(matcher, self._file(context))",
        "found(second, self._file(context))",
        "The match is made by pixels, not by images.",
    ),
    unsupervised(
        'if split == "validation":',
        'if split == "test":',
        "The match is found on test.",
    ),
    match_source(
        "return np.pad(match, (0, absent))",
        "return match",
        "A match.json that leaves ids out does not fit.",
    ),
    semi_supervised(
        '"split": "train-semi", "require_masks": True}',
        '"split": "validation", "require_masks": True}',
        "Fine-tuning learns the validation masks.",
    ),
    semi_supervised(
        "fill_num_classes(config, context.num_true_classes + 1, where)",
        "fill_num_classes(config, context.num_true_classes + 2, where)",
        "The segmentor has a class that no pixel has.",
    ),
    matching(
        '"dataloader": self.dataloader(context, "train-semi")',
        '"dataloader": self.dataloader(context, "validation")',
        "The bank is made of the images that are evaluated.",
    ),
    bank_hook(
        "DistanceBank.read(path).source == source",
        "bool(DistanceBank.read(path).source)",
        "Another backbone's bank is used.",
    ),
    matcher(
        "temperature=self.temperature,",
        "temperature=0.07,",
        "The configured temperature is not used.",
    ),
    backbone(
        "backbone.eval()\n    return backbone",
        "backbone.train()\n    return backbone",
        "A backbone that stands alone normalises by batch statistics.",
    ),
]
