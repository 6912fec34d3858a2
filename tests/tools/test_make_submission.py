"""The zip for the online server: what is written is accepted, what is wrong is explained."""

import io
import json
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image
from processes import run_command

from luss.datasets.mask_codec import decode_mask, encode_mask, write_mask
from luss.errors import LussError
from luss.evaluation.matching import write_match
from luss.evaluation.submission import Method, check_submission, write_submission

METHOD = Method("A method", "ImageNet-S-300", "SSL", "ResNet-50", "https://example.org", "Plain.")
CLASSES = 300


@pytest.fixture
def folders(tmp_path):
    """Predictions of three encodings, and the photos they belong to."""
    generator = np.random.default_rng(0)
    masks = {}
    for n in range(3):
        name, ids = f"n0{n}/test_{n}", generator.integers(0, CLASSES + 1, (8 + n, 9))
        masks[name] = ids
        (tmp_path / "pred" / f"n0{n}").mkdir(parents=True)
        (tmp_path / "test" / f"n0{n}").mkdir(parents=True)
        Image.new("RGB", ids.shape[::-1]).save(tmp_path / "test" / f"{name}.JPEG", "JPEG")
        path = tmp_path / "pred" / f"{name}.png"
        if n == 0:
            write_mask(path, ids)
        elif n == 1:
            cv2.imwrite(str(path), ids.astype(np.uint16))
        else:
            np.save(path.with_suffix(".npy"), ids)
    return tmp_path / "pred", tmp_path / "test", masks


def rewrite(path, changes):
    """Write a zip anew with entries replaced, or left out where the change is None."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content.update(changes)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            if data is not None:
                archive.writestr(name, data)


def png(array):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def test_layout_and_encoding(folders, tmp_path):
    pred, photos, masks = folders
    out = tmp_path / "submission.zip"
    assert write_submission(out, pred, METHOD, CLASSES, images=photos) == 3
    assert check_submission(out, CLASSES, photos) == 3
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == ["method.txt", *(f"{name}.png" for name in masks)]
        for name, ids in masks.items():
            image = Image.open(io.BytesIO(archive.read(f"{name}.png")))
            assert image.mode == "RGB"
            np.testing.assert_array_equal(decode_mask(np.asarray(image)), ids)
        assert archive.read("method.txt").decode().splitlines() == [
            "Method name: A method",
            "Training data: ImageNet-S-300",
            "Training scheme: SSL",
            "Networks: ResNet-50",
            "Paper/Project link: https://example.org",
            "Method description: Plain.",
        ]


def test_with_a_match(folders, tmp_path):
    pred, photos, _ = folders
    write_match(tmp_path / "match.json", np.arange(CLASSES + 1))
    out = tmp_path / "submission.zip"
    write_submission(out, pred, METHOD, CLASSES, tmp_path / "match.json", photos)
    assert check_submission(out, CLASSES, photos) == 3
    with zipfile.ZipFile(out) as archive:
        assert json.loads(archive.read("match.json"))["0"] == 0
    write_match(tmp_path / "short.json", np.arange(3))
    with pytest.raises(LussError, match=r"3 predictions with ids outside 0\.\.2"):
        write_submission(out, pred, METHOD, CLASSES, tmp_path / "short.json")


def test_predictions_that_make_no_submission(folders, tmp_path):
    pred, photos, _ = folders
    out = tmp_path / "submission.zip"
    with pytest.raises(LussError, match=r"3 predictions with ids outside 0\.\.50"):
        write_submission(out, pred, METHOD, 50)
    write_mask(pred / "n00" / "test_0.png", np.zeros((2, 3), int))
    with pytest.raises(LussError, match=r"test_0\.png: 2x3 instead of 8x9"):
        write_submission(out, pred, METHOD, CLASSES, images=photos)
    (pred / "n01" / "test_1.png").rename(pred / "n01" / "other.png")
    with pytest.raises(LussError) as error:
        write_submission(out, pred, METHOD, CLASSES, images=photos)
    assert "1 missing predictions:\n  n01/test_1.png" in str(error.value)
    assert "1 extra predictions, without a photo:\n  n01/other.png" in str(error.value)
    (pred / "n00" / "test_0.png").write_bytes(b"")
    with pytest.raises(LussError, match="1 unreadable predictions"):
        write_submission(out, pred, METHOD, CLASSES)
    write_mask(pred / "flat.png", np.zeros((2, 3), int))
    with pytest.raises(LussError, match="not <wnid>/<image>"):
        write_submission(out, pred, METHOD, CLASSES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(LussError, match="no predictions"):
        write_submission(out, tmp_path / "empty", METHOD, CLASSES)
    assert not out.exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method.txt": None}, "method.txt, a description"),
        ({"method.txt": "Method name: x\n"}, "no line 'Networks: ...'"),
        ({"method.txt": METHOD.text().replace("SSL", "none")}, "Training scheme 'none'"),
        ({"match.json": "{}"}, "faults in match.json"),
        ({"match.json": '{"0": 1}'}, "(0) to 1. Expected 0"),
        ({"match.json": '{"1": 1, "1": 2}'}, "occurs twice"),
        ({"match.json": b"0" * (1 << 25)}, "match.json unpacks to 33,554,432 bytes"),
        ({"method.txt": b"0" * (1 << 25)}, "method.txt unpacks to 33,554,432 bytes"),
        ({"n00/test_0.png": b"0" * (1 << 27)}, "test_0.png unpacks to 134,217,728 bytes"),
        ({"n00/test_0.png": None}, "1 missing predictions:\n  n00/test_0.png"),
        ({"n00/more.png": png(np.zeros((2, 2, 3), np.uint8))}, "1 extra predictions"),
        ({"submission/n00/test_0.png": b""}, "not the folder"),
        ({"readme.md": ""}, "unexpected files"),
        ({"n00/test_0.png": b"no PNG"}, "not 8-bit RGB PNG"),
        ({"n00/test_0.png": png(np.zeros((8, 9), np.uint8))}, "not 8-bit RGB PNG"),
        ({"n00/test_0.png": png(np.zeros((8, 9, 3), np.uint8))[:-20]}, "1 unreadable predictions"),
        ({"n00/test_0.png": png(np.full((8, 9, 3), 1, np.uint8))}, "blue"),
        ({"n00/test_0.png": png(encode_mask(np.full((8, 9), 301)))}, "test_0.png: 301"),
        ({"n00/test_0.png": png(encode_mask(np.zeros((9, 8), int)))}, "9x8 instead of 8x9"),
    ],
)
def test_the_checker_explains(folders, tmp_path, changes, message):
    pred, photos, _ = folders
    out = tmp_path / "submission.zip"
    write_submission(out, pred, METHOD, CLASSES, images=photos)
    rewrite(out, changes)
    with pytest.raises(LussError) as error:
        check_submission(out, CLASSES, photos)
    assert message in str(error.value)


def test_an_encrypted_zip_is_explained(folders, tmp_path):
    pred, _, _ = folders
    out = tmp_path / "submission.zip"
    write_submission(out, pred, METHOD, CLASSES)
    content = bytearray(out.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    out.write_bytes(content)
    with pytest.raises(LussError, match=r"method\.txt is encrypted"):
        check_submission(out, CLASSES)


def test_no_zip(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"abc")
    for name in ("a.zip", "absent.zip"):
        with pytest.raises(LussError, match="zip file"):
            check_submission(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    with pytest.raises(LussError, match="no prediction"):
        check_submission(tmp_path / "empty.zip")


def test_method():
    with pytest.raises(LussError, match=r"'other'\. Expected one of SSL, Sup, SSL"):
        Method("a", "b", "other", "c")
    with pytest.raises(LussError, match="single line"):
        Method("a\nb", "b", "SSL", "c")


def test_command_line(folders, tmp_path):
    pred, photos, _ = folders
    out = tmp_path / "submission.zip"

    def tool(*arguments):
        return run_command("tools/make_submission.py", *arguments)

    run = tool(
        *("--pred", pred, "--out", out, "--num-classes", CLASSES, "--images", photos),
        *("--method-name", "A", "--training-data", "B", "--training-scheme", "SSL+Sup"),
        *("--networks", "C"),
    )
    assert run.returncode == 0, run.stderr
    assert check_submission(out, CLASSES, photos) == 3
    run = tool("--check", out, "--num-classes", 50)
    assert run.returncode == 2
    assert "ids outside 0..50" in run.stderr
    run = tool("--pred", pred, "--out", out)
    assert run.returncode == 2
    assert "--networks" in run.stderr
