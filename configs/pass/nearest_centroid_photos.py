# From photos to masks without any training: a photo's foreground gets the category of the nearest
# centroid. For a folder of photos: luss train PHOTOS --categories C --backbone NAME --weights FILE
# --no-finetune. With luss run: as pretrained_photos.py.
_base_ = ["./pretrained_photos.py"]

label_generation = _base_.stages.label_generation
# Also computed inside the segmentor, so that no other maps are needed for new photos.
foreground = dict(maps="${config.in_index}", frame=0.06)

stages = dict(
    _delete_=True,
    pretrain=_base_.stages.pretrain,
    label_generation=dict(
        label_generation,
        test_cfg=dict(
            label_generation.test_cfg, foreground=dict(type="FrameDistance", **foreground)
        ),
    ),
    # Centroids and threshold become the head of a segmentor.
    nearest_centroid=dict(
        type="Test",
        weights="${pretrain.checkpoint}",
        model=dict(
            type="PassSegmentor",
            frozen_backbone=True,
            data_preprocessor=_base_.stages.finetune.model.data_preprocessor,
            backbone="${config.backbone}",
            decode_head=dict(
                type="CentroidHead",
                by="image",
                in_index=-1,
                num_classes="${facts.num_outputs}",
                **foreground,
            ),
        ),
        test_dataloader=dict(),
        test_cfg=dict(
            type="CentroidLoop",
            centroids="${label_generation.clustering}",
            threshold="${label_generation.threshold}",
        ),
    ),
    evaluate=dict(
        _base_.stages.evaluate,
        model="${nearest_centroid.model}",
        checkpoint="${nearest_centroid.checkpoint}",
    ),
    report=dict(type="Report", title="Nearest centroids on photos"),
)
