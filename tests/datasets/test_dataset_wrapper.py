"""Data sets of others give the same for a draw, in any order and any process."""

import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope
from torch.utils.data import DataLoader, Dataset

from luss.datasets import Reproducible, reproducible_dataset, reproducible_sampler
from luss.datasets.image_io import UnreadableImageError
from luss.errors import LussError
from luss.registry import DATA_SAMPLERS, DATASETS

PIPELINE = [
    {"type": "LoadRGBImage"},
    {"type": "MultiCrop", "views": [{"count": 2, "size": 6, "scale": (0.2, 1.0)}]},
    {"type": "PackViews"},
]
KINDS = {
    "mmcls": {"type": "mmcls.CustomDataset", "data_root": "ROOT/train"},
    "mmcls with a pipeline": {
        "type": "mmcls.CustomDataset",
        "data_root": "ROOT/train",
        "pipeline": PIPELINE,
    },
    "concatenated": {
        "type": "ConcatDataset",
        "datasets": [
            {"type": "ImageNetS", "data_root": "ROOT", "pipeline": PIPELINE},
            {"type": "mmcls.CustomDataset", "data_root": "ROOT/validation", "pipeline": PIPELINE},
        ],
        "ignore_keys": ["classes", "palette"],
    },
    "repeated": {
        "type": "RepeatDataset",
        "times": 2,
        "dataset": {"type": "ImageNetS", "data_root": "ROOT", "pipeline": PIPELINE},
    },
    "balanced": {
        "type": "ClassBalancedDataset",
        "oversample_thr": 0.1,
        "dataset": {"type": "ImageNetS", "data_root": "ROOT", "pipeline": PIPELINE},
    },
    "plain": {"type": "PlainDataset", "count": 7},
}


@DATASETS.register_module(force=True)
class PlainDataset(Dataset):
    """Of plain PyTorch; draws from all global generators, when it is built too."""

    def __init__(self, count):
        self.count = count
        self.noise = random.random()

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        drawn = [self.noise, random.random(), np.random.rand(), torch.rand(()).item()]
        return {"inputs": torch.tensor([index, *drawn], dtype=torch.float64)}


@pytest.fixture(autouse=True)
def scope():
    before = DefaultScope.get_current_instance()
    init_default_scope("luss")
    yield
    DefaultScope._instance_dict.clear()
    if before is not None:
        init_default_scope(before.scope_name)


def at(config, root):
    """A config with its data root in place."""
    if isinstance(config, dict):
        return {key: at(value, root) for key, value in config.items()}
    if isinstance(config, list):
        return [at(value, root) for value in config]
    return config.replace("ROOT", str(root)) if isinstance(config, str) else config


def build(kind, root, **settings):
    config = at(kind if isinstance(kind, dict) else KINDS[kind], root)
    return DATASETS.build(reproducible_dataset({**config, **settings}))


def values(item):
    """All numbers of an item."""
    if isinstance(item, dict):
        return [each for key in sorted(item) for each in values(item[key])]
    if isinstance(item, list | tuple):
        return [each for part in item for each in values(part)]
    return item.flatten().tolist() if isinstance(item, torch.Tensor) else [item]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "mmcls"])
def test_a_draw_gives_the_same_in_any_order_and_worker(split_root, kind):
    dataset = build(kind, split_root)
    draws = [1, len(dataset) + 1, 0, 3 * len(dataset) - 1, 2]
    drawn = [values(dataset[draw]) for draw in draws]
    assert [values(dataset[draw]) for draw in reversed(draws)] == drawn[::-1]
    assert drawn[0] != drawn[1]
    assert values(build(kind, split_root, seed=1)[1]) != drawn[0]
    for workers in (0, 2):
        again = build(kind, split_root)
        loader = DataLoader(again, sampler=draws, num_workers=workers, batch_size=None)
        assert [values(item) for item in loader] == drawn


@pytest.mark.parametrize("kind", ["mmcls with a pipeline", "concatenated"])
def test_epochs_differ_and_a_resumed_one_is_the_same(split_root, kind):
    dataset = build(kind, split_root)

    def batches(epoch, start=0):
        sampler = DATA_SAMPLERS.build(
            {**reproducible_sampler({"type": "DefaultSampler"}), "dataset": dataset, "seed": 4}
        )
        sampler.set_epoch(epoch)
        sampler.start = start
        return [values(batch) for batch in DataLoader(dataset, 2, sampler=sampler)]

    first, second = batches(0), batches(1)
    assert first == batches(0)
    assert not [batch for batch in second if batch in first]
    assert batches(1, start=4) == second[2:]


def test_items_get_the_names_that_stages_look_for(split_root):
    dataset = build("mmcls", split_root)
    items = [dataset.get_data_info(index) for index in range(9)]
    assert [item["image_id"] for item in items[:2]] == ["n01/n01_0.JPEG", "n01/n01_1.JPEG"]
    assert [item["category"] for item in items] == [1] * 3 + [2] * 3 + [3] * 3
    assert dataset.get_data_info(9 + 4) == items[4]
    assert dataset[0]["image_id"] == "n01/n01_0.JPEG"
    assert dataset.metainfo["classes"] == ("n01", "n02", "n03")
    several = build("concatenated", split_root)
    names = [several.get_data_info(index)["image_id"] for index in (0, 9)]
    assert names == ["n01/n01_0", "validation/n01/val_10.JPEG"]
    assert build("plain", split_root).get_data_info(3) == {"image_id": "00000003"}


def test_names_reach_the_pipeline_of_the_data_set(split_root):
    pipeline = [{"type": "LoadRGBImage"}, {"type": "PackInputs"}]
    inner = at({**KINDS["mmcls"], "pipeline": pipeline}, split_root)
    dataset = Reproducible({"type": "RepeatDataset", "times": 2, "dataset": inner})
    packed = dataset[10]["data_samples"]
    assert (packed.image_id, packed.category) == ("n01/n01_1.JPEG", 1)


@pytest.mark.parametrize("kind", ["mmcls with a pipeline", "balanced"])
@pytest.mark.parametrize("loader", ["LoadRGBImage", "LoadImageFromFile"])
def test_unreadable_images(split_root, kind, loader):
    path = sorted(split_root.glob("train/*/*"))[1]
    path.write_bytes(b"no photo")
    config = at(KINDS[kind], split_root)
    config.get("dataset", config)["pipeline"] = [{"type": loader}, *PIPELINE[1:]]
    with pytest.raises(UnreadableImageError, match=f"cannot read the image {path}"):
        _ = build(config, split_root)[1]
    skipping = build(config, split_root, on_unreadable="skip")
    assert len(values(skipping[1])) == len(values(skipping[2]))


def test_items_that_are_left_out(split_root):
    names = {"n01/n01_0.JPEG", "n03/n03_2.JPEG"}
    dataset = build("mmcls", split_root, without=sorted(names))
    found = [dataset.get_data_info(index)["image_id"] for index in range(7)]
    assert len(dataset) == len(set(found) - names) == 7
    assert dataset[7 + 3]["image_id"] == found[3]
    with pytest.raises(LussError, match="all 9 images"):
        build("mmcls", split_root, without=[*found, *names])


def test_other_faults_are_not_taken_for_unreadable_images(split_root):
    def broken(item):
        raise KeyError("gt_bboxes")

    for settings in ({"pipeline": [broken]}, {"on_unreadable": "skip", "pipeline": [broken]}):
        with pytest.raises(KeyError, match="gt_bboxes"):
            _ = build("mmcls", split_root, **settings)[0]


def test_the_data_set_can_be_sent_to_another_process(split_root):
    dataset = build("concatenated", split_root)
    assert values(pickle.loads(pickle.dumps(dataset))[12]) == values(dataset[12])


def test_only_data_sets_that_need_it_are_wrapped():
    own = {"type": "ImageNetS", "data_root": "somewhere", "seed": 3}
    assert reproducible_dataset(own) == own
    wrapped = reproducible_dataset({**KINDS["mmcls"], "seed": 3, "on_unreadable": "skip"})
    assert wrapped == {
        "type": "Reproducible",
        "dataset": KINDS["mmcls"],
        "seed": 3,
        "on_unreadable": "skip",
    }
    assert reproducible_dataset(wrapped) == wrapped
    with pytest.raises(LussError, match=r"'ImageNet', .*ImageNetS"):
        reproducible_dataset({"type": "ImageNet"})
    with pytest.raises(LussError, match=r"list_iterator .*__len__"):
        Reproducible(iter([1]))
