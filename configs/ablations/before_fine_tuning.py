# Table 10(d), "Before fine-tuning": 26.0 test mIoU, ImageNet-S50 (after: 29.3). One run gives both:
# the labels for fine-tuning are evaluated as before_fine_tuning in results.json.
_base_ = ["_base_/pass_s.py"]

labels = _base_.stages.label_generation
stages = dict(
    evaluate_labels=dict(
        _base_.stages.evaluate,
        after="label_generation",
        protocol=dict(_base_.stages.evaluate.protocol, type="BeforeFineTuning"),
        model=dict(
            type="PixelLabeller",
            model="${label_generation.model}",
            centroids="${label_generation.clustering}",
            threshold="${label_generation.threshold}",
            foreground=labels.test_cfg.foreground,
            rule=labels.test_cfg.threshold,
            writer=labels.test_cfg.writer,
        ),
        checkpoint=labels.checkpoint,
        data_preprocessor=labels.data_preprocessor,
    ),
    report=dict(title="PASS_s, before and after fine-tuning"),
)
