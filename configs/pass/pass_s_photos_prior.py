# PASS_s on photos, as pass_s_photos.py, but with a foreground that needs no training: colour
# distance to the photo's frame, closeness to its centre and region contrast, refined by GrabCut.
# Image embeddings are pooled over this foreground, and all its pixels get the category of the
# photo. For photos of single objects in a scene. Needs scikit-image; the map of a photo of 160 px
# takes about 0.2 s on one core.
_base_ = ["pass_s_photos.py"]

over_foreground = [
    dict(type="LoadRGBImage"),
    dict(type="ResizeShortSide", size="${config.short_side}"),
    dict(type="LoadForegroundAsMask", folder="${label_generation.foreground}/train"),
    dict(type="CenterCrop", crop_size="${config.short_side}"),
    dict(type="PackInputs"),
]
prior = dict(
    type="GrabCut",
    source=dict(
        type="MeanOfRanks",
        sources=[
            dict(
                type="ProductOfMaps",
                sources=[dict(type="BoundaryPrior"), dict(type="CentrePrior")],
            ),
            dict(type="RegionContrast"),
        ],
    ),
)

stages = dict(
    label_generation=dict(
        test_dataloader=dict(embedding=dict(dataset=dict(pipeline=over_foreground))),
        test_cfg=dict(
            embedder=dict(type="ForegroundEmbeddings", attention=False),
            foreground=prior,
            writer=dict(type="ImageLabels", over_foreground=True),
        ),
    ),
    report=dict(title="PASS_s + prior on photos"),
)
