# Table 8(a), "+Clustering P2P" over SwAV: 21.2 test mIoU by distance matching, ImageNet-S300.
_base_ = ["d2s_none.py"]

stages = dict(
    pretrain=dict(
        # Not stated in the paper: we use the prototypes of the clustering objective.
        model=dict(objectives=dict(p2p=dict(type="ClusteringP2P", temperature=0.1))),
    ),
    report=dict(title="SwAV + clustering P2P"),
)
