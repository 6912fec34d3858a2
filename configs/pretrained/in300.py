# As in50.py, on ImageNet-S300.
_base_ = ["in50.py"]

stages = dict(finetune=dict(train_cfg=dict(max_epochs=3)))
