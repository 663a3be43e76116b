"""Who imports whom, and who defines what: read from the sources, nothing is run."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "spacy_bert_ner"


def list_modules() -> dict[str, Path]:
    """RETURNS (dict[str, Path]): The package's modules by their dotted names; a folder's is that of its __init__.py."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf8"), str(path))


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def walk(node: ast.AST, *, type_checking: bool, functions: bool) -> Iterator[ast.AST]:
    """Walk a syntax tree, with or without what only type checkers see and what is inside functions."""
    for child in ast.iter_child_nodes(node):
        if (is_for_type_checkers(child) and not type_checking) or (
            isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not functions
        ):
            continue
        yield child
        yield from walk(child, type_checking=type_checking, functions=functions)


def imported_names(path: Path, *, type_checking: bool = True, functions: bool = True) -> set[str]:
    """RETURNS (set[str]): The dotted names that a source imports, `from a import b` as `a` and `a.b`."""
    names: set[str] = set()
    for node in walk(parse(path), type_checking=type_checking, functions=functions):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(path.relative_to(ROOT).parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def imported_modules(*, type_checking: bool = True, functions: bool = True) -> dict[str, set[str]]:
    """RETURNS (dict[str, set[str]]): Each module of the package and those of the package that it imports."""
    modules = list_modules()
    graph = {}
    for name, path in modules.items():
        wanted = imported_names(path, type_checking=type_checking, functions=functions) & set(modules)
        # `from .a import b` names the room as well, where `b` is one of its modules.
        graph[name] = {each for each in wanted if not any(other.startswith(f"{each}.") for other in wanted)} - {name}
    return graph


def room_of(module: str) -> str:
    """RETURNS (str): The folder under the package that a module is in, or the name of a module at its top."""
    return [*module.split("."), ""][1]


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """RETURNS (list[str]): The names along a circle, the first one again at its end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def defined_names(path: Path) -> list[str]:
    """RETURNS (list[str]): The public names that a source defines at its top: functions, classes, constants."""
    names: list[str] = []
    for node in parse(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return sorted({name for name in names if not name.startswith("_")})


def reach(module: str) -> tuple[set[str], set[str]]:
    """Follow what is imported as soon as a module is: not what only its functions import.

    module (str): Its name under the package.
    RETURNS (tuple[set[str], set[str]]): The package's modules and the packages outside that come with it.
    """
    modules = list_modules()
    seen: set[str] = set()
    outside: set[str] = set()
    todo = [f"{PACKAGE}.{module}"]
    while todo:
        name = todo.pop()
        if name not in modules:
            outside.add(name.split(".")[0])
        elif name not in seen:
            seen.add(name)
            imported = imported_names(modules[name], type_checking=False, functions=False)
            todo += [name.rpartition(".")[0] or PACKAGE, *imported]
    return seen, outside
