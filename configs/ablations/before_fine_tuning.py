# Table 10(d), "Before fine-tuning": 26.0 test mIoU, ImageNet-S50 (after: 29.3). One run gives both:
# the labels for fine-tuning are evaluated as before_fine_tuning in results.json.
_base_ = ["_base_/pass_s.py"]

stages = dict(
    evaluate_labels=dict(
        type="EvaluateLabelsStage",
        after="label_generation",
        pipeline=_base_.stages.evaluate.pipeline,
    ),
    report=dict(title="PASS_s, before and after fine-tuning"),
)
