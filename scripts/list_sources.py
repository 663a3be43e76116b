"""Write what each step of project.yml depends on, from the import graph.

Its source files go between the markers there, and the versions of the packages that training imports, out of
constraints.txt, into constraints-training.txt.

Usage: python scripts/list_sources.py [--check]
"""

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import srsly

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "spacy_bert_ner"
BEGIN, END = "      # Written by scripts/list_sources.py:", "      # Until here."
VERSIONS_HEADER = "# The packages that training imports, out of constraints.txt; written by scripts/list_sources.py."
# What spaCy imports by entry points for a config: a step's own source does not import it.
PIPELINE = [
    "ner/component.py",
    "ner/head.py",
    "encoder/cleaner.py",
    "encoder/model.py",
    "encoder/sharing.py",
    "rawtext/scorer.py",
]
BY_ENTRY_POINT = {
    "train": [*PIPELINE, "training/optimizer.py"],
    "distill": [*PIPELINE, "training/optimizer.py"],
    "calibrate": PIPELINE,
    "quantize": PIPELINE,
    "evaluate": PIPELINE,
}


def main() -> None:
    """Write the files, or with --check exit with 1 where that would change one."""
    for name, generate in GENERATED.items():
        path = PROJECT / name
        text = path.read_text(encoding="utf8") if path.is_file() else ""
        written = generate(text)
        if "--check" not in sys.argv[1:]:
            path.write_text(written, encoding="utf8")
        elif written != text:
            sys.exit(f"{name} is not as generated: run python scripts/list_sources.py")


def list_versions(text: str) -> str:
    """Choose the lines of constraints.txt whose packages training imports. RETURNS (str): What to write for `text`."""
    sources = [PROJECT / name for name in sources_of("train")]
    imported = {name.partition(".")[0].replace("_", "-") for path in sources for name in imported_names(path)}
    lines = (PROJECT / "constraints.txt").read_text(encoding="utf8").splitlines()
    chosen = [line for line in lines if line.partition("==")[0].lower().replace("_", "-") in imported]
    return "\n".join([VERSIONS_HEADER, *chosen]) + "\n"


def list_steps(text: str) -> str:
    """Put the lists into project.yml. RETURNS (str): Its text."""
    sources = iter([sources_of(command["name"]) for command in srsly.yaml_loads(text)["commands"]])
    lines: list[str] = []
    inside = False
    for line in text.split("\n"):
        if line == END:
            inside = False
        if not inside:
            lines.append(line)
        if line == BEGIN:
            inside = True
            lines += [f'      - "{source}"' for source in next(sources)]
    return "\n".join(lines)


def sources_of(step: str) -> list[str]:
    """RETURNS (list[str]): The source files that a step runs, by their paths in the project."""
    if step == "package":
        # The plugin's wheel contains everything.
        return sorted(path.relative_to(PROJECT).as_posix() for path in PACKAGE.rglob("*.py"))
    # A step has the name of its command, or that and what it is for: calibrate-small.
    command = step.partition("-")[0]
    return needed_files([PACKAGE / name for name in [f"commands/{command}.py", *BY_ENTRY_POINT.get(command, [])]])


def needed_files(start: list[Path]) -> list[str]:
    """All the project's files that those import, themselves included; __init__.py only where it imports something."""
    seen: set[Path] = set()
    todo = list(start)
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            package = file.parent / "__init__.py"
            todo += [*imported_files(file), *([package] if package.is_file() else [])]
    kept = (file for file in seen if file.name != "__init__.py" or imported_files(file))
    return sorted(file.relative_to(PROJECT).as_posix() for file in kept)


def walk_code(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a syntax tree, without what is under `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from walk_code(child)


def imported_names(path: Path) -> Iterator[str]:
    """YIELDS (str): The dotted names that a file imports, wherever in it, but for those that only type checkers see."""
    for node in walk_code(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(path.relative_to(PROJECT).parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (module, *(f"{module}.{alias.name}" for alias in node.names))


def imported_files(path: Path) -> set[Path]:
    """RETURNS (set[Path]): The package's own modules that a file imports."""
    found = set()
    for name in imported_names(path):
        place = PROJECT / name.replace(".", "/")
        found |= {file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()}
    return {file for file in found if file.is_relative_to(PACKAGE)}


GENERATED: dict[str, Callable[[str], str]] = {"project.yml": list_steps, "constraints-training.txt": list_versions}


if __name__ == "__main__":
    main()
