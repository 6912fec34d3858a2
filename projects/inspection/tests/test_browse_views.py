"""Pictures of views: matching points show the same places, and each stage has its own."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import TINY

from inspection.browse_views import draw_views, matching_points
from luss.datasets.transforms import MultiCrop
from luss.errors import LussError

WIDTH, HEIGHT = 240, 160


def coordinates():
    """A photo whose red is its column and whose green is its row."""
    row, column = np.indices((HEIGHT, WIDTH))
    return np.stack([column, row, np.zeros_like(row)], axis=-1).astype(np.uint8)


def test_by_hand():
    # The right half of the first is the left half of the second, which is mirrored.
    first = torch.tensor([0.0, 0, 40, 40, 0, 100, 100])
    second = torch.tensor([20.0, 0, 40, 40, 1, 100, 100])
    a, b = matching_points(first, second, (40, 80), points=2)
    np.testing.assert_allclose(a, [[20, 0], [40, 0], [20, 40], [40, 40]])
    np.testing.assert_allclose(b, [[80, 0], [40, 0], [80, 80], [40, 80]])


def test_views_that_do_not_overlap_have_none():
    first, second = torch.tensor([[0.0, 0, 10, 10, 0], [10, 0, 10, 10, 0]])
    a, b = matching_points(first, second, (8, 8))
    assert a.shape == b.shape == (0, 2)


@pytest.mark.parametrize("seed", range(6))
def test_matching_points_show_the_same_place_of_the_photo(seed):
    random.seed(seed)
    crop = MultiCrop([{"count": 2, "size": 120, "scale": (0.4, 0.9)}])
    found = crop({"img": coordinates()})
    geometry = torch.from_numpy(found["geometry"])
    points = matching_points(*geometry, (120, 120))
    seen = []
    for view, at in zip(found["views"], points, strict=True):
        # Away from the border, where resizing leaves no room.
        column, row = np.clip(np.floor(at).astype(int), 2, 117).T
        seen.append(view[row, column, :2].astype(int))
    assert len(seen[0]) == 9
    inner = [4]
    assert np.abs(seen[0] - seen[1])[inner].max() <= 3
    assert np.abs(seen[0] - seen[1]).max() <= 10


def test_the_rectangles_lie_where_the_views_were_cut_out():
    geometry = torch.tensor([[10.0, 20, 60, 40, 0, WIDTH, HEIGHT]] * 3)
    figure = draw_views(coordinates(), [np.zeros((8, 8, 3), np.uint8)] * 3, geometry)
    (whole, *panels) = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 3
    for patch in whole.patches:
        assert patch.get_bbox().bounds == (9.5, 19.5, 60, 40)
    assert len(whole.patches) == 3


def test_pictures_of_the_stages_that_see_views(tmp_path, command):
    out = tmp_path / "out"
    said = command("browse_views", TINY, "--work-dir", tmp_path, "--out", out, "--photos", 2)
    assert "4 pictures written" in said
    found = sorted(path.name for path in out.glob("*.png"))
    assert [name.rsplit("_", 1)[0] for name in found] == ["pixel_attention"] * 2 + ["pretrain"] * 2
    sizes = {Image.open(path).size for path in out.glob("*.png")}
    assert all(width > 600 for width, _ in sizes)

    damaged = min((tmp_path / "data" / "train").glob("*/*"))
    damaged.write_bytes(damaged.read_bytes()[:500])
    arguments = ("--work-dir", tmp_path, "--out", tmp_path / "again", "--stage", "pretrain")
    assert "1 pictures written" in command("browse_views", TINY, *arguments, "--photos", 2)


def test_the_pictures_are_those_of_an_epoch(tmp_path, command):
    def pictures(name, *more):
        arguments = ("--work-dir", tmp_path, "--stage", "pretrain", "--photos", 1)
        command("browse_views", TINY, "--out", tmp_path / name, *arguments, *more)
        (path,) = (tmp_path / name).glob("*.png")
        return np.asarray(Image.open(path))

    first = pictures("first")
    np.testing.assert_array_equal(pictures("again"), first)
    later, plain = pictures("later", "--epoch", 3), pictures("plain", "--plain")
    assert later.shape != first.shape or (later != first).any()
    assert (plain != first).any()


def test_stages_without_views(tmp_path, command):
    arguments = ("--work-dir", tmp_path, "--out", tmp_path / "out")
    with pytest.raises(LussError, match=r"the data of 'finetune' has no views with geometry"):
        command("browse_views", TINY, "--stage", "finetune", *arguments)
    with pytest.raises(LussError, match=r"'evaluate' .* training: pretrain"):
        command("browse_views", TINY, "--stage", "evaluate", *arguments)
    with pytest.raises(LussError, match="--photos is 0"):
        command("browse_views", TINY, "--photos", 0, *arguments)
