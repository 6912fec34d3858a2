"""Rules: values of settings that depend on the data.

A rule is a function that is registered in ``RULES``. A dict in a config whose ``type`` is the name
of a rule is replaced by the value of the rule in ``WORK_DIR/<stage>/config.py``.
"""

from collections.abc import Mapping
from typing import Any

from luss.pipeline.context import Context
from luss.registry import RULES

__all__ = ["auto_threshold", "with_rules"]


def with_rules(config: Any, context: Context) -> Any:
    """Return a nested config with the values of all rules.

    Args:
        config: of anything, however nested, without references.
        context: of the run.
    """
    if isinstance(config, Mapping):
        filled = {key: with_rules(value, context) for key, value in config.items()}
        kind = filled.get("type")
        rule = RULES.module_dict.get(kind) if isinstance(kind, str) else None
        if rule is None:
            return filled
        del filled["type"]
        return rule(context, **filled)
    if isinstance(config, list | tuple):
        entries = [with_rules(entry, context) for entry in config]
        return entries if isinstance(config, list) else tuple(entries)
    return config


@RULES.register_module(name="AutoThreshold")
def auto_threshold(context: Context) -> dict:
    """Return a threshold rule: the best mIoU on validation masks; Otsu's without such masks.

    Args:
        context: of the run.
    """
    found = "validation" in context.splits_with_masks
    return {"type": "ValidationThreshold" if found else "OtsuThreshold"}
