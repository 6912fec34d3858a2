import json
import re

import numpy as np
import pytest

from luss.errors import LussError
from luss.visualization.sources import (
    read_clustering,
    read_embeddings,
    read_object,
    read_threshold,
)


@pytest.mark.parametrize("content", ["{", "[1]", "", "\x00"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(LussError, match=r"results\.json"):
        read_object(path)


@pytest.mark.parametrize(
    "content",
    [
        {"method": "Otsu"},
        {"threshold": "high", "method": "Otsu"},
        {"threshold": 0.1, "method": "Otsu", "curve": [1]},
        {"threshold": 0.1, "method": "Otsu", "curve": {"thresholds": [0.1], "values": []}},
    ],
)
def test_a_threshold_file_that_does_not_fit_is_named(tmp_path, content):
    path = tmp_path / "threshold.json"
    path.write_text(json.dumps(content))
    with pytest.raises(LussError, match=r"threshold\.json"):
        read_threshold(path)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"centroids": np.zeros((2, 3))}, "cannot read"),
        ({"centroids": np.zeros((2, 3)), "assignments": np.array([0, 1])}, "assigns 2 images"),
        ({"centroids": np.zeros((2, 3)), "assignments": np.array([0, 1, 2])}, r"to 0\.\.2"),
        ({"centroids": np.array([None]), "assignments": np.zeros(3, int)}, "cannot read"),
        ({"centroids": np.zeros(2), "assignments": np.zeros(3, int)}, r"float64 \(2,\)"),
        ({"centroids": np.zeros((2, 3)), "assignments": np.zeros(3)}, r"assignments float64"),
    ],
)
def test_a_clustering_that_does_not_fit_is_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "centroids.npz", **arrays)
    with pytest.raises(LussError, match=said):
        read_clustering(tmp_path / "centroids.npz", 3)


def test_a_clustering_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "centroids.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(LussError, match=r"centroids\.npz"):
        read_clustering(tmp_path / "centroids.npz", 3)


def test_embeddings_that_belong_to_other_photos_are_rejected(tmp_path):
    path = tmp_path / "embeddings.npy"
    for shape in ((4, 3), (4, 2, 3)):
        np.save(path, np.zeros(shape, np.float32))
        assert read_embeddings(path, 4, 3).shape == shape
    for array in (np.zeros((5, 3)), np.zeros((4, 2)), np.zeros(()), np.zeros((4, 3), int)):
        np.save(path, array)
        said = re.escape(
            f"embeddings.npy contains {array.dtype} {array.shape}, expected floats (4, 3)"
        )
        with pytest.raises(LussError, match=f"{said}.*--resume"):
            read_embeddings(path, 4, 3)
    path.unlink()
    with pytest.raises(LussError, match=r"cannot read .*embeddings\.npy.*--resume"):
        read_embeddings(path, 4, 3)


def test_what_is_absent_is_none(tmp_path):
    assert read_object(tmp_path / "a") is None
    assert read_threshold(tmp_path / "a") is None
    assert read_clustering(tmp_path / "a", 3) is None
