# PASS_s on photos as pass_s_photos.py has it, with a foreground that needs no training: colours
# unlike those of the photo's frame and near its centre, joined with region contrast, and cut out by
# GrabCut. It says which pixels are labelled, and over which ones image embeddings are pooled; the
# whole foreground of a photo gets its category. For photos of single objects in a scene. Needs
# scikit-image; a map of a photo of 160 px takes about 0.2 s of one core.
_base_ = ["pass_s_photos.py"]

short_side = 96

stages = dict(
    label_generation=dict(
        foreground=dict(
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
        ),
        embedding=dict(
            type="ForegroundEmbeddings",
            attention=False,
            pipeline=[
                dict(type="LoadRGBImage"),
                dict(type="ResizeShortSide", size=short_side),
                dict(type="LoadForegroundAsMask"),
                dict(type="CenterCrop", crop_size=short_side),
                dict(type="PackInputs"),
            ],
        ),
        pixels=dict(type="ImageLabels", over_foreground=True),
    ),
    report=dict(title="PASS_s + prior on photos"),
)
