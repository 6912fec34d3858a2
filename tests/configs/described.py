"""What the stages of a config are once they are built, read off the objects."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from luss.datasets.mask_codec import write_mask
from luss.engine.checkpoint import save
from luss.engine.loops import LabelGenerationLoop
from luss.models.objectives import Clustering
from luss.pipeline import Pipeline
from luss.pipeline.resolving import resolved_stage
from luss.registry import LABEL_GENERATORS, MODELS
from luss.stages import Report, Train

PROCESSES = 8  # the published runs are of eight GPUs
CLASSES = 4
SPLITS = ("train", "train-full", "train-semi", "validation", "test")
IMAGES = 16  # of each class and split: two batches of 32 an epoch


def write_root(root: Path) -> Path:
    """A split root of all splits, with masks where ImageNet-S has them and for test."""
    photo = Image.new("RGB", (8, 8))
    ids = np.zeros((8, 8), np.int32)
    for split, category, number in product(SPLITS, range(CLASSES), range(IMAGES)):
        stem = Path(f"n{category:08d}") / f"{split}_{category}_{number}"
        path = root / split / stem.with_suffix(".JPEG")
        path.parent.mkdir(parents=True, exist_ok=True)
        photo.save(path)
        if not split.startswith("train") or split == "train-semi":
            write_mask(root / f"{split}-segmentation" / stem.with_suffix(".png"), ids)
    return root


@contextmanager
def built(config, root: Path, work_dir: Path):
    """The config's pipeline on a split root, as if all stages before any one had run."""
    config = copy.deepcopy(config)
    config.data_root, config.num_workers = str(root), 0
    if config.data.type == "demo":
        config.data.type = "auto"
    pipeline = Pipeline(config, str(work_dir))
    with pipeline.opened() as context:
        for name, stage in pipeline.stages.items():
            folder = context.work_dir.stage(name)
            folder.mkdir(parents=True, exist_ok=True)
            outputs = dict(stage.roles)
            for path in outputs.values():
                (folder / path).mkdir(exist_ok=True)
            if isinstance(stage, Train):
                outputs["checkpoint"] = "iter_1.pth"
                save(folder / "iter_1.pth", {"state_dict": {}, "meta": {}})
            context.work_dir.mark_done(name, {"outputs": outputs})
        yield pipeline, context


def describe(name: str, pipeline: Pipeline, context) -> dict:
    """The settings of a stage by what they mean."""
    stage = resolved_stage(pipeline.stages[name], context)
    if isinstance(stage, Train):
        return _training(stage, context)
    if isinstance(stage, Report):
        return _report(stage, context)
    if stage.protocol is None:
        return _label_generation(stage, context)
    return _OTHERS[type(stage.protocol).__name__](stage, context)


# Training


def _training(stage: Train, context) -> dict:
    runner = stage.build_runner(context)
    model = runner.model
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    loader = runner.train_dataloader
    dataset = loader.dataset
    items = [dataset.get_data_info(index) for index in range(len(dataset))]
    folders = {Path(item["img_path"]).relative_to(dataset.data_root).parts[0] for item in items}
    masked = {
        Path(item["seg_map_path"]).relative_to(dataset.data_root).parts[0]
        for item in items
        if item.get("seg_map_path")
    }
    return {
        "kind": type(stage).__name__,
        "seed": runner.seed,
        "seed of the data": dataset.seed,
        "images": folders,
        "true masks": masked,
        "unreadable images": dataset.on_unreadable,
        "pipeline": _transforms(dataset, context),
        "batch of 8 processes": PROCESSES * loader.batch_size,
        "incomplete batches are dropped": loader.drop_last,
        "sampler": (
            type(loader.sampler).__name__,
            {name: getattr(loader.sampler, name) for name in ("shuffle", "round_up")},
        ),
        "collate": loader.collate_fn.func.__name__
        if hasattr(loader.collate_fn, "func")
        else loader.collate_fn.__name__,
        "loop": type(runner.train_loop).__name__,
        "epochs": runner.train_loop.max_epochs,
        "mixed precision": stage.runner["optim_wrapper"]["type"] == "AmpOptimWrapper",
        "synchronised BN": runner.cfg.get("sync_bn"),
        "starts from": {
            Path(checkpoint).parent.name: tuple(
                part for part, source in runner.cfg.init.items() if source == checkpoint
            )
            for checkpoint in runner.cfg.init.values()
        },
        "hooks": [_hook(hook) for hook in runner.hooks if type(hook).__name__ in _TOLD_HOOKS],
        **_optimizer(runner),
        **_preprocessor(model.data_preprocessor),
        **_backbone(model.backbone, all_maps=hasattr(model, "stages")),
        **_PARTS[type(model).__name__](model),
    }


_TOLD_HOOKS = ("ClusteringHook", "CollapseHook", "CheckpointHook")


def _hook(hook):
    # What the hook that only warns has for settings is nobody's but its own.
    if type(hook).__name__ == "CollapseHook":
        return "CollapseHook"
    name, settings = plain(hook)
    if name == "CheckpointHook":
        settings = {key: settings[key] for key in ("interval", "by_epoch", "max_keep_ckpts")}
    return name, settings


def _transforms(dataset, context) -> list:
    """Transforms and their settings; of ``PackInputs`` only that it is there."""
    told = [
        (type(step).__name__, {}) if type(step).__name__ == "PackInputs" else plain(step)
        for step in dataset.pipeline.transforms
    ]
    for name, settings in told:
        if name == "FindMask":
            settings["root"] = str(Path(settings["root"]).relative_to(context.work_dir.root))
    return told


def _optimizer(runner) -> dict:
    """Optimizer, and the rate of every iteration as the pipeline has it scheduled."""
    optimizer = runner.optim_wrapper.optimizer
    rates = all_rates(runner)
    names = {id(parameter): name for name, parameter in runner.model.named_parameters()}
    groups = optimizer.param_groups
    told = {
        "optimizer": (
            type(optimizer).__name__,
            {key: value for key, value in optimizer.defaults.items() if key in _TOLD_OF_OPTIMIZERS},
        ),
        # Of the last layer, at all iterations of two an epoch.
        "rates": rates[:, -1].tolist(),
    }
    decays = {
        (min(parameter.ndim, 2), group["weight_decay"])
        for group in groups
        for parameter in group["params"]
    }
    told["weight decay by dimensions"] = decays
    if type(optimizer).__name__ == "LARS":
        told["adapted by dimensions"] = {
            (min(parameter.ndim, 2), not group["lars_exclude"])
            for group in groups
            for parameter in group["params"]
        }
    if (rates != rates[:, -1:]).any():
        ratios = rates / rates[:, -1:]
        assert np.allclose(ratios, ratios[:1], rtol=1e-6), "the groups' rates keep their ratios"
        told["rate of layers"] = {
            _layer(names[id(group["params"][0])]): ratio
            for group, ratio in zip(groups, ratios[0].tolist(), strict=True)
        }
    trained = {name for name, p in runner.model.named_parameters() if p.requires_grad}
    optimised = {names[id(p)] for group in groups for p in group["params"] if p.requires_grad}
    assert trained == optimised
    told["trained parts"] = {_part(name) for name in trained}
    return told


_TOLD_OF_OPTIMIZERS = (
    "momentum",
    "trust_coefficient",
    "eps",
    "clip",
    "decay_first",
    "betas",
    "amsgrad",
)


def all_rates(runner) -> np.ndarray:
    """Learning rates (iterations, groups) of a whole training, nothing else being run."""
    total = runner.train_loop.max_iters
    runner.optim_wrapper.initialize_count_status(runner.model, 0, total)
    schedulers = runner.build_param_scheduler(copy.deepcopy(runner.param_schedulers))
    groups = runner.optim_wrapper.optimizer.param_groups
    rates = []
    for iteration in range(total):
        rates.append([group["lr"] for group in groups])
        runner.optim_wrapper.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or (iteration + 1) % len(runner.train_dataloader) == 0:
                scheduler.step()
    return np.array(rates)


def _layer(name: str) -> str:
    """'backbone.layer4.1', 'decode_head': what has one rate."""
    parts = name.split(".")
    return ".".join(parts[:3] if parts[1].startswith("layer") else parts[:1])


def _part(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "objectives":
        return ".".join(parts[:3])
    return parts[0]


def _preprocessor(preprocessor: nn.Module) -> dict:
    """Normalisation of values in [0, 1], and augmentation."""
    mean, std = preprocessor.mean.flatten(), preprocessor.std.flatten()
    told = {"augmentation": []}
    if type(preprocessor).__name__ == "ViewPreprocessor":
        told["augmentation"] = [plain(list(views)) for views in preprocessor.augmentations]
        if not preprocessor.per_view:
            (told["augmentation"],) = told["augmentation"]
    else:
        # No channels are swapped.
        image = torch.tensor([10.0, 20.0, 30.0])[:, None, None]
        prepared = preprocessor({"inputs": [image]})["inputs"].flatten()
        assert torch.allclose(prepared * std + mean, image.flatten(), atol=1e-4)
        mean, std = mean / 255, std / 255
        told["padding"] = {
            "size": preprocessor.size,
            "size_divisor": preprocessor.size_divisor,
            "seg_pad_val": preprocessor.seg_pad_val,
        }
        told["augmentation"] = plain(list(getattr(preprocessor, "augmentations", ())))
    return {
        **told,
        "mean": [round(value, 4) for value in mean.tolist()],
        "std": [round(value, 4) for value in std.tolist()],
    }


# Networks


def _backbone(backbone: nn.Module, all_maps: bool) -> dict:
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        maps = backbone(torch.zeros(2, 3, 64, 64))
    return {
        "convolutions": convolutions(backbone),
        "BN": {(norm.momentum, norm.eps, norm.affine, norm.training) for norm in norms},
        "feature maps of 64 px": [
            tuple(one.shape[1:]) for one in (maps if all_maps else maps[-1:])
        ],
    }


def convolutions(network: nn.Module) -> dict[str, tuple]:
    """Name -> (in, out, kernel, stride, padding, dilation, bias) of square convolutions."""
    found = {}
    for name, conv in network.named_modules():
        if isinstance(conv, nn.Conv2d):
            pairs = (conv.kernel_size, conv.stride, conv.padding, conv.dilation)
            assert all(first == second for first, second in pairs), name
            first = (pair[0] for pair in pairs)
            found[name] = (conv.in_channels, conv.out_channels, *first, conv.bias is not None)
    return found


def _pretrainer(model) -> dict:
    clustering, d2s, p2p = (model.objectives[name] for name in ("clustering", "d2s", "p2p"))
    told = {}
    if "pixpro" in model.objectives:
        told = _pixpro(model.objectives["pixpro"], model.backbone)
    assert list(model.objectives) == ["clustering", "d2s", "p2p", *(["pixpro"] if told else [])]
    return {
        **told,
        "stages of the feature maps": model.stages,
        "weights of losses": model.loss_weights,
        "clustering": _clustering(clustering),
        "D2S stages": d2s.stages,
        "D2S temperature": d2s.temperature,
        "D2S M_K": [layers(part.pixel_projector) for part in d2s.embeddings.values()],
        "D2S M_I": [layers(part.projector) for part in d2s.embeddings.values()],
        "P2P grid": p2p.grid_size,
        "P2P samples": "before M_p" if p2p.sample_first else "after M_p",
        "P2P M_p": layers(p2p.projector),
        "P2P predictor": layers(p2p.predictor),
    }


def _pixpro(pixpro, backbone: nn.Module) -> dict:
    copy_ = pixpro.momentum_encoder
    assert convolutions(copy_.module.backbone) == convolutions(backbone)
    assert layers(copy_.module.projector) == layers(pixpro.projector)
    return {
        "PixPro projector": layers(pixpro.projector),
        "PixPro values": layers(nn.Sequential(pixpro.propagation.value)),
        "PixPro sharpness": pixpro.propagation.sharpness,
        "PixPro distance": pixpro.max_distance,
        "PixPro momentum": (copy_.momentum, copy_.end_momentum),
    }


def _attention_trainer(model) -> dict:
    head = model.attention
    return {
        "attention M_A": layers(head.atten),
        "attention theta": tuple(head.threshold.shape),
        "clustering": _clustering(model.objectives["clustering"]),
    }


def _clustering(clustering: Clustering) -> dict:
    told = {
        name: getattr(clustering, name)
        for name in (
            "epsilon",
            "sinkhorn_iterations",
            "temperature",
            "queue_length",
            "queue_start_epoch",
            "frozen_prototype_iters",
            "num_assigning_crops",
        )
    }
    return {
        **told,
        "projector M_I": layers(clustering.projector),
        "prototypes": layers(nn.Sequential(clustering.prototypes)),
    }


def _segmentor(model) -> dict:
    head = model.decode_head
    loss = head.loss_decode
    with torch.no_grad():
        logits = head(model.extract_feat(torch.zeros(2, 3, 64, 64)))
    return {
        "logits of 64 px": tuple(logits.shape[1:]),
        "head": layers(nn.Sequential(*(part for part in (head.conv_seg, head.dropout) if part))),
        "classes": (head.num_classes, head.out_channels),
        "ignored label": head.ignore_index,
        "loss": (
            type(loss).__name__,
            loss.loss_weight,
            loss.class_weight,
            loss.reduction,
            loss.avg_non_ignore,
        ),
        "corners are aligned": model.align_corners,
        "label stride": model.label_stride,
        "other heads": (model.neck if model.with_neck else None, model.with_auxiliary_head),
    }


_PARTS: dict[str, Callable] = {
    "PASSPretrainer": _pretrainer,
    "PixelAttentionTrainer": _attention_trainer,
    "PassSegmentor": _segmentor,
}


def layers(module: nn.Module) -> list[str]:
    """Layers in words, such as 'Linear 512->128 bias'."""
    return [_layer_in_words(layer) for layer in module]


def _layer_in_words(layer: nn.Module) -> str:
    if isinstance(layer, nn.Linear):
        bias = " bias" if layer.bias is not None else ""
        return f"Linear {layer.in_features}->{layer.out_features}{bias}"
    if isinstance(layer, nn.Conv2d):
        assert layer.kernel_size == layer.stride == (1, 1)
        bias = " bias" if layer.bias is not None else ""
        return f"Conv1x1 {layer.in_channels}->{layer.out_channels}{bias}"
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        assert (layer.momentum, layer.eps) == (0.1, 1e-5)
        return f"BN {layer.num_features}{' affine' if layer.affine else ''}"
    return type(layer).__name__


# Stages that train nothing


def _label_generation(stage, context) -> dict:
    parts, config = stage.test_cfg, stage.runner_config(context)
    filled = {"num_clusters": parts["num_categories"], "seed": config["randomness"]["seed"]}
    generator = LABEL_GENERATORS.build({**filled, **parts["generator"]})
    loaders = config["test_dataloader"]
    embedding, pixels = (loaders[name]["dataset"] for name in ("embedding", "pixels"))
    return {
        "kind": type(stage).__name__,
        "model from": stage.source_of("checkpoint"),
        "k-means": plain(generator, without=("device", "block_elements")),
        "embedder": parts["embedder"]["type"],
        "foreground": dict(parts["foreground"]),
        "label writer": parts["writer"]["type"],
        "threshold": parts["threshold"],
        "unreadable images": pixels["on_unreadable"],
        "attention maps for the report": LabelGenerationLoop.__init__.__kwdefaults__[
            "num_attention_maps"
        ],
        "images at a time": loaders["embedding"]["batch_size"],
        "pipeline of embeddings": _transforms(context.dataset(embedding), context),
        "pipeline of pixels": _transforms(context.dataset(pixels), context),
        **_preprocessor_of(config["model"]["data_preprocessor"]),
    }


def _preprocessor_of(config: Mapping) -> dict:
    return _preprocessor(MODELS.build(dict(config)))


def _protocol(stage, context) -> dict:
    loader = stage.runner_config(context)["test_dataloader"]["validation"]
    return {
        "kind": type(stage).__name__,
        "protocol": type(stage.protocol).__name__,
        "model from": stage.source_of("checkpoint"),
        "pipeline": _transforms(context.dataset(loader["dataset"]), context),
        "boundary metrics": stage.protocol.boundary,
        "images at a time": loader.get("batch_size", 1),
        "results in": stage.report_name,
    }


def _evaluate(stage, context) -> dict:
    protocol = stage.protocol
    matchers = (protocol.matcher, protocol.second_matcher)
    return {
        **_protocol(stage, context),
        "labels from": stage.source_of("protocol.threshold"),
        "matchers": [matcher["type"] for matcher in matchers],
        "given match": protocol.match,
    }


def _distance_matching(stage, context) -> dict:
    model = stage.model_config()
    return {
        **_protocol(stage, context),
        "k": model["k"],
        "temperature": model["temperature"],
        **_preprocessor_of(model["data_preprocessor"]),
    }


def _report(stage, context) -> dict:
    return {"kind": type(stage).__name__, "title": stage.title, "shows": stage.requires}


_OTHERS: dict[str, Callable] = {
    "FullyUnsupervised": _evaluate,
    "SemiSupervised": _protocol,
    "DistanceMatching": _distance_matching,
}


def plain(value, without: Sequence[str] = ()):
    """Objects as (type, public attributes), for comparison with what is written by hand."""
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, str | int | float | bool | type(None)):
        return value
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    attributes = {
        key: plain(entry)
        for key, entry in vars(value).items()
        if not key.startswith("_") and key not in (*without, "training")
    }
    return (type(value).__name__, attributes)
