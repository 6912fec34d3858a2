# Crops of photos with their pseudo labels, for fine-tuning of pretrained backbones without stored
# features. As in pass_s_photos.py.
labelled_crops = [
    dict(
        type="FindMask",
        root="${label_generation.pseudo_labels}",
        num_classes="${facts.num_categories}",
    ),
    dict(type="LoadRGBImage"),
    dict(type="LoadMask"),
    dict(type="RandomResizedCropWithMask", size="${config.short_side}", scale=(0.6, 1.0)),
    dict(type="RandomFlipWithMask"),
    dict(type="PackInputs"),
]
