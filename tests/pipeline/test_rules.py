"""Values of settings that depend on the data."""

import pytest
from PIL import Image
from tiny_run import read_tiny

from luss.pipeline import Context
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.pipeline.rules import with_rules
from luss.pipeline.work_dir import WorkDir
from luss.registry import RULES


@pytest.fixture
def product():
    """A rule that multiplies the seed by its settings."""

    @RULES.register_module(name="Product")
    def multiply(context, first, second=1):
        return context.seed * first * second

    yield
    RULES.module_dict.pop("Product")


@pytest.mark.usefixtures("product")
def test_rules_are_replaced_at_any_depth(make_context):
    """Inner ones first, so that the settings of a rule may be rules."""
    config = {
        "rates": ({"type": "Product", "first": 2}, [{"type": "Product", "first": 3}]),
        "nested": {"type": "Product", "first": {"type": "Product", "first": 1}, "second": 4},
        "model": {"type": "Products", "first": None},
        "class": {"type": dict, "depth": 18},
    }
    before = repr(config)
    assert with_rules(config, make_context({}, seed=5)) == {
        "rates": (10, [15]),
        "nested": 5 * 5 * 4,
        "model": {"type": "Products", "first": None},
        "class": {"type": dict, "depth": 18},
    }
    assert repr(config) == before


@pytest.mark.parametrize(
    ("masks", "rule"), [(True, "ValidationThreshold"), (False, "OtsuThreshold")]
)
def test_a_rule_takes_its_value_from_the_data(masks, rule, tmp_path):
    """It stands in the configuration that runs."""
    config = read_tiny()
    if not masks:
        (tmp_path / "photos").mkdir()
        for number in range(8):
            Image.new("RGB", (48, 48), (number, 0, 0)).save(tmp_path / f"photos/{number}.png")
        config.merge_from_dict({"data": {"_delete_": True, "type": "PhotoFolder"}})
        config.update(data_root=str(tmp_path / "photos"), num_categories=2)
    context = Context(config, WorkDir(tmp_path / "run"))
    stage = resolved_stage(stages_of(context)["label_generation"], context)
    assert stage.test_cfg["threshold"] == {"type": rule}
    assert ("validation" in stage.loaders(context)) == masks
