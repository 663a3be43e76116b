"""Which room may import which, and what importing costs: predicting loads what it needs, and no more."""

import json
import subprocess
import sys
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.import_graph import (
    PACKAGE,
    defined_names,
    find_circle,
    imported_modules,
    imported_names,
    list_modules,
    reach,
    room_of,
)
from tests.scenarios import make_pipeline, train

# What each room may import of the others, at any depth of its files. A row names a folder of the package or a module at
# its top; "" is the package's __init__.py, the face, which imports lazily and gives the rooms nothing but its version.
MAY_IMPORT: dict[str, set[str]] = {
    "arrays": set(),
    "checks": set(),
    "child_processes": set(),
    "processors": set(),
    "tags": set(),
    "terminal": set(),
    "storage": set(),
    "decoding": {"arrays", "tags"},
    "rawtext": {"arrays", "tags"},
    "encoder": {"arrays", "checks", "storage"},
    "ner": {"arrays", "checks", "decoding", "encoder", "storage", "tags"},
    "bridge": {"arrays", "checks", "encoder", "ner", "storage"},
    "calibration": {"arrays", "checks", "ner", "rawtext", "tags"},
    "data": {"storage", "tags"},
    "evaluation": {"arrays", "calibration", "ner", "rawtext", "tags"},
    "quantization": {"arrays", "calibration", "encoder", "ner"},
    "report": {"evaluation", "tags"},
    "training": {
        "annotating",
        "arrays",
        "checks",
        "child_processes",
        "decoding",
        "encoder",
        "ner",
        "processors",
        "rawtext",
        "storage",
        "tags",
        "terminal",
    },
    "inspection": {"encoder", "ner", "rawtext", "training"},
    "auditing": {
        "arrays",
        "calibration",
        "data",
        "decoding",
        "evaluation",
        "ner",
        "rawtext",
        "report",
        "storage",
        "tags",
        "training",
    },
    "exported": {"arrays", "checks", "encoder", "processors", "storage", "tags"},
    "exporting": {"arrays", "encoder", "exported", "ner", "storage"},
    "packaging": {"storage"},
    "annotating": {"child_processes", "ner", "processors", "storage"},
    "serving": {"processors"},
    "suggesting": {"annotating", "arrays", "data", "encoder", "ner", "storage"},
    "commands": {
        "annotating",
        "auditing",
        "bridge",
        "calibration",
        "data",
        "encoder",
        "evaluation",
        "exporting",
        "inspection",
        "ner",
        "packaging",
        "quantization",
        "report",
        "serving",
        "storage",
        "suggesting",
        "tags",
        "terminal",
        "training",
    },
    "cli": {"commands"},
    "__main__": {"commands"},
    "": {"annotating", "calibration", "evaluation", "ner", "training"},
}
# What computes an entity, and what must not reach it by any way.
INNER = ("ner", "encoder", "exported", "decoding")
OUTER = {
    "auditing",
    "exporting",
    "quantization",
    "data",
    "training",
    "evaluation",
    "calibration",
    "commands",
    "serving",
    "annotating",
    "report",
    "packaging",
    "suggesting",
}


def imports_of_rooms() -> dict[str, dict[str, list[str]]]:
    """RETURNS: Of each room, the rooms that it imports, each with the imports as `module imports module`."""
    rooms: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for module, imported in imported_modules().items():
        for other in imported:
            # Only the version comes from the face, which `the_face_gives_its_version_alone` holds.
            if room_of(other) not in ("", room_of(module)):
                rooms[room_of(module)][room_of(other)].append(f"{module} imports {other}")
    return rooms


def test_rooms_import_what_they_may() -> None:
    rooms = imports_of_rooms()
    assert {room_of(module) for module in list_modules()} - set(MAY_IMPORT) == set(), "a room without a row"
    assert [
        line
        for room, others in rooms.items()
        for other, lines in others.items()
        if other not in MAY_IMPORT[room]
        for line in lines
    ] == []


def test_what_rooms_may_import_leads_down_only() -> None:
    assert find_circle(MAY_IMPORT) == []
    reached: dict[str, set[str]] = {}
    for room in TopologicalSorter(MAY_IMPORT).static_order():
        reached[room] = MAY_IMPORT[room].union(*(reached[other] for other in MAY_IMPORT[room]))
    assert {room: reached[room] & OUTER for room in INNER} == {room: set() for room in INNER}


def test_no_modules_import_each_other() -> None:
    assert find_circle(imported_modules()) == []


def test_the_face_gives_its_version_alone() -> None:
    """Whoever imports the face for more would import every room that it shows."""
    names = {
        (module, name)
        for module, path in list_modules().items()
        for name in imported_names(path)
        if name.startswith(f"{PACKAGE}.") and name.count(".") == 1 and name not in list_modules()
    }
    assert {name for module, name in names if module != PACKAGE} <= {f"{PACKAGE}.__version__"}


def test_a_public_name_is_defined_once() -> None:
    homes = defaultdict(list)
    for module, path in list_modules().items():
        for name in defined_names(path):
            homes[name].append(module)
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


def test_a_file_name_is_used_once() -> None:
    homes = defaultdict(list)
    for module, path in list_modules().items():
        homes[path.name].append(module)
    del homes["__init__.py"]
    assert {name: modules for name, modules in homes.items() if len(modules) > 1} == {}


PROBE = """
import json, sys
import spacy
nlp = spacy.load(sys.argv[1])
ents = [(ent.text, ent.label_) for ent in nlp("IBM works near Paris").ents]
print(json.dumps({"ents": ents, "modules": sorted(sys.modules)}))
"""
UNWANTED = (
    "transformers",
    "spacy_transformers",
    "datasets",
    "pyarrow",
    "matplotlib",
    "torch._dynamo",
    "sklearn",
    "pandas",
)


def test_predicting_imports_no_more_than_it_needs(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_pipeline(tiny_bert, precision="bf16")
    train(nlp)
    nlp.to_disk(tmp_path)
    run = subprocess.run([sys.executable, "-c", PROBE, str(tmp_path)], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    assert found["ents"] == [["IBM", "ORG"], ["Paris", "LOC"]]
    imported = [name for name in found["modules"] if name.startswith(tuple(f"{each}." for each in UNWANTED))]
    assert imported + [name for name in UNWANTED if name in found["modules"]] == []


@pytest.mark.parametrize("module", ["ner.component", "encoder.cleaner", "bridge"])
def test_factories_import_neither_torch_nor_transformers(module: str) -> None:
    """spaCy imports every factory at every `Language()`."""
    seen, outside = reach(module)
    assert seen
    assert not outside & {"torch", "transformers", "spacy_transformers", "safetensors", "tokenizers", "huggingface_hub"}
