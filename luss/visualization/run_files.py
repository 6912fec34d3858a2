"""Files of a run that a report shows, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.evaluation.category_names import CategoryNames, category_names_of
from luss.evaluation.matching import read_match
from luss.visualization.colours import Legend, generated_legend, named_legend, true_legend
from luss.visualization.pictures import PictureFolder
from luss.visualization.sources import (
    Clustering,
    Threshold,
    read_clustering,
    read_object,
    read_threshold,
)

__all__ = ["RunFiles"]


@dataclass(frozen=True)
class RunFiles:
    """Contents of a run for sections of a report; missing outputs are None.

    Attributes:
        work_dir: of the run; see ARCHITECTURE.md for its contents.
        train_dataset: the images that were clustered, in the same order.
        gallery_dataset: photos to show, with true masks (``seg_map_path``) or without.
        gallery_split: name of their folder among the predictions.
        folder: of the page.
        outputs: role -> path of outputs of finished stages, see ``Stage.roles``.
        trained: name -> folder of the stages that trained a model.
        results: content of ``results.json``.
        threshold: threshold between foreground and 'other'.
        clustering: the discovered categories of the training images.
        names: the user's names of the discovered categories.
        match: (G + 1,) true id of each generated id, found after merging and dropping categories.
        true: colours and names of the true classes.
        generated: colours and names of the generated categories.
    """

    work_dir: Path
    train_dataset: BaseDataset
    gallery_dataset: BaseDataset
    gallery_split: str
    folder: Path
    outputs: Mapping[str, Path]
    trained: Mapping[str, Path]
    results: dict[str, Any] | None
    threshold: Threshold | None
    clustering: Clustering | None
    names: CategoryNames | None
    match: NDArray[np.int64] | None
    true: Legend
    generated: Legend

    @classmethod
    def read(
        cls,
        work_dir: Path,
        train_dataset: BaseDataset,
        gallery_dataset: BaseDataset,
        gallery_split: str,
        folder: Path,
        outputs: Mapping[str, Path],
        trained: Mapping[str, Path],
    ) -> "RunFiles":
        """Read the files of a run.

        Raises:
            LussError: if one is damaged, or the clustering belongs to another data set.
        """
        clusters = outputs.get("clustering")
        clustering = read_clustering(clusters, len(train_dataset)) if clusters else None
        names = category_names_of(work_dir, clusters)
        match_path = outputs.get("match")
        if names is not None and names.changes_ids:
            match_path = outputs.get("named_match", match_path)
        match = read_match(match_path) if match_path else None
        true = true_legend(gallery_dataset.metainfo)
        num_generated = max(
            0 if clustering is None else clustering.num_categories,
            0 if match is None else len(match) - 1,
        )
        generated = generated_legend(num_generated, match, true)
        return cls(
            work_dir,
            train_dataset,
            gallery_dataset,
            gallery_split,
            folder,
            outputs,
            trained,
            results=read_object(work_dir / "results.json"),
            threshold=read_threshold(outputs["threshold"]) if "threshold" in outputs else None,
            clustering=clustering,
            names=names,
            match=match,
            true=true,
            generated=generated if names is None else named_legend(generated, names),
        )

    def pictures(self, name: str) -> PictureFolder:
        """Create a folder for a section's pictures in the page's folder."""
        return PictureFolder(self.folder, name)
