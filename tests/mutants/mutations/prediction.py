"""Mistakes in reading finished runs and in predicting photos."""

from mutations.mutation import of

_PREDICTION = "tests/pipeline/test_prediction.py"

finished_run = of("luss/apis/finished_run.py", "tests/pipeline/test_finished_run.py")
found = of("luss/apis/found.py", "tests/apis/test_found.py")
inferencer = of("luss/apis/inferencer.py", _PREDICTION)
folder = of("luss/apis/prediction_folder.py", _PREDICTION, "tests/apis/test_prediction_folder.py")
predict = of("luss/apis/predict.py", _PREDICTION)
photos = of("luss/apis/photos.py", "tests/apis/test_photos.py")
onnx = of("luss/apis/onnx_model.py", "tests/apis/test_onnx_model.py")
onnx_check = of("luss/apis/onnx_export.py", "tests/apis/test_onnx_model.py")
files = of("luss/files.py", "tests/commands/test_outputs.py")
coco_rle = of("luss/datasets/coco_rle.py", "tests/datasets/test_coco_rle.py")

MUTATIONS = [
    finished_run(
        "unfinished = [name for name in (*stage.requires, stage.name)",
        "unfinished = [name for name in stage.requires",
        "A run that was not evaluated passes for finished.",
    ),
    finished_run(
        "return tuple(map(str, noted))",
        "return tuple(map(str, noted))[1:]",
        "Names of true classes are off by one.",
    ),
    found(
        "return (2 * np.arange(pixels) + 1) * cells // (2 * pixels)",
        "return np.arange(pixels) * cells // pixels",
        "Pixels belong to the cell of their corner.",
    ),
    found(
        "sums = np.bincount(categories.ids, weights=areas * scores)",
        "sums = np.bincount(categories.ids, weights=scores)",
        "Scores of merged categories are added, however large they are.",
    ),
    inferencer(
        'item = {"img_path": photo, "image_id": Path(photo).stem, "upright": self.upright}',
        'item = {"img_path": photo, "image_id": Path(photo).stem}',
        "Photos are predicted lying on their side.",
    ),
    inferencer(
        'return array if channel_order == "rgb" else np.ascontiguousarray(array[..., ::-1])',
        "return array",
        "The colours of BGR arrays are swapped.",
    ),
    folder(
        'and record["sha256"] == file_digest(photo.path)',
        "and True",
        "A photo that was replaced keeps the mask of the former.",
    ),
    folder(
        "cutout = np.dstack((pixels[window] * inside[window][..., None], opaque))",
        "cutout = np.dstack((pixels[window], opaque))",
        "What is cut away can be made visible again.",
    ),
    folder(
        "if category.area >= _SMALLEST_CUTOUT:",
        "if category.area > 0:",
        "Specks are cut out, too.",
    ),
    folder(
        '            "photos": paths,\n',
        "",
        "Predictions of other photos are overwritten.",
    ),
    folder(
        'and all((self.root / picture).is_file() for picture in record["pictures"])',
        "and True",
        "Deleted pictures count as present.",
    ),
    photos(
        "if count[photo.name] > 1",
        "if count[photo.name] > 2",
        "Two photos of one name are left out without a word.",
    ),
    photos(
        'OUTPUT_SUFFIXES = (".png", ".jpg", ".json")',
        'OUTPUT_SUFFIXES = (".png", ".jpg")',
        "A record would have the name of a folder.",
    ),
    onnx(
        "tall = (lost > 0) & (lost > 2 * lost_across)",
        "tall = lost > 2 * lost_across",
        "Enlarged photos are resized by columns first.",
    ),
    onnx(
        "tall = (lost > 0) & (lost > 2 * lost_across)",
        "tall = (lost > 0) & (lost >= 2 * lost_across)",
        "Photos are tall too early.",
    ),
    onnx(
        "return tall if _RESIZES_TALL_BY_COLUMNS else torch.zeros_like(tall)",
        "return torch.zeros_like(tall)",
        "Tall photos are resized by rows first.",
    ),
    onnx_check(
        "        if differing:\n",
        "        if False:\n",
        "A file that resizes otherwise than Pillow is written.",
    ),
    files(
        "        tempfile.TemporaryFile(dir=above).close()\n",
        "        pass\n",
        "Folders that cannot be created are found after the work.",
    ),
    files(
        "if os.path.lexists(path) and not replace:",
        "if False:",
        "Files are replaced without --force.",
    ),
    predict(
        "chosen = [photo for batch in batches if not pending.isdisjoint(batch) for photo in batch]",
        "chosen = [photo for photo in photos if photo in pending]",
        "Photos meet others in their batch when a prediction goes on.",
    ),
    coco_rle(
        "left[3:] -= runs[1:-2]",
        "left[2:] -= runs[:-2]",
        "The third run is written as a difference, too.",
    ),
    coco_rle(
        "more = left != np.where(bits & _SIGN, -1, 0)",
        "more = left != 0",
        "Negative differences never end.",
    ),
]
