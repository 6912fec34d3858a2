"""``luss predict RUN PHOTO_or_FOLDER ... --out DIR``: masks of any photos."""

import argparse

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Predict masks of any photos with the segmentor of a finished run."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run, the photos and what is written of them."""
    parser.add_argument("model", metavar="RUN", help="a finished work dir, or a checkpoint of one")
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="photos, or folders of photos")
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="folder to write; where it holds a part of the same predictions, the rest is made",
    )
    parser.add_argument(
        "--config", help="of the run, for a checkpoint that does not lie in its work dir"
    )
    parser.add_argument(
        "--categories",
        choices=["named", "generated", "true"],
        help="which ids and names masks have: 'generated' are those that the run discovered, "
        "called as the true classes that they match; 'named' follow the work dir's names.json; "
        "'true' are those of the true classes (default: 'named' where there is a names.json, else "
        "'generated'; 'true' for a model that learnt true classes)",
    )
    parser.add_argument(
        "--outputs",
        nargs="+",
        choices=["masks", "indexed", "overlays", "cutouts"],
        default=["masks", "indexed", "overlays", "cutouts"],
        metavar="KIND",
        help="pictures to write of each photo: masks, indexed (with a palette), overlays, cutouts "
        "(default: all of them)",
    )
    parser.add_argument(
        "--rle", action="store_true", help="put masks into predictions.json, too, as COCO has them"
    )
    parser.add_argument(
        "--as-stored",
        action="store_true",
        help="do not turn photos as their EXIF orientation says, as masks of data sets are drawn",
    )
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU, if there is one)")
    parser.add_argument("--batch-size", type=int, default=1, metavar="N", help="photos at a time")
    parser.add_argument(
        "--num-workers", type=int, default=0, metavar="N", help="processes that load photos"
    )


def run(args: argparse.Namespace) -> None:
    """Predict, and say what was written."""
    from luss.apis import LUSSInferencer, predict_photos
    from luss.command_line import leave_on_signals
    from luss.files import output_folder

    # Before the model is loaded.
    out = output_folder(args.out, "--out")
    inferencer = LUSSInferencer(
        args.model,
        args.config,
        args.device,
        categories=args.categories,
        upright=not args.as_stored,
    )
    leave_on_signals("the same command goes on from the photos that are whole")
    done = predict_photos(
        inferencer,
        args.photos,
        out,
        outputs=args.outputs,
        rle=args.rle,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
    )
    said = f"{done.predicted} photos predicted, {done.before} before"
    if done.unreadable:
        said += f", {len(done.unreadable)} cannot be predicted"
    print(f"{said}: {out}, where predictions.json and categories.csv say what is in each")
