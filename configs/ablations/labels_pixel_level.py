# Table 10(a), "Pixel-level": 12.7 test mIoU, ImageNet-S50. The features of all pixels form C + 1
# clusters; the unmatched one counts as 'other'.
_base_ = ["_base_/pass_s.py"]

# C + 1: for other data, set --cfg-options num_categories= to the number of classes plus one.
num_categories = 51

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
        # 7 x 7 vectors per photo: 6.4 GB on disk for ImageNet-S50.
        embedding=dict(type="PixelEmbeddings", batch_size=32, pipeline=whole),
        # The assignment of k-means.
        pixels=dict(
            type="PixelLabels", by="cluster", pipeline=steps.label_generation.pixels.pipeline
        ),
        foreground=dict(type="WholePhoto"),
        threshold=0.0,
        num_attention_maps=0,
    ),
    finetune=steps.finetune,
    evaluate=steps.evaluate,
    report=dict(steps.report, title="Labels by pixel"),
)
