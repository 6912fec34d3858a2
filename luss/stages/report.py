"""The last stage: pictures of what was learnt."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from mmengine.dist import is_main_process

from luss.build_errors import named_functions
from luss.evaluation.category_names import NAMES_FILE, category_names_of
from luss.pipeline.context import Context
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import WorkDir
from luss.registry import REPORT_SECTIONS, STAGES
from luss.visualization import DEFAULT_SECTIONS, build_report

__all__ = ["Report"]


@STAGES.register_module()
class Report(Stage):
    """A stage that writes ``WORK_DIR/report/index.html`` from the outputs of the other stages.

    Args:
        name: see :class:`Stage`.
        title: title of the page.
        sections: sections in order: names of ``REPORT_SECTIONS``, or dicts of ``type`` and
            arguments, such as ``dict(type='gallery', max_photos=20)``.
    """

    settings: ClassVar[tuple[str, ...]] = ()
    roles: Mapping[str, str] = {"page": "index.html"}
    made_again_on_change: ClassVar[bool] = True
    reads_all_before: ClassVar[bool] = True

    def __init__(
        self,
        name: str,
        title: str = "PASS",
        sections: Sequence[str | dict] = DEFAULT_SECTIONS,
    ) -> None:
        super().__init__(name)
        self.title = title
        self.sections = sections
        named_functions(sections, REPORT_SECTIONS, f"stages.{name}.sections")

    def digests_of_files(self, work_dir: WorkDir) -> dict[str, str]:
        """Return the digest of ``names.json``."""
        names = category_names_of(work_dir.root, work_dir.outputs().get("clustering"))
        digest = names.digest() if names is not None else None
        return {NAMES_FILE: digest} if digest else {}

    def run(self, context: Context) -> dict:
        """Build the page on the main process."""
        split = "validation" if context.splits_with_masks else "train"
        train, gallery = ({"split": each, "pipeline": []} for each in ("train", split))
        train, gallery = context.dataset(train), context.dataset(gallery)
        if not is_main_process():
            return {}
        page = build_report(
            context.work_dir.root,
            train_dataset=train,
            gallery_dataset=gallery,
            gallery_split=split,
            title=self.title,
            sections=self.sections,
            name=self.name,
            outputs=context.work_dir.outputs(),
            trained=context.work_dir.trained(),
        )
        return {"page": str(page.relative_to(context.work_dir.root))}
