import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from luss.datasets.imagenet_s import ImageNetS
from luss.datasets.mask_codec import write_mask
from luss.datasets.photo_folder import PhotoFolder
from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import SIZE_GROUPS, Counts
from luss.evaluation.metrics import compute_metrics
from luss.registry import REPORT_SECTIONS
from luss.visualization import DEFAULT_SECTIONS, Section

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, its text, its image addresses."""

    def __init__(self, path: Path):
        super().__init__()
        self.folder = path.parent
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.words: list[str] = []
        self.markup = path.read_text(encoding="utf-8")
        self.feed(self.markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, "elements are nested"

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def images(self, start: str) -> list[Path]:
        sources = [values["src"] for tag, values in self.elements if tag == "img"]
        return [self.folder / source for source in sources if source.startswith(start)]

    def alternatives(self) -> list[str]:
        return [values["alt"] for tag, values in self.elements if tag == "img"]


@pytest.fixture
def report(run, build):
    def report(title="A run", more=(), **sections) -> Page:
        """The page, with arguments of sections by their names."""
        chosen = [{"type": name, **sections.pop(name, {})} for name in DEFAULT_SECTIONS]
        assert not sections
        return Page(
            build(run.work_dir, run.train, run.validation, "validation", title, [*chosen, *more])
        )

    return report


def test_every_reference_resolves_and_no_picture_is_left_over(report):
    page = report()
    referred = page.images("")
    assert {path.resolve() for path in referred} == set(page.folder.resolve().rglob("*.jpg"))
    for path, (_, values) in zip(
        referred, [each for each in page.elements if each[0] == "img"], strict=True
    ):
        with Image.open(path) as image:
            assert max(image.size) <= 320
            assert (values["width"], values["height"]) == tuple(map(str, image.size))
    anchors = {values["id"] for _, values in page.elements if "id" in values}
    links = [values["href"] for tag, values in page.elements if tag == "a"]
    assert len(links) == 6
    assert {link.removeprefix("#") for link in links} <= anchors


def test_the_page_is_well_formed_and_asks_for_nothing_from_outside(report):
    page = report()
    assert page.open == []
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.elements}
    addresses = [value for _, values in page.elements for key, value in values.items()
                 if key in ("src", "href", "xlink:href")]  # fmt: skip
    assert not [address for address in addresses if "//" in address]
    assert "url(http" not in page.markup


def test_names_are_escaped(report):
    page = report(title="<script>alert('a & b')</script>$title")
    assert "script" not in {tag for tag, _ in page.elements}
    assert "<script>alert('a & b')</script>$title" in page.text
    assert "category 3: <b>bird & co" in page.text
    assert '<b>bird & co/it\'s "1"' in page.text
    assert 'Photo <b>bird & co/it\'s "1"' in page.alternatives()


def test_gallery_shows_photo_prediction_truth_and_attention_in_this_order(report, run):
    page = report()
    ids = [run.validation.get_data_info(index)["image_id"] for index in range(6)]
    shown = [f"{kind} {image_id}" for image_id in ids for kind in (
        "Photo", "Prediction for", "Truth for", "Mean attention for")]  # fmt: skip
    assert page.alternatives()[:24] == shown


def test_prediction_and_truth_have_the_colour_of_the_true_class(report, run):
    page = report()
    pictures = [np.asarray(Image.open(path)).astype(int) for path in page.images("gallery/")]
    palette = np.array(run.validation.metainfo["palette"])
    for place in range(6):
        photo, prediction, truth, attention = pictures[4 * place : 4 * place + 4]
        colour = palette[1 + place // 2]
        rows, columns = photo.shape[0], photo.shape[1]
        middle = np.s_[rows * 2 // 5 : rows * 3 // 5, columns * 2 // 5 : columns * 3 // 5]
        grey = photo[middle] @ [0.299, 0.587, 0.114]
        expected = 0.6 * colour + 0.4 * grey[..., None].mean((0, 1))
        # JPEG moves single pixels; the mean of a region stays.
        assert np.abs(prediction[middle].mean((0, 1)) - expected).max() < 4
        assert np.abs(truth[middle].mean((0, 1)) - expected).max() < 4
        # Attention of 1 is the last colour of viridis.
        assert np.abs(attention[middle].mean((0, 1)) - [253, 231, 37]).max() < 6
        # No colour where there is no category; white stripes where the truth is ignored.
        corner = np.s_[rows * 5 // 30 : rows * 8 // 30, :]
        assert np.abs(np.diff(truth[corner].mean((0, 1)))).max() < 2
        assert truth[: rows // 15].min() > 190


def test_the_gallery_is_what_has_an_attention_map(report, run):
    kept = 'cat/it\'s "1"'
    for path in (run.labels / "attention").rglob("*.png"):
        if str(path.parent.name) != "cat" or "1" not in path.name:
            path.unlink()
    page = report()
    assert page.alternatives()[:4] == [f"{kind} {kept}" for kind in (
        "Photo", "Prediction for", "Truth for", "Mean attention for")]  # fmt: skip
    assert len(page.images("gallery/")) == 4


def test_the_foreground_that_was_used_is_shown_instead_of_attention(report, run):
    (run.labels / "attention").rename(run.labels / "foreground")
    path = run.labels / "threshold.json"
    path.write_text('{"threshold": null, "method": "Otsu, for each image", "curve": null}')
    page = report()
    shown = [text for text in page.alternatives() if text.startswith(("Foreground", "Mean"))]
    ids = [run.validation.get_data_info(index)["image_id"] for index in range(6)]
    assert shown == [f"Foreground for {image_id}" for image_id in ids]
    assert "0 1 foreground" in " ".join(page.text.split())
    assert "of each image's own" in page.text


def test_what_was_capped_is_said(report):
    page = report(
        gallery={"max_photos": 2}, discovered={"examples_per_category": 3, "max_examples": 6}
    )
    assert "2 of 6 photos are shown" in page.text
    assert len(page.images("gallery/")) == 8
    assert "at most 2 of each are shown" in page.text
    assert len(page.images("discovered/")) == 6


def test_discovered_categories_have_names_sizes_and_spread_examples(report):
    page = report(discovered={"examples_per_category": 3})
    assert re.findall(r"category (\d): ([^ ]+)", page.text) == [
        ("1", "dog5"),
        ("2", "cat5"),
        ("3", "<b>bird"),
    ]
    assert page.text.count("5 images") == 3
    assert "Categories without any image (1): 4" in page.text
    examples = page.alternatives()[-9:]
    assert examples[:3] == [f'dog/it\'s "{index}"' for index in (0, 2, 4)]


def test_metrics_stand_beside_what_they_have_seen(report):
    text = report().text
    assert re.search(r"mIoU.*?12\.3[45]11\.50", text)
    assert re.search(r"Fβ.*?61\.2560\.00", text)
    assert re.search(r"Lm[^–]*––", text)
    assert "threshold 0.25 (validation mIoU) and the match" in text
    assert "chosen on validation masks" in text
    assert "versions: torch9.9" in text


def rewrite_results(run, **changes):
    path = run.work_dir / "results.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))
    return content


def test_tables_of_the_same_numbers_are_shown_once(report, run):
    numbers = rewrite_results(run)["fully_unsupervised"]
    other = {"val": {**numbers["val"], "mIoU": 2.5}}
    rewrite_results(
        run, fully_unsupervised_pixel_overlap=numbers, fully_unsupervised_named=other, mine=numbers
    )
    page = report()
    captions = [tag for tag, _ in page.elements if tag == "caption"]
    assert len(captions) == 3
    assert "Fully unsupervised pixel overlap: the same numbers." in page.text
    assert "merged or dropped" in page.text


def test_rows_by_size_are_explained_as_they_are_counted(report, run):
    """In a photo of 100 pixels a class covers each share."""
    groups = [f"{prefix}{group}" for prefix in ("", "B") for group in SIZE_GROUPS]
    rewrite_results(run, fully_unsupervised={"val": dict.fromkeys(groups, 1.0)})
    text = report().text
    for covered in (1, 5, 6, 25, 26, 50, 51, 100):
        truth = np.zeros(100, int)
        truth[:covered] = 1
        counts = Counts.zeros(1, boundary=False)
        counts.add(count_image(truth.reshape(10, 10), truth.reshape(10, 10), 1, boundary=False))
        found = compute_metrics(counts, without_other=True)
        (group,) = [name for name in SIZE_GROUPS if not np.isnan(found[name])]
        limits = re.search(rf"(?<![A-Z]){group}mIoU where a class covers ([^%]+%.*?) of its", text)
        low, high = re.search(r"over (\d+)", limits[1]), re.search(r"up to (\d+)", limits[1])
        assert (int(low[1]) if low else 0) < covered <= (int(high[1]) if high else 100)
        assert f"B{group}b-mIoU where a class covers {limits[1]} of its photo" in text


def test_absent_classes_are_named_beside_the_numbers(report, run):
    rewrite_results(run, provenance={"absent_classes": {"val": ["wolf", "fox"]}})
    assert "validation: Classes without a true pixel (2): wolf, fox." in report().text


def test_without_labels_nothing_claims_validation_masks(report, run):
    path = run.labels / "threshold.json"
    path.write_text(json.dumps({"threshold": 0.3, "method": "Otsu"}))
    (run.work_dir / "evaluate/match.json").unlink()
    text = report().text
    assert "found without labels (Otsu)" in text
    assert "validation masks" not in text
    assert "category 3" in text
    assert "bird & co: " not in text


@pytest.mark.parametrize(
    ("absent", "said"),
    [
        ("results.json", "results.json is missing"),
        ("evaluate", "has predictions of these photos"),
        ("evaluate/match.json", "No match with true classes"),
        ("label_generation/attention", "has maps of foreground"),
        ("label_generation/threshold.json", "has chosen a threshold"),
        ("label_generation/centroids.npz", "has discovered categories"),
        ("label_generation/pseudo_labels", "has pseudo labels"),
        ("pretrain", "has finished training"),
    ],
)
def test_missing_parts_are_named(report, run, absent, said):
    assert said not in report().text
    path = run.work_dir / absent
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    page = report()
    assert said in page.text
    assert all(path.is_file() for path in page.images(""))


def test_an_empty_work_dir_and_photos_without_masks_give_a_page(tmp_path, run, build):
    (tmp_path / "empty").mkdir()
    photos = PhotoFolder(str(run.data / "train"))
    page = Page(build(tmp_path / "empty", photos, photos, "train", "Nothing yet"))
    assert len(page.images("gallery/")) == 15
    assert "no true masks" in page.text


def test_photos_lie_as_in_training(tmp_path, build, note):
    """Stored on its side, in two halves: the left one, upright, is red and of category 1."""
    upright = np.zeros((40, 80, 3), np.uint8)
    upright[:, :40] = [255, 0, 0]
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    (tmp_path / "photos").mkdir()
    stored.save(tmp_path / "photos" / "a.png", exif=exif)
    labels = tmp_path / "run" / "label_generation"
    ids = np.where(upright[..., 0] > 0, 1, 0)
    write_mask(labels / "pseudo_labels" / "a.png", ids)
    write_mask(tmp_path / "run" / "evaluate" / "predictions" / "train" / "a.png", ids)
    np.savez(labels / "centroids.npz", centroids=np.zeros((1, 2)), assignments=np.zeros(1, int))
    photos = PhotoFolder(str(tmp_path / "photos"))
    note(tmp_path / "run")
    page = Page(build(tmp_path / "run", photos, photos, "train", "Turned"))
    assert "its photo" not in page.text
    photo, prediction = (np.asarray(Image.open(path), int) for path in page.images("gallery/"))
    discovered = np.asarray(Image.open(page.images("discovered/")[0]), int)
    for picture in (photo, discovered):
        height, width = picture.shape[:2]
        assert width == 2 * height
        assert picture[height // 2, width // 4, 0] > 240
        assert picture[height // 2, 3 * width // 4].max() < 15
    # Colour where the red half is, and nothing but the photo, which is black, elsewhere.
    assert np.ptp(prediction[prediction.shape[0] // 2, prediction.shape[1] // 4]) > 50
    assert prediction[prediction.shape[0] // 2, 3 * prediction.shape[1] // 4].max() < 15


def test_a_picture_that_cannot_be_read_is_named_in_its_place(report, run):
    Path(run.validation.get_data_info(0)["img_path"]).write_bytes(b"no photo")
    Path(run.validation.get_data_info(1)["seg_map_path"]).unlink()
    Path(run.train.get_data_info(0)["img_path"]).write_bytes(b"no photo")
    page = report()
    assert page.text.count("cannot read the image") == 2
    assert page.text.count("cannot read the mask") == 1
    assert len(page.images("gallery/")) == 6 * 4 - 4 - 1


def test_a_mask_of_another_size_is_not_stretched(report, run):
    path = next((run.work_dir / "evaluate/predictions").rglob("*.png"))
    Image.new("RGB", (10, 10)).save(path)
    assert "is 10 by 10, its photo 60 by 80" in report().text


def test_a_clustering_of_other_images_is_refused_and_the_old_report_stays(report, run, build):
    before = report(title="before").markup
    other = ImageNetS(str(run.data), "train", indices=3)
    with pytest.raises(LussError, match="assigns 15 images, but the training data set has 3"):
        build(run.work_dir, other, run.validation, "validation", "after")
    assert (run.work_dir / "report/index.html").read_text() == before


def test_a_failure_half_way_leaves_the_old_report(report, run, build):
    before = report(title="before")

    class Failing(ImageNetS):
        def get_data_info(self, idx):
            if idx == 14:
                raise OSError("the disk is gone")
            return super().get_data_info(idx)

    failing = Failing(str(run.data), "train")
    with pytest.raises(OSError, match="the disk is gone"):
        build(run.work_dir, failing, run.validation, "validation", "after")
    assert Page(before.folder / "index.html").markup == before.markup
    assert all(path.is_file() for path in before.images(""))
    assert not list(run.work_dir.glob(".report*"))


def test_building_again_replaces_the_whole_folder(report, run):
    first = report()
    pictures = {path.name: path.read_bytes() for path in first.images("gallery/")}
    (first.folder / "leftover.txt").touch()
    (run.work_dir / ".report.new").mkdir()
    second = report()
    assert second.markup == first.markup
    assert {path.name: path.read_bytes() for path in second.images("gallery/")} == pictures
    assert not (second.folder / "leftover.txt").exists()
    assert not list(run.work_dir.glob(".report*"))


@pytest.mark.parametrize(
    ("section", "option"),
    [
        ("gallery", "max_photos"),
        ("discovered", "max_examples"),
        ("discovered", "examples_per_category"),
    ],
)
def test_limits_below_one_are_refused(report, section, option):
    with pytest.raises(LussError, match=f"{option} is 0"):
        report(**{section: {option: 0}})


@REPORT_SECTIONS.register_module()
def rarest(run, most=1):
    """A section that is registered here, and nowhere in luss."""
    sizes = np.bincount(run.clustering.assignments, minlength=run.clustering.num_categories)
    names = [run.generated.name(index + 1) for index in np.argsort(sizes, kind="stable")[:most]]
    return Section("Rarest & co", Markup("<p>{}</p>").format(", ".join(names)))


def test_a_section_of_ones_own_takes_its_place(report):
    page = report(more=[{"type": "rarest", "most": 2}])
    assert ("section", {"id": "rarest"}) in page.elements
    assert "Rarest & co" in page.text
    assert "#rarest" in [values.get("href") for _, values in page.elements]


def test_an_unknown_section_is_refused_with_those_there_are(report):
    with pytest.raises(LussError, match=r"no report section 'galery'; known are: .*gallery"):
        report(more=["galery"])
    with pytest.raises(LussError, match=r"'gallery'.*'photos'"):
        report(more=[{"type": "gallery", "photos": 3}])


def test_a_missing_work_dir_is_refused(run, tmp_path, build):
    with pytest.raises(LussError, match="there is no work dir"):
        build(tmp_path / "nowhere", run.train, run.validation, "validation", "t")
