# Distance matching of a single backbone without training (sections 3.2.1 and 5.6, table 14): a bank
# of vectors from train-semi, and k-NN of pixels on validation and test.
#   python tools/test.py configs/distance_matching/resnet50.py FILE --protocol distance_matching \
#       --cfg-options data_root=DIR
# A child config sets the backbone. FILE, or weights=FILE, is a local checkpoint of OpenMMLab or
# luss, or of a plain network with the same tensor names; see luss backbones for other files. In a
# pipeline, use the backbone of a trained stage: backbone="${pretrain.model.backbone}" and
# weights="${pretrain.checkpoint}".
_base_ = ["../default_runtime.py"]

data_root = None
data = dict(type="auto")
short_side = 256
mean = (0.485, 0.456, 0.406)
std = (0.229, 0.224, 0.225)
multiple = None  # by which sides of photos are divisible, for patches of vision transformers

stages = dict(
    distance_matching=dict(
        type="Test",
        protocol=dict(type="DistanceMatching"),
        model=dict(
            type="DistanceMatcher",
            k=10,
            temperature=0.07,
            data_preprocessor=dict(
                type="ViewPreprocessor", mean="${config.mean}", std="${config.std}"
            ),
            backbone="${config.backbone}",
        ),
        weights="${facts.weights}",
        test_dataloader=dict(
            splits="${facts.evaluated_splits}",
            batch_size=8,
            dataset=dict(
                pipeline=[
                    dict(type="LoadRGBImage"),
                    dict(type="LoadMask", optional=True),
                    dict(
                        type="ResizeShortSide",
                        size="${config.short_side}",
                        multiple_of="${config.multiple}",
                    ),
                    dict(type="PackInputs"),
                ],
            ),
        ),
    ),
)
