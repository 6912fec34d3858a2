"""Find words in prose that have a plainer term in the field.

``python docs/check_words.py [FILES]`` checks Markdown, and comments, docstrings and messages of
Python files; by default all files of the repository. Code in Markdown is skipped.
"""

import fnmatch
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

TERMS = {
    r"anew|once more|(?:made|make|makes|done|do) again": "again, recompute or rebuild",
    r"refuse[sd]?|refusing|refusal": "reject, raise or check",
    r"rehears\w+": "dry run or preflight",
    r"doors?": "extension point or registry",
    r"strangers?|of others|of people|people's": "third-party or user",
    r"goes on|go on|went on": "resume or continue",
    r"whole or not at all": "atomically",
    r"(?:is|are|was|were|still) whole": "complete or finished",
    r"(?:is|are|was|were|be) (?:told|said|asked)|not said": "log, print, report or state",
    r"says|tells": "log, print or report; things do not speak",
    r"yet to come": "missing or future",
    r"absent": "missing",
    r"before hours pass": "before it starts",
    r"of one's own": "your own",
    r"mend(?:s|ed|ing)?": "fix",
    r"(?<!there )(?:is|are|was|were) no (?!longer)(?=\w)": "is not a",
}
PATTERN = re.compile("|".join(rf"(\b(?:{words})\b|\b(?:{words})(?= ))" for words in TERMS), re.I)

ALLOWED = {
    # The check itself.
    "docs/check_words.py": ".*",
}
"""Path pattern -> regular expression of the matches that are accepted there."""


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line number and text of each piece of prose."""
    if path.suffix == ".md":
        text = re.sub(r"```.*?```|<!--.*?-->", _blank, path.read_text("utf-8"), flags=re.DOTALL)
        yield 1, re.sub(r"`[^`]*`|^    .*$", _blank, text, flags=re.MULTILINE)
        return
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            kind = tokenize.tok_name[token.type]
            # A string without a space is a name, not a sentence.
            if kind == "COMMENT" or (
                kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string.strip()
            ):
                yield token.start[0], re.sub(r"`[^`]*`", _blank, token.string)


def _blank(match: re.Match) -> str:
    """Return as many lines as the match has."""
    return "_" + "\n" * match[0].count("\n")


def findings(path: Path) -> Iterator[str]:
    """Yield a message for each word of a file that has a plainer term."""
    name = path.relative_to(REPOSITORY).as_posix()
    allowed = [words for pattern, words in ALLOWED.items() if fnmatch.fnmatch(name, pattern)]
    for start, text in prose_of(path):
        for match in PATTERN.finditer(re.sub(r"[^\S\n]", " ", text)):
            if not any(re.fullmatch(words, match[0], re.I) for words in allowed):
                line = start + text.count("\n", 0, match.start())
                term = list(TERMS.values())[match.lastindex - 1]
                yield f"{name}:{line}: {match[0]!r}; write: {term}"


def main() -> int:
    """Print all findings; return 1 if there are any."""
    names = (
        sys.argv[1:]
        or subprocess.check_output(
            ["git", "ls-files", "*.md", "*.py"], cwd=REPOSITORY, text=True
        ).splitlines()
    )
    found = [line for name in names for line in findings((REPOSITORY / name).resolve())]
    print("\n".join(found) or "no findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
