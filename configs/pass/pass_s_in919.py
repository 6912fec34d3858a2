# PASS_s on ImageNet-S (919 classes): --cfg-options data_root=.../ImageNetS919. Eight GPUs make
# a batch of 256. As for 300 classes, but representations are learnt on all of ImageNet-1k.
_base_ = ["pass_s_in300.py"]

stages = dict(
    # All other steps use train. (C fine-tunes on train-full, a slip of its script.)
    pretrain=dict(train_dataloader=dict(dataset=dict(split="train-full"))),
)
