# From photos to masks without any training: a photo's foreground gets the category of the nearest
# centroid. For a folder of photos: luss train PHOTOS --categories C --backbone NAME --weights FILE
# --no-finetune. With luss run: as pretrained_photos.py.
_base_ = ["./pretrained_photos.py"]

# Also computed inside the segmentor, so that no other maps are needed for new photos.
foreground = dict(maps="${config.in_index}", frame=0.06)
threshold = dict(type="AutoThreshold", _delete_=True)

stages = dict(
    label_generation=dict(
        test_cfg=dict(foreground=dict(type="FrameDistance", _delete_=True, **foreground))
    ),
    # Centroids and threshold become the head of a segmentor.
    nearest_centroid=dict(
        type="Test",
        after="label_generation",
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
    finetune=None,
    evaluate=dict(model="${nearest_centroid.model}", checkpoint="${nearest_centroid.checkpoint}"),
    evaluate_labels=None,
    report=dict(title="Nearest centroids on photos"),
)
