"""The command line that evaluates folders of predictions."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from processes import run_command

from luss.datasets.mask_codec import read_mask, write_mask
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.evaluate_folders import evaluate_folders, format_result
from luss.evaluation.folders import count_masks, list_masks, pair_folders, read_ids
from luss.evaluation.matching import apply_match, write_match
from luss.evaluation.metrics import compute_metrics

KEYS = ["mIoU", "b-mIoU", "Img-Acc", "F_beta", "S", "MS", "ML", "L", "BS", "BMS", "BML", "BL"]
CLASSES = 3


def tool(*arguments):
    return run_command("tools/evaluate.py", *arguments)


def make_masks(number=7, num_generated=CLASSES):
    generator = np.random.default_rng(1)
    masks = {}
    for n in range(number):
        size = (10 + n, 12)
        truth = np.zeros(size, np.int32)
        truth[2:8, 1 : 4 + n] = 1 + n % CLASSES
        truth[9] = 1000
        prediction = np.roll(truth, 1, axis=1) % 1000 % (CLASSES + 1)
        noise = generator.random(size) < 0.2
        prediction[noise] = generator.integers(0, num_generated + 1, noise.sum())
        masks[f"n{n % CLASSES}/image_{n}"] = (prediction, truth)
    return masks


def write(root, masks):
    for name, (prediction, truth) in masks.items():
        write_mask(root / "pred" / f"{name}.png", prediction)
        write_mask(root / "gt" / f"{name}.png", truth)
    return root / "pred", root / "gt"


def expected(masks, match=None, without_other=False):
    counts = Counts.zeros(CLASSES)
    for prediction, truth in masks.values():
        prediction = prediction if match is None else apply_match(prediction, match)
        counts.add(count_image(prediction, truth, CLASSES))
    return {k: 100 * v for k, v in compute_metrics(counts, without_other).items()}


def same(result, metrics):
    return {k: v for k, v in result.items() if k in KEYS} == pytest.approx(
        {k: None if np.isnan(v) else v for k, v in metrics.items()}
    )


def test_command_line(tmp_path):
    masks = make_masks()
    pred, gt = write(tmp_path, masks)
    out = tmp_path / "out" / "result.json"
    run = tool(
        "--pred", pred, "--gt", gt, "--out", out, "--without-other", "--per-class", "--jobs", 2
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    result = json.loads(out.read_text())
    assert list(result)[: len(KEYS)] == KEYS
    assert same(result, expected(masks))
    assert same(result["without_other"], expected(masks, without_other=True))
    assert [entry["name"] for entry in result["per_class"]] == ["other", "n0", "n1", "n2"]
    mean = np.mean([entry["IoU"] for entry in result["per_class"]])
    assert mean == pytest.approx(result["mIoU"])
    assert result["images"] == len(masks)
    assert f"{result['mIoU']:.2f}" in run.stdout


def test_classes_without_a_true_pixel_are_named(tmp_path):
    masks = make_masks()
    for prediction, truth in masks.values():
        truth[truth == 2] = 0
        prediction[prediction == 2] = 0
    result = evaluate_folders(*write(tmp_path, masks))
    assert result["absent_classes"] == ["n1"]
    assert "n1" in format_result(result)
    assert result["mIoU"] == pytest.approx(expected(masks)["mIoU"])


def test_command_line_refuses(tmp_path):
    pred, gt = write(tmp_path, make_masks())
    (pred / "n0" / "image_0.png").unlink()
    out = tmp_path / "result.json"
    run = tool("--pred", pred, "--gt", gt, "--out", out)
    assert run.returncode == 2
    assert "1 missing predictions:\n  n0/image_0.png" in run.stderr
    assert run.stdout == ""
    assert not out.exists()


@pytest.mark.parametrize("which", ["A", "B"])
def test_golden_folders(golden, golden_path, which):
    """From files to numbers as the ImageNet-S toolbox gives them, its match.json included."""
    root, result = golden_path("eval_masks") / which, golden("evaluator_imagenets.npz")
    names = {"Acc": "Img-Acc", "mBIoU": "b-mIoU", "FMeasure": "F_beta"}
    classes = int(golden("eval_masks.npz")[f"num_classes_{which}"])
    for mode, match in (("identity", None), ("hungarian", root / "match_imagenets.json")):
        found = evaluate_folders(root / "pred", root / "gt", classes, match=match)
        values = result[f"{which}_{mode}_metrics"]
        for name, value in zip(result["metric_names"], values, strict=True):
            assert found[names.get(str(name), str(name))] == pytest.approx(
                float(value), rel=1e-6, abs=1e-5
            )


def test_golden_masks_are_read_as_they_were_saved(golden, golden_path):
    arrays = golden("eval_masks.npz")
    for key, name in arrays.items():
        if key.endswith("_name"):
            stem = key.removesuffix("_name")
            for kind in ("gt", "pred"):
                path = golden_path("eval_masks") / key[0] / kind / str(name)
                np.testing.assert_array_equal(read_mask(path), arrays[f"{stem}_{kind}"])


def test_the_number_of_jobs_makes_no_difference(tmp_path):
    pair = pair_folders(*write(tmp_path, make_masks(9)))
    seen = []
    one, _ = count_masks(pair, CLASSES, progress=seen.append)
    assert seen[-1] == 9
    for jobs in (2, 4):
        many, _ = count_masks(pair, CLASSES, jobs=jobs, progress=seen.append)
        np.testing.assert_array_equal(many.confusion, one.confusion)
        assert (many.f_beta, many.ties, many.images) == (one.f_beta, one.ties, one.images)
        assert seen[-1] == 9


def test_other_encodings(tmp_path):
    """Single-channel ids of 8 and 16 bit, and NPY, give what RGB gives."""
    masks = make_masks()
    pred, gt = write(tmp_path, masks)
    for n, (name, (prediction, _)) in enumerate(masks.items()):
        path = pred / f"{name}.png"
        if n % 3 == 0:
            cv2.imwrite(str(path), prediction.astype(np.uint8))
        elif n % 3 == 1:
            cv2.imwrite(str(path), prediction.astype(np.uint16))
        else:
            path.unlink()
            np.save(path.with_suffix(".npy"), prediction if n % 2 else prediction[None])
    assert same(evaluate_folders(pred, gt), expected(masks))


def test_matching(tmp_path):
    masks = make_masks()
    renaming = np.array([0, 2, 3, 1])
    renamed = {name: (renaming[p], t) for name, (p, t) in masks.items()}
    pred, gt = write(tmp_path, renamed)
    write_match(tmp_path / "match.json", np.argsort(renaming))
    found = evaluate_folders(pred, gt, match="find")
    given = evaluate_folders(pred, gt, match=tmp_path / "match.json")
    assert given["match"] == {"0": 0, "1": 3, "2": 1, "3": 2}
    assert same(given, expected(masks))
    for result in (found, found["pixel_overlap"]):
        match = np.array([result["match"][str(g)] for g in range(CLASSES + 1)])
        assert same(result, expected(renamed, match))
    assert found["pixel_overlap"]["match"] == given["match"]
    assert "pixel-overlap matching" in format_result(found)


def test_more_generated_than_true_classes(tmp_path):
    masks = make_masks(num_generated=6)
    pred, gt = write(tmp_path, masks)
    found = evaluate_folders(pred, gt, match="find", num_generated=6, jobs=2)
    match = np.array([found["match"][str(g)] for g in range(7)])
    assert sorted(match) == [0, 0, 0, 0, 1, 2, 3]
    assert same(found, expected(masks, match))


def spoil(pred, gt):
    """Break masks in every way and yield what the message must name."""
    (pred / "n0" / "image_0.png").write_bytes((pred / "n0" / "image_0.png").read_bytes()[:-30])
    yield "1 unreadable predictions:", "n0/image_0.png is damaged"
    write_mask(pred / "n1" / "image_1.png", np.zeros((5, 4), int))
    yield "1 wrongly sized predictions (height x width):", "image_1.png: 5x4 instead of 11x12"
    write_mask(pred / "n2" / "image_2.png", np.full((12, 12), 700))
    write_mask(pred / "n0" / "image_3.png", np.full((13, 12), 1000))
    yield "2 predictions with ids outside 0..4:", "image_2.png: 700"
    yield "image_3.png: 1000", ""
    (pred / "n1" / "image_4.png").unlink()
    np.save(pred / "n1" / "image_4.npy", np.zeros((14, 12)))
    yield "image_4.npy contains float64", ""
    write_mask(gt / "n2" / "image_5.png", np.full((15, 12), 5))
    yield "1 truths with ids outside 0..4 and 1000", "image_5.png: 5"
    (gt / "n0" / "image_6.png").write_bytes(b"no PNG")
    yield "1 unreadable truths:", "image_6.png is not a PNG"


def test_every_file_that_does_not_fit_is_named(tmp_path):
    pred, gt = write(tmp_path, make_masks(9))
    wanted = list(spoil(pred, gt))
    wanted[0] = ("2 unreadable predictions:", wanted[0][1])
    (pred / "n1" / "image_7.png").rename(pred / "n1" / "image_70.png")
    wanted.append(("1 missing predictions:", "n1/image_7.png"))
    wanted.append(("1 extra predictions, without a truth:", "n1/image_70.png"))
    np.save(gt / "n2" / "image_8.npy", np.zeros((18, 12), int))
    wanted.append(("1 masks of one name:", "image_8.npy"))
    (gt / "n3").mkdir()
    wanted.append(("1 class folders without a mask (remove them,", "gt/n3"))
    for jobs in (1, 2):
        with pytest.raises(LussError) as error:
            evaluate_folders(pred, gt, jobs=jobs)
        for kind, file in wanted:
            assert kind in str(error.value)
            assert file in str(error.value)


def test_ten_files_and_the_count(tmp_path):
    masks = make_masks(24)
    pred, gt = write(tmp_path, masks)
    for name in masks:
        (pred / f"{name}.png").rename(pred / f"{name}_other.png")
    with pytest.raises(LussError) as error:
        evaluate_folders(pred, gt)
    lines = str(error.value).splitlines()
    for kind in ("24 missing predictions:", "24 extra predictions, without a truth:"):
        start = lines.index(kind)
        assert all(".png" in line for line in lines[start + 1 : start + 11])
        assert lines[start + 11] == "  and 14 more"


def test_an_empty_class_folder_does_not_become_a_class(tmp_path):
    """It would shift the ids of those after it; unless the number of classes is given."""
    masks = make_masks()
    pred, gt = write(tmp_path, masks)
    (gt / "n00 empty").mkdir()
    with pytest.raises(LussError) as error:
        evaluate_folders(pred, gt)
    assert "1 class folders without a mask" in str(error.value)
    assert "n00 empty" in str(error.value)
    assert same(evaluate_folders(pred, gt, CLASSES), expected(masks))


def test_what_systems_add_is_passed_over(tmp_path):
    masks = make_masks()
    pred, gt = write(tmp_path, masks)
    for root in (pred, gt):
        for stray in ("__MACOSX/n0", "@eaDir", ".thumbnails", "n0/@eaDir"):
            write_mask(root / stray / "image_0.png", np.zeros((2, 2), int))
        (root / "n0" / "._image_0.png").write_bytes(b"no PNG")
    found = evaluate_folders(pred, gt, per_class=True)
    assert same(found, expected(masks))
    assert [entry["name"] for entry in found["per_class"]] == ["other", "n0", "n1", "n2"]


def test_a_left_over_id_under_ignored_truth_takes_a_second_pass(tmp_path):
    truth = np.zeros((40, 40), np.int32)
    truth[:, 20:] = 1000
    truth[10:20, 5:20] = 1
    prediction = np.where(truth == 1000, 2, truth)
    pred, gt = write(tmp_path, {"n0/image": (prediction, truth)})
    found = evaluate_folders(pred, gt, match="find", num_generated=2)
    assert found["match"] == {"0": 0, "1": 1, "2": 0}
    write_match(tmp_path / "match.json", np.array([0, 1, 0]))
    given = evaluate_folders(pred, gt, match=tmp_path / "match.json")
    assert {key: found[key] for key in KEYS} == {key: given[key] for key in KEYS}


def test_a_truth_that_is_ignored_everywhere_has_no_metrics(tmp_path):
    ignored = np.full((5, 6), 1000)
    pred, gt = write(tmp_path, {"n0/image": (np.ones((5, 6), int), ignored)})
    for match in (None, "find"):
        with pytest.raises(LussError, match="every true pixel of all 1 images is ignored"):
            evaluate_folders(pred, gt, match=match)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"num_classes": 70000}, r"number of classes is 70000\. Expected 1\.\.999"),
        ({"num_classes": 1000}, "1000"),
        ({"num_classes": 0}, "number of classes is 0"),
        ({"match": "find", "num_generated": -5}, r"categories is -5\. Expected 1\.\.65535"),
    ],
)
def test_numbers_that_masks_cannot_hold(tmp_path, numbers, message):
    pred, gt = write(tmp_path, make_masks(1))
    with pytest.raises(LussError, match=message):
        evaluate_folders(pred, gt, **numbers)


def test_npy_headers_are_bounded_before_memory_is_taken(tmp_path):
    def header(shape):
        with (tmp_path / "mask.npy").open("wb") as file:
            fields = {"descr": "<i8", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, fields)
        return tmp_path / "mask.npy"

    with pytest.raises(LussError, match="declares 1000000 x 1000000 pixels"):
        read_ids(header((1_000_000, 1_000_000)))
    with pytest.raises(LussError, match="cannot read the mask"):
        read_ids(header((10, 10)))
    with pytest.raises(LussError, match=r"integers \(H, W\)"):
        read_ids(header((2, 3, 4)))
    np.savez(tmp_path / "archive", np.zeros((2, 2), int))
    (tmp_path / "archive.npz").rename(tmp_path / "mask.npy")
    with pytest.raises(LussError, match="cannot read the mask"):
        read_ids(tmp_path / "mask.npy")


def test_folders_that_do_not_fit(tmp_path):
    pred, gt = write(tmp_path, make_masks())
    with pytest.raises(LussError, match="absent is missing"):
        evaluate_folders(tmp_path / "absent", gt)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LussError, match="there are no masks"):
        evaluate_folders(tmp_path / "empty", gt)
    with pytest.raises(LussError, match="jobs is"):
        evaluate_folders(pred, gt, jobs=0)
    with pytest.raises(LussError, match="match='find'"):
        evaluate_folders(pred, gt, num_generated=5)
    flat = tmp_path / "flat"
    write_mask(flat / "a.png", np.zeros((2, 2), int))
    with pytest.raises(LussError, match="number of classes"):
        evaluate_folders(flat, flat)
    assert evaluate_folders(flat, flat, 1)["mIoU"] == pytest.approx(50)
    np.save(pred / "n0" / "image_0.npy", np.zeros((2, 2), int))
    with pytest.raises(LussError, match=r"image_0\.npy and image_0\.png|image_0\.png and image_0"):
        list_masks(pred)


def write_indices(path, ids, palette):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids.astype(np.uint8))
    if palette:
        image.putpalette(np.random.default_rng(0).integers(1, 256, 768, np.uint8).tobytes())
    image.save(path)


@pytest.mark.parametrize("palette", [True, False])
@pytest.mark.parametrize("jobs", [1, 2])
def test_indices(tmp_path, palette, jobs):
    """Palettes, or one channel, of which 255 is ignored, give what the official encoding gives."""
    masks = make_masks()
    for name, (prediction, truth) in masks.items():
        write_indices(tmp_path / "pred" / f"{name}.png", prediction, palette)
        indices = np.where(truth == 1000, 255, truth)
        write_indices(tmp_path / "gt" / f"{name}.png", indices, palette)
    folders = tmp_path / "pred", tmp_path / "gt"
    with pytest.raises(LussError, match="--encoding index"):
        evaluate_folders(*folders)
    assert same(evaluate_folders(*folders, encoding="index", jobs=jobs), expected(masks))
    # Predictions of luss beside truths with a palette.
    for name, (prediction, _) in masks.items():
        write_mask(tmp_path / "pred" / f"{name}.png", prediction)
    assert same(evaluate_folders(*folders, encoding="index"), expected(masks))
    name, (prediction, _) = next(iter(masks.items()))
    write_indices(tmp_path / "pred" / f"{name}.png", np.full(prediction.shape, 255), palette)
    with pytest.raises(LussError, match=f"{name}.png: 255"):
        evaluate_folders(*folders, encoding="index")


@pytest.mark.parametrize("jobs", [1, 2])
def test_truths_that_look_wrong_are_named(tmp_path, jobs):
    masks = {
        name: (prediction, np.where(truth == 1000, 1000, truth % 3))
        for name, (prediction, truth) in make_masks().items()
    }
    pred, gt = write(tmp_path, masks)
    absent, own = evaluate_folders(pred, gt, jobs=jobs, match="find")["warnings"]
    assert "class 3 ('n2') occurs in no mask" in absent and "it means 1 ('n0')" in absent
    assert "no mask in the folder 'n2' contains its id 3" in own and "n2/image_2.png" in own
    assert "warnings" not in evaluate_folders(*write(tmp_path, make_masks()))
