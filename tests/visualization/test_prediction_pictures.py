"""Pictures that ``tools/test.py --show-dir`` draws, and captions."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from tiny_run import TINY, finish, read_tiny, start

from luss.datasets.mask_codec import read_mask, write_mask
from luss.datasets.palette import make_palette
from luss.errors import LussError
from luss.pipeline import Pipeline
from luss.visualization.overlay import OPACITY
from luss.visualization.prediction_pictures import side_by_side

STRIP, GAP = 22, 4


@pytest.fixture(scope="module")
def run(finished_run, tmp_path_factory):
    return shutil.copytree(finished_run, tmp_path_factory.mktemp("pictures") / "run")


def drawn(folder):
    return {path.relative_to(folder).as_posix() for path in folder.glob("**/*.png")}


def panels_of(path, count):
    picture = np.asarray(Image.open(path))[:-STRIP]
    width = (picture.shape[1] - GAP * (count - 1)) // count
    return [picture[:, place * (width + GAP) :][:, :width] for place in range(count)]


def test_joined_pictures_stay_as_they_were():
    first, second = (np.full((5, 7, 3), value, np.uint8) for value in (10, 200))
    joined = side_by_side([first, second], ["", ""])
    assert joined.shape == (5 + STRIP, 14 + GAP, 3)
    np.testing.assert_array_equal(joined[:5, :7], first)
    np.testing.assert_array_equal(joined[:5, 7 + GAP :], second)
    assert (joined[5:] == 255).all()
    assert (side_by_side([first, second], ["", "word"])[5:] < 128).any()


def test_the_command_draws_each_photo_of_the_splits(run, tmp_path):
    shown = tmp_path / "shown"
    code, said = finish(
        start("test.py", TINY, "--work-dir", run, "--show-dir", shown, num_workers=0)
    )
    assert code == 0, said
    assert drawn(shown) == drawn(run / "evaluate" / "predictions")
    # The truth in the palette of the data set, at the size of the demo's photos.
    (photo, *_), predictions = sorted(drawn(shown / "validation")), run / "evaluate/predictions"
    _, predicted, truth = panels_of(shown / "validation" / photo, 3)
    palette = np.array(make_palette(50))
    for panel, mask in (
        (truth, next(run.glob(f"data/validation-segmentation/{photo}"))),
        (predicted, predictions / "validation" / photo),
    ):
        ids = read_mask(mask)
        scale = len(panel) // len(ids)
        ids = ids.repeat(scale, 0).repeat(scale, 1)
        assert ids.shape == panel.shape[:2]
        assert (np.ptp(panel[ids == 0].astype(int), axis=-1) == 0).all()
    ids = read_mask(next(run.glob(f"data/validation-segmentation/{photo}")))
    (index,) = set(np.unique(ids)) - {0, 1000}
    colours = truth[ids.repeat(scale, 0).repeat(scale, 1) == index].astype(float)
    # What is left once the palette's part is taken off is grey.
    rest = colours - OPACITY * palette[index]
    assert (np.ptp(rest, axis=-1) <= 1).all()


def test_generated_categories_have_the_colours_of_their_matches(run, tmp_path):
    match = json.loads((run / "evaluate" / "match.json").read_text())
    pictures = {"type": "PredictionPicturesHook", "folder": str(tmp_path / "shown")}
    evaluate(run, pictures)
    palette = np.array(make_palette(50))
    seen = set()
    for path in (run / "evaluate" / "predictions" / "validation").glob("*/*.png"):
        ids = read_mask(path)
        name = path.relative_to(run / "evaluate" / "predictions").as_posix()
        panel = panels_of(tmp_path / "shown" / name, 3)[1]
        scale = len(panel) // len(ids)
        for index in set(np.unique(ids)) - {0}:
            if true := match.get(str(index), 0):
                pixels = panel[ids.repeat(scale, 0).repeat(scale, 1) == index]
                assert (np.ptp(pixels - OPACITY * palette[true], axis=-1) <= 1).all()
                seen.add(true)
    assert seen


def evaluate(run, *hooks, **options):
    return Pipeline(read_tiny(**options), str(run)).evaluate(hooks=hooks)


def test_a_few_photos_evenly_spaced(run, tmp_path):
    evaluate(run, {"type": "PredictionPicturesHook", "folder": str(tmp_path), "max_photos": 2})
    predictions = sorted((run / "evaluate" / "predictions" / "test").glob("*/*.png"))
    ends = {f"{path.parent.name}/{path.name}" for path in (predictions[0], predictions[-1])}
    assert drawn(tmp_path / "test") == ends


def test_without_a_folder_they_go_to_the_back_ends(run):
    evaluate(run, {"type": "PredictionPicturesHook", "max_photos": 1})
    pictures = list((run / "evaluate").glob("*/vis_data/vis_image/*.png"))
    assert {path.name.split("_")[0] for path in pictures} == {"validation", "test"}


def test_bad_settings_and_metrics(run, tmp_path):
    with pytest.raises(LussError, match="max_photos is 0"):
        evaluate(run, {"type": "PredictionPicturesHook", "max_photos": 0})
    config = read_tiny()
    config.stages.mine = {
        **config.stages.evaluate,
        "protocol": {"type": "Protocol", "name": "mine"},
        "test_evaluator": [{"type": "SegmentationMetric"}],
    }
    with pytest.raises(LussError, match="DumpMasks, which is missing"):
        Pipeline(config, str(run)).evaluate("mine", hooks=[{"type": "PredictionPicturesHook"}])


def test_a_mask_of_another_size_is_named(run, tmp_path):
    mask = next((run / "data" / "validation-segmentation").glob("*/*.png"))
    whole = read_mask(mask)
    try:
        write_mask(mask, whole[:-1])
        with pytest.raises(LussError, match=mask.name):
            evaluate(run, {"type": "PredictionPicturesHook", "folder": str(tmp_path)})
    finally:
        write_mask(mask, whole)
