"""Pixels vote with the temperature that the stage is told."""

import numpy as np
import plain_distance_matching as plain
from mmengine.registry import init_default_scope
from tiny_networks import CLASSES, DISTANCE_MATCHING, NARROW

from luss.engine.foreign_weights import build_backbone
from luss.evaluation.distance_bank import DistanceBank
from luss.pipeline import evaluate


def test_votes_have_the_temperature_asked(make_context, demo_root, random_backbone):
    init_default_scope("luss")
    backbone = build_backbone(dict(NARROW), random_backbone, 0)
    photos = sorted((demo_root / "validation").rglob("*.*"))[:6]
    features = [plain.feature_map(backbone, photo, 40) for photo in photos]
    maps = {}
    for temperature in (0.01, 5.0):
        model = {**DISTANCE_MATCHING["model"], "temperature": temperature}
        stage = {**DISTANCE_MATCHING, "model": model}
        context = make_context(
            {"distance_matching": stage}, str(temperature), weights=str(random_backbone)
        )
        evaluate(context, "distance_matching")
        folder = context.work_dir.stage("distance_matching")
        bank = DistanceBank.read(folder / "bank.npz")
        unit = bank.vectors / np.linalg.norm(bank.vectors, axis=1, keepdims=True)
        maps[temperature] = []
        for photo, of_photo in zip(photos, features, strict=True):
            mask = folder / "predictions/validation" / photo.parent.name / f"{photo.stem}.png"
            found = plain.read_mask(mask)
            expected = plain.label_map(
                of_photo, unit, bank.labels, CLASSES + 1, k=5, temperature=temperature
            )
            assert (found == plain.resized(expected, *found.shape)).mean() > 0.999
            maps[temperature].append(found)
    changed = [(a != b).mean() for a, b in zip(*maps.values(), strict=True)]
    assert np.mean(changed) > 0.01
