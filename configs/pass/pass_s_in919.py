# PASS_s on ImageNet-S (919 classes): --cfg-options data_root=.../ImageNetS919. Eight GPUs make
# a batch of 256. As for 300 classes, but step 1 uses all photos of ImageNet-1k.
_base_ = ["pass_s_in300.py"]

stages = dict(
    # All other steps use train. (C fine-tunes on train-full, due to a slip in its script.)
    pretrain=dict(train_dataloader=dict(dataset=dict(split="train-full"))),
)
