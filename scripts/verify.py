"""Install the wheels into a fresh virtual environment and check, offline, that the model works there.

The environment sees this one's packages for its dependencies, but the model and spacy_bert_ner are its own.
"""

import argparse
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import Any

import spacy
from wasabi import msg

TEXTS = (
    "Angela Merkel met officials of the World Health Organization in Geneva on Tuesday.",
    "The Japanese carmaker Toyota will open a plant near Manchester, its chairman told Reuters.",
    "Norway beat Brazil 2-1 in Marseille, and Tore Andre Flo scored the first goal of the World Cup match.",
)

# Runs in the fresh environment: no import of this project's sources, no connection to anywhere.
PROBE = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise OSError("the check is offline, but something tried to connect")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import spacy
name, texts = json.loads(sys.argv[1])
nlp = spacy.load(name)
entities = [[[e.text, e.start_char, e.label_] for e in doc.ents] for doc in nlp.pipe(texts)]
import spacy_bert_ner
origins = {module: sys.modules[module].__file__ for module in ("spacy_bert_ner", name)}
print("RESULT" + json.dumps({"entities": entities, "origins": origins}))
"""


def main() -> None:
    """Install, load, compare; exit with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", type=Path, help="folder with the two wheels")
    parser.add_argument("package", help="the model's package, e.g. en_bert_ner_conll2003")
    parser.add_argument("model", type=Path, help="folder of the pipeline that was packaged")
    parser.add_argument("output", type=Path, help="where to write what was found (.json)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = make_environment(Path(folder))
        install(python, args.wheels, args.package)
        found = probe(python, Path(folder), args.package)
        check_origins(found["origins"], Path(folder))
    expected = [[[e.text, e.start_char, e.label_] for e in doc.ents] for doc in spacy.load(args.model).pipe(TEXTS)]
    if found["entities"] != expected:
        msg.fail("The installed model differs", f"{args.model}: {expected}\ninstalled: {found['entities']}", exits=1)
    if not any(expected):
        msg.fail("The model found no entity at all", f"Texts: {TEXTS}", exits=1)
    for text, entities in zip(TEXTS, expected, strict=True):
        print(f"{text}\n    {', '.join(f'{name} ({label})' for name, _, label in entities) or 'no entities'}")
    args.output.write_text(json.dumps({"texts": TEXTS, "entities": expected}, indent=2) + "\n", encoding="utf8")
    wheel = next(args.wheels.glob(f"{args.package}-*.whl"))
    msg.good(f"{wheel} works, installed and offline")


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that sees this one's packages after its own. RETURNS: Its interpreter."""
    # Without pip, which would bring the setuptools of Python's own bundle, older than what torch asks for.
    venv.create(folder, with_pip=False)
    paths = {"base": str(folder), "platbase": str(folder)}
    # A path in a .pth file comes after the environment's own packages and runs none of its own .pth files, so that
    # an editable installation of this project stays unseen.
    site_packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=paths))
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf8")
    return Path(sysconfig.get_path("scripts", scheme="venv", vars=paths)) / Path(sys.executable).name


def install(python: Path, wheels: Path, package: str) -> None:
    """Install both wheels, then let pip check that every dependency is there."""
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check"]
    pip += ["install", "--no-index"]
    names = [str(path.resolve()) for path in sorted(wheels.glob("*.whl"))]
    # By file name and regardless of what is there: pip would be content with this environment's own plugin.
    subprocess.run([*pip, "--ignore-installed", "--no-deps", *names], check=True, cwd=python.parent)
    subprocess.run([*pip, "--find-links", str(wheels.resolve()), package], check=True)


def probe(python: Path, folder: Path, package: str) -> dict[str, Any]:
    """Load the installed model in a process of its own. RETURNS: Its entities, and where its modules came from."""
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }
    command = [str(python), "-c", PROBE, json.dumps([package, TEXTS])]
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        msg.fail(f"{package} does not load in a fresh environment", run.stderr, exits=1)
    result: dict[str, Any] = json.loads(run.stdout.partition("RESULT")[2])
    return result


def check_origins(origins: dict[str, str], folder: Path) -> None:
    """Make sure that it was the installed code that ran."""
    for module, path in origins.items():
        if not Path(path).resolve().is_relative_to(folder.resolve()):
            msg.fail(f"{module} came from {path}", f"Expected it in the fresh environment {folder}", exits=1)


if __name__ == "__main__":
    main()
