# The semi-supervised protocol of the paper (section 5.6): step 3 with the true masks of train-semi
# instead of pseudo labels, for 30 epochs.
#   python tools/train.py configs/semi_supervised/pass_s_in300_lars.py --cfg-options data_root=DIR
#   ... weights=work_dirs/pass_s_in300/pretrain/iter_N.pth   # skip pretraining

# A local checkpoint of luss or OpenMMLab with the backbone; None pretrains first.
weights = None
semi_supervised_lars = dict(
    type="FinetuneSemiStage",
    train_cfg=dict(type="EpochTrainLoop", max_epochs=30),
)
