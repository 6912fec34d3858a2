"""Feature maps of photos in files: written photo by photo, read by memory mapping."""

import copy
import json
import pickle

import numpy as np
import pytest

from luss.datasets.feature_files import FeatureFolder, FeatureWriter
from luss.datasets.image_io import UnreadableImageError
from luss.errors import LussError

SIZES = {"b/2": (3, 2), "b/10": (1, 4), "ä": (2, 2)}


def maps_of(image_id, height, width):
    """Two maps, of 5 channels and of 3 at twice the resolution; values differ between photos."""
    rng = np.random.default_rng(len(image_id) + 10 * height)
    shapes = (3, 2 * height, 2 * width), (5, height, width)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def write(folder, photos=SIZES, dtype="float32", unreadable=(), finish=True):
    folder.mkdir(parents=True, exist_ok=True)
    with FeatureWriter(folder, dtype, [16, 32]) as writer:
        for image_id, (height, width) in photos.items():
            sizes = (40 * height, 40 * width), (32 * height, 32 * width)
            writer.add(image_id, maps_of(image_id, height, width), *sizes)
        writer.add_unreadable(unreadable)
        if finish:
            writer.finish()
    return folder


def require_equal(folder, photos=SIZES, dtype="float32"):
    found = FeatureFolder(folder)
    assert len(found) == len(photos)
    for image_id, (height, width) in photos.items():
        entry = found.read(image_id)
        assert (entry.photo, entry.image) == (
            (40 * height, 40 * width),
            (32 * height, 32 * width),
        )
        expected = maps_of(image_id, height, width)
        for values, wanted in zip(entry.maps, expected, strict=True):
            assert isinstance(values, np.memmap) and values.dtype == dtype
            np.testing.assert_array_equal(values.transpose(2, 0, 1), wanted.astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_written_is_read(tmp_path, dtype):
    found = FeatureFolder(write(tmp_path, dtype=dtype))
    require_equal(tmp_path, dtype=dtype)
    assert found.ids == ["b/10", "b/2", "ä"]
    assert (found.channels, found.strides, found.dtype) == ([3, 5], [16, 32], dtype)
    # Any program that reads .npy finds the cells in the order of writing.
    cells = np.load(tmp_path / "map_1.npy")
    assert cells.shape == (6 + 4 + 4, 5)
    expected = maps_of("b/10", 1, 4)[1].reshape(5, 4).T
    np.testing.assert_array_equal(cells[6:10], expected.astype(dtype))


def test_copies_do_not_contain_the_files(tmp_path):
    found = FeatureFolder(write(tmp_path))
    found.read("ä")
    for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert vars(other) == {"folder": tmp_path}
        np.testing.assert_array_equal(other.read("ä").maps[0], found.read("ä").maps[0])


def test_parts_make_one_folder(tmp_path):
    names = list(SIZES)
    write(tmp_path / "first", {names[0]: SIZES[names[0]]}, unreadable=["x"])
    write(tmp_path / "none", {}, unreadable=["y"])
    write(tmp_path / "second", {name: SIZES[name] for name in names[1:]})
    (tmp_path / "all").mkdir()
    with FeatureWriter(tmp_path / "all", "float32", [16, 32]) as writer:
        for name in ("first", "none", "second"):
            writer.append(tmp_path / name)
        writer.finish()
    require_equal(tmp_path / "all")
    write(tmp_path / "at_once", unreadable=["y", "x"])
    for path in sorted((tmp_path / "at_once").iterdir()):
        assert (tmp_path / "all" / path.name).read_bytes() == path.read_bytes()
    write(tmp_path / "other", {"z": (1, 1)})
    summary = json.loads((tmp_path / "other" / "features.json").read_text())
    summary["maps"][0]["stride"] = 8
    (tmp_path / "other" / "features.json").write_text(json.dumps(summary))
    with (
        FeatureWriter(tmp_path / "first", "float32", [16, 32]) as writer,
        pytest.raises(LussError, match=r"\[8, 32\]"),
    ):
        writer.append(tmp_path / "other")


def test_folders_are_complete_at_the_end_only(tmp_path):
    write(tmp_path, finish=False)
    assert not FeatureFolder(tmp_path).is_complete
    with pytest.raises(LussError, match=r"features\.json is missing"):
        FeatureFolder(tmp_path).read("ä")
    write(tmp_path)
    require_equal(tmp_path)
    # From the start, a second writer invalidates what the first one wrote.
    write(tmp_path, finish=False)
    assert not FeatureFolder(tmp_path).is_complete


def test_photos_without_features(tmp_path):
    found = FeatureFolder(write(tmp_path, unreadable=["broken"]))
    with pytest.raises(UnreadableImageError, match="broken"):
        found.read("broken")
    with pytest.raises(LussError, match="new has no features") as caught:
        found.read("new")
    assert not isinstance(caught.value, UnreadableImageError)


def test_values_must_be_finite(tmp_path):
    maps = maps_of("a", 1, 1)
    maps[1][2] = 1e5
    with FeatureWriter(tmp_path, "float16", [16, 32]) as writer:
        with pytest.raises(LussError, match="precision='single'"):
            writer.add("a", maps, (1, 1), (1, 1))
        maps[1][2] = np.nan
        with pytest.raises(LussError, match="map 1 of the photo a contains NaN"):
            writer.add("a", maps, (1, 1), (1, 1))


@pytest.mark.parametrize("photos", [SIZES, {}])
def test_a_full_disk_is_reported_with_its_file(tmp_path, photos):
    # At once, or at the end, when buffers are written.
    (tmp_path / "map_1.npy").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left.*map_1\.npy"):
        write(tmp_path, photos)
    assert not FeatureFolder(tmp_path).is_complete


def test_photos_must_fit_each_other(tmp_path):
    with FeatureWriter(tmp_path, "float32", [16, 32]) as writer:
        writer.add("a", maps_of("a", 1, 1), (1, 1), (1, 1))
        with pytest.raises(LussError, match=r"\[5, 3\] channels, expected \[3, 5\]"):
            writer.add("b", maps_of("b", 1, 1)[::-1], (1, 1), (1, 1))
        writer.add("a", maps_of("a", 1, 1), (1, 1), (1, 1))
        with pytest.raises(LussError, match="photo a was added"):
            writer.finish()


def cut(path):
    path.write_bytes(path.read_bytes()[:-4])


def replace_array(path):
    np.save(path, np.zeros((4, 3), np.float32))


def pickled(path):
    np.save(path, np.array([{}]), allow_pickle=True)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("map_0.npy", cut, r"map_0\.npy"),
        ("map_1.npy", replace_array, r"\(4, 3\) of float32, expected \(14, 5\)"),
        ("map_1.npy", pickled, r"map_1\.npy"),
        ("map_1.npy", lambda path: path.unlink(), r"map_1\.npy"),
        ("photos.npy", cut, r"photos\.npy"),
        ("photos.npy", replace_array, r"photos\.npy has \(4, 3\)"),
        ("features.json", cut, r"features\.json"),
        ("features.json", lambda path: path.write_text('{"format": 2}'), "format.*2"),
    ],
)
def test_damage_is_reported(tmp_path, file, damage, message):
    damage(write(tmp_path) / file)
    with pytest.raises(LussError, match=message) as caught:
        FeatureFolder(tmp_path).read("ä")
    assert str(tmp_path) in str(caught.value)


def test_rows_outside_the_file_are_reported(tmp_path):
    write(tmp_path)
    photos = np.load(tmp_path / "photos.npy")
    photos["first"][-1] += 3
    np.save(tmp_path / "photos.npy", photos)
    with pytest.raises(LussError, match=r"places cells of the photo ä at \d+ to \d+ of 56"):
        FeatureFolder(tmp_path).read("ä")
