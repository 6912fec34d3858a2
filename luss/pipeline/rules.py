"""Rules: values of settings that depend on the data.

A rule is a function that is registered in ``RULES``. A dict in a config whose ``type`` is the name
of a rule is replaced by the value of the rule in ``WORK_DIR/<stage>/config.py``.
"""

from typing import Any

from luss.nested import replaced
from luss.pipeline.context import Context
from luss.registry import RULES

__all__ = ["auto_threshold", "with_rules"]


def with_rules(config: Any, context: Context) -> Any:
    """Return a nested config with the values of all rules.

    Args:
        config: of anything, however nested, without references.
        context: of the run.
    """

    def change(part: Any) -> Any:
        kind = part.get("type") if isinstance(part, dict) else None
        rule = RULES.module_dict.get(kind) if isinstance(kind, str) else None
        if rule is None:
            return part
        del part["type"]
        return rule(context, **part)

    return replaced(config, change)


@RULES.register_module(name="AutoThreshold")
def auto_threshold(context: Context) -> dict:
    """Return a threshold rule: the best mIoU on validation masks; Otsu's without such masks.

    Args:
        context: of the run.
    """
    found = "validation" in context.splits_with_masks
    return {"type": "ValidationThreshold" if found else "OtsuThreshold"}
