# PASS_s on ImageNet-S50: --cfg-options data_root=.../ImageNetS50. Eight GPUs make the batch of 256.
# ResNet-18, multi-crop, 200 epochs; otherwise as for 300 classes.
_base_ = ["pass_s_in300.py"]

backbone = dict(depth=18)
hidden_channels = 512
small_crop_size = 96
multi_crop = [
    dict(type="LoadRGBImage"),
    dict(
        type="MultiCrop",
        views=[
            dict(count=2, size="${config.crop_size}", scale=(0.14, 1.0)),
            dict(count=6, size="${config.small_crop_size}", scale=(0.05, 0.14)),
        ],
    ),
    dict(type="PackViews"),
]

stages = dict(
    pretrain=dict(
        model=dict(
            objectives=dict(
                clustering=dict(num_prototypes=500, queue_length=2048, frozen_prototype_iters=1001)
            ),
        ),
        train_dataloader=dict(dataset=dict(pipeline=multi_crop)),
        train_cfg=dict(max_epochs=200),
    ),
    # Crops and queue as for all splits. C uses ten times the rate; P uses that of step 1.
    pixel_attention=dict(
        model=dict(clustering=dict(num_prototypes=500)),
        optim_wrapper=dict(optimizer=dict(lr=6.0)),
    ),
)
