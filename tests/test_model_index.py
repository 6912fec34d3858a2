"""The index that OpenMIM reads: its format, and that what it names is there."""

from pathlib import Path

from modelindex.load_model_index import load

REPOSITORY = Path(__file__).resolve().parents[1]


def test_each_entry_names_a_config():
    index = load(str(REPOSITORY / "model-index.yml"))
    index.build_models_with_collections()
    names = [model.name for model in index.models]
    assert len(names) == len(set(names)) > 10
    for model in index.models:
        assert (REPOSITORY / model.config).is_file(), model.name
        assert model.in_collection == "PASS"
