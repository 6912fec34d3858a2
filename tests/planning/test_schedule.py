"""Batch sizes and epochs of a run that has so many photos and so much time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luss.errors import LussError
from luss.planning.dry_run import sample_for
from luss.planning.schedule import (
    fitting_batch,
    full_schedule,
    plan_schedule,
    too_short,
)

CONFIG = {"pretrain": 165, "pixel_attention": 5, "finetune": 15}
TRAINED = tuple(CONFIG)


@given(st.integers(1, 3000))
def test_a_batch_can_be_filled_and_leaves_few_photos_over(photos):
    batch = fitting_batch(photos, 32)
    assert 1 <= batch <= min(32, photos)
    # No more photos are left over than there are batches.
    assert photos % batch < max(photos // batch, 32)
    if photos < 320:
        assert photos // batch >= -(-photos // 32) and photos % batch <= photos // batch


@pytest.mark.parametrize(("photos", "batch"), [(10, 10), (32, 32), (33, 16), (60, 30), (1200, 32)])
def test_batches_of_some_folders(photos, batch):
    assert fitting_batch(photos, 32) == batch


def test_the_full_schedule_is_the_configs_for_the_photos_it_was_made_for():
    assert full_schedule(CONFIG, 1200) == CONFIG
    assert full_schedule(CONFIG, 60) == {name: 20 * count for name, count in CONFIG.items()}
    assert full_schedule(CONFIG, 10**6) == {"pretrain": 20, "pixel_attention": 2, "finetune": 5}


@given(
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.floats(0, 10_000),
    st.integers(10, 10_000),
    st.booleans(),
)
def test_a_plan_keeps_to_the_time_and_to_the_full_schedule(seconds, more, photos, taken_over):
    epoch_seconds = dict(zip(TRAINED, seconds, strict=True))
    full = full_schedule(CONFIG, photos)
    if taken_over:
        del full["pretrain"]
    available = sum(epoch_seconds[name] for name in full) + more
    plan = plan_schedule(full, epoch_seconds, available)
    assert plan.keys() == full.keys()
    assert all(1 <= plan[name] <= full[name] for name in full)
    took = sum(plan[name] * epoch_seconds[name] for name in plan)
    assert took <= available * (1 + 1e-9)
    # Pretraining takes whatever is left.
    if not taken_over and plan["pretrain"] < full["pretrain"]:
        assert available - took < epoch_seconds["pretrain"] * (1 + 1e-6)


def test_too_little_time_is_refused():
    with pytest.raises(LussError, match=r"6 s.* 5 s"):
        plan_schedule(CONFIG, dict.fromkeys(CONFIG, 2.0), 5.0)


def test_the_only_stage_that_trains_gets_all_the_time():
    assert plan_schedule({"finetune": 100}, {"finetune": 2.0}, 41.0) == {"finetune": 20}
    assert plan_schedule({"finetune": 100}, {"finetune": 2.0}, 500.0) == {"finetune": 100}


def test_three_epochs_of_9900_are_too_short():
    full = {"pretrain": 9900, "pixel_attention": 300, "finetune": 900}
    assert too_short(full, full) == ""
    assert too_short({"pretrain": 990, "pixel_attention": 30, "finetune": 90}, full) == ""
    said = too_short({"pretrain": 3, "pixel_attention": 30, "finetune": 89}, full)
    assert said == "pretrain trains 3 of 9900 epochs, finetune trains 89 of 900 epochs"


@given(st.integers(1, 64), st.floats(1e-4, 10), st.floats(1, 600))
def test_the_dry_run_of_large_photos_is_bounded(batch, photo_seconds, seconds):
    sample = sample_for(batch, photo_seconds, seconds)
    assert 2 <= sample.photos <= 8 and 3 <= sample.iterations <= 6
    assert 1 <= sample.batch_size <= batch
    # Photos are read by three stages that train, and each photo of a split at least ten times:
    # by maps, embeddings, threshold, labels, predictions, pictures.
    reads = 3 * sample.iterations * sample.batch_size + 10 * sample.photos
    fewest = 3 * 3 * min(2, batch) + 10 * 2
    assert reads * photo_seconds <= seconds + fewest * photo_seconds


def test_small_photos_are_tried_in_the_batches_of_the_run():
    sample = sample_for(32, 0.002, 6.0)
    assert (sample.photos, sample.iterations, sample.batch_size) == (8, 6, 32)
