"""The check of words finds them in prose, and only there."""

import pytest

import check_words

PYTHON = '''"""Return it.

It is made
anew.
"""
mode = "absent"  # `refused` as code, refused as prose
text = "a folder says no"
'''
MARKDOWN = "A door.\n\n```python\nrefuse = 1  # refused\n```\n\n`absent` files, there is no door\n"


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.py", PYTHON, [(4, "anew"), (6, "refused"), (7, "says")]),
        ("a.md", MARKDOWN, [(1, "door"), (7, "door")]),
        ("a.md", "That is no loss, there is no\nloss.\n", [(1, "is no")]),
    ],
)
def test_words_in_prose_are_found(name, text, found, tmp_path, monkeypatch):
    monkeypatch.setattr(check_words, "REPOSITORY", tmp_path)
    (tmp_path / name).write_text(text, encoding="utf-8")
    lines = [line.split(":")[1:3] for line in check_words.findings(tmp_path / name)]
    shown = [(int(line), word.strip(" '")) for line, word in lines]
    assert shown == found
    monkeypatch.setattr(check_words, "ALLOWED", {r"a\..*": ".*"})
    assert not list(check_words.findings(tmp_path / name))
