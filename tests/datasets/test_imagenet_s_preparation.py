import hashlib
import stat
import zipfile

import pytest

from luss.datasets.imagenet_s_lists import EXPECTED, MERGED_CATEGORIES, read_lists
from luss.datasets.imagenet_s_preparation import prepare
from luss.errors import LussError

MERGED = "n04356056"
KEPT = MERGED_CATEGORIES[MERGED]
CATEGORIES = sorted(["n01", *MERGED_CATEGORIES.values()])


def write_lists(folder, split):
    """Lists of one labelled image a class, one for validation (moved) and one for test."""
    categories = CATEGORIES if split == 919 else CATEGORIES[:2]
    labelled = [f"{name}/{name}_7" for name in categories]
    if split == 919:
        labelled.append(f"{KEPT}/{MERGED}_7")
    moved = [(f"x{name}/val_1{name}", f"{name}/val_1{name}") for name in categories]
    tested = [(f"{name}/val_2{name}", f"{name}/val_2{name}") for name in categories]
    texts = {
        f"categories/ImageNetS_categories_im{split}.txt": categories,
        f"mapping/ImageNetS_im{split}_mapping_validation.txt": [
            f"{source}.JPEG {target}.JPEG" for source, target in moved
        ],
        f"mapping/ImageNetS_im{split}_mapping_test.txt": [
            f"{source}.JPEG {target}.JPEG" for source, target in tested
        ],
        f"names/ImageNetSemi_im{split}_train.txt": [f"{n}.JPEG {n}.png" for n in labelled],
        f"names/ImageNetS_im{split}_validation.txt": [f"{n}.JPEG {n}.png" for _, n in moved],
    }
    for name, lines in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(lines))


def name_by_md5(path, split):
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    return path.rename(path.with_name(f"ImageNetS{split}-{md5}.zip"))


def mask_of(name):
    """The beginning of a PNG of one pixel, and a text."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2" + name.encode()


def write_archive(folder, split, entries=()):
    lists = read_lists(folder / "lists", split)
    path = folder / "masks.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for part, masks in lists.masks.items():
            for mask in masks:
                archive.writestr(f"ImageNetS{split}/{part}-segmentation/{mask}", mask_of(mask))
        archive.writestr("__MACOSX/ImageNetS50/validation-segmentation/n01/._a.png", "junk")
        for entry in entries:
            archive.writestr(entry, "bad")
    return name_by_md5(path, split)


@pytest.fixture(params=["flat", "folders"])
def imagenet(request, tmp_path):
    """ImageNet-1k of few classes, two photos each, its val flat or in folders; and the lists.

    A folder that a system adds is no class.
    """
    stray = tmp_path / "imagenet" / "train" / "@eaDir" / "thumbnail.JPEG"
    stray.parent.mkdir(parents=True)
    stray.write_text("stray")
    for split in (50, 919):
        write_lists(tmp_path / "lists", split)
    for name in {*CATEGORIES, *MERGED_CATEGORIES, "n99"}:
        for index in (7, 8):
            photo = tmp_path / "imagenet" / "train" / name / f"{name}_{index}.JPEG"
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_text(f"train {photo.name}")
    for name in CATEGORIES:
        for index, folder in ((1, f"x{name}"), (2, name)):
            photo = tmp_path / "imagenet" / "val" / f"val_{index}{name}.JPEG"
            if request.param == "folders":
                photo = photo.parent / folder / photo.name
            photo.parent.mkdir(parents=True, exist_ok=True)
            photo.write_text(f"val {photo.name}")
    return tmp_path


def tree(root):
    """Path -> content of every file, through links."""
    return {
        str(path.relative_to(root)): path.read_bytes().decode("latin-1")
        for path in [*root.rglob("*"), *root.glob("train*/*/*")]
        if path.is_file()
    }


def build(folder, splits=(919,), archives=(), **options):
    return prepare(
        folder / "imagenet", folder / "lists", archives, folder / "out", splits, **options
    )


@pytest.mark.parametrize("copy", [False, True])
def test_every_photo_and_mask_finds_its_place(imagenet, copy):
    archive = write_archive(imagenet, 919)
    [report] = build(imagenet, archives=[archive], copy=copy)
    assert not report.missing
    files = tree(imagenet / "out" / "ImageNetS919")
    for name in CATEGORIES:
        assert files[f"train/{name}/{name}_8.JPEG"] == f"train {name}_8.JPEG"
        assert files[f"validation/{name}/val_1{name}.JPEG"] == f"val val_1{name}.JPEG"
        assert files[f"test/{name}/val_2{name}.JPEG"] == f"val val_2{name}.JPEG"
        mask = f"{name}/val_1{name}.png"
        assert files[f"validation-segmentation/{mask}"] == mask_of(mask).decode("latin-1")
    for source, target in MERGED_CATEGORIES.items():
        assert files[f"train/{target}/{source}_8.JPEG"] == f"train {source}_8.JPEG"
        assert f"train/{source}/{source}_8.JPEG" not in files
        assert files[f"train-full/{source}/{source}_8.JPEG"] == f"train {source}_8.JPEG"
    assert files[f"train-semi/{KEPT}/{MERGED}_7.JPEG"] == f"train {MERGED}_7.JPEG"
    assert files[f"train-semi-segmentation/{KEPT}/{MERGED}_7.png"]
    assert "train-full/n99/n99_7.JPEG" in files
    count = len(CATEGORIES)
    assert {part: found for part, (found, _) in report.counts.items()} == {
        "train": 2 * (count + len(MERGED_CATEGORIES)),
        "train-full": 2 * (count + len(MERGED_CATEGORIES) + 1),
        "train-semi": count + 1,
        "validation": count,
        "test": count,
        "train-semi-segmentation": count + 1,
        "validation-segmentation": count,
    }
    links = [path for path in (imagenet / "out").rglob("*") if path.is_symlink()]
    assert bool(links) is not copy


def test_hidden_files_are_no_photos(imagenet):
    (imagenet / "imagenet" / "train" / KEPT / f"._{KEPT}_7.JPEG").write_text("stray")
    for copy in (False, True):
        [report] = build(imagenet, copy=copy)
        assert report.counts["train"][0] == 2 * len({*CATEGORIES, *MERGED_CATEGORIES})
    assert not list((imagenet / "out" / "ImageNetS919" / "train" / KEPT).glob(".*"))


def test_fewer_classes_are_neither_merged_nor_full(imagenet):
    [report] = build(imagenet, (50,))
    assert set(report.counts) >= {"train", "test"}
    assert "train-full" not in report.counts
    files = tree(imagenet / "out" / "ImageNetS50")
    assert {name.split("/")[1] for name in files if name.startswith("train/")} == set(
        CATEGORIES[:2]
    )


def test_running_again_changes_nothing_and_mends_what_is_broken(imagenet):
    archive = write_archive(imagenet, 919)
    build(imagenet, archives=[archive])
    root = imagenet / "out" / "ImageNetS919"
    before = tree(root)
    stamps = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    build(imagenet, archives=[archive])
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == stamps
    mask = next(root.glob("validation-segmentation/*/*.png"))
    mask.write_text("x" * mask.stat().st_size)
    link = next(root.glob("validation/*/*"))
    link.unlink()
    link.symlink_to(imagenet / "nowhere")
    build(imagenet, archives=[archive])
    assert tree(root) == before


def test_links_may_become_copies_and_copies_stay(imagenet):
    root = imagenet / "out" / "ImageNetS919"
    build(imagenet)
    before = tree(root)
    for copy in (True, False):
        build(imagenet, copy=copy)
        assert tree(root) == before
        assert not [path for path in root.rglob("*") if path.is_symlink()]


def test_what_is_missing_is_named(imagenet):
    for photo in imagenet.glob("imagenet/val/**/val_1n01.JPEG"):
        photo.unlink()
    for photo in imagenet.glob("imagenet/train/n01/*"):
        photo.unlink()
    (imagenet / "imagenet" / "train" / "n01").rmdir()
    [report] = build(imagenet, (50,))
    text = str(report)
    assert not report.is_complete
    assert "1 missing class folders of ImageNet's train:\n  n01\n" in text
    assert "1 missing photos of validation:\n  val_1n01.JPEG (for n01/val_1n01.JPEG)" in text
    assert "2 missing masks of validation:" in text
    assert report.counts["validation"] == (1, 752)
    assert report.counts["train"] == (2, 64431)


def test_a_zip_is_checked_against_its_name(imagenet):
    archive = write_archive(imagenet, 50)
    with archive.open("ab") as file:
        file.write(b"changed")
    with pytest.raises(LussError, match="md5"):
        build(imagenet, (50,), [archive])
    with pytest.raises(LussError, match="no md5"):
        build(imagenet, (50,), [archive.rename(imagenet / "masks.zip")])
    with pytest.raises(LussError, match="annotations is missing"):
        build(imagenet, (50,), [imagenet / "absent.zip"])
    broken = imagenet / "broken.zip"
    broken.write_bytes(b"PK no zip")
    with pytest.raises(LussError, match="damaged"):
        build(imagenet, (50,), [name_by_md5(broken, 50)])
    assert not (imagenet / "out").exists()


@pytest.mark.parametrize(
    "entry", ["../evil.png", "ImageNetS50/../../evil.png", "/tmp/evil.png", "C:\\evil.png", "link"]
)
def test_a_zip_that_leaves_its_folder_is_refused(imagenet, entry):
    if entry == "link":
        entry = zipfile.ZipInfo("ImageNetS50/validation-segmentation/n01")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = write_archive(imagenet, 50, [entry])
    with pytest.raises(LussError, match="leaves the target folder"):
        build(imagenet, (50,), [archive])
    assert not (imagenet / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no PNG", "not a PNG"),
        (b"\0" * 3_000_000, "over 100 times"),
        (mask_of("")[:16] + b"\0\0\x9c\x40" * 2 + b"\x08\2", "declares 40000 x 40000 pixels"),
    ],
)
def test_masks_of_a_zip_that_are_none_are_refused(imagenet, content, message):
    path = imagenet / "bad.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ImageNetS50/validation-segmentation/n01/a.png", mask_of("a"))
        archive.writestr("ImageNetS50/validation-segmentation/n01/b.png", content)
    with pytest.raises(LussError, match=message):
        build(imagenet, (50,), [name_by_md5(path, 50)])
    assert not (imagenet / "out").exists()


def test_an_encrypted_zip_is_refused(imagenet):
    archive = write_archive(imagenet, 50)
    content = bytearray(archive.read_bytes())
    for at in (content.index(b"PK\1\2") + 8, 6):
        content[at] |= 1
    archive.write_bytes(content)
    with pytest.raises(LussError, match="is encrypted"):
        build(imagenet, (50,), [name_by_md5(archive, 50)])


def test_planted_links_are_not_followed(imagenet):
    """Neither of a mask nor of a photo that is unpacked or copied."""
    root, victim = imagenet / "out" / "ImageNetS50", imagenet / "victim"
    victim.write_text("mine")
    archive = write_archive(imagenet, 50)
    lists = read_lists(imagenet / "lists", 50)
    places = [root / "validation-segmentation" / mask for mask in lists.masks["validation"]]
    places += [root / "test" / image for _, image in lists.test]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.with_name(f".{place.name}.part").symlink_to(victim)
    build(imagenet, (50,), [archive], copy=True)
    assert victim.read_text() == "mine"
    assert all(place.is_file() and not place.is_symlink() for place in places)


def test_a_zip_of_another_split_is_refused(imagenet):
    archive = write_archive(imagenet, 919)
    with pytest.raises(LussError, match="no masks of ImageNetS50"):
        build(imagenet, (50,), [archive])


def test_missing_or_odd_lists_are_named(imagenet):
    with pytest.raises(LussError, match=r"im300.* is missing"):
        build(imagenet, (300,))
    path = imagenet / "lists" / "mapping" / "ImageNetS_im50_mapping_test.txt"
    path.write_text("n01/a.JPEG ../../a.JPEG")
    with pytest.raises(LussError, match="line 1"):
        build(imagenet, (50,))
    with pytest.raises(LussError, match="unknown splits"):
        build(imagenet, (7,))
    with pytest.raises(LussError, match=r"train is missing"):
        prepare(imagenet, imagenet / "lists", [], imagenet / "out")


def test_lists_are_found_inside_the_toolbox(imagenet):
    (imagenet / "toolbox").mkdir()
    (imagenet / "lists").rename(imagenet / "toolbox" / "data")
    assert read_lists(imagenet / "toolbox", 50).categories == CATEGORIES[:2]


def test_expected_numbers_are_those_of_table_1():
    assert {split: (e.train, e.validation, e.test) for split, e in EXPECTED.items()} == {
        50: (64_431, 752, 1_682),
        300: (384_862, 4_097, 9_088),
        919: (1_183_322, 12_419, 27_423),
    }
