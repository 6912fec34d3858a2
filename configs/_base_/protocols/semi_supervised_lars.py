# The semi-supervised protocol as the paper has it (section 5.6): step 3's training with the true
# masks of train-semi instead of pseudo labels, 30 epochs.
#   python tools/train.py configs/semi_supervised/pass_s_in300_lars.py --cfg-options data_root=DIR
#   ... weights=work_dirs/pass_s_in300/pretrain/iter_N.pth   # do not pretrain: start from this file

# A local checkpoint with the backbone, of luss or of OpenMMLab; None pretrains first.
weights = None
semi_supervised_lars = dict(
    type="FinetuneSemiStage",
    train_cfg=dict(type="EpochTrainLoop", max_epochs=30),
)
