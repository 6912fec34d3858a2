"""A small finished run: drawn photos, masks, and what the stages leave in a work dir."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from luss.datasets.imagenet_s import ImageNetS
from luss.datasets.mask_codec import IGNORE_ID, write_mask
from luss.engine.loops import LabelGenerationLoop
from luss.pipeline.work_dir import WorkDir
from luss.stages import FullyUnsupervised
from luss.visualization import build_report

CLASSES = ("<b>bird & co", "cat", "dog")
HEIGHT, WIDTH = 60, 80


@pytest.fixture
def run(tmp_path):
    """Folders of a run over 3 classes, 4 categories; category 4 is left over by the match.

    Category g is matched to class 4 - g. Every photo holds one rectangle of its class.
    """
    rng = np.random.default_rng(0)
    data, work_dir = tmp_path / "data", tmp_path / "work"
    labels = work_dir / "label_generation"
    assignments = []
    for split, number in (("train", 5), ("validation", 2)):
        for category, name in enumerate(CLASSES, 1):
            for index in range(number):
                image_id = f'{name}/it\'s "{index}"'
                photo = data / split / f"{image_id}.png"
                photo.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(photo)
                ids = np.zeros((HEIGHT, WIDTH), np.int64)
                ids[20:40, 20:60] = category
                generated = np.where(ids > 0, 4 - category, 0)
                if split == "train":
                    assignments.append(4 - category - 1)
                    write_mask(labels / f"pseudo_labels/{image_id}.png", generated)
                    continue
                ids[:6] = IGNORE_ID
                write_mask(data / f"validation-segmentation/{image_id}.png", ids)
                generated[50:] = 4
                write_mask(work_dir / f"evaluate/predictions/validation/{image_id}.png", generated)
                attention = labels / f"attention/validation/{image_id}.png"
                attention.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((255 * (ids > 0)).astype(np.uint8)).save(attention)
    np.savez(labels / "centroids.npz", centroids=np.zeros((4, 2)), assignments=assignments)
    curve = {"thresholds": [0.0, 0.25, 0.5], "values": [1.5, 12.5, 3.0], "name": "mIoU, %"}
    write(
        labels / "threshold.json",
        {"threshold": 0.25, "method": "validation mIoU", "curve": curve},
    )
    write(work_dir / "evaluate/match.json", {"0": 0, "1": 3, "2": 2, "3": 1, "4": 0})
    figures = {"mIoU": 12.345, "Img-Acc": 50.0, "F_beta": 61.25, "L": None}
    test = {"mIoU": 11.5, "Img-Acc": 49.0, "F_beta": 60.0, "L": None}
    write(
        work_dir / "results.json",
        {
            "fully_unsupervised": {"val": figures, "test": test},
            "provenance": {"seed": 7, "versions": {"torch": "9.9"}},
        },
    )
    write_scalars(work_dir / "pretrain" / "20250101_000000", [{"loss": 2.0, "step": 10}])
    note_outputs(work_dir)
    return SimpleNamespace(
        data=data,
        work_dir=work_dir,
        labels=labels,
        train=ImageNetS(str(data), "train"),
        validation=ImageNetS(str(data), "validation"),
    )


def note_outputs(work_dir: Path) -> None:
    """Write the ``done.json`` that the stages would have left."""
    (work_dir / "pretrain").mkdir(parents=True, exist_ok=True)
    (work_dir / "pretrain" / "iter_1.pth").touch()
    roles = {
        "pretrain": {"checkpoint": "iter_1.pth"},
        "label_generation": LabelGenerationLoop.roles,
        "evaluate": FullyUnsupervised.roles,
    }
    for stage, outputs in roles.items():
        if (work_dir / stage).is_dir():
            WorkDir(work_dir).mark_done(stage, {"outputs": dict(outputs)})


@pytest.fixture(scope="session")
def build():
    """Build the report of a work dir, from the outputs that its stages noted."""

    def build(work_dir: Path, *arguments, **options) -> Path:
        found = WorkDir(work_dir)
        return build_report(
            work_dir, *arguments, **options, outputs=found.outputs(), trained=found.trained()
        )

    return build


@pytest.fixture(scope="session")
def note():
    return note_outputs


def write(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_scalars(start: Path, records: list[dict], unfinished: str = "") -> None:
    path = start / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + unfinished)


@pytest.fixture
def scalars():
    return write_scalars
