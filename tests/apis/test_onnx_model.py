"""What goes into an ONNX file, against what happens outside of it: Pillow, and PyTorch at once."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from luss.apis import onnx_model
from luss.apis.onnx_export import (
    OPSET,
    SMALLEST_AGREEMENT,
    Agreement,
    drawn_pictures,
    given_pictures,
    require_equal_resizing,
)
from luss.apis.onnx_model import PhotoSegmentor, _nearest, resize_as_pillow
from luss.datasets.transforms.resizing import resize_image, short_side_size
from luss.errors import LussError
from luss.models.segmentors.pass_segmentor import predict_ids


class Colours(nn.Module):
    """Scores of 7 classes that are weighted sums of an eighth of the image."""

    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 7, 8, 8)
        mean, std = torch.tensor([[[120.0]], [[110.0]], [[100.0]]]), torch.full((3, 1, 1), 50.0)
        self.data_preprocessor = SimpleNamespace(mean=mean, std=std, channel_conversion=False)
        self.align_corners = False

    def logits(self, inputs):
        return self.head(inputs)


# Each branch of Pillow's rule: one pass, the other, both, none; and which of them comes first.
# Pillow 13 begins with the columns where the height loses more than twice as much as the width.
BRANCHES = {
    "neither": ((64, 64), (64, 64)),
    "rows": ((64, 50), (64, 23)),
    "columns": ((64, 50), (30, 50)),
    "larger": ((20, 31), (45, 70)),
    "both": ((37, 53), (16, 23)),
    "photo": ((375, 500), (96, 128)),
    "one row": ((1, 7), (96, 672)),
    "just not tall": ((61, 30), (21, 10)),
    "just tall": ((62, 30), (21, 10)),
    "tall": ((300, 80), (100, 26)),
    "narrow": ((300, 80), (240, 64)),
    "squeezed": ((900, 9), (512, 32)),
    "lower and wider": ((50, 20), (49, 90)),
    "as low and wider": ((50, 20), (50, 90)),
    "higher and narrower": ((50, 90), (60, 20)),
}


def resized(image, height, width):
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    found = resize_as_pillow(photo, torch.tensor(height), torch.tensor(width))
    return found[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("branch", BRANCHES)
def test_bytes_are_those_of_pillow(branch):
    before, after = BRANCHES[branch]
    image = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(image, *after), resize_image(image, *after[::-1]))


@settings(max_examples=100, deadline=None)
@given(st.tuples(*[st.integers(1, 90)] * 4))
def test_bytes_of_any_sizes_are_those_of_pillow(sizes):
    height, width, new_height, new_width = sizes
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = resized(image, new_height, new_width)
    np.testing.assert_array_equal(found, resize_image(image, new_width, new_height))


@pytest.mark.parametrize("short_side", [64, 256, 448])
def test_both_orders_are_among_the_pictures_of_the_check(short_side):
    """Told by Pillow itself: which order of two single passes gives its bytes."""
    found = set()
    for picture in drawn_pictures(short_side).values():
        width, height = short_side_size(*picture.shape[1::-1], short_side)
        at_once = resize_image(picture, width, height)
        rows_first = resize_image(resize_image(picture, width, len(picture)), width, height)
        found.add(np.array_equal(at_once, rows_first))
    assert found == {True, False}


def test_resizing_otherwise_than_pillow_is_named(monkeypatch):
    monkeypatch.setattr(onnx_model, "_RESIZES_TALL_BY_COLUMNS", False)
    model = PhotoSegmentor(Colours(), 64, 1024, range(7))
    require_equal_resizing(model, {"wide": drawn_pictures(64)["a drawn picture of 100 x 900"]})
    with pytest.raises(LussError, match=r"a drawn picture of 256 x 96 .* Pillow 1"):
        require_equal_resizing(model, drawn_pictures(64))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 3000))
def test_the_nearest_place_is_that_of_pytorch(before, after):
    places = torch.arange(before, dtype=torch.float32)[None, None]
    expected = F.interpolate(places, size=after, mode="nearest")[0, 0].long()
    assert torch.equal(_nearest(torch.tensor(before), torch.tensor(after)), expected)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 9000),
    st.integers(1, 9000),
    st.sampled_from([96, 224, 256, 448]),
    st.sampled_from([None, 14, 40]),
)
def test_sizes_are_those_of_the_transform(height, width, short_side, multiple_of):
    model = PhotoSegmentor(
        Colours(), short_side, 16 * short_side, range(7), multiple_of=multiple_of
    )
    found = model._resized(torch.tensor(height), torch.tensor(width))
    expected = short_side_size(width, height, short_side, multiple_of=multiple_of)
    assert (int(found[1]), int(found[0])) == expected


@pytest.mark.parametrize("size", [(60, 90), (90, 60), (1050, 1000)])
def test_ids_and_probabilities_are_those_of_all_scores_at_once(size):
    torch.manual_seed(0)
    segmentor, written = Colours().eval(), torch.tensor([0, 5, 5, 0, 2, 9, 6])
    photo = torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8)
    model = PhotoSegmentor(segmentor, 64, 1024, written, channels_at_a_time=3)
    with torch.no_grad():
        ids, probability = model(photo)
        width, height = short_side_size(size[1], size[0], 64)
        resized = torch.from_numpy(resize_image(photo[0].numpy(), width, height))
        inputs = (resized.permute(2, 0, 1)[None] - model.mean) / model.std
        logits = segmentor.head(inputs)
        expected = predict_ids(logits, size)
        assert (ids == written[expected]).float().mean() > 0.999
        if size[0] * size[1] <= 1_000_000:
            scores = F.interpolate(logits, size, mode="bilinear").softmax(dim=1)
            chosen = scores.gather(1, expected[:, None])[:, 0]
            assert (probability - chosen).abs().max() < 0.02


def test_a_file_that_differs_is_refused():
    Agreement({"a": 0.9951, "b": 0.999}, 0.998).require()
    with pytest.raises(LussError, match=r"99.49 % of the pixels of a have the same id, .* 99.5 %"):
        Agreement({"b": 1.0, "a": 0.9949}, 0.999).require()
    assert SMALLEST_AGREEMENT == 0.995


class Resizing(torch.nn.Module):
    def forward(self, photo):
        height, width = photo.shape[2:]
        return resize_as_pillow(photo, height // 2, width // 3)


def test_bytes_stay_those_of_pillow_in_onnx_runtime():
    """Fractions would not: there the exporter makes float32 of them."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    buffer = io.BytesIO()
    torch.onnx.export(
        Resizing(),
        (torch.zeros(1, 3, 30, 40),),
        buffer,
        input_names=["photo"],
        dynamic_axes={"photo": {2: "height", 3: "width"}},
        opset_version=OPSET,
        dynamo=False,
    )
    session = runtime.InferenceSession(buffer.getvalue())
    for height, width in [(64, 192), (41, 131), (100, 900), (900, 100), (200, 330)]:
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        photo = image.transpose(2, 0, 1)[None].astype(np.float32)
        (found,) = session.run(None, {"photo": photo})
        expected = resize_image(image, width // 3, height // 2)
        np.testing.assert_array_equal(found[0].transpose(1, 2, 0), expected)


def test_photos_that_cannot_be_read_are_not_compared(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no photo")
    with pytest.raises(LussError, match=r"--photos.*a\.png"):
        given_pictures([str(tmp_path)])
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    ((path, read),) = given_pictures([str(tmp_path)]).items()
    assert path == str(tmp_path / "b.png")
    np.testing.assert_array_equal(read, pixels)
