# Table 10(a), "Image-level": 26.9 test mIoU, ImageNet-S50. Pooled features are clustered,
# an image classifier is trained on the clusters, and class activation maps separate 'other'.
_base_ = ["_base_/pass_s.py"]

steps = _base_.stages
labels = steps.label_generation
# Pooling without a map.
whole = [
    step
    for step in labels.test_dataloader.embedding.dataset.pipeline
    if step["type"] != "LoadForegroundAsMask"
]
pooled = dict(dataset=dict(split="train", on_unreadable="skip", pipeline=whole))
stages = dict(
    _delete_=True,
    pretrain=steps.pretrain,
    label_generation=dict(
        labels,
        model="${pretrain.model}",
        checkpoint="${pretrain.checkpoint}",
        # The same pixels as in clustering.
        test_dataloader=dict(embedding=dict(pooled, batch_size=32), pixels=pooled),
        test_cfg=dict(
            labels.test_cfg,
            embedder=dict(type="PooledFeatures"),
            foreground=dict(type="WholePhoto"),
            threshold=0.0,
            writer=dict(type="ImageLabels"),
            num_attention_maps=0,
        ),
    ),
    finetune=dict(
        steps.finetune,
        model=dict(
            steps.finetune.model,
            decode_head=dict(
                type="ImageLevelHead", in_index=-1, num_classes="${facts.num_outputs}"
            ),
            # The paper gives no threshold; we use a fifth of the maximum, as in Zhou et al. (2016).
            cam_threshold=0.2,
        ),
    ),
    evaluate=steps.evaluate,
    report=dict(steps.report, title="Labels by image"),
)
