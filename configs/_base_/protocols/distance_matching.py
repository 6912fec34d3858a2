# Distance matching of a single backbone without training (sections 3.2.1 and 5.6, table 14): a bank
# of vectors from train-semi, and k-NN of pixels on validation and test.
#   python tools/test.py configs/distance_matching/resnet50.py FILE --protocol distance_matching \
#       --cfg-options data_root=DIR
# A child config sets the backbone. In a pipeline, use the backbone of a trained stage:
#   distance_matching=dict(type="DistanceMatchingStage", model_from="pretrain")
_base_ = ["../default_runtime.py"]

data_root = None
data = dict(type="auto")
# A local checkpoint of OpenMMLab or luss, or of a plain network with the same tensor names.
weights = None

stages = dict(
    distance_matching=dict(
        type="DistanceMatchingStage",
        preprocessor=dict(
            type="ViewPreprocessor", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)
        ),
        pipeline=[
            dict(type="LoadRGBImage"),
            dict(type="LoadMask", optional=True),
            dict(type="ResizeShortSide", size=256),
            dict(type="PackInputs"),
        ],
        k=10,
        temperature=0.07,
    ),
)
