import json
import logging
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from luss.datasets import PhotoFolder
from luss.datasets.photo_folder import image_ids
from luss.datasets.transforms import LoadRGBImage
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
    with pytest.raises(LussError, match=r"\.bmp, .*\.jpg, .*\.webp"):
        PhotoFolder(str(tmp_path))
    with pytest.raises(LussError, match="absent is missing"):
        PhotoFolder(str(tmp_path / "absent"))


@pytest.fixture
def said(monkeypatch):
    """What listing logs, as (level, message)."""
    lines = []
    monkeypatch.setattr(
        "luss.datasets.photo_listing.print_log",
        lambda message, logger, level: lines.append((level, message)),
    )
    return lines


def test_ids_stay_apart_where_names_nearly_coincide(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ["A.jpg", "A.png", "A.jpg.png", "deep/A.jpg", "deep/A.jpg.png"]:
        (tmp_path / name).touch()
    assert ids(tmp_path) == ["A.jpg", "A.jpg.png", "A.png", "deep/A", "deep/A.jpg.png"]


def test_a_mask_is_not_called_as_a_folder(tmp_path):
    (tmp_path / "A.png").mkdir()
    for name in ["A.jpg", "A.png/x.jpg"]:
        (tmp_path / name).touch()
    assert ids(tmp_path) == ["A.jpg", "A.png/x"]
    (tmp_path / "A.jpg.png").mkdir()
    (tmp_path / "A.jpg.png" / "x.jpg").touch()
    with pytest.raises(LussError, match=r"A\.jpg would .* folder A\.jpg\.png"):
        PhotoFolder(str(tmp_path))


names = st.lists(st.sampled_from(["a", "b", ".jpg", ".png"]), min_size=1, max_size=3).map("".join)


@given(st.sets(st.tuples(st.sampled_from(["", "d/", "a/"]), names), max_size=12))
def test_no_two_ids_are_alike(parts):
    photos = [f"{folder}{name}.jpg" for folder, name in parts]
    assert len(set(image_ids(photos))) == len(photos)


def test_names_that_no_mask_can_have_are_refused(tmp_path):
    (tmp_path / ("n" * 251 + ".jpg")).touch()
    assert ids(tmp_path) == ["n" * 251]
    (tmp_path / ("n" * 251 + ".png")).touch()
    with pytest.raises(LussError, match=r"2 photos .* exceed 255 bytes: nnn"):
        PhotoFolder(str(tmp_path))


def test_names_that_are_not_utf8_are_refused(tmp_path):
    for name in (b"a\xff.jpg", b"\xe9t\xe9/b.jpg", b"\xff.txt"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    with pytest.raises(LussError, match=r"2 photos .* not UTF-8") as error:
        PhotoFolder(str(tmp_path))
    assert r"a\xff.jpg, \xe9t\xe9/b.jpg" in str(error.value)


def test_what_is_found_and_left_out_is_said_once(tmp_path, write_image, said, png_header):
    for name in ["a.jpg", "b.JPG", "c.tiff", "d.gif", "e.jfif"]:
        write_image(tmp_path / name)
    for name in ["f.heic", "g.HEIC", "h.cr2", "notes.txt", "Thumbs.db", ".hidden.jpg"]:
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "poster.png").write_bytes(png_header(13_000, 13_000))
    assert ids(tmp_path) == ["a", "b", "c", "d", "e"]
    PhotoFolder(str(tmp_path))
    [(level, found), (warning, left_out)] = said
    assert (level, warning) == (logging.INFO, logging.WARNING)
    assert "5 photos (2 .jpg, 1 .gif, 1 .jfif, 1 .tiff); 1 other file (1 .txt)" in found
    assert "3 photos (2 .heic, 1 .cr2)" in left_out
    assert "2 that are not regular files" in left_out
    assert "link.jpg, pipe.jpg" in left_out
    assert "1 of more than 100 megapixels (make them smaller): poster.png" in left_out


def test_hidden_and_system_folders_are_passed_over(tmp_path, write_image):
    for folder in ["__MACOSX", "@eaDir", ".thumbnails", "a/@eaDir", "a"]:
        write_image(tmp_path / folder / "x.jpg")
    assert ids(tmp_path) == ["a/x"]


def make_work_dir(folder):
    folder.mkdir(parents=True)
    (folder / "pipeline.json").write_text(json.dumps({"config_hash": "0", "config": {}}))


def test_runs_are_no_photos(tmp_path, write_image, said):
    write_image(tmp_path / "a.jpg")
    make_work_dir(tmp_path / "runs" / "first")
    write_image(tmp_path / "runs" / "first" / "report" / "gallery" / "00001.jpg")
    assert ids(tmp_path) == ["a"]
    assert "skipped: runs/first" in said[0][1]
    # The data themselves may lie in a run, as the demo's do.
    write_image(tmp_path / "runs" / "first" / "data" / "b.jpg")
    assert ids(tmp_path / "runs" / "first" / "data") == ["b"]
    with pytest.raises(LussError, match=f"{tmp_path}/runs/first contains outputs"):
        PhotoFolder(str(tmp_path / "runs" / "first"))


def test_another_programs_pipeline_is_no_run(tmp_path, write_image):
    write_image(tmp_path / "a" / "x.jpg")
    (tmp_path / "a" / "pipeline.json").write_text('{"jobs": []}')
    assert ids(tmp_path) == ["a/x"]


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, write_image, monkeypatch):
    write_image(tmp_path / "a" / "x.jpg")
    scan = os.scandir

    def scan_all_but_one(path):
        if os.fspath(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scan_all_but_one)
    with pytest.raises(LussError, match=f"cannot list the folder {tmp_path}/a: Permission denied"):
        PhotoFolder(str(tmp_path))


def test_photos_are_turned_upright(tmp_path):
    stored = np.zeros((4, 6, 3), np.uint8)
    stored[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    item = PhotoFolder(str(tmp_path), pipeline=[LoadRGBImage()])[0]
    assert item["ori_shape"] == item["img"].shape[:2] == (6, 4)
    # A quarter to the right: the first row has become the last column.
    np.testing.assert_array_equal(item["img"], np.rot90(stored, -1))
