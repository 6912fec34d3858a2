"""Photos as they are given, and outputs that cannot be named."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luss.apis.photos import GivenPhoto, as_paths, find_given, name_outputs
from luss.errors import LussError


def outputs_of(photo):
    """All files that may be written of a photo."""
    yield from (f"masks/{photo.image_id}.png", f"indexed/{photo.image_id}.png")
    yield from (f"overlays/{photo.image_id}.jpg", f"records/{photo.image_id}.json")
    yield from (f"cutouts/{photo.image_id}/{index}.png" for index in (1, 2))


PARTS = st.sampled_from(["a", "b", "1.png", "a.png", "a.jpg", "a.json", "b.tif"])


@settings(max_examples=300, deadline=None)
@given(st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=8))
def test_no_output_has_the_place_of_another(names):
    # What a file system can hold: no file is a folder.
    folders = {str(parent) for name in names for parent in Path(name).parents}
    photos = [GivenPhoto(f"/{name}", name) for name in sorted(names - folders)]
    named, rejected = name_outputs(photos)
    assert len(named) + len(rejected) == len(photos)
    files = [file for photo in named for file in outputs_of(photo)]
    above = {str(parent) for file in files for parent in Path(file).parents}
    assert len(set(files)) == len(files)
    assert not above.intersection(files)


def test_photos_that_differ_enough_are_all_named():
    photos = [GivenPhoto(f"/{name}", name) for name in ("a.jpg", "a.png", "b/a.jpg", "c.tif")]
    named, rejected = name_outputs(photos)
    assert [photo.image_id for photo in named] == ["a.jpg", "a.png", "b/a", "c"]
    assert rejected == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("n" * 251 + ".jpg", "has 251 bytes, expected at most 250"),
        ("\udce9.jpg", "not UTF-8"),
        ("1.jpg", "folder 1.json"),
    ],
)
def test_a_name_that_outputs_cannot_have_leaves_the_others(name, why):
    others = [GivenPhoto("/x.jpg", "x.jpg"), GivenPhoto("/1.json/x.jpg", "1.json/x.jpg")]
    named, ((photo, reason),) = name_outputs([GivenPhoto(f"/{name}", name), *others])
    assert [each.name for each in named] == ["x.jpg", "1.json/x.jpg"]
    assert photo.name == name
    assert why in reason
    reason.encode()


def test_photos_of_one_name_are_both_rejected():
    photos = [
        GivenPhoto("/a/x.png", "x.png"),
        GivenPhoto("/b/x.png", "x.png"),
        GivenPhoto("/y.png", "y.png"),
    ]
    named, rejected = name_outputs(photos)
    assert [photo.name for photo in named] == ["y.png"]
    assert [reason.split(" and another")[0] for _, reason in rejected] == ["/a/x.png", "/b/x.png"]


def test_a_photo_that_is_given_twice_is_found_once(tmp_path):
    (tmp_path / "x.jpg").touch()
    assert len(find_given([tmp_path / "x.jpg", str(tmp_path / "x.jpg")])) == 1


@pytest.mark.parametrize("given", ["a.jpg", Path("a.jpg"), ["a.jpg"], (Path("a.jpg"),)])
def test_one_path_is_one_photo(given):
    assert as_paths(given) == ["a.jpg"]


def test_a_generator_is_kept():
    assert as_paths(Path(name) for name in ("a", "b")) == ["a", "b"]


@pytest.mark.parametrize("given", [7, [7], None])
def test_other_things_are_rejected(given):
    with pytest.raises(LussError, match="cannot read photos from"):
        as_paths(given)
