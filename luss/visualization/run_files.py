"""Files of a run that a report shows, each read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from numpy.typing import NDArray

from luss.evaluation.category_names import CategoryNames, category_names_of
from luss.evaluation.matching import read_match
from luss.label_generation.threshold_file import Threshold, read_threshold
from luss.visualization.colours import Legend, generated_legend, named_legend, true_legend
from luss.visualization.pictures import PictureFolder
from luss.visualization.sources import Clustering, read_clustering, read_object

__all__ = ["RunFiles"]


@dataclass(frozen=True)
class RunFiles:
    """Contents of a run for sections of a report; missing outputs are None.

    Files are read at first use; a damaged one raises a ``LussError``.

    Attributes:
        work_dir: of the run; see ARCHITECTURE.md for its contents.
        train_dataset: the images that were clustered, in the same order.
        gallery_dataset: photos to show, with true masks (``seg_map_path``) or without.
        gallery_split: name of their folder among the predictions.
        folder: of the page.
        outputs: role -> path of outputs of finished stages, see ``Stage.roles``.
        trained: name -> folder of the stages that trained a model.
    """

    work_dir: Path
    train_dataset: BaseDataset
    gallery_dataset: BaseDataset
    gallery_split: str
    folder: Path
    outputs: Mapping[str, Path]
    trained: Mapping[str, Path]

    @cached_property
    def results(self) -> dict[str, Any] | None:
        """Content of ``results.json``."""
        return read_object(self.work_dir / "results.json")

    @cached_property
    def threshold(self) -> Threshold | None:
        """Threshold between foreground and 'other'."""
        path = self.outputs.get("threshold")
        return read_threshold(path) if path else None

    @cached_property
    def clustering(self) -> Clustering | None:
        """The discovered categories of the training images."""
        path = self.outputs.get("clustering")
        return read_clustering(path, len(self.train_dataset)) if path else None

    @cached_property
    def names(self) -> CategoryNames | None:
        """The user's names of the discovered categories."""
        return category_names_of(self.work_dir, self.outputs.get("clustering"))

    @cached_property
    def match(self) -> NDArray[np.int64] | None:
        """True id of each generated id (G + 1,), found after merging and dropping categories."""
        path = self.outputs.get("match")
        if self.names is not None and self.names.changes_ids:
            path = self.outputs.get("named_match", path)
        return read_match(path) if path else None

    @cached_property
    def true(self) -> Legend:
        """Colours and names of the true classes."""
        return true_legend(self.gallery_dataset.metainfo)

    @cached_property
    def generated(self) -> Legend:
        """Colours and names of the generated categories."""
        count = max(
            0 if self.clustering is None else self.clustering.num_categories,
            0 if self.match is None else len(self.match) - 1,
        )
        legend = generated_legend(count, self.match, self.true)
        return legend if self.names is None else named_legend(legend, self.names)

    def pictures(self, name: str) -> PictureFolder:
        """Create a folder for a section's pictures in the page's folder."""
        return PictureFolder(self.folder, name)
