"""Inside autocast, losses, codes and normalisation get float32, and give it."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import luss.models.objectives.clustering as clustering_module
import luss.models.objectives.d2s as d2s_module
import luss.models.objectives.p2p as p2p_module
from luss.registry import MODELS

BACKBONE = {
    "type": "mmselfsup.ResNet",
    "depth": 18,
    "stem_channels": 8,
    "base_channels": 8,
    "out_indices": (3, 4),
}
PRETRAINER = {
    "type": "PASSPretrainer",
    "backbone": BACKBONE,
    "stages": (3, 4),
    "objectives": {
        "clustering": {"type": "Clustering", "hidden_channels": 16, "num_prototypes": 6},
        "d2s": {"type": "D2S", "stages": (3,), "hidden_channels": 16},
        "p2p": {"type": "P2P", "hidden_channels": 16},
    },
}
FUNCTIONS = [
    (clustering_module, "swapped_prediction_loss"),
    (clustering_module, "sinkhorn"),
    (clustering_module.F, "normalize"),
    (d2s_module, "d2s_loss"),
]


def views():
    inputs = [torch.rand(4, 3, 32, 32) for _ in range(2)]
    return inputs, torch.tensor([0.0, 0.0, 32.0, 32.0, 0.0]).expand(4, 2, 5)


def test_what_the_functions_of_losses_and_codes_are_given(monkeypatch):
    init_default_scope("luss")
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(PRETRAINER)).train()
    given, computed = {}, set()

    def watch(module, name):
        function = getattr(module, name)

        def watching(*tensors, **settings):
            types = {t.dtype for t in tensors if isinstance(t, torch.Tensor)}
            given.setdefault(name, set()).update(types)
            return function(*tensors, **settings)

        monkeypatch.setattr(module, name, watching)

    for module, name in FUNCTIONS:
        watch(module, name)
    model.backbone.conv1.register_forward_hook(lambda *args: computed.add(args[-1].dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = model(*views(), mode="loss")
    assert computed == {torch.bfloat16}
    assert given == {name: {torch.float32} for _, name in FUNCTIONS}
    assert {name: loss.dtype for name, loss in losses.items()} == dict.fromkeys(
        ("loss_clustering", "loss_d2s_stage3", "loss_p2p"), torch.float32
    )


def test_alignment_is_compared_in_float32(monkeypatch):
    seen = set()
    compare = p2p_module.F.cosine_similarity

    def watching(first, second, dim):
        seen.update({first.dtype, second.dtype})
        return compare(first, second, dim=dim)

    monkeypatch.setattr(p2p_module.F, "cosine_similarity", watching)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = torch.rand(2, 1, 4, 3, 3).bfloat16()
        assert p2p_module.p2p_loss(half, half).dtype == torch.float32
    assert seen == {torch.float32}


@pytest.mark.parametrize("head", [{"type": "PassHead"}, {"type": "mmseg.FCNHead", "channels": 8}])
def test_losses_of_segmentation_heads(head):
    init_default_scope("luss")
    torch.manual_seed(0)
    segmentor = {"type": "PassSegmentor", "backbone": {**BACKBONE, "out_indices": (4,)}}
    model = MODELS.build({**segmentor, "decode_head": {**head, "num_classes": 3}}).train()
    sample = SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 3, (1, 32, 32))))
    logits = torch.randn(2, 3, 8, 8).bfloat16()
    exact = model.decode_head.loss_by_feat(logits.float(), [sample, sample])["loss_ce"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model.decode_head.loss_by_feat(logits, [sample, sample])["loss_ce"]
    assert loss.dtype == torch.float32
    # mmseg up-samples in bfloat16; the sum over pixels would lose far more.
    torch.testing.assert_close(loss, exact, rtol=1e-3, atol=0)
