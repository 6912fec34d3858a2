"""Ids and names of predictions: discovered, named by users, or true."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from luss.apis.finished_run import FinishedRun
from luss.errors import LussError
from luss.evaluation.matching import apply_match
from luss.visualization.colours import Legend, named_legend

__all__ = ["KINDS", "WrittenCategories"]

KINDS = ("named", "generated", "true")


@dataclass(frozen=True)
class WrittenCategories:
    """Mapping from predicted ids to written ids.

    Attributes:
        kind: one of ``KINDS``.
        ids: (C + 1,) int64, the written id of each predicted id; 0 stays 0.
        legend: colours and names of the written ids.
    """

    kind: str
    ids: NDArray[np.int64]
    legend: Legend

    @classmethod
    def of(cls, run: FinishedRun, kind: str | None = None) -> "WrittenCategories":
        """Return the categories of a run's predictions.

        - ``generated``: the discovered categories, with the names of their matched true classes if
          there is a match;
        - ``named``: names of the work dir's ``names.json``: merged categories have one id, dropped
          ones become 'other', and those without a name have that of ``generated``;
        - ``true``: ids and names of the true classes; unmatched categories become 'other'.

        Args:
            run: of the model.
            kind: one of these; by default ``named`` if ``names.json`` exists, else ``generated``;
                ``true`` for a model trained on true classes.

        Raises:
            LussError: if the kind is unknown, or the run has no such ids.
        """
        if kind not in (None, *KINDS):
            raise LussError(f"--categories is {kind!r}, expected one of: {', '.join(KINDS)}")
        same = np.arange(run.num_categories + 1)
        if run.predicts_true_classes:
            if kind not in (None, "true"):
                raise LussError(
                    f"the model {run.checkpoint} was trained on true classes and has no {kind} "
                    "categories; remove --categories"
                )
            return cls("true", same, run.legend)
        if kind == "true":
            if run.match is None:
                raise LussError(
                    f"{run.checkpoint} has no match of generated categories with true classes; use "
                    "--categories generated, or evaluate the run on data with validation masks "
                    "first"
                )
            return cls(kind, run.match, run.true_legend)
        given = None if kind == "generated" else run.category_names()
        if given is not None:
            return cls("named", given.kept, named_legend(run.legend, given))
        if kind == "named":
            raise LussError(
                f"there is no {run.names_file or 'names.json'} with names of the categories; "
                "create it with luss name-categories, or use --categories generated"
            )
        return cls("generated", same, run.legend)

    @property
    def colours(self) -> NDArray[np.uint8]:
        """Colours of the ids, (65536, 3) uint8 RGB; black for 'other'."""
        colours = self.legend.colours.copy()
        colours[0] = 0
        return colours

    @property
    def used(self) -> list[int]:
        """All written ids, ascending from 0."""
        return np.unique(self.ids).tolist()

    def write_as(self, ids: NDArray[np.integer]) -> NDArray[np.uint16]:
        """Return the mask (H, W) of written ids for a mask of predicted ids."""
        return apply_match(ids, self.ids)
