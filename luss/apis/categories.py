"""Which ids and names predictions get: those that were discovered, named by people, or true."""

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
    """What becomes of the ids that a model predicts.

    Attributes:
        kind: one of ``KINDS``.
        ids: (C + 1,) int64, what each predicted id is written as; 0 stays 0.
        legend: colours and names of the ids that are written.
    """

    kind: str
    ids: NDArray[np.int64]
    legend: Legend

    @classmethod
    def of(cls, run: FinishedRun, kind: str | None = None) -> "WrittenCategories":
        """The categories of a run's predictions.

        - ``generated``: ids as the run discovered them, called as the true classes that they are
          matched with, where there is a match;
        - ``named``: as the work dir's ``names.json`` says: merged categories have one id, dropped
          ones become 'other'; those without a name are called as generated ones are;
        - ``true``: ids and names of the true classes; generated ones that are left over become
          'other'.

        Args:
            run: whose model predicts.
            kind: one of these; by default ``named`` where there is a ``names.json``, else
                ``generated``, and ``true`` for a model that learnt true classes.

        Raises:
            LussError: if the kind is unknown, or the run has no such ids.
        """
        if kind not in (None, *KINDS):
            raise LussError(f"there are no {kind!r} categories; known are: {', '.join(KINDS)}")
        same = np.arange(run.num_categories + 1)
        if run.predicts_true_classes:
            if kind not in (None, "true"):
                raise LussError(
                    f"the model {run.checkpoint} learnt true classes, so that it has no {kind} "
                    "ones; leave the kind of categories out"
                )
            return cls("true", same, run.legend)
        if kind == "true":
            if run.match is None:
                raise LussError(
                    f"no match of generated categories with true classes was found for "
                    f"{run.checkpoint}; take the generated ones, or evaluate the run on data with "
                    "validation masks first"
                )
            return cls(kind, run.match, run.true_legend)
        given = None if kind == "generated" else run.category_names()
        if given is not None:
            return cls("named", given.kept, named_legend(run.legend, given))
        if kind == "named":
            raise LussError(
                f"there is no {run.names_file or 'names.json'} to name the categories of "
                f"{run.checkpoint}; write it, or take the generated ones"
            )
        return cls("generated", same, run.legend)

    @property
    def colours(self) -> NDArray[np.uint8]:
        """(65536, 3) uint8 RGB of the ids: those of the legend, and black for 'other'."""
        colours = self.legend.colours.copy()
        colours[0] = 0
        return colours

    @property
    def used(self) -> list[int]:
        """The ids that may be written, ascending, 0 first."""
        return np.unique(self.ids).tolist()

    def write_as(self, ids: NDArray[np.integer]) -> NDArray[np.uint16]:
        """What a mask (H, W) of predicted ids is written as."""
        return apply_match(ids, self.ids)
