"""The runs of a sweep: their arguments and folders."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine import Config

from luss.configuration import read_config, read_option
from luss.errors import LussError
from luss.pipeline import Context, protocols_of
from luss.pipeline.work_dir import WorkDir

__all__ = ["Run", "Variant", "expand_settings", "plan_runs"]

_LONGEST = 150
"""Characters of a folder's name; file systems allow 255 bytes."""


@dataclass(frozen=True)
class Variant:
    """A config with settings of its own: one row of the table.

    Attributes:
        config: its path, as it was given.
        settings: texts ``KEY=VALUE``, as ``--cfg-options`` takes them.
    """

    config: str
    settings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The config's name, and its settings where it has some: unique in a sweep."""
        return ", ".join([_stem(self.config), *self.settings])

    @property
    def folder(self) -> str:
        """Name of the folder: that of the config, and the settings, joined by ``_``.

        Special characters become ``-``, and long names are truncated; a digest then makes the
        name unique.
        """
        whole = "_".join([_stem(self.config), *self.settings])
        safe = re.sub(r"[^\w.,=+-]", "-", whole, flags=re.ASCII)
        if safe == whole and len(safe) <= _LONGEST:
            return safe
        return f"{safe[:_LONGEST]}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Run:
    """One run: a variant with one seed.

    Attributes:
        variant: of the config.
        seed: of the run.
        folder: its work dir.
        options: all ``KEY=VALUE`` texts that the command line gets, the seed included.
        stages: names of the stages; the run is complete when all of them are.
        own_seeds: names of stages with their own seed, which the run's seed does not change.
        protocols: by which it can be evaluated.
    """

    variant: Variant
    seed: int
    folder: Path
    options: tuple[str, ...]
    stages: tuple[str, ...]
    own_seeds: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def log(self) -> Path:
        """Output of its commands."""
        return self.folder / "console.log"

    @property
    def results(self) -> Path:
        """Its metrics."""
        return self.folder / "results.json"

    def arguments(self) -> list[str]:
        """Arguments of ``tools/train.py`` and ``tools/test.py`` for this run."""
        where = ["--work-dir", str(self.folder)]
        return [self.variant.config, *where, "--cfg-options", *self.options]


def expand_settings(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all combinations of the settings of one ``--set``.

    A key that occurs several times takes each of its values in turn: ``a=1 b=2 b=3`` means
    ``a=1 b=2`` and ``a=1 b=3``.

    Args:
        texts: ``KEY=VALUE``, parsed like ``--cfg-options``; empty for the config without changes.

    Raises:
        LussError: if a text is invalid, sets the seed, or occurs twice.
    """
    alternatives: dict[str, list[str]] = {}
    for text in texts:
        try:
            key, _ = read_option(text)
        except LussError as error:
            raise LussError(f"--set {error}") from error
        if key == "seed":
            raise LussError(f"--set {text} sets the seed; use --seeds instead")
        if text in alternatives.setdefault(key, []):
            raise LussError(f"--set {text} occurs twice in one --set; remove one of them")
        alternatives[key].append(text)
    return list(itertools.product(*alternatives.values()))


def plan_runs(
    configs: Sequence[str],
    seeds: Sequence[int],
    settings: Iterable[tuple[str, ...]] = ((),),
    options: Sequence[str] = (),
    work_dir: str | Path = "work_dirs/sweep",
) -> list[Run]:
    """Return all runs of a sweep, those with the first seed first.

    Every variant's config is read, so that errors are raised before anything runs.

    Args:
        configs: paths.
        seeds: one run each.
        settings: each makes a variant of each config, see :func:`expand_settings`.
        options: ``KEY=VALUE`` texts of all runs.
        work_dir: parent of the runs' folders ``<config>[_<settings>]/seed_<seed>``.

    Raises:
        LussError: if there is no config or seed, one of them occurs twice, two variants have the
            same folder, or a config or setting is invalid.
    """
    if not configs or not seeds:
        raise LussError("a sweep needs at least one config and one seed")
    if twice := sorted({seed for seed in seeds if list(seeds).count(seed) > 1}):
        raise LussError(f"--seeds has {', '.join(map(str, twice))} twice; remove one of them")
    try:
        common = [read_option(text) for text in options]
    except LussError as error:
        raise LussError(f"--cfg-options {error}") from error
    if any(key == "seed" for key, _ in common):
        raise LussError("--cfg-options sets the seed; use --seeds instead")
    variants = [Variant(config, chosen) for chosen in settings for config in configs]
    owners: dict[str, Variant] = {}
    for variant in variants:
        if (other := owners.setdefault(variant.folder, variant)) is not variant:
            raise LussError(
                f"{variant.config} and {other.config} with the same settings have the same folder "
                f"{variant.folder}; remove one of them, or rename one file"
            )
    read = {}
    for variant in variants:
        chosen = dict([*common, *map(read_option, variant.settings), ("seed", seeds[0])])
        read[variant] = read_config(variant.config, chosen)
    root = Path(work_dir).expanduser()
    runs = []
    for seed in seeds:
        for variant in variants:
            folder = root / variant.folder / f"seed_{seed}"
            given = (*options, *variant.settings, *_own_demo_data(read[variant], folder))
            stages = read[variant].stages
            own_seeds = tuple(
                name for name, stage in stages.items() if stage.get("seed") is not None
            )
            all_options = (*given, f"seed={seed}")
            protocols = tuple(protocols_of(Context(read[variant], WorkDir(folder))))
            names = tuple(stages)
            runs.append(Run(variant, seed, folder, all_options, names, own_seeds, protocols))
    return runs


def _own_demo_data(config: Config, folder: Path) -> list[str]:
    """Return an option with the run's own folder for demo data, since each run draws them."""
    is_demo = config.get("data", {}).get("type") == "demo"
    return [f"data_root={folder / 'data'}"] if is_demo and config.get("data_root") else []


def _stem(config: str) -> str:
    return Path(config.rpartition("::")[2]).stem
