"""``python -m luss TOOL ...`` runs a command line of ``tools/``, wherever luss is installed."""

import runpy
import sys
from pathlib import Path

TOOLS = Path(__file__).parent / ".mim" / "tools"


def main() -> None:
    """Hand the arguments over to the tool that the first of them names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    known = sorted(path.stem for path in TOOLS.glob("*.py"))
    if name in known:
        sys.argv = [str(TOOLS / f"{name}.py"), *sys.argv[2:]]
        runpy.run_path(sys.argv[0], run_name="__main__")
        return
    wants_help = name in ("-h", "--help")
    said = f"usage: python -m luss TOOL ...\nTools: {', '.join(known)} (TOOL --help says more)"
    print(said, file=sys.stdout if wants_help else sys.stderr)
    sys.exit(0 if wants_help else 2)


if __name__ == "__main__":
    main()
