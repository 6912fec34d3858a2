"""A stage: what one step of a method does, from folders before it to a folder of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir

__all__ = ["Stage"]


class Stage(ABC):
    """A step of a method.

    Args:
        name: its name in the config, and that of its folder in the work dir.
        requires: names of the stages whose output it reads.
    """

    settings: ClassVar[tuple[str, ...]] = (
        "seed",
        "data",
        "num_categories",
        "env_cfg",
        "default_hooks",
    )
    """Top-level settings of the config that its output depends on. Once the stage has begun, they
    and its own settings must stay as they are. Where the photos lie is no such setting."""

    made_again_on_change: ClassVar[bool] = False
    """Whether other settings, or other inputs, lead to a new output instead of a refusal."""

    goes_on_from_checkpoints: ClassVar[bool] = False
    """Whether ``--resume CHECKPOINT`` may name one of its checkpoints."""

    roles: ClassVar[Mapping[str, str]] = {}
    """Role -> path below the stage's folder, of each output that it may write. Whoever reads an
    output looks its role up (:meth:`WorkDir.outputs`), so that a stage may have any name."""

    def __init__(self, name: str, requires: tuple[str, ...] = ()) -> None:
        self.name = name
        self.requires = requires

    @abstractmethod
    def run(self, context: Context) -> dict:
        """Make the stage's output, or what is missing of it.

        Called by all processes together. Whatever is written is written whole.

        Returns:
            Facts for ``done.json``.
        """

    def outputs(self, folder: Path) -> dict[str, str]:
        """Return role -> path below ``folder`` of the outputs that were written.

        Args:
            folder: of the stage.
        """
        return {role: path for role, path in self.roles.items() if (folder / path).exists()}

    def digests_of_files(self, work_dir: WorkDir) -> dict[str, str]:
        """Of files that people write into the work dir: name -> digest of what the stage takes.

        A file that is absent, or says nothing to the stage, is left out. When a digest changes,
        the output is made again.

        Raises:
            LussError: if a file is damaged.
        """
        return {}

    def has_partial_output(self, folder: Path) -> bool:
        """Whether a killed run has left something that ``--resume`` would go on from."""
        return False

    def output_state(self, context: Context) -> Mapping[str, Tensor]:
        """Tensors of the names and shapes that the stage's checkpoint will have, if it has one."""
        return {}

    def takes_weights(self, context: Context) -> bool:
        """Whether the checkpoint holds what a file of others has, and is not trained."""
        return False

    def check(self, context: Context) -> None:  # noqa: B027 -- most have nothing to look for
        """Look for what would fail later, before the first stage starts and hours pass.

        Raises:
            LussError: for instance if a component is unknown, or there are too few images.
        """
