"""Mistakes in reading finished runs and in predicting photos."""

from mutations.mutation import of

_PREDICTION = "tests/pipeline/test_prediction.py"

finished_run = of("luss/apis/finished_run.py", "tests/pipeline/test_finished_run.py")
found = of("luss/apis/found.py", "tests/apis/test_found.py")
inferencer = of("luss/apis/inferencer.py", _PREDICTION)
folder = of("luss/apis/prediction_folder.py", _PREDICTION, "tests/apis/test_prediction_folder.py")
predict = of("luss/apis/predict.py", _PREDICTION)
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
