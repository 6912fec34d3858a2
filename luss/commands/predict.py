"""``luss predict RUN PHOTO_or_FOLDER ... --out DIR``: predict masks of any photos."""

import argparse

from luss.command_line import add_finished_run, leave_on_signals

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Predict masks of any photos with the segmentor of a finished run."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the photos and the outputs."""
    add_finished_run(parser)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="photos, or folders of photos")
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="output folder; photos that it already contains predictions of are skipped",
    )
    parser.add_argument(
        "--categories",
        choices=["named", "generated", "true"],
        help="ids and names in the masks. 'generated': the discovered categories, with the names "
        "of the true classes that they match; 'named': names of names.json in the work dir; "
        "'true': the true classes. Default: 'named' if names.json exists, else 'generated'; 'true' "
        "for a model trained on true classes",
    )
    parser.add_argument(
        "--outputs",
        nargs="+",
        choices=["masks", "indexed", "overlays", "cutouts"],
        default=["masks", "indexed", "overlays", "cutouts"],
        metavar="KIND",
        help="pictures to write for each photo: masks, indexed (with a palette), overlays, cutouts "
        "(default: all)",
    )
    parser.add_argument(
        "--rle", action="store_true", help="also write masks to predictions.json, as COCO RLE"
    )
    parser.add_argument(
        "--as-stored",
        action="store_true",
        help="ignore the EXIF orientation of photos, as masks of data sets do",
    )
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if available)")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="photos per batch")
    parser.add_argument(
        "--num-workers", type=int, default=0, metavar="N", help="processes that load photos"
    )


def run(args: argparse.Namespace) -> None:
    """Predict, and print a summary."""
    from luss.apis import LUSSInferencer, predict_photos
    from luss.files import output_folder

    # Fail before the model is loaded.
    out = output_folder(args.out, "--out")
    inferencer = LUSSInferencer(
        args.model,
        args.config,
        args.device,
        categories=args.categories,
        upright=not args.as_stored,
    )
    leave_on_signals("run the same command again to predict the remaining photos")
    done = predict_photos(
        inferencer,
        args.photos,
        out,
        outputs=args.outputs,
        rle=args.rle,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
    )
    summary = f"{done.predicted} photos predicted, {done.before} predicted before"
    if done.unreadable:
        summary += f", {len(done.unreadable)} failed"
    print(f"{summary}; see predictions.json and categories.csv in {out}")
