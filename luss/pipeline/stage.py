"""A stage: what one step of a method does, from folders before it to a folder of its own."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from luss.build_errors import clear_build_errors, require_known
from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir
from luss.references import CONFIG, FACTS, Reference, references_in, settings_of
from luss.registry import STAGES

__all__ = ["Stage", "build_stage"]


class Stage(ABC):
    """A step of a method.

    Args:
        name: its name in the config, and that of its folder in the work dir.

    Attributes:
        before: if it reads all stages before it, their names.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data")
    """Top-level settings of the config that its output depends on, beside those that its own
    settings refer to. Once the stage has begun, they and its own settings must stay as they are.
    The folder of the photos may change."""

    made_again_on_change: ClassVar[bool] = False
    """Whether other settings, or other inputs, lead to a new output instead of an error."""

    goes_on_from_checkpoints: ClassVar[bool] = False
    """Whether ``--resume CHECKPOINT`` may name one of its checkpoints."""

    roles: Mapping[str, str] = {}
    """Role -> path below the stage's folder, of each output that it may write. Whoever reads an
    output looks its role up (:meth:`WorkDir.outputs`), so that a stage may have any name."""

    config: Mapping[str, Any] = {}
    """The stage's settings, with references."""

    references: tuple[Reference, ...] = ()
    """What the settings refer to, see :mod:`luss.references`."""

    noted: tuple[str, ...] = ()
    """Names of the facts in ``done.json`` that settings may refer to beside the roles."""

    reads_all_before: ClassVar[bool] = False
    """Whether it reads what every stage before it in the config writes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.before: tuple[str, ...] = ()

    @property
    def requires(self) -> tuple[str, ...]:
        """Names of the stages whose output it reads."""
        referred = (each.stage for each in self.references if each.needs_output)
        return tuple(dict.fromkeys([*self.before, *(s for s in referred if s != self.name)]))

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Names of the top-level settings that the output depends on."""
        return tuple(dict.fromkeys([*self.settings, *settings_of(self.references)]))

    def source_of(self, setting: str) -> str | None:
        """Return the stage whose output a setting refers to; None if it refers to none.

        Args:
            setting: such as ``checkpoint``.
        """
        where = f"stages.{self.name}.{setting}"
        found = (each.stage for each in self.references if each.where == where)
        return next((stage for stage in found if stage not in (FACTS, CONFIG)), None)

    @abstractmethod
    def run(self, context: Context) -> dict:
        """Make the stage's output, or what is missing of it.

        Called by all processes together. Files are written atomically.

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
        """Return name -> digest of the user-edited files in the work dir that the stage reads.

        A missing file, or one without content for the stage, is left out. When a digest changes,
        the output is recomputed.

        Raises:
            LussError: if a file is damaged.
        """
        return {}

    def has_partial_output(self, folder: Path) -> bool:
        """Return whether a killed run left output from which ``--resume`` continues."""
        return False

    def output_state(self, context: Context) -> Mapping[str, Tensor]:
        """Tensors of the names and shapes that the stage's checkpoint will have, if it has one."""
        return {}

    @property
    def is_pretrained(self) -> bool:
        """Whether the stage's checkpoint is made from a file, and nothing is trained."""
        return False

    def check(self, context: Context) -> None:  # noqa: B027 -- most have nothing to look for
        """Look for what would fail later, before the first stage starts and hours pass.

        Raises:
            LussError: for instance if a component is unknown, or there are too few images.
        """


def build_stage(name: str, config: Mapping[str, Any]) -> Stage:
    """Build a stage of a config.

    Args:
        name: of the stage.
        config: its settings, with references.

    Raises:
        LussError: if its type or a setting is unknown, or a reference has another form.
    """
    where = f"stages.{name}"
    if not isinstance(config, Mapping):
        raise LussError(f"{where} is {config!r}, expected the settings of a stage")
    require_known(dict(config), STAGES, where)
    with clear_build_errors(where):
        stage = STAGES.build({**config, "name": name})
    stage.config = config
    stage.references = tuple(references_in(config, where))
    return stage
