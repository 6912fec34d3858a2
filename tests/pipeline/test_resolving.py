"""Settings of a stage that refer to other stages, to the data or to the top level."""

import pytest
from tiny_run import read_tiny

from luss.errors import LussError
from luss.pipeline import Context, Pipeline
from luss.pipeline.resolving import resolved_config
from luss.pipeline.stage import Stage
from luss.registry import STAGES


@STAGES.register_module()
class NoteStage(Stage):
    """Writes down a value of its settings."""

    roles = {"note": "note.txt"}
    settings = ()

    def __init__(self, name, value, model=None):
        super().__init__(name)
        self.value = value

    def run(self, context):
        folder = context.work_dir.stage(self.name)
        (folder / "note.txt").write_text(str(self.value))
        return {}


def with_notes(**notes):
    config = read_tiny()
    stages = type(config.stages)({n: {"type": "NoteStage", "value": v} for n, v in notes.items()})
    config._cfg_dict["stages"] = stages
    return config


@STAGES.register_module()
class SummaryStage(NoteStage):
    """As the report, which reads all stages before it."""

    reads_all_before = True


def test_stages_after_the_report_are_named(tmp_path):
    config = with_notes(first=1, summary=2, late=3)
    config.stages.summary.type = "SummaryStage"
    pipeline = Pipeline(config, str(tmp_path / "run"))
    assert pipeline.stages["summary"].requires == ("first",)
    pipeline.run()
    log = (tmp_path / "run" / "run.log").read_text()
    assert "but late run after" in log
    assert "before='summary'" in log


@STAGES.register_module()
class QuickNoteStage(NoteStage):
    """As the report, which takes seconds to draw."""

    made_again_on_change = True


def test_a_deleted_output_is_made_again_where_that_is_quick(tmp_path):
    config = with_notes(slow=1, quick=2)
    config.stages.quick.type = "QuickNoteStage"
    for _ in range(2):
        pipeline = Pipeline(config, str(tmp_path / "run"))
        pipeline.run()
        outputs = pipeline.work_dir.outputs("quick")
        outputs["note"].unlink()
    assert outputs["note"].parent.name == "quick"
    assert "note" not in pipeline.work_dir.outputs("quick")
    assert f"{outputs['note']} was deleted" in (tmp_path / "run" / "run.log").read_text()


def test_a_stage_reads_the_output_of_another_by_role(tmp_path):
    values = {"first": "${facts.num_categories}", "second": "see ${first.note}"}
    pipeline = Pipeline(with_notes(**values), str(tmp_path / "run"))
    assert pipeline.stages["second"].requires == ("first",)
    with pytest.raises(LussError, match="'first'"):
        pipeline.run("second")
    pipeline.run()
    first = pipeline.work_dir.outputs("first")["note"]
    assert first.read_text() == "6"
    assert pipeline.work_dir.outputs("second")["note"].read_text() == f"see {first}"


def test_the_type_of_a_stage_may_be_a_class(tmp_path):
    config = with_notes(first=1)
    config._cfg_dict["stages"]["first"]["type"] = NoteStage
    pipeline = Pipeline(config, str(tmp_path / "run"))
    context = Context(config, pipeline.work_dir)
    expected = str(tmp_path / "run" / "first" / "note.txt")
    assert resolved_config("${first.note}", context, "stages.second") == expected


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ("${frist.note}", r"stages\.second\.value .*'frist'.*'first'"),
        ("${first.notes}", r"stages\.second\.value .*'notes'.*'note'"),
        ("${facts.num_categorys}", r"stages\.second\.value .*'num_categorys'.*'num_categories'"),
    ],
)
def test_an_unknown_name_is_rejected_with_the_nearest(tmp_path, value, match):
    with pytest.raises(LussError, match=match):
        Pipeline(with_notes(first=1, second=value), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_no_stage_may_be_called_facts(tmp_path):
    with pytest.raises(LussError, match="'facts'"):
        Pipeline(with_notes(facts=1), str(tmp_path / "run"))


def test_a_stage_that_reads_a_later_one_is_named(tmp_path):
    with pytest.raises(LussError, match=r"stages\.second .* 'third'.*after='third'"):
        Pipeline(with_notes(second="${third.note}", third=1), str(tmp_path / "run"))


def test_a_stage_depends_on_the_model_that_it_refers_to(tmp_path):
    """Although the stage that trains the model need not have run."""

    def run(width):
        config = with_notes(other=1, note="${other.model.width}")
        config.stages.other = {"type": "NoteStage", "value": 1, "model": {"width": width}}
        pipeline = Pipeline(config, str(tmp_path / "run"))
        assert pipeline.stages["note"].requires == ()
        pipeline.run("note")
        return (tmp_path / "run" / "note" / "note.txt").read_text()

    assert run(3) == "3"
    with pytest.raises(LussError, match="width: was 3, now 4"):
        run(4)


def test_settings_of_the_top_level_reach_all_stages():
    """Options for them, too, and those of stages are merged into their values."""
    options = {"backbone.base_channels": 4, "stages__finetune__model__backbone__depth": 34}
    config = read_tiny(short_side=40, **options)
    stages = config.stages
    for name in ("pretrain", "pixel_attention", "finetune"):
        assert stages[name].model.backbone.base_channels == 4
    assert [stages[name].model.backbone.depth for name in ("pretrain", "finetune")] == [18, 34]
    pipelines = [
        stages.evaluate.test_dataloader.dataset.pipeline,
        stages.label_generation.test_dataloader.pixels.dataset.pipeline,
    ]
    for pipeline in pipelines:
        assert [step.size for step in pipeline if step.type == "ResizeShortSide"] == [40]
