"""Values of settings that depend on the data."""

import pytest
from PIL import Image
from tiny_run import read_tiny

from luss.pipeline import Context
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.pipeline.work_dir import WorkDir


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
