# Table 10(a), "Pixel-level": 12.7 test mIoU, ImageNet-S50. The features of all pixels form C + 1
# clusters; the unmatched one counts as 'other'.
_base_ = ["_base_/pass_s.py"]

# C + 1: for other data, set --cfg-options num_categories= to the number of classes plus one.
num_categories = 51

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
        # 7 x 7 vectors per photo: 6.4 GB on disk for ImageNet-S50.
        test_dataloader=dict(
            embedding=dict(pooled, batch_size=32), pixels=labels.test_dataloader.pixels
        ),
        test_cfg=dict(
            labels.test_cfg,
            embedder=dict(type="PixelEmbeddings"),
            foreground=dict(type="WholePhoto"),
            threshold=0.0,
            writer=dict(type="PixelLabels", by="cluster"),
            num_attention_maps=0,
        ),
    ),
    finetune=steps.finetune,
    evaluate=steps.evaluate,
    report=dict(steps.report, title="Labels by pixel"),
)
