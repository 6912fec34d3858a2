# As in50.py, on ImageNet-S (919 classes).
_base_ = ["in50.py"]

stages = dict(finetune=dict(train_cfg=dict(max_epochs=2)))
