"""Time the evaluation in one run on the same masks, and compare with the released evaluator.

    OMP_NUM_THREADS=1 python benchmarks/bench_evaluation.py [--images N] [--out FILE.json]

Figures of the released evaluator are those its authors' code showed on a machine with two cores;
they are printed beside ours with their ratio. The masks are drawn here: 500x375, 50 classes.
Times are those of the processor, in one thread, so that other work on the machine matters less;
for folders, those of the clock.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from luss.datasets.mask_codec import IGNORE_ID, read_mask, write_mask
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.matching import match_ids
from luss.evaluation.metrics import compute_metrics
from luss.files import output_file, write_json
from luss.label_generation.threshold_search import ThresholdSearch

HEIGHT, WIDTH, CLASSES = 375, 500, 50
PUBLISHED = {
    "arithmetic": (0.070, 0.081),
    "matching": (59.0, 59.0),
    "threshold search": (81.0, 102.0),
}
AIMS = {"arithmetic": 20, "matching": 300, "threshold search": 50}
MEMORY_PROGRAM = """
import json, resource, sys
from luss.evaluation.evaluate_folders import evaluate_folders
result = evaluate_folders(sys.argv[1], sys.argv[2], int(sys.argv[3]), jobs=int(sys.argv[4]))
own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
print(json.dumps({"images": result["images"], "peak": peak / 1024}))
"""


def draw_pair(seed: int, num_classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    """Draw a prediction and a truth: blobs of one to three classes, a rim of ignored pixels."""
    rng = np.random.default_rng(seed)
    true = [0, *rng.choice(num_classes, rng.choice([1, 1, 1, 2, 3]), replace=False) + 1]
    field = np.stack([_smooth(rng, 6) for _ in true])
    truth = np.asarray(true, np.int32)[field.argmax(axis=0)]
    ranked = np.sort(field, axis=0)
    truth[ranked[-1] - ranked[-2] < 0.03] = IGNORE_ID
    # As networks do: the same regions with other edges, and a few false ones.
    more = [*true, *rng.choice(num_classes, 4, replace=False) + 1]
    noise = np.stack([0.6 * _smooth(rng, 12) for _ in more])
    noise[: len(true)] += field
    return np.asarray(more, np.int32)[noise.argmax(axis=0)], truth


def _smooth(rng: np.random.Generator, cells: int) -> np.ndarray:
    coarse = rng.random((cells, cells + 2), dtype=np.float32)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def interleaved(tasks: dict[str, Callable[[int], object]], rounds: int) -> dict[str, float]:
    """Return each task's median seconds; the tasks take turns on the same images."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for index in range(-2, rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task(max(index, 0))
            if index >= 0:
                seconds[name].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def time_images(folder: Path, pairs: list, rounds: int) -> dict[str, float]:
    """Time decoding, reading, arithmetic and the whole, per image."""
    files = []
    for index, masks in enumerate(pairs):
        paths = [folder / f"{kind}_{index}.png" for kind in ("pred", "gt")]
        for path, ids in zip(paths, masks, strict=True):
            write_mask(path, ids)
        files.append(paths)
    counts = Counts.zeros(CLASSES)

    def read(index: int) -> list[np.ndarray]:
        return [read_mask(path) for path in files[index % len(files)]]

    def count(prediction: np.ndarray, truth: np.ndarray) -> None:
        counts.add(count_image(prediction, truth, CLASSES))

    tasks = {
        "decoding": lambda i: [cv2.imread(str(path)) for path in files[i % len(files)]],
        "reading": read,
        "arithmetic": lambda i: count(*pairs[i % len(pairs)]),
        "whole": lambda i: count(*read(i)),
    }
    return interleaved(tasks, rounds) | {"metrics": timed(lambda: compute_metrics(counts))}


def time_matching(num_classes: int, images: int) -> float:
    """Time the matching on contested input, where many matches tie and pixels decide."""
    rng = np.random.default_rng(0)
    true, predicted = np.zeros((2, images, num_classes), bool)
    labels = rng.integers(0, num_classes, images)
    true[np.arange(images), labels] = True
    true[rng.random(true.shape) < 0.1 / num_classes] = True
    predicted[np.arange(images), (labels * 7 + rng.integers(0, 9, images)) % num_classes] = True
    predicted[rng.random(predicted.shape) < 4 / num_classes] = True
    shared = (predicted.T.astype(np.float32) @ true.astype(np.float32)).astype(np.int64)
    overlap = rng.integers(1, 50_000, (num_classes, num_classes)) * shared

    def match() -> np.ndarray:
        return match_ids(shared, overlap=overlap)

    return min(timed(match) for _ in range(3))


def time_threshold_search(images: Iterable, num_classes: int) -> float:
    """Time the search of 81 thresholds over images, matching included."""

    def run() -> None:
        search = ThresholdSearch(num_classes)
        for image in images:
            search.add(*image)
        search.curve()

    return timed(run)


def attention_images(number: int, shape: tuple[int, int] | None = None) -> list:
    """Draw (attention, clusters, truth) of full size, or cut to toy size."""
    items = []
    for seed in range(number):
        prediction, truth = draw_pair(seed)
        attention = _smooth(np.random.default_rng(seed), 8).clip(0, 1)
        item = (attention, np.maximum(prediction, 1), truth)
        items.append(item if shape is None else tuple(a[: shape[0], : shape[1]] for a in item))
    return items


def timed(task: Callable[[], object]) -> float:
    """Return the processor seconds that a task takes."""
    start = time.process_time()
    task()
    return time.process_time() - start


def evaluate_in_process(folder: Path, pairs: list, images: int, jobs: int) -> dict[str, float]:
    """Evaluate ``images`` files in a process of its own; return images/s and peak MiB."""
    for kind, position in (("pred", 0), ("gt", 1)):
        (folder / kind / "n0").mkdir(parents=True)
        originals = []
        for index, masks in enumerate(pairs):
            originals.append(folder / f"{kind}_{index}.png")
            write_mask(originals[-1], masks[position])
        for index, original in zip(range(images), itertools.cycle(originals), strict=False):
            os.link(original, folder / kind / "n0" / f"{index:06}.png")
    command = [sys.executable, "-c", MEMORY_PROGRAM]
    command += [str(folder / "pred"), str(folder / "gt"), str(CLASSES), str(jobs)]
    start = time.perf_counter()
    output = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {"seconds": time.perf_counter() - start, "peak": output["peak"]}


def main() -> None:
    """Run it all and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=800, help="most images of the memory test")
    parser.add_argument("--rounds", type=int, default=100, help="images timed one by one")
    parser.add_argument("--jobs", type=int, default=1, help="processes of the memory test")
    parser.add_argument("--out", help="write the figures as JSON")
    args = parser.parse_args()
    if args.out:
        output_file(args.out, "--out", replace=True)
    cv2.setNumThreads(1)
    pairs = [draw_pair(seed) for seed in range(16)]
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        figures["image"] = image = time_images(Path(folder), pairs, args.rounds)
    print(f"one image of {WIDTH}x{HEIGHT}, {CLASSES} classes, all metrics, one core")
    for name in ("decoding", "reading", "arithmetic", "whole"):
        print(f"  {name:12}{1000 * image[name]:8.2f} ms")
    print(f"  the whole takes {image['whole'] / image['decoding']:.2f} times the decoding of its")
    print(f"  two PNGs (aim: 2); {1 / image['whole']:.0f} images/s")
    seconds = {
        "arithmetic": image["arithmetic"],
        "matching": time_matching(919, 12419),
        "threshold search": time_threshold_search(attention_images(60, (100, 120)), CLASSES),
    }
    full = time_threshold_search(attention_images(20), CLASSES) / 20
    figures["compared"] = seconds
    print("against the released evaluator's published figures")
    for name, value in seconds.items():
        low, high = (published / value for published in PUBLISHED[name])
        print(f"  {name:18}{value:8.4f} s   {low:6.0f} to {high:.0f} times (aim: {AIMS[name]})")
    print(f"  (threshold search at {WIDTH}x{HEIGHT}: {1000 * full:.1f} ms an image)")
    print(f"folders, {args.jobs} process(es), start of Python and libraries included")
    figures["folders"] = {}
    for number in (args.images // 4, args.images):
        with tempfile.TemporaryDirectory() as folder:
            run = evaluate_in_process(Path(folder), pairs, number, args.jobs)
        figures["folders"][str(number)] = run
        rate = number / run["seconds"]
        print(
            f"  {number:6} images {run['seconds']:7.1f} s {rate:6.0f}/s  peak {run['peak']:.0f} MiB"
        )
    if args.out:
        write_json(args.out, figures)


if __name__ == "__main__":
    main()
