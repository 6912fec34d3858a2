"""What a user can get wrong ends in one clear message, and nothing is destroyed."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_run import FAULTY, read_tiny, run_tiny

from luss.datasets.mask_codec import read_mask, write_mask
from luss.errors import LussError
from luss.pipeline import Pipeline


def run(work_dir, root=None, only=None, resume=False, **options):
    """Run the tiny config, on photos below ``root`` if given."""
    config = read_tiny(**options)
    if root is not None:
        config.data = {"type": options.get("data__type", "auto")}
        config.data_root = str(root)
    Pipeline(config, str(work_dir)).run(only, resume)


@pytest.fixture
def photos(tmp_path, finished_run):
    """A split root of its own for each test."""
    return shutil.copytree(finished_run / "data", tmp_path / "photos")


@pytest.fixture
def work_dir(tmp_path):
    return tmp_path / "run"


def have(work_dir, finished_run, *stages):
    """Let stages be done."""
    for stage in stages:
        shutil.copytree(finished_run / stage, work_dir / stage)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# ---- data --------------------------------------------------------------------------------------


def test_no_data_root(work_dir):
    config = read_tiny()
    config.data = {"type": "auto"}
    with pytest.raises(LussError, match="--cfg-options data_root=DIR"):
        Pipeline(config, str(work_dir)).run()


def test_data_root_is_no_folder(work_dir):
    with pytest.raises(LussError, match="nowhere is not a folder"):
        run(work_dir, "nowhere")


def test_no_images(tmp_path, work_dir):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(LussError, match=f"no photos in {empty}"):
        run(work_dir, empty, num_categories=2)


def test_no_images_in_a_split_root(photos, work_dir):
    for image in photos.glob("train/*/*"):
        image.unlink()
    with pytest.raises(LussError, match=f"no images in the class folders of {photos}/train"):
        run(work_dir, photos)


def test_photo_folder_without_number_of_categories(photos, work_dir):
    with pytest.raises(LussError, match="num_categories=C"):
        run(work_dir, photos / "train")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])
    return path


@pytest.mark.parametrize("damage", [truncate, lambda path: path.write_text("no photo")])
def test_unreadable_training_image_is_named(photos, work_dir, damage):
    image = sorted(photos.glob("train/*/*"))[4]
    damage(image)
    with pytest.raises(LussError, match=f"cannot read the image {image}"):
        run(
            work_dir,
            photos,
            "pretrain",
            stages__pretrain__train_dataloader__dataset__on_unreadable="fail",
        )


def test_unreadable_training_image_is_left_out(photos, work_dir):
    image = truncate(sorted(photos.glob("train/*/*"))[4])
    for stage in ("pretrain", "pixel_attention", "label_generation"):
        run(work_dir, photos, stage)
    name = f"{image.parent.name}/{image.stem}"
    facts = json.loads((work_dir / "label_generation" / "done.json").read_text())
    assert facts["unlabelled"] == [name]
    labels = work_dir / "label_generation" / "pseudo_labels"
    assert len(list(labels.glob("*/*.png"))) == len(list(photos.glob("train/*/*"))) - 1
    assert not (labels / f"{name}.png").exists()
    run(work_dir, photos, "finetune")
    assert (work_dir / "finetune" / "done.json").exists()


def test_unreadable_validation_image_is_named(photos, work_dir, finished_run):
    have(work_dir, finished_run, "pretrain", "pixel_attention")
    image = truncate(sorted(photos.glob("validation/*/*"))[2])
    with pytest.raises(LussError, match=f"cannot read the image {image}"):
        run(work_dir, photos, "label_generation")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ids: ids[:-1], "47.*48"),
        (lambda ids: np.where(ids > 0, 77, ids), "77"),
    ],
)
def test_mask_that_does_not_fit(photos, work_dir, finished_run, change, message):
    have(work_dir, finished_run, "pretrain", "pixel_attention")
    mask = sorted(photos.glob("validation-segmentation/*/*"))[1]
    write_mask(mask, change(read_mask(mask)))
    with pytest.raises(LussError, match=message) as error:
        run(work_dir, photos, "label_generation")
    assert str(mask) in str(error.value)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_masks_are_checked_before_anything_is_trained(photos, work_dir, split):
    if split == "test":
        for photo in photos.glob("test/*/*"):
            write_mask(
                photos / "test-segmentation" / photo.parent.name / f"{photo.stem}.png",
                np.ones((48, 48), int),
            )
    first, second = sorted(photos.glob(f"{split}-segmentation/*/*"))[:2]
    first.write_bytes(b"no mask")
    write_mask(second, np.full((48, 48), 7))
    message = (
        rf"(?s){split}: 2 masks do not fit:.*{first} is not a PNG.*{second} contains the ids 7"
    )
    with pytest.raises(LussError, match=message):
        run(work_dir, photos)
    assert not list(work_dir.glob("pretrain/*.pth"))


def test_a_truth_without_evaluated_pixels_is_refused(photos, work_dir):
    for path in photos.glob("validation-segmentation/*/*"):
        write_mask(path, np.full_like(read_mask(path), 1000))
    with pytest.raises(LussError, match=r"all pixels of the 6 masks"):
        run(work_dir, photos)
    assert not list(work_dir.glob("pretrain/*.pth"))


def test_masks_are_checked_once_in_a_run(finished_run):
    log = (finished_run / "run.log").read_text()
    assert log.count("checking the masks of validation: 6 images") == 1


def test_missing_validation_mask(photos, work_dir):
    mask = sorted(photos.glob("validation-segmentation/*/*"))[1]
    mask.unlink()
    with pytest.raises(LussError, match=f"validation-segmentation.*{mask.stem}"):
        run(work_dir, photos)
    assert not list(work_dir.glob("pretrain/*.pth"))


def test_masks_of_test_alone(photos, work_dir):
    shutil.rmtree(photos / "validation-segmentation")
    with pytest.raises(LussError, match="validation-segmentation"):
        run(work_dir, photos)
    assert not list(work_dir.glob("pretrain/*.pth"))


def test_stray_folders_do_not_shift_the_classes(photos, work_dir):
    thumbnails = photos / "train" / "@eaDir"
    thumbnails.mkdir()
    shutil.copy(next(photos.glob("train/*/*.JPEG")), thumbnails)
    with pytest.raises(LussError, match="18 images cannot form 19 categories"):
        run(work_dir, photos, num_categories=19)
    (photos / "train" / "0_new").mkdir()
    with pytest.raises(LussError, match=r"1 of the 7 class folders .*: 0_new"):
        run(work_dir, photos)
    assert not list(work_dir.glob("pretrain/*.pth"))


# ---- settings ----------------------------------------------------------------------------------


def test_fewer_images_than_clusters(work_dir):
    with pytest.raises(LussError, match="18 images cannot form 19 categories"):
        run(work_dir, num_categories=19)
    assert not (work_dir / "pretrain").exists()


@pytest.mark.parametrize("wrong", [0, -3, "many", True, 2.0, 1000])
def test_number_of_categories(work_dir, wrong):
    with pytest.raises(LussError, match="num_categories is"):
        run(work_dir, num_categories=wrong)


def test_queue_shorter_than_the_batch(work_dir):
    with pytest.raises(LussError, match=r"queue holds 3 embeddings.* has 4"):
        run(work_dir, stages__pretrain__model__objectives__clustering__queue_length=3)


def test_batch_larger_than_the_data(work_dir):
    message = (
        r"stages.finetune: .* 18 images .* do not fill a batch of 19; lower train_dataloader.batch"
    )
    with pytest.raises(LussError, match=message):
        run(work_dir, stages__finetune__train_dataloader__batch_size=19)
    assert not (work_dir / "pretrain").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("seed", -1, "seed is -1"),
        ("num_workers", -1, "num_workers is -1"),
        ("num_workers", True, "num_workers is True"),
        ("data_root", "", "data_root is ''"),
        ("data_root", 2024, "data_root is 2024"),
        ("data__data_root", "photos", "data.data_root is 'photos'.* setting data_root"),
        ("env_cfg__cudnn_bechmark", True, "env_cfg.cudnn_bechmark.*mean 'cudnn_benchmark'"),
        ("stages__finetune__train_cfg__max_epochs", 0, "stages.finetune.train_cfg.max_epochs is 0"),
        ("stages__finetune__train_dataloader__batch_size", 0, "batch_size is 0"),
        (
            "stages__finetune__train_dataloader__num_workers",
            -2,
            "num_workers is -2",
        ),
        ("stages__finetune__optim_wrapper__optimizer__momentun", 0.9, "finetune.*'momentun'"),
        ("stages__finetune__optim_wrapper__optimizr__lr", 0.9, "finetune.*'optimizr'"),
        ("stages__finetune__param_scheduler__0__etamin", 0.9, "finetune.*'etamin'"),
        ("stages__finetune__train_cfg__max_epoch", 3, "finetune.*'max_epoch'"),
        ("stages__finetune__foo", 3, "finetune.foo "),
        (
            "stages__label_generation__test_dataloader__pixels__pipline",
            [],
            "pixels.pipline.*dataset",
        ),
        (
            "stages__label_generation__test_dataloader__embedding__batch_size",
            "4",
            "embedding.batch_size is '4'",
        ),
        (
            "stages__label_generation__test_cfg__generator__restart",
            3,
            "label_generation.*'restart'",
        ),
        ("stages__evaluate__protocol__matcher__unmached", "best", "evaluate.*'unmached'"),
        ("stages__finetune__train_dataloader__sampler__type", "InfiniteSampler", "is endless"),
        ("default_hooks__checkpoint__intervall", 3, "'intervall'"),
    ],
)
def test_mistakes_in_later_stages_are_found_first(work_dir, option, value, message):
    with pytest.raises(LussError, match=message) as error:
        run(work_dir, **{option: value})
    assert "\n" not in str(error.value)
    assert not (work_dir / "pretrain").exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("stages__pretrain__type", "Trai", "Trai.*did you mean 'Train'"),
        ("stages__pretrian__model", 1, "no stage 'pretrian'.*did you mean 'pretrain'"),
        ("stages__pretrain__model__objectives__p2p__type", "P2PP", "P2PP.*mean 'P2P'.*Clustering"),
        ("stages__pretrain__model__backbone__type", "ResNet", "no model 'ResNet'.*mmseg.ResNet"),
        ("stages__pretrain__model__backbone__type", "mmselfsup.ResNt", "mmselfsup.ResNt"),
        (
            "stages__pretrain__model__objectives__p2p__chanels",
            3,
            "P2P.*'chanels'.*mean 'in_channels'",
        ),
        ("stages__pretrain__optim_wrapper__optimizer__type", "LARC", "'LARC'.*LARS"),
        ("stages__pretrain__optim_wrapper__type", "Wrapper", "'Wrapper'.*OptimWrapper"),
        ("stages__pretrain__train_cfg__type", "Loop", "'Loop'.*EpochTrainLoop"),
        ("stages__pretrain__train_dataloader__sampler__type", "Any", "'Any'.*EpochSampler"),
        ("stages__pretrain__train_dataloader__dataset__pipeline", [{"type": "Cut"}], "transform"),
        ("stages__pretrain__param_scheduler", [{"type": "Cosine"}], "'Cosine'.*CosineAnnealingLR"),
        ("stages__pretrain__custom_hooks", [{"type": "Hok"}], "'Hok'.*CollapseHook"),
        ("default_hooks__logger__type", "LogHook", "default_hooks.logger.*LoggerHook"),
        (
            "stages__label_generation__test_cfg__generator__type",
            "KMean",
            "label generator 'KMean'.*Faiss",
        ),
        ("stages__label_generation__test_cfg__threshold", 3.0, "threshold is 3.0"),
        ("stages__label_generation__treshold", 0.3, "stages.label_generation.*treshold"),
        (
            "stages__evaluate__protocol__matcher__type",
            "Match",
            "matcher 'Match'.*ImageLevelMatcher",
        ),
        ("stages__finetune__model__decode_head__type", "Head", "'Head'.*PassHead"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(work_dir, option, value, message):
    with pytest.raises(LussError, match=f"(?s){message}"):
        run(work_dir, **{option: value})
    # Said before anything is trained.
    assert not list(work_dir.glob("pretrain/*.pth"))


class MistakenLoss(torch.nn.Module):
    """Knows labels of its own alone."""

    loss_name = "loss_mistaken"

    def forward(self, scores, labels, **kwargs):
        return torch.nn.functional.nll_loss(scores, labels + 100)


def test_a_mistake_in_the_loss_of_a_later_stage_is_found_first(work_dir):
    option = "stages__finetune__model__decode_head__loss_decode"
    # Fine-tuning reads labels and a checkpoint, neither of which is there yet.
    with pytest.raises(LussError, match=r"stages\.finetune: .*test_bad_input\.py, line"):
        run(work_dir, **{option: {"type": MistakenLoss}})
    assert not (work_dir / "pretrain").exists()


def test_unknown_stage(work_dir):
    with pytest.raises(LussError, match=r"no stage 'train'.*pretrain, pixel_attention, label_gen"):
        run(work_dir, only="train")


# ---- work dir ----------------------------------------------------------------------------------


def test_stage_before_its_inputs(work_dir):
    with pytest.raises(LussError, match=r"'finetune'.*'pretrain', 'label_generation'"):
        run(work_dir, only="finetune")


def test_checkpoint_of_a_stage_is_missing(work_dir, finished_run):
    have(work_dir, finished_run, "pretrain")
    for checkpoint in (work_dir / "pretrain").glob("*.pth"):
        checkpoint.unlink()
    with pytest.raises(LussError, match=rf"pretrain.checkpoint.*delete {work_dir}/pretrain"):
        run(work_dir, only="pixel_attention")


def test_work_dir_of_another_config(work_dir, finished_run):
    shutil.copytree(finished_run, work_dir)
    before = names(work_dir)
    with pytest.raises(LussError, match=r"another config.* seed: was 3, now 4") as error:
        run(work_dir, seed=4, resume=True)
    assert "--work-dir" in str(error.value)
    assert names(work_dir) == before


def test_what_changes_no_result_may_change(work_dir, finished_run):
    shutil.copytree(finished_run, work_dir)
    run(work_dir, num_workers=1, log_level="WARNING")


def test_begun_stage_needs_resume(work_dir, fault):
    def stop(runner):
        if runner.iter == 6:
            raise KeyboardInterrupt

    fault.plan = stop
    with pytest.raises(KeyboardInterrupt):
        run(work_dir, **FAULTY)
    with pytest.raises(LussError, match=r"'pretrain' was begun .* --resume"):
        run(work_dir, **FAULTY)
    assert [path.name for path in (work_dir / "pretrain").glob("*.pth")] == ["iter_4.pth"]


# ---- training ----------------------------------------------------------------------------------


def spoil_weights(iteration):
    def plan(runner):
        if runner.iter == iteration:
            with torch.no_grad():
                runner.model.objectives["p2p"].predictor[0].weight.fill_(float("nan"))

    return plan


def test_loss_that_is_nan_is_named(work_dir, fault):
    fault.plan = spoil_weights(5)
    with pytest.raises(LussError, match=r"loss_p2p = nan in iteration 7 .*last check") as error:
        run(work_dir, only="pretrain", **FAULTY)
    assert "loss_clustering" not in str(error.value)
    assert [path.name for path in (work_dir / "pretrain").glob("*.pth")] == ["iter_4.pth"]


def test_weights_that_are_nan_are_not_saved(work_dir, fault):
    fault.plan = spoil_weights(7)
    with pytest.raises(LussError, match=r"after iteration 8 .*objectives.p2p.predictor"):
        run(work_dir, only="pretrain", **FAULTY)
    assert [path.name for path in (work_dir / "pretrain").glob("*.pth")] == ["iter_4.pth"]


def test_full_disk_keeps_the_old_checkpoint(work_dir, monkeypatch):
    sync, large = os.fsync, []

    def sync_until_full(descriptor):
        if os.fstat(descriptor).st_size > 100_000:
            large.append(descriptor)
            if len(large) == 2:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync_until_full)
    with pytest.raises(OSError, match=r"No space left.*iter_8\.pth"):
        run(work_dir, only="pretrain")
    monkeypatch.undo()
    files = [name for name in names(work_dir / "pretrain") if "/" not in name]
    assert [name for name in files if "iter_" in name] == ["iter_4.pth"]
    run(work_dir, only="pretrain", resume=True)
    assert (work_dir / "pretrain" / "done.json").exists()


# ---- plain photo folders -----------------------------------------------------------------------


def test_photo_folder_runs_without_masks(photos, tmp_path, work_dir):
    nested = tmp_path / "nested"
    for index, image in enumerate(sorted(photos.glob("train/*/*"))):
        target = nested / ("deep/er" if index % 2 else ".") / f"{index:02d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, target)
    run(work_dir, nested, num_categories=4)
    threshold = json.loads((work_dir / "label_generation" / "threshold.json").read_text())
    assert threshold["method"] == "Otsu"
    predictions = work_dir / "evaluate" / "predictions" / "train"
    assert (predictions / "deep" / "er" / "01.png").exists()
    ids = np.unique(read_mask(predictions / "00.png"))
    assert ids.max() <= 4
    assert read_mask(predictions / "00.png").shape == Image.open(nested / "00.jpg").size[::-1]
    assert not (work_dir / "results.json").exists()


def test_photos_as_people_have_them(photos, tmp_path):
    """Twins that differ in how they are stored are predicted alike; a run's output is no photo."""
    root = tmp_path / "mine"
    (root / "train").mkdir(parents=True)
    for index, path in enumerate(sorted(photos.glob("train/*/*"))[:8]):
        shutil.copy(path, root / "train" / f"{index}.jpg")
    upright = Image.open(root / "train" / "0.jpg").crop((0, 0, 48, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(root / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(root / "turned.png", exif=exif)
    alpha = Image.new("L", upright.size, 255)
    alpha.paste(0, (0, 0, 20, 30))
    on_white = upright.copy()
    on_white.paste("white", (0, 0, 20, 30))
    on_white.save(root / "on_white.png")
    upright.putalpha(alpha)
    upright.save(root / "transparent.png")
    longest = "n" * 251
    shutil.copy(root / "train" / "1.jpg", root / f"{longest}.jpg")
    Image.fromarray(np.zeros((1, 20_000, 3), np.uint8)).save(root / "wide.png")
    os.mkfifo(root / "pipe.jpg")

    options = {
        "num_categories": 3,
        "data__type": "PhotoFolder",
        "stages__label_generation__test_dataloader__embedding__dataset__pipeline": [
            {"type": "LoadRGBImage"},
            {"type": "ResizeShortSide", "size": 48},
            {"type": "CenterCrop", "crop_size": 48},
            {"type": "PackInputs"},
        ],
    }
    with pytest.raises(LussError, match=r"data\.type=PhotoFolder"):
        run(tmp_path / "refused", root, num_categories=3)
    first, second = root / "runs" / "first", root / "runs" / "second"
    run(first, root, **options)
    run(second, root, only="pretrain", **options)
    assert f"{root}: 14 photos" in (second / "run.log").read_text()
    for folder in ("label_generation/pseudo_labels", "evaluate/predictions/train"):
        masks = {path.stem: read_mask(path) for path in (first / folder).rglob("*.png")}
        assert len(masks) == 14
        assert masks["upright"].shape == masks["turned"].shape == (30, 48)
        assert masks["wide"].shape == (1, 20_000)
        np.testing.assert_array_equal(masks["upright"], masks["turned"])
        np.testing.assert_array_equal(masks["on_white"], masks["transparent"])
        assert longest in masks


def test_finished_run_is_not_run_again(finished_run):
    before = {path: path.stat().st_mtime_ns for path in finished_run.glob("*/*.*")}
    run_tiny(finished_run)
    assert before == {path: path.stat().st_mtime_ns for path in finished_run.glob("*/*.*")}
