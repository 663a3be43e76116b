"""`python -m spacy bert-ner serve`: its options, its errors, and the process that it is."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from spacy_bert_ner.cli import bert_ner_cli
from spacy_bert_ner.serving import processes as running
from spacy_bert_ner.serving.naming import name_models, split_name
from spacy_bert_ner.serving.service_settings import KEY_VARIABLE, ServiceSettings
from tests.import_graph import reach
from tests.serving.services import FAULT, free_port, make_ruler

ROOT = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nlp = make_ruler(faulty=True)
    nlp.add_pipe("serve_noting", config={"path": str(tmp_path / "reading")})
    nlp.to_disk(tmp_path / "rules")
    return tmp_path / "rules"


def serve(*arguments: object) -> tuple[int, str]:
    """Run the command. RETURNS: Its exit code, and what it printed, without line breaks."""
    result = CliRunner().invoke(bert_ner_cli, ["serve", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the command would run."""
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(running, "run", lambda *arguments, **how: calls.append((*arguments, how)))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    return calls


def test_by_default_it_is_for_this_machine_alone(runs: list[tuple[Any, ...]], model: Path) -> None:
    assert serve(model) == (0, "")
    ((models, settings, host, port, workers, how),) = runs
    assert (models, host, port, workers) == ([str(model)], "127.0.0.1", 8000, "auto")
    assert settings == ServiceSettings(hosts=("127.0.0.1", "localhost", "[::1]", "127.0.0.1"))
    assert how == {"code": None, "gpu_id": -1}


def test_options_become_settings(runs: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    monkeypatch.chdir(tmp_path)
    Path("x.py").touch()
    options = "--host 0.0.0.0 -p 80 -n 3 --allowed-host NER --max-wait 2 --deadline 5 --max-words 7 --log-texts -c x.py"
    code, printed = serve("a", "b", *options.split())
    assert (code, printed) == (0, "")
    ((models, settings, host, port, workers, how),) = runs
    assert (models, host, port, workers, str(how["code"])) == (["a", "b"], "0.0.0.0", 80, 3, "x.py")
    assert (settings.max_wait, settings.deadline, settings.max_words, settings.log_texts) == (2, 5, 7, True)
    assert (settings.api_key, settings.hosts[0]) == ("secret", "ner")


def test_an_open_service_is_warned_of(runs: list[tuple[Any, ...]], capfd: pytest.CaptureFixture[str]) -> None:
    code, printed = serve("a", "--host", "0.0.0.0")
    assert code == 0
    assert f"set {KEY_VARIABLE} to a key" in " ".join((printed + capfd.readouterr().out).split())


def test_what_cannot_be_served_is_explained(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[tuple[list[Any], str]] = [
        (["nowhere"], "'nowhere' is neither an installed pipeline nor a pipeline's folder"),
        ([model, model], "are both called 'rules': write NAME="),
        ([f"a b={model}"], "found the name 'a b', expected letters, digits"),
        ([model, "--host", "192.0.2.1"], "name an address of this machine with --host"),
    ]
    for arguments, message in cases:
        code, printed = serve(*arguments)
        assert (code, message in printed) == (1, True), printed
    for workers in ("0", "many", "-1"):
        code, printed = serve(model, "--workers", workers)
        assert (code, "expected a number above 0, or auto" in printed) == (1, True), printed
    monkeypatch.setenv(KEY_VARIABLE, "")
    assert "is set, but to no key" in serve(model)[1]


def test_an_address_in_use_is_known_before_a_model_is_loaded(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "load_in_process", lambda *_, **__: pytest.fail("loaded"))
    with running.listen("127.0.0.1", 0) as listener:
        # Taken from the first moment on, before anybody listens there.
        for _ in range(2):
            code, printed = serve(model, "--port", listener.getsockname()[1])
            assert code == 1
            assert "already in use" in printed
            assert "--port 0 for any that is free" in printed
            listener.listen()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, model: Path) -> None:
    monkeypatch.delitem(sys.modules, "spacy_bert_ner.serving.processes")
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, printed = serve(model)
    assert code == 1
    assert "uvicorn is not installed" in printed
    assert 'pip install "spacy-bert-ner[serve]"' in printed


def test_names_of_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("model-best", "a=b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.cfg").touch()
    monkeypatch.chdir(tmp_path)
    assert split_name("en_bert_ner_conll2003") == ("en_bert_ner_conll2003", "en_bert_ner_conll2003")
    assert split_name("model-best/") == ("model-best", "model-best/")
    assert split_name("best=model-best") == ("best", "model-best")
    assert split_name("ab=a=b") == ("ab", "a=b")
    assert name_models(["model-best", "x=model-best", "ab=a=b"]) == {
        "model-best": "model-best",
        "x": "model-best",
        "ab": "a=b",
    }
    with pytest.raises(ValueError, match="write NAME=a=b"):
        split_name("a=b")


def test_serving_imports_no_encoder() -> None:
    modules = ("serving.app", "serving.processes", "commands.serve", "serving.presidio")
    seen = set().union(*(reach(module)[0] for module in modules))
    assert "spacy_bert_ner.serving.batching" in seen
    own = {name for name in seen if not name.startswith(("spacy_bert_ner.serving", "spacy_bert_ner.commands"))}
    assert own <= {"spacy_bert_ner", "spacy_bert_ner.processors"}
    assert not reach("commands.serve")[1] & {"fastapi", "uvicorn", "prometheus_client"}


@contextmanager
def process(model: Path, *options: str, log: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Serve a model in a process of its own. YIELDS: Its address, once it is ready, and the process."""
    port = free_port()
    code = str(Path(__file__).parent / "services.py")
    command = [sys.executable, "-m", "spacy", "bert-ner", "serve", str(model), "--port", str(port), "--code", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        running = subprocess.Popen([*command, *options], stdout=output, stderr=output, env=environment)
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(address, running, log)
            yield address, running
        finally:
            running.kill()
            running.wait()


def wait_until_ready(address: str, running: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert running.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(log.read_text())


@pytest.mark.slow
def test_workers_share_an_address_and_their_figures_and_end_when_they_have_answered(
    model: Path, tmp_path: Path
) -> None:
    log, reading = tmp_path / "log", tmp_path / "reading"
    with process(model, "--workers", "2", log=log) as (address, running):
        for _ in range(6):
            assert httpx.post(f"{address}/v1/entities", json={"text": "Jane"}, timeout=60).is_success
        figures = [httpx.get(f"{address}/metrics").text for _ in range(4)]
        assert all('bert_ner_texts_total{model="rules"} 6.0' in figure for figure in figures)
        assert all('bert_ner_queue_words{model="rules"} 0.0' in figure for figure in figures)
        httpx.get(f"{address}/secret?secret=secret")
        httpx.post(f"{address}/v1/entities", json={"text": f"{FAULT} secret"}, timeout=60)
        # The end is asked for while a text is read.
        answers: list[httpx.Response] = []
        asked = {"text": "Jane in secret, slowly"}
        ask = lambda: answers.append(httpx.post(f"{address}/v1/entities", json=asked, timeout=60))  # noqa: E731
        asking = threading.Thread(target=ask)
        asking.start()
        until = time.monotonic() + 60
        while not reading.exists():
            assert time.monotonic() < until
            time.sleep(0.01)
        running.send_signal(signal.SIGTERM)
        asking.join()
        assert running.wait(60) == 0
    assert [answer.status_code for answer in answers] == [200]
    said = log.read_text()
    assert f"serving on {address}/" in said
    assert "POST /v1/entities 200, 1 texts" in said
    assert not any(word in said for word in ("secret", "Jane", "Traceback"))
