"""Two gloo processes: what fails in one ends both with one message; what is whole adds up."""

import json

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from processes import run_ranks
from ranks_worker import CLASSES, IMAGES, JOINING, draw_ids, predict_and_match, validation_set

from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import apply_match
from luss.evaluation.metrics import compute_metrics
from luss.registry import DATASETS


@pytest.fixture(scope="module")
def ranks(demo_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(predict_and_match, folder, str(demo_root))
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_shares_add_up_to_the_whole(ranks, demo_root, tmp_path):
    """Of 17 images the sampler hands one out twice."""
    init_default_scope("luss")
    dataset = DATASETS.build(validation_set(demo_root, tmp_path))
    assert len(dataset) == IMAGES
    counts, match = Counts.zeros(CLASSES), np.array(JOINING)
    for item in dataset:
        sample = item["data_samples"]
        truth = sample.gt_sem_seg.data[0].numpy()
        counts.add(count_image(apply_match(draw_ids(sample), match), truth, CLASSES))
    expected = {name: 100 * value for name, value in compute_metrics(counts).items()}
    for rank in ranks:
        np.testing.assert_equal(rank["matched"], expected)
        assert rank["metric: good"] == [None, pytest.approx(rank["metric: good"][1], nan_ok=True)]
        assert rank["metric: good"][1]["mIoU"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("predict: for people", "one image is bad"),
        ("metric: a bad image", "image photo_1.jpg: the prediction contains the id 7"),
        ("metric: no truth", "image photo_1.jpg: it has no gt_sem_seg"),
    ],
)
def test_all_ranks_refuse_what_one_cannot_do(ranks, case, message):
    assert ranks[0][case] == ranks[1][case]
    kind, said = ranks[0][case]
    assert kind == "LussError"
    assert message in said


def test_a_fault_of_ours_keeps_its_traceback_and_ends_the_others(ranks):
    assert ranks[1]["predict: a fault of ours"] == ["ValueError", "a bug"]
    kind, said = ranks[0]["predict: a fault of ours"]
    assert (kind, said) == ("RuntimeError", "another process failed: ValueError: a bug")
    assert ranks[0]["metric: disk"][0] in ("FileExistsError", "NotADirectoryError")
    assert ranks[1]["metric: disk"][0] == "RuntimeError"
