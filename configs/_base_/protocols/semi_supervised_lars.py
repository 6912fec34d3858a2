# The semi-supervised protocol of the paper (section 5.6): step 3 with the true masks of train-semi
# instead of pseudo labels, for 30 epochs.
#   python tools/train.py configs/semi_supervised/pass_s_in300_lars.py --cfg-options data_root=DIR
#   ... weights=work_dirs/pass_s_in300/pretrain/iter_N.pth   # skip pretraining

true_masks = dict(split="train-semi", require_masks=True, on_unreadable="skip")
train_cfg = dict(type="EpochTrainLoop", max_epochs=30)
true_head = dict(type="PassHead", in_index=-1, num_classes="${facts.num_true_outputs}")
semi_supervised = dict(
    type="Test",
    protocol=dict(type="SemiSupervised"),
    model="${finetune_semi.model}",
    checkpoint="${finetune_semi.checkpoint}",
)
