import os

import pytest

from luss.datasets import PhotoFolder
from luss.errors import LussError


def ids(root):
    dataset = PhotoFolder(str(root))
    return [dataset.get_data_info(index)["image_id"] for index in range(len(dataset))]


def test_photos_are_found_flat_and_nested_in_any_case(tmp_path, write_image):
    for name in ["b.JPG", "a.jpeg", "deep/er/c.png", "deep/d.Bmp", "e.webp"]:
        write_image(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden.jpg").touch()
    assert ids(tmp_path) == ["a", "b", "deep/d", "deep/er/c", "e"]
    path = PhotoFolder(str(tmp_path)).get_data_info(3)["img_path"]
    assert path == f"{tmp_path}/deep/er/c.png"


def test_photos_that_differ_in_their_suffix_keep_it(tmp_path):
    for name in ["a.jpg", "a.png", "b.jpg"]:
        (tmp_path / name).touch()
    assert ids(tmp_path) == ["a.jpg", "a.png", "b"]


def test_links_are_followed_but_not_in_circles(tmp_path, write_image):
    write_image(tmp_path / "elsewhere" / "x.jpg")
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    (root / "y.jpg").symlink_to(tmp_path / "elsewhere" / "x.jpg")
    assert ids(root) == ["link/x", "y"]
    assert os.path.realpath(PhotoFolder(str(root)).get_data_info(1)["img_path"]).endswith("x.jpg")


def test_no_photos_is_an_error(tmp_path):
    (tmp_path / "film.mp4").touch()
    with pytest.raises(LussError, match=r"\.bmp, \.jpeg, \.jpg, \.png, \.webp"):
        PhotoFolder(str(tmp_path))
    with pytest.raises(LussError, match="there is no folder"):
        PhotoFolder(str(tmp_path / "absent"))
