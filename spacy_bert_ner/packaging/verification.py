"""Whether wheels work elsewhere: installed into a fresh virtual environment, offline, they must say the same.

The environment sees this one's packages for its dependencies, but the model and spacy_bert_ner are its own, and of what
an exported pipeline does without there is nothing to be imported.
"""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from spacy.language import Language

from .repacking import DISTRIBUTION

SAMPLES = (
    "Angela Merkel met officials of the World Health Organization in Geneva on Tuesday.",
    "The Japanese carmaker Toyota will open a plant near Manchester, its chairman told Reuters.",
    "Norway beat Brazil 2-1 in Marseille, and Tore Andre Flo scored the first goal of the World Cup match.",
)
# Text, first character and label.
Found = list[tuple[str, int, str]]

# Runs in the fresh environment: no import of this project's sources, no connection to anywhere.
PROBE = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise OSError("the check is offline, but something tried to connect")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
name, texts, absent = json.load(sys.stdin)
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
import spacy
nlp = spacy.load(name)
entities = [[[e.text, e.start_char, e.label_] for e in doc.ents] for doc in nlp.pipe(texts)]
import spacy_bert_ner
origins = {module: sys.modules[module].__file__ for module in ("spacy_bert_ner", name)}
print("RESULT" + json.dumps({"entities": entities, "origins": origins}))
"""


# What a wheel whose requirements say "onnx" and not "torch" works without.
ABSENT = ("torch", "transformers", "onnx", "safetensors")


class VerificationError(ValueError):
    """Wheels that do not work: says what was found and what was expected."""


def entities_of(nlp: Language, texts: Sequence[str]) -> list[Found]:
    """RETURNS (list[Found]): What a pipeline finds in each text."""
    return [[(ent.text, ent.start_char, ent.label_) for ent in doc.ents] for doc in nlp.pipe(texts)]


def find_model_wheel(wheels: Path) -> Path:
    """Find the model's wheel beside the plugin's. RAISES: VerificationError where there is none, or more than one."""
    found = sorted(path for path in wheels.glob("*.whl") if not path.name.startswith(f"{DISTRIBUTION}-"))
    if len(found) != 1 or not any(wheels.glob(f"{DISTRIBUTION}-*.whl")):
        names = ", ".join(sorted(path.name for path in wheels.iterdir())) or "nothing"
        raise VerificationError(f"It holds {names}, expected one model's wheel and that of {DISTRIBUTION}")
    return found[0]


def verify_wheels(wheels: Path, wheel: Path, texts: Sequence[str], expected: list[Found]) -> None:
    """Install wheels, load the model, compare.

    wheels (Path): Folder with the model's and the plugin's wheel.
    wheel (Path): The model's.
    texts (Sequence[str]): What to try it on.
    expected (list[Found]): What it must find there.
    RAISES: VerificationError where it cannot be installed or loaded, or finds something else, or nothing at all.
    """
    if find_spec("pip") is None:
        raise VerificationError("The check installs by pip, which is not here: python -m ensurepip")
    package = wheel.name.partition("-")[0]
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(Path(folder))
        install(python, wheels, package)
        found = probe(python, Path(folder), package, texts, list_absent(wheel))
        check_origins(found["origins"], Path(folder))
    entities = [[tuple(entity) for entity in each] for each in found["entities"]]
    if entities != expected:
        raise VerificationError(f"The installed model differs: it finds {entities}, expected {expected}")
    if not any(expected):
        raise VerificationError(
            "The model finds no entity in any text, which says nothing: name texts that have some (--corpus FILE)"
        )


def list_absent(wheel: Path) -> Sequence[str]:
    """RETURNS (Sequence[str]): The packages that a model must work without, by what its wheel requires."""
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode("utf8").splitlines()
    own = [line for line in lines if line.startswith("Requires-Dist: spacy-bert-ner[")]
    return ABSENT if any("[onnx]" in line for line in own) else ()


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that sees this one's packages after its own. RETURNS (Path): Its interpreter."""
    # Without pip, which would bring the setuptools of Python's own bundle, older than what torch asks for.
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    # A path in a .pth file comes after the environment's own packages and runs none of its own .pth files, so that
    # an editable installation of this project stays unseen.
    site_packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf8")
    return Path(sysconfig.get_path("scripts", scheme="venv", vars=paths)) / Path(sys.executable).name


def install(python: Path, wheels: Path, package: str) -> None:
    """Install both wheels, then let pip check that every dependency is there. RAISES: VerificationError."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    # What is imported is compiled then; the environment goes before anything else is.
    pip += ["install", "--no-index", "--no-compile"]
    names = [str(path.resolve()) for path in sorted(wheels.glob("*.whl"))]
    # By file name and regardless of what is there: pip would be content with this environment's own plugin.
    _run([*pip, "--ignore-installed", "--no-deps", *names], python.parent, "The wheels cannot be installed")
    required = [*pip, "--find-links", str(wheels.resolve()), package]
    _run(required, python.parent, f"What {package} requires is not here")


def probe(python: Path, folder: Path, package: str, texts: Sequence[str], absent: Sequence[str]) -> dict[str, Any]:
    """Load the installed model in a process of its own. RETURNS: Its entities, and where its modules came from."""
    asked = json.dumps([package, list(texts), list(absent)])
    printed = _run([str(python), "-c", PROBE], folder, f"{package} does not load in a fresh environment", asked)
    result: dict[str, Any] = json.loads(printed.partition("RESULT")[2])
    return result


def check_origins(origins: dict[str, str], folder: Path) -> None:
    """Make sure that it was the installed code that ran. RAISES: VerificationError."""
    for module, path in origins.items():
        if not Path(path).resolve().is_relative_to(folder.resolve()):
            raise VerificationError(f"{module} came from {path}, expected it in the fresh environment {folder}")


def _run(command: list[str], folder: Path, failed: str, given: str = "") -> str:
    """Run a command without the network and this process's own paths. RETURNS (str): What it printed."""
    own = ("PYTHONPATH", "PYTHONHOME")
    environment = {key: value for key, value in os.environ.items() if key not in own}
    environment |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONIOENCODING": "utf8"}
    done = subprocess.run(
        command, cwd=folder, env=environment, input=given, capture_output=True, text=True, encoding="utf8", check=False
    )
    if done.returncode:
        raise VerificationError(f"{failed}:\n{done.stderr[-2000:]}")
    return done.stdout
