"""Walks over nested configs."""

from luss.nested import dicts_in, replaced

CONFIG = {"type": "A", "steps": [{"type": "B"}, ({"type": "C", "part": {"type": "D"}}, 3)]}


def test_outer_dicts_come_first():
    assert [part["type"] for part in dicts_in(CONFIG)] == ["A", "B", "C", "D"]
    assert list(dicts_in("text")) == []


def test_content_is_replaced_first_and_the_original_stays():
    def change(part):
        if isinstance(part, dict):
            part["inner"] = sum(inner.get("inner", 0) + 1 for inner in dicts_in(part)) - 1
        return part

    found = replaced(CONFIG, change)
    assert found["steps"][1][0]["inner"] == 1
    assert isinstance(found["steps"][1], tuple)
    assert "inner" not in repr(CONFIG)


def test_lists_may_lose_entries():
    found = replaced(CONFIG, lambda part: part if isinstance(part, dict) else part[1:])
    assert found == {"type": "A", "steps": [(3,)]}
