"""Both semi-supervised recipes, whole, on a drawn split root."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_networks import CLASSES

from luss.apis import LUSSInferencer
from luss.configuration import read_config
from luss.datasets.mask_codec import IGNORE_ID, read_mask, write_mask
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.evaluation.evaluate_folders import evaluate_folders
from luss.pipeline import Pipeline, evaluate
from luss.pipeline.resolving import resolved_stage
from luss.registry import MODELS

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def pretrained(tmp_path):
    """A file with the backbone of the photos config, random weights."""
    config = read_config(CONFIGS / "pass" / "pass_s_photos.py")
    torch.manual_seed(3)
    backbone = MODELS.build(config.stages.pretrain.model.backbone)
    backbone.init_weights()
    state = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "pretrained.pth")
    return tmp_path / "pretrained.pth"


@pytest.fixture
def configuration(demo_root, pretrained):
    def read(recipe, **options):
        return read_config(
            CONFIGS / "semi_supervised" / f"pass_s_photos_{recipe}.py",
            {
                "data_root": str(demo_root),
                "num_workers": 0,
                "weights": str(pretrained),
                "stages.finetune_semi.train_cfg.max_epochs": 6,
                "stages.finetune_semi.train_dataloader.batch_size": 6,
                "stages.semi_supervised.test_dataloader.dataset.pipeline": [
                    {"type": "LoadRGBImage"},
                    {"type": "LoadMask", "optional": True},
                    {"type": "ResizeShortSide", "size": 64},
                    {"type": "PackInputs"},
                ],
                **options,
            },
        )

    return read


@pytest.mark.parametrize("recipe", ["lars", "adamw"])
def test_a_recipe_from_weights_to_results(recipe, configuration, demo_root, pretrained, tmp_path):
    pipeline = Pipeline(configuration(recipe), str(tmp_path / "run"))
    pipeline.run()
    start = load(pretrained)["state_dict"]
    taken = load(tmp_path / "run" / "pretrain" / "iter_0.pth")["state_dict"]
    assert start.keys() == taken.keys()
    assert all(torch.equal(start[name], taken[name]) for name in start)

    # Two batches of six images an epoch; the head tells true classes apart and has moved.
    tuned = load(tmp_path / "run" / "finetune_semi" / "iter_12.pth")["state_dict"]
    assert tuned["decode_head.conv_seg.weight"].shape[0] == CLASSES + 1
    assert not torch.equal(tuned["backbone.layer4.1.conv2.weight"],
                           start["backbone.layer4.1.conv2.weight"])  # fmt: skip

    results = json.loads((tmp_path / "run" / "results.json").read_text())["semi_supervised"]
    for split, short in (("validation", "val"), ("test", "test")):
        folder = tmp_path / "run" / "semi_supervised" / "predictions" / split
        found = evaluate_folders(folder, demo_root / f"{split}-segmentation", CLASSES)
        assert results[short] == {name: found[name] for name in results[short]}

    # Its model predicts true classes anywhere.
    inferencer = LUSSInferencer(tmp_path / "run", device="cpu", upright=False)
    assert inferencer.categories.kind == "true"
    assert [inferencer.categories.legend.name(index) for index in range(1, CLASSES + 1)] == sorted(
        path.name for path in (demo_root / "train").iterdir()
    )
    photos = sorted((demo_root / "test").rglob("*.JPEG"))[:4]
    samples = inferencer(list(photos), return_datasamples=True)["predictions"]
    for photo, sample in zip(photos, samples, strict=True):
        name = photo.relative_to(demo_root / "test").with_suffix(".png")
        evaluated = tmp_path / "run" / "semi_supervised" / "predictions" / "test" / name
        assert np.array_equal(sample.pred_sem_seg.data[0], read_mask(evaluated))

    # Killed after the fifth epoch and resumed, it ends the same.
    folder = tmp_path / "run" / "finetune_semi"
    (folder / "done.json").unlink()
    (folder / "iter_12.pth").unlink()
    Pipeline(configuration(recipe), str(tmp_path / "run")).run("finetune_semi", resume=True)
    again = load(folder / "iter_12.pth")["state_dict"]
    assert all(torch.equal(again[name], tuned[name]) for name in tuned)

    with pipeline.opened() as context:
        checkpoint = str(tmp_path / "run" / "finetune_semi" / "iter_12.pth")
        assert evaluate(context, "semi_supervised", checkpoint) == results


def test_true_masks_of_train_semi_with_what_they_ignore(configuration, demo_root, tmp_path):
    pipeline = Pipeline(configuration("lars"), str(tmp_path / "run"))
    with pipeline.opened() as context:
        stage = resolved_stage(pipeline.stages["finetune_semi"], context)
        dataset = context.dataset({**stage.dataset_config(context), "pipeline": []})
        model = MODELS.build(stage.model_config(context))
    folder = demo_root / "train-semi-segmentation"
    items = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert {item["seg_map_path"] for item in items} == set(map(str, folder.rglob("*.png")))
    assert any((read_mask(item["seg_map_path"]) == IGNORE_ID).any() for item in items)
    assert model.decode_head.ignore_index == IGNORE_ID
    assert model.decode_head.num_classes == CLASSES + 1


def test_true_masks_are_checked_before_training(configuration, demo_root, tmp_path):
    root = shutil.copytree(demo_root, tmp_path / "data")
    mask = sorted(root.glob("train-semi-segmentation/*/*"))[3]
    write_mask(mask, read_mask(mask)[:-1])
    pipeline = Pipeline(configuration("lars", data_root=str(root)), str(tmp_path / "run"))
    with pytest.raises(LussError, match=rf"train-semi: 1 mask does not fit:\s+the mask {mask} is"):
        pipeline.run()
    assert not (tmp_path / "run" / "finetune_semi").exists()


def test_ignored_pixels_have_no_part_in_the_loss(configuration, demo_root, tmp_path):
    pipeline = Pipeline(configuration("lars"), str(tmp_path / "run"))
    with pipeline.opened() as context:
        model = MODELS.build(
            resolved_stage(pipeline.stages["finetune_semi"], context).model_config(context)
        )
        dataset = context.dataset(
            {"split": "train-semi", "pipeline": [
                {"type": "LoadRGBImage"}, {"type": "LoadMask"}, {"type": "PackInputs"}
            ]}
        )  # fmt: skip
    (loss, logits, labels) = _loss_of(model, dataset[0])
    flat = logits.permute(0, 2, 3, 1).reshape(-1, CLASSES + 1).double()
    kept = labels.reshape(-1) != IGNORE_ID
    chosen = torch.log_softmax(flat[kept], dim=1)[torch.arange(int(kept.sum())),
                                                  labels.reshape(-1)[kept]]  # fmt: skip
    assert loss == pytest.approx(float(-chosen.mean()), rel=1e-5)


def _loss_of(model, item):
    """Loss, and the logits and labels that it compares."""
    model.eval()
    sample = item["data_samples"]
    mask = sample.gt_sem_seg.data
    mask[:, :20] = IGNORE_ID
    inputs = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        losses = model.loss(inputs, [sample])
        logits = model.decode_head(model.extract_feat(inputs))
    labels = mask[:, ::2, ::2]
    logits = torch.nn.functional.interpolate(logits, labels.shape[1:], mode="bilinear")
    return float(losses["decode.loss_ce"]), logits, labels


def test_the_rate_of_adamw(configuration, tmp_path):
    """Five epochs up, then a cosine to 1e-6 (for the last layer), by iteration."""
    options = {"stages.finetune_semi.train_cfg.max_epochs": 20}
    pipeline = Pipeline(configuration("adamw", **options), str(tmp_path / "run"))
    with pipeline.opened() as context:
        facts = resolved_stage(pipeline.stages["pretrain"], context).run(context)
        outputs = {"checkpoint": facts["checkpoint"]}
        pipeline.work_dir.mark_done("pretrain", {"outputs": outputs})
        runner = resolved_stage(pipeline.stages["finetune_semi"], context).build_runner(context)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper.initialize_count_status(runner.model, 0, 40)
    schedulers = runner.build_param_scheduler(runner.param_schedulers)
    groups = runner.optim_wrapper.optimizer.param_groups
    top = 5e-4 * 32 / 256  # the config's, by its own batch size
    rates = []
    for _ in range(40):
        rates.append([group["lr"] for group in groups])
        runner.optim_wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    rates = np.array(rates)
    layers = 0.4 ** np.repeat(np.arange(9, -1, -1), 2)
    np.testing.assert_allclose(rates, rates[:, -1:] * layers, rtol=1e-6)
    assert rates[0, -1] == pytest.approx(1e-6 * top)
    np.testing.assert_allclose(np.diff(rates[:10, -1]), top / 9, rtol=1e-4)
    end = 0.002 * top
    expected = end + (top - end) * (1 + np.cos(np.pi * np.arange(30) / 30)) / 2
    np.testing.assert_allclose(rates[10:, -1], expected, rtol=1e-6)


@pytest.mark.parametrize("head", ["decode_head", "auxiliary_head"])
def test_heads_need_an_output_for_each_class(head, configuration, tmp_path):
    config = configuration("lars")
    model = config.stages.finetune_semi.model
    wrong = {**model.decode_head, "num_classes": 5}
    model[head] = [wrong] if head == "auxiliary_head" else wrong
    with pytest.raises(LussError, match=rf"{head}\.num_classes is 5.* {CLASSES + 1} classes"):
        Pipeline(config, str(tmp_path / "run")).run()
    assert not (tmp_path / "run" / "pretrain").exists()


def test_weights_that_do_not_fit(configuration, tmp_path):
    torch.save({"state_dict": {"backbone.conv1.weight": torch.zeros(1)}}, tmp_path / "bad.pth")
    config = configuration("lars", weights=str(tmp_path / "bad.pth"))
    with pytest.raises(LussError, match=r"bad\.pth does not fit ResNet"):
        Pipeline(config, str(tmp_path / "run")).run()
    assert not (tmp_path / "run" / "pretrain").exists()
