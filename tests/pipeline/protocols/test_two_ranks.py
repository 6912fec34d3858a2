"""Two gloo processes: what fails in one ends both with one message; what is whole adds up."""

import json

import numpy as np
import pytest
import torch.multiprocessing as mp
from ranks_worker import CLASSES, GENERATED, JOINING, context_of, draw_ids, meet

from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import apply_match
from luss.pipeline.protocols.predictions import WHOLE_IMAGE, evaluation_set


@pytest.fixture(scope="module")
def ranks(demo_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(meet, args=(str(demo_root), str(folder)), nprocs=2)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_shares_add_up_to_the_whole(ranks, demo_root, tmp_path):
    dataset = evaluation_set(context_of(demo_root, tmp_path), "validation", WHOLE_IMAGE)
    generated, matched = Counts.zeros(CLASSES, GENERATED), Counts.zeros(CLASSES)
    for item in map(dataset.__getitem__, range(len(dataset))):
        ids, truth = draw_ids(item), item["data_samples"].gt_sem_seg.data[0].numpy()
        generated.add(count_image(ids, truth, CLASSES, GENERATED))
        matched.add(count_image(apply_match(ids, JOINING), truth, CLASSES))
    for rank in ranks:
        np.testing.assert_array_equal(rank["predicted"], generated.confusion)
        np.testing.assert_array_equal(rank["matched"], matched.confusion)
        assert rank["metric: good"] == [None, pytest.approx(rank["metric: good"][1], nan_ok=True)]
        assert rank["metric: good"][1]["mIoU"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("predict: no number", "one image is bad"),
        ("match: bad files", "2x3 instead of 64x64"),
        ("match: bad files", "is not a PNG"),
        ("metric: a bad image", "image photo_1.jpg: the prediction holds id 7"),
        ("metric: no truth", "image photo_1.jpg: it has no gt_sem_seg"),
        ("metric: left over", "takes a second pass"),
    ],
)
def test_all_ranks_refuse_what_one_cannot_do(ranks, case, message):
    assert ranks[0][case] == ranks[1][case]
    kind, said = ranks[0][case]
    assert kind == "LussError"
    assert message in said


def test_every_bad_file_is_named_on_all_ranks(ranks):
    for rank in ranks:
        for name in ranks[1]["spoilt"]:
            assert f"{name}.png" in rank["match: bad files"][1]


def test_a_fault_of_ours_keeps_its_traceback_and_ends_the_others(ranks):
    assert ranks[1]["predict: a fault of ours"] == ["ValueError", "a bug"]
    kind, said = ranks[0]["predict: a fault of ours"]
    assert (kind, said) == ("RuntimeError", "another process failed: ValueError: a bug")
    assert ranks[0]["metric: disk"][0] in ("FileExistsError", "NotADirectoryError")
    assert ranks[1]["metric: disk"][0] == "RuntimeError"
