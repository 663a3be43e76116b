"""Every command of the Containerfile, run without a container: its stages as folders, its files copied as it says."""

import json
import os
import re
import shutil
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from spacy_bert_ner.packaging.wheels import build_model_wheel
from tests.serving.services import free_port, make_ruler

ROOT = Path(__file__).parents[2]
MODEL = "en_bert_ner_conll2003"
ALONE = ("FROM", "ARG", "WORKDIR", "USER", "EXPOSE", "ENV")


def instructions() -> list[tuple[str, str]]:
    """RETURNS: The file's instructions, each in one line."""
    lines = (ROOT / "Containerfile").read_text(encoding="utf8").replace("\\\n", " ").splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(name, rest) for name, rest in pairs]


def of_kind(kind: str) -> list[str]:
    return [rest for name, rest in instructions() if name == kind]


def test_the_container_is_slim_and_without_root() -> None:
    assert all(image.split()[0].endswith("-slim") for image in of_kind("FROM"))
    assert of_kind("USER") == ["10001:10001"]
    assert {name for name, _ in instructions()} == {*ALONE, "COPY", "RUN", "HEALTHCHECK", "CMD"}
    assert "SPACY_BERT_NER_API_KEY" not in " ".join(rest for _, rest in instructions())
    for source in (rest.split()[0] for rest in of_kind("COPY") if not rest.startswith("--from")):
        assert (ROOT / source).exists() or source == "packages/wheels"


@pytest.fixture
def wheels(tmp_path: Path, build_once: Callable[[Path], Path]) -> Path:
    """The wheels of the plugin and of a model."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    nlp = make_ruler()
    nlp.meta.update(name=MODEL.removeprefix("en_"), version="1.0.0")
    nlp.to_disk(tmp_path / "model")
    meta = json.loads((tmp_path / "model" / "meta.json").read_text(encoding="utf8"))
    build_model_wheel(tmp_path / "model", meta, tmp_path / "packages", wheels)
    build_once(wheels)
    return wheels


def is_ready(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False


@pytest.mark.slow
# spaCy leaves its templates' files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_every_command_works(wheels: Path, tmp_path: Path) -> None:
    build, installed = tmp_path / "build", tmp_path / "opt" / "ner"
    build.mkdir()
    for source, target in (rest.split() for rest in of_kind("COPY") if not rest.startswith("--from")):
        if source == "packages/wheels":
            shutil.copytree(wheels, build / target)
        else:
            shutil.copy(ROOT / source, build / target)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # What comes from the index is there already, in the tests' own environment.
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    for command in of_kind("RUN"):
        run = command.replace("/opt/ner", str(installed))
        subprocess.run(["sh", "-ec", run], cwd=build, env={"PATH": path, "MODEL": MODEL, **offline}, check=True)
    (places,) = installed.glob("lib/python*/site-packages")
    (places / "tests.pth").write_text("\n".join(site.getsitepackages()), encoding="utf8")

    port = str(free_port())
    environment = {"PATH": os.environ["PATH"], **dict(pair.split("=") for pair in of_kind("ENV")[0].split())}
    environment |= {"MODEL": MODEL, "PORT": port, "OMP_NUM_THREADS": "1"}
    start = [part.replace("/opt/ner", str(installed)) for part in json.loads(of_kind("CMD")[0])]
    check = re.sub(r"^(--\S+ )*CMD ", "", of_kind("HEALTHCHECK")[0]).replace("/opt/ner", str(installed))
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(start, cwd="/", env=environment, stdout=log, stderr=log)
        try:
            healthy = ["sh", "-c", check]
            assert subprocess.run(healthy, env=environment, capture_output=True, check=False).returncode != 0
            until = time.monotonic() + 120
            while not is_ready(port):
                assert running.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.3)
            subprocess.run(healthy, env=environment, capture_output=True, check=True)
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/entities", json={"text": "Jane"}).json()
            assert answer["model"] == MODEL
            assert answer["results"][0]["entities"][0]["label"] == "PER"
            assert httpx.get(f"http://127.0.0.1:{port}/page/page.js").is_success
            running.send_signal(signal.SIGTERM)
            # By the signal where one process serves, with 0 where one on each core does.
            assert running.wait(30) in (0, -signal.SIGTERM)
        finally:
            running.kill()
            running.wait()
