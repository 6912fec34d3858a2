"""What goes into an ONNX file, against what happens outside of it: Pillow, and PyTorch at once."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from luss.apis.onnx_export import OPSET, SMALLEST_AGREEMENT, Agreement
from luss.apis.onnx_model import PhotoSegmentor, resize_as_pillow
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

    def extract_feat(self, inputs):
        return inputs

    def decode_head(self, inputs):
        return self.head(inputs)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((37, 53), (16, 23)),
        ((20, 31), (45, 70)),
        ((64, 64), (64, 64)),
        ((1, 7), (96, 672)),
        ((375, 500), (96, 128)),
    ],
)
def test_bytes_are_those_of_pillow(before, after):
    image = np.random.default_rng(0).integers(0, 256, (*before, 3), dtype=np.uint8)
    rows, columns = map(torch.tensor, after)
    found = resize_as_pillow(torch.from_numpy(image).permute(2, 0, 1)[None].float(), rows, columns)
    expected = resize_image(image, after[1], after[0])
    np.testing.assert_array_equal(found[0].permute(1, 2, 0).numpy(), expected)


def test_sizes_are_those_of_the_transform():
    model = PhotoSegmentor(Colours(), 96, 16 * 96, range(7))
    for height, width in [(375, 500), (500, 375), (96, 96), (97, 96), (10, 999), (3000, 7), (1, 1)]:
        found = model._resized(torch.tensor(height), torch.tensor(width))
        expected = short_side_size(width, height, 96)
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
        return resize_as_pillow(photo, 3 * height // 2, width // 3)


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
    for height, width in [(64, 192), (41, 131), (100, 900)]:
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        photo = image.transpose(2, 0, 1)[None].astype(np.float32)
        (found,) = session.run(None, {"photo": photo})
        expected = resize_image(image, width // 3, 3 * height // 2)
        np.testing.assert_array_equal(found[0].transpose(1, 2, 0), expected)
