# A frozen pretrained backbone on ImageNet-S50, as in pretrained_photos.py:
#   luss run configs/pretrained/in50.py --cfg-options data_root=.../ImageNetS50 \
#       backbone.preset=dinov2_vits14 backbone.weights=FILE
# For rows beside the paper's, predictions are not refined, and photos have the paper's size. Epochs
# are not tuned.
_base_ = ["../pass/pretrained_photos.py"]

short_side = 256
stages = dict(
    label_generation=dict(
        # Distributed over all GPUs.
        test_cfg=dict(
            generator=dict(_delete_=True, type="TorchKMeans", iterations=20, restarts=30)
        ),
    ),
    evaluate=dict(refiner=None),
    report=dict(title="Frozen backbone on ImageNet-S"),
)
