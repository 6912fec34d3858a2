import logging
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from luss.datasets import PhotoFolder
from luss.datasets.image_io import UnreadableImageError, read_image
from luss.datasets.reproducible import seeded
from luss.errors import LussError

COUNT = 5


def pipeline(results):
    """Take from every source of randomness."""
    read_image(results["img_path"])
    return {
        "index": results["sample_idx"],
        "random": random.random(),
        "numpy": np.random.rand(),
        "torch": torch.rand(()).item(),
    }


@pytest.fixture
def root(tmp_path, write_image):
    for index in range(COUNT):
        write_image(tmp_path / f"{index}.jpg")
    return tmp_path


@pytest.fixture
def dataset(root):
    return PhotoFolder(str(root), pipeline=[pipeline])


def collate(items):
    return items


def test_a_draw_gives_the_same_item_in_any_order(dataset):
    forwards = [dataset[draw] for draw in range(3 * COUNT)]
    backwards = [dataset[draw] for draw in reversed(range(3 * COUNT))]
    assert forwards == backwards[::-1]
    assert [item["index"] for item in forwards] == [draw % COUNT for draw in range(3 * COUNT)]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_draw_gives_the_same_item_in_any_worker(dataset, workers):
    draws = [7, 1, 12, 0, 4, 9]
    loader = DataLoader(
        dataset, batch_size=1, sampler=draws, num_workers=workers, collate_fn=collate
    )
    assert [batch[0] for batch in loader] == [dataset[draw] for draw in draws]


def test_epochs_indices_and_seeds_differ(dataset, root):
    other = PhotoFolder(str(root), pipeline=[pipeline], seed=1)
    drawn = [source[draw] for source in (dataset, other) for draw in range(3 * COUNT)]
    for name in ("random", "numpy", "torch"):
        assert len({item[name] for item in drawn}) == len(drawn)


def test_the_caller_keeps_its_random_state(dataset):
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    expected = random.random(), np.random.rand(), torch.rand(())
    random.seed(3)
    np.random.seed(3)
    torch.manual_seed(3)
    _ = dataset[2]
    assert (random.random(), np.random.rand(), torch.rand(())) == expected


def test_the_state_comes_back_after_an_error():
    random.seed(3)
    expected = random.random()
    random.seed(3)
    with pytest.raises(KeyError), seeded(1, 2):
        raise KeyError
    assert random.random() == expected


def test_iterating_ends_after_one_epoch(dataset):
    assert [item["index"] for item in dataset] == list(range(COUNT))
    assert dataset[-1]["index"] == COUNT - 1


def test_get_data_info_takes_draws(dataset):
    assert dataset.get_data_info(COUNT + 2) == dataset.get_data_info(2)


def test_an_unreadable_image_is_an_error_by_default(dataset, root):
    (root / "2.jpg").write_bytes(b"\xff\xd8\xff")
    assert dataset[1]["index"] == 1
    with pytest.raises(UnreadableImageError, match=r"2\.jpg"):
        _ = dataset[2]


def test_an_unreadable_image_is_skipped_when_asked_for(root):
    (root / "3.jpg").write_bytes(b"")
    (root / "4.jpg").write_bytes(b"")
    dataset = PhotoFolder(str(root), pipeline=[pipeline], on_unreadable="skip")
    first = dataset[3]
    assert first["index"] == 0
    assert first == dataset[3]
    assert first["random"] != dataset[0]["random"]
    fresh = PhotoFolder(str(root), pipeline=[pipeline], on_unreadable="skip")
    assert fresh[4]["index"] == 0
    assert fresh[3] == first


def test_skipping_is_said_once(root, monkeypatch):
    said = []
    logger = "luss.datasets.reproducible.print_log"
    monkeypatch.setattr(logger, lambda message, **kwargs: said.append((message, kwargs["level"])))
    (root / "3.jpg").write_bytes(b"")
    dataset = PhotoFolder(str(root), pipeline=[pipeline], on_unreadable="skip")
    _ = dataset[3], dataset[3]
    [(message, level)] = said
    assert "3.jpg" in message
    assert level == logging.WARNING


def test_nothing_readable_is_an_error_even_when_skipping(root):
    for path in root.iterdir():
        path.write_bytes(b"")
    dataset = PhotoFolder(str(root), pipeline=[pipeline], on_unreadable="skip")
    with pytest.raises(LussError, match="none of the 5 images"):
        _ = dataset[0]


def test_other_faults_are_never_skipped(root):
    def broken(results):
        raise LussError("mask does not fit")

    dataset = PhotoFolder(str(root), pipeline=[broken], on_unreadable="skip")
    with pytest.raises(LussError, match="does not fit"):
        _ = dataset[0]
    dropping = PhotoFolder(str(root), pipeline=[lambda results: None])
    with pytest.raises(LussError, match=r"None for .*0\.jpg"):
        _ = dropping[0]
    with pytest.raises(LussError, match="on_unreadable"):
        PhotoFolder(str(root), on_unreadable="ignore")
