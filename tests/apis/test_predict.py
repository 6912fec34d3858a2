"""Predictions of a finished run on photos, and how they go on where they stopped."""

import csv
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_run import finish, start

from luss.apis import FinishedRun, LUSSInferencer, predict_photos
from luss.datasets import read_mask
from luss.errors import LussError
from luss.evaluation.matching import apply_match, read_match


@pytest.fixture(scope="module")
def predicted(inferencer, photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("predicted") / "out"
    predict_photos(inferencer, [photos], out, rle=True, batch_size=3)
    return out


def all_files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_json(path):
    return json.loads(path.read_text())


def photo_file(path, size=(40, 30), seed=0, **save):
    """A photo of random coloured blocks."""
    random = np.random.default_rng(seed)
    blocks = Image.fromarray(random.integers(0, 256, (4, 5, 3), np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks.resize(size, Image.Resampling.NEAREST).save(path, **save)
    return path


def test_masks_are_those_of_the_evaluation(finished_run, photos, predicted):
    evaluated = finished_run / "evaluate" / "predictions" / "validation"
    masks = sorted(evaluated.rglob("*.png"))
    assert len(masks) == len(list(photos.rglob("*.JPEG"))) > 0
    for path in masks:
        name = path.relative_to(evaluated)
        assert np.array_equal(read_mask(predicted / "masks" / name), read_mask(path)), name


def test_true_categories_are_those_of_the_match(finished_run, photos, predicted, tmp_path):
    inferencer = LUSSInferencer(finished_run, device="cpu", categories="true")
    predict_photos(inferencer, [photos], tmp_path / "out", outputs=["masks"], batch_size=8)
    match = read_match(finished_run / "evaluate" / "match.json")
    for path in sorted((predicted / "masks").rglob("*.png")):
        mask = read_mask(tmp_path / "out" / "masks" / path.relative_to(predicted / "masks"))
        assert np.array_equal(mask, apply_match(read_mask(path), match))
    classes = FinishedRun.read(finished_run).class_names
    listed = read_json(tmp_path / "out" / "predictions.json")["categories"]
    assert all(each["name"] == classes[each["id"] - 1] for each in listed[1:])


def test_names_are_those_that_a_person_gave(finished_run, photos, predicted, tmp_path):
    """By default, where there is a names.json: 2 is merged into 1, 3 is dropped."""
    ignored = shutil.ignore_patterns("data", "predictions", "pretrain")
    run = shutil.copytree(finished_run, tmp_path / "run", ignore=ignored)
    said = {"1": {"name": "tree"}, "2": {"merge_into": 1}, "3": {"drop": True}}
    (run / "names.json").write_text(json.dumps({"categories": said}))
    inferencer = LUSSInferencer(run, device="cpu")
    predict_photos(inferencer, [photos], tmp_path / "out", outputs=["masks"], batch_size=3)
    for path in sorted((predicted / "masks").rglob("*.png")):
        mask = read_mask(tmp_path / "out" / "masks" / path.relative_to(predicted / "masks"))
        assert np.array_equal(mask, np.array([0, 1, 1, 0, 4, 5, 6])[read_mask(path)])
    listed = read_json(tmp_path / "out" / "predictions.json")["categories"]
    assert [each["id"] for each in listed] == [0, 1, 4, 5, 6]
    assert listed[1]["name"] == "tree"
    assert listed[2]["name"] == FinishedRun.read(run).legend.name(4)
    unnamed = LUSSInferencer(run, device="cpu", categories="generated")
    assert unnamed.categories.used == list(range(7))


def test_lists_say_what_the_masks_hold(predicted):
    content = read_json(predicted / "predictions.json")
    with (predicted / "categories.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = {each["id"]: each["name"] for each in content["categories"]}
    assert [row["photo"] for row in rows] == [photo["photo"] for photo in content["photos"]]
    assert content["unreadable"] == []
    for photo, row in zip(content["photos"], rows, strict=True):
        mask = read_mask(predicted / "masks" / f"{photo['image_id']}.png")
        assert mask.shape == (photo["height"], photo["width"])
        ids, counts = np.unique(mask[mask > 0], return_counts=True)
        areas = dict(zip(ids.tolist(), (counts / mask.size).tolist(), strict=True))
        assert {each["id"]: each["area"] for each in photo["categories"]} == pytest.approx(
            areas, abs=1e-6
        )
        assert all(names[each["id"]] == each["name"] for each in photo["categories"])
        assert all(0 < each["score"] <= 1 for each in photo["categories"])
        largest = max(areas, key=areas.get, default="")
        assert row["category"] == str(largest)


def test_pictures_show_the_mask(finished_run, predicted):
    legend = FinishedRun.read(finished_run).legend
    shown = cut = 0
    for path in sorted((predicted / "masks").rglob("*.png")):
        name = path.relative_to(predicted / "masks")
        mask = read_mask(path)
        with Image.open(predicted / "indexed" / name) as indexed:
            assert np.array_equal(np.array(indexed), mask)
            colours = np.array(indexed.convert("RGB"))
        assert (colours[mask == 0] == 0).all()
        assert np.array_equal(colours[mask > 0], legend.colours[mask[mask > 0]])
        shown += (mask > 0).any()
        with Image.open(predicted / "overlays" / name.with_suffix(".jpg")) as overlay:
            assert overlay.size == mask.shape[::-1]
        for category in np.unique(mask[mask > 0]).tolist():
            inside = mask == category
            file = predicted / "cutouts" / name.with_suffix("") / f"{category}.png"
            assert file.exists() == (inside.mean() >= 0.01)
            if file.exists():
                rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
                window = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                assert np.array_equal(np.array(Image.open(file))[..., 3] == 255, window)
                cut += 1
    assert shown and cut


def test_cut_outs_show_the_photo(inferencer, tmp_path):
    path = photo_file(tmp_path / "photo.png")
    predict_photos(inferencer, [path], tmp_path / "out", outputs=["masks", "cutouts"])
    mask = read_mask(tmp_path / "out" / "masks" / "photo.png")
    category = int(np.bincount(mask[mask > 0]).argmax())
    cutout = np.array(Image.open(tmp_path / "out" / "cutouts" / "photo" / f"{category}.png"))
    expected = np.array(Image.open(path))[mask == category]
    assert np.array_equal(cutout[cutout[..., 3] == 255][:, :3], expected)
    assert not cutout[cutout[..., 3] == 0].any()


def test_a_killed_prediction_goes_on_to_the_same_files(finished_run, inferencer, photos, tmp_path):
    # So many photos that the process is killed long before the last one.
    many, out = tmp_path / "many", tmp_path / "out"
    for copy in range(15):
        shutil.copytree(photos, many / str(copy))
    count = len(list(many.rglob("*.JPEG")))
    arguments = ("predict.py", finished_run, many, "--out", out, "--rle", "--batch-size", 3)
    process = start(*arguments, "--device", "cpu")
    while process.poll() is None and len(list(out.glob("records/*/*/*.json"))) < 5:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    records = {path: path.stat().st_mtime_ns for path in out.glob("records/*/*/*.json")}
    assert 5 <= len(records) < count
    assert not (out / "predictions.json").exists()
    code, said = finish(start(*arguments, "--device", "cpu"))
    assert code == 0, said
    assert f"{len(records)} predicted before" in said
    assert all(path.stat().st_mtime_ns == before for path, before in records.items())
    predict_photos(inferencer, [many], tmp_path / "at_once", rle=True, batch_size=3)
    assert all_files(out) == all_files(tmp_path / "at_once")


def test_a_photo_that_was_replaced_is_predicted_again(inferencer, tmp_path):
    photo_file(tmp_path / "in" / "kept.png")
    photo_file(tmp_path / "in" / "replaced.png")
    predict_photos(inferencer, [tmp_path / "in"], tmp_path / "out")
    photo_file(tmp_path / "in" / "replaced.png", size=(31, 20), seed=1)
    done = predict_photos(inferencer, [tmp_path / "in"], tmp_path / "out")
    assert (done.predicted, done.before) == (1, 1)
    assert read_mask(tmp_path / "out" / "masks" / "replaced.png").shape == (20, 31)
    assert len(read_json(tmp_path / "out" / "predictions.json")["photos"]) == 2


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (1, 700), (1500, 1100), (333, 17)])
def test_photos_of_any_size_are_predicted(inferencer, tmp_path, size):
    path = photo_file(tmp_path / "photo.png", size=size)
    predict_photos(inferencer, [path], tmp_path / "out", rle=True)
    assert read_mask(tmp_path / "out" / "masks" / "photo.png").shape == size[::-1]
    with Image.open(tmp_path / "out" / "overlays" / "photo.jpg") as overlay:
        assert max(overlay.size) == min(2000, max(size))


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("L", "jpg"), ("P", "png"), ("RGBA", "png"), ("CMYK", "jpg"), ("I;16", "png"), ("1", "tif")],
)
def test_photos_of_any_kind_are_predicted(inferencer, tmp_path, mode, suffix):
    photo = Image.open(photo_file(tmp_path / "photo.png"))
    if mode == "I;16":
        photo = Image.fromarray(np.asarray(photo.convert("L")).astype(np.uint16) << 8)
    else:
        photo = photo.convert(mode)
    path = tmp_path / f"photo.{suffix}"
    photo.save(path)
    (prediction,) = inferencer(str(path))["predictions"]
    assert (prediction["height"], prediction["width"]) == (30, 40)


def test_photos_are_turned_upright_unless_they_are_wanted_as_stored(
    inferencer, finished_run, tmp_path
):
    orientation = Image.Exif()
    orientation[274] = 6
    path = photo_file(tmp_path / "turned.png", exif=orientation)
    turned = np.rot90(np.array(Image.open(path)), -1)
    by_path = inferencer(path, return_datasamples=True)["predictions"][0]
    by_array = inferencer(np.ascontiguousarray(turned), return_datasamples=True)["predictions"][0]
    assert by_path.pred_sem_seg.data.shape == (1, 40, 30)
    assert np.array_equal(by_path.pred_sem_seg.data, by_array.pred_sem_seg.data)
    stored = LUSSInferencer(finished_run, device="cpu", upright=False)
    (prediction,) = stored(path)["predictions"]
    assert (prediction["height"], prediction["width"]) == (30, 40)


def test_unreadable_photos_are_named_and_skipped(inferencer, tmp_path):
    photo_file(tmp_path / "in" / "a" / "good.png")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"no photo")
    whole = photo_file(tmp_path / "in" / "cut.png", size=(90, 90)).read_bytes()
    (tmp_path / "in" / "cut.png").write_bytes(whole[: len(whole) // 2])
    done = predict_photos(inferencer, [tmp_path / "in"], tmp_path / "out", batch_size=4)
    assert [photo.name for photo, _ in done.unreadable] == ["broken.jpg", "cut.png"]
    content = read_json(tmp_path / "out" / "predictions.json")
    assert [photo["photo"] for photo in content["photos"]] == ["a/good.png"]
    assert [photo["photo"] for photo in content["unreadable"]] == ["broken.jpg", "cut.png"]
    assert "broken.jpg" in content["unreadable"][0]["reason"]


def test_a_call_skips_photos_that_cannot_be_read(inferencer, tmp_path):
    good = photo_file(tmp_path / "good.png")
    whole = photo_file(tmp_path / "cut.png", size=(90, 90), seed=1).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    given = [str(tmp_path / "cut.png"), str(good), np.array(Image.open(good))]
    found = inferencer(given, batch_size=2, return_vis=True)
    cut, by_path, by_array = found["predictions"]
    assert cut["photo"] == given[0] and "cut.png" in cut["error"]
    assert (
        by_path["categories"]
        == by_array["categories"]
        == inferencer(good)["predictions"][0]["categories"]
    )
    assert found["visualization"][0] is None
    assert np.array_equal(*found["visualization"][1:])
    samples = inferencer(given, return_datasamples=True)["predictions"]
    assert "cut.png" in samples[0].error and "pred_sem_seg" not in samples[0]
    assert np.array_equal(samples[1].pred_sem_seg.data, samples[2].pred_sem_seg.data)
    with pytest.raises(LussError, match=r"any of 1 photos.*cut\.png"):
        inferencer(given[0])


def test_it_is_an_error_if_no_photo_can_be_read(inferencer, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(LussError, match=r"1 given.*broken\.jpg"):
        predict_photos(inferencer, [tmp_path / "broken.jpg"], tmp_path / "out")


def test_batches_of_several_sizes_and_workers_change_nothing(inferencer, tmp_path):
    for index, size in enumerate([(40, 30), (30, 40), (40, 30), (64, 64), (25, 90)]):
        photo_file(tmp_path / "in" / f"{index}.png", size=size, seed=index)
    predict_photos(inferencer, [tmp_path / "in"], tmp_path / "one", outputs=["masks"])
    predict_photos(
        inferencer,
        [tmp_path / "in"],
        tmp_path / "five",
        outputs=["masks"],
        batch_size=5,
        num_workers=1,
    )
    for path in (tmp_path / "one" / "masks").iterdir():
        other = read_mask(tmp_path / "five" / "masks" / path.name)
        assert np.array_equal(read_mask(path), other)


def test_photos_of_one_name_are_refused_and_folders_are_told_apart(inferencer, tmp_path):
    first, second = photo_file(tmp_path / "a" / "x.png"), photo_file(tmp_path / "b" / "x.png")
    with pytest.raises(LussError, match="the same name 'x"):
        predict_photos(inferencer, [first, second], tmp_path / "out")
    predict_photos(inferencer, [first.parent, second.parent], tmp_path / "out", outputs=["masks"])
    found = {str(path.relative_to(tmp_path / "out")) for path in tmp_path.glob("out/masks/*/*")}
    assert found == {"masks/a/x.png", "masks/b/x.png"}


def test_a_photo_whose_outputs_cannot_be_named_leaves_the_others(inferencer, tmp_path):
    for name in ("good.png", "n" * 250 + ".png", "m" * 251 + ".png"):
        photo_file(tmp_path / "in" / name)
    done = predict_photos(inferencer, tmp_path / "in", tmp_path / "out", outputs=["masks"])
    assert (done.predicted, [photo.name[0] for photo, _ in done.unreadable]) == (2, ["m"])
    content = read_json(tmp_path / "out" / "predictions.json")
    assert "has 251 bytes" in content["unreadable"][0]["reason"]
    # The path of the mask is too long, not its name.
    deep = tmp_path.joinpath("in2", *["d" * 200] * 18)
    out = tmp_path.joinpath("o" * 240, "o" * 240)
    photo_file(tmp_path / "in2" / "good.png")
    photo_file(deep / "x.png")
    done = predict_photos(inferencer, [tmp_path / "in2"], out, outputs=["masks"])
    assert [photo.name[0] for photo, _ in done.unreadable] == ["d"]
    assert "too long" in done.unreadable[0][1]
    assert read_json(out / "predictions.json")["photos"][0]["photo"] == "good.png"


def test_one_path_or_a_generator_gives_the_photos(inferencer, tmp_path):
    path = str(photo_file(tmp_path / "a.jpg"))
    (sample,) = inferencer.stream(path)
    assert sample.ori_shape[:2] == (30, 40)
    (sample,) = inferencer.stream(each for each in [Path(path)])
    assert sample.ori_shape[:2] == (30, 40)
    assert predict_photos(inferencer, path, tmp_path / "one").predicted == 1
    given = (each for each in [path])
    assert predict_photos(inferencer, given, tmp_path / "generator").predicted == 1


def test_batches_without_photos_are_rejected(inferencer, tmp_path):
    path = photo_file(tmp_path / "a.jpg")
    with pytest.raises(LussError, match="batch_size is 0"):
        inferencer(path, batch_size=0)
    with pytest.raises(LussError, match="batch_size is -1"):
        inferencer.stream([path], batch_size=-1)
    with pytest.raises(LussError, match="num_workers -1"):
        predict_photos(inferencer, [path], tmp_path / "out", num_workers=-1)


def test_scores_that_overflow_are_not_other(finished_run, tmp_path):
    """Finite weights, of which scores are infinite: every pixel would be 'other'."""
    inferencer = LUSSInferencer(finished_run, device="cpu")
    inferencer.model.decode_head.conv_seg.weight.data.fill_(1e38)
    with pytest.raises(LussError, match=r"iter_\d+\.pth predicts scores that are not finite"):
        inferencer(photo_file(tmp_path / "a.png"))


def test_other_predictions_and_other_folders_are_not_written_to(inferencer, finished_run, tmp_path):
    path = photo_file(tmp_path / "in" / "x.png")
    predict_photos(inferencer, [path], tmp_path / "out")
    with pytest.raises(LussError, match="other settings: rle"):
        predict_photos(inferencer, [path], tmp_path / "out", rle=True)
    true = LUSSInferencer(finished_run, device="cpu", categories="true")
    with pytest.raises(LussError, match="other settings: categories, ids, names"):
        predict_photos(true, [path], tmp_path / "out")
    other = photo_file(tmp_path / "in2" / "x.png", seed=1)
    mask = (tmp_path / "out" / "masks" / "x.png").read_bytes()
    with pytest.raises(LussError, match=r"of other photos \(.*in/x\.png\) than .*in2/x\.png"):
        predict_photos(inferencer, [other], tmp_path / "out")
    assert (tmp_path / "out" / "masks" / "x.png").read_bytes() == mask
    with pytest.raises(LussError, match="contains no predictions"):
        predict_photos(inferencer, [path], tmp_path)
    with pytest.raises(LussError, match="is inside the photos"):
        predict_photos(inferencer, [tmp_path / "in"], tmp_path / "in" / "out")


def test_nothing_to_predict(inferencer, tmp_path):
    with pytest.raises(LussError, match="no photo or folder"):
        predict_photos(inferencer, [tmp_path / "absent.jpg"], tmp_path / "out")
    with pytest.raises(LussError, match="output 'video'"):
        predict_photos(inferencer, [tmp_path], tmp_path / "out", outputs=["video"])
