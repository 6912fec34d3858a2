"""Find words in prose that have a plainer term in the field.

``python docs/check_words.py [FILES]`` checks Markdown without code, and comments, docstrings and
messages of Python files. By default it checks all files of the repository.
"""

import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

TERMS = {
    r"anew|once more|(?:made|makes?|done|do) again": "again, recompute or rebuild",
    r"refuse[sd]?|refusing|refusal": "reject, raise or check",
    r"rehears\w+": "dry run or preflight",
    r"doors?": "extension point or registry",
    r"strangers?|of others|of people|people's": "third-party or user",
    r"goes on|go on|went on": "resume or continue",
    r"whole or not at all": "atomically",
    r"(?:is|are|was|were) whole": "complete or finished",
    r"(?:is|are|was|were|be) (?:told|said|asked)|not said": "log, print, report or state",
    r"says|tells": "log, print or report; things do not speak",
    r"yet to come": "missing or future",
    r"absent": "missing",
    r"before hours pass": "before it starts",
    r"of one's own": "your own",
    r"mend(?:s|ed|ing)?": "fix",
    r"(?<!there\s)(?:is|are|was|were) no(?! longer)": "is not a",
}
PATTERN = re.compile("|".join(rf"\b({words})(?!\w)" for words in TERMS).replace(" ", r"\s+"), re.I)

_REST = "datasets|evaluation|visualization"
ALLOWED = {
    r"docs/check_words\.py": ".*",  # the list of the words
    rf"luss/(?:{_REST})/.*|tests/.*|ARCHITECTURE\.md": ".*",  # to be rewritten
}
"""Regular expression of paths -> regular expression of words that are accepted there."""


def prose_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the first line number and the text of each piece of prose, with code blanked."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
        yield 1, re.sub(r"(?ms)^ *```.*?^ *```|<!--.*?-->|`[^`]*`|^    [^\n]*$", _blank, text)
        return
    with tokenize.open(path) as file:
        for kind, text, (line, _), *_ in tokenize.generate_tokens(file.readline):
            # A string without a space is a name, not a sentence.
            if kind == tokenize.COMMENT or (kind == tokenize.STRING and " " in text):
                yield line, re.sub(r"`[^`]*`", _blank, text)


def _blank(match: re.Match) -> str:
    return "_" + "\n" * match[0].count("\n")


def findings(path: Path) -> Iterator[str]:
    """Yield a message for each word of a file that has a plainer term."""
    name = path.relative_to(REPOSITORY).as_posix()
    allowed = [words for pattern, words in ALLOWED.items() if re.fullmatch(pattern, name)]
    for first, text in prose_of(path):
        for match in PATTERN.finditer(text):
            word, term = " ".join(match[0].split()), list(TERMS.values())[match.lastindex - 1]
            if not any(re.fullmatch(words, word, re.I) for words in allowed):
                line = first + text.count("\n", 0, match.start())
                yield f"{name}:{line}: {word!r}: write {term}"


if __name__ == "__main__":
    listing = ["git", "-C", str(REPOSITORY), "ls-files", "*.md", "*.py"]
    names = sys.argv[1:] or subprocess.check_output(listing, text=True).splitlines()
    found = [line for name in names for line in findings((REPOSITORY / name).resolve())]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(bool(found))
