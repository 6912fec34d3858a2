# Distance matching of a backbone that stands alone (sections 3.2.1 and 5.6, table 14): a bank of
# vectors from train-semi, k-NN of pixels on validation and test. Nothing is trained.
#   python tools/test.py configs/distance_matching/resnet50.py FILE --protocol distance_matching \
#       --cfg-options data_root=DIR
# A child names the backbone. In a pipeline of its own the backbone of a trained stage is taken by
#   distance_matching=dict(type="DistanceMatchingStage", model_from="pretrain")
_base_ = ["../default_runtime.py"]

data_root = None
data = dict(type="auto")
# A local checkpoint: of OpenMMLab, of luss, or of a bare network whose tensors are named alike.
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
