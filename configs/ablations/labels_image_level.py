# Table 10(a), "Image-level": 26.9 test mIoU, ImageNet-S50. Pooled features are clustered,
# an image classifier is trained on the clusters, and class activation maps separate 'other'.
_base_ = ["_base_/pass_s.py"]

steps = _base_.stages
# Pooling without a map.
whole = [
    step
    for step in steps.label_generation.embedding.pipeline
    if step["type"] != "LoadForegroundAsMask"
]
stages = dict(
    _delete_=True,
    pretrain=steps.pretrain,
    label_generation=dict(
        steps.label_generation,
        model_from="pretrain",
        embedding=dict(type="PooledFeatures", batch_size=32, pipeline=whole),
        # The same pixels as in clustering.
        pixels=dict(type="ImageLabels", pipeline=whole),
        foreground=dict(type="WholePhoto"),
        threshold=0.0,
        num_attention_maps=0,
    ),
    finetune=dict(
        steps.finetune,
        model=dict(
            steps.finetune.model,
            decode_head=dict(type="ImageLevelHead", in_index=-1),
            # The paper gives no threshold; we use a fifth of the maximum, as in Zhou et al. (2016).
            cam_threshold=0.2,
        ),
    ),
    evaluate=steps.evaluate,
    report=dict(steps.report, title="Labels by image"),
)
