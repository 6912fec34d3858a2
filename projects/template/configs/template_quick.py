# Whether everything runs: template.py for one epoch of each stage on a few drawn pictures.
_base_ = "template.py"

data = dict(type="demo", size=48, train=3, train_semi=1, validation=1, test=1)
num_workers = 0
quick = dict(train_dataloader=dict(batch_size=4), train_cfg=dict(max_epochs=1))
stages = dict(pretrain=quick, pixel_attention=quick, finetune=quick)
