"""Services small enough for tests: pipelines without an encoder, applications, servers on a real socket."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import spacy
from fastapi import FastAPI
from fastapi.testclient import TestClient
from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from spacy.util import fix_random_seed

from spacy_bert_ner.serving.app import make_app
from spacy_bert_ner.serving.processes import listen, make_server
from spacy_bert_ner.serving.service_settings import ServiceSettings
from tests.scenarios import CNN, examples_of, train

PATTERNS = [{"label": "LOC", "pattern": "Geneva"}, {"label": "PER", "pattern": "Jane"}]
# What a text must hold for the tests' component to fail on it, and a secret that no log may hold.
FAULT = "FAULT-of-a-text"


@Language.component("serve_faulty")
def fail_on_fault(doc: Doc) -> Doc:
    if FAULT in doc.text:
        raise ValueError(f"cannot read {doc.text!r}")
    return doc


@Language.factory("serve_slow", default_config={"seconds": 0.05})
class Slow:
    """Takes its time over every document, with the interpreter's lock released, as matrix products do."""

    def __init__(self, nlp: Language, name: str, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, doc: Doc) -> Doc:
        time.sleep(self.seconds)
        return doc


@Language.factory("serve_noting")
class Noting:
    """Touches a file when it comes to a text that holds "slowly", and takes half a second over it."""

    def __init__(self, nlp: Language, name: str, path: str) -> None:
        self.path = Path(path)

    def __call__(self, doc: Doc) -> Doc:
        if "slowly" in doc.text:
            self.path.touch()
            time.sleep(0.5)
        return doc


def make_ruler(lang: str = "en", *, slow: float = 0.0, faulty: bool = False) -> Language:
    """A pipeline of rules, whose entities have no confidences."""
    nlp = spacy.blank(lang)
    nlp.add_pipe("entity_ruler").add_patterns(PATTERNS)  # type: ignore[attr-defined]
    if slow:
        nlp.add_pipe("serve_slow", config={"seconds": slow})
    if faulty:
        nlp.add_pipe("serve_faulty")
    return nlp


def make_cnn() -> Language:
    """A pipeline with confidences, without a transformer."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": CNN}})
    nlp.initialize(lambda: examples_of(nlp))
    train(nlp, steps=40)
    return nlp


@contextmanager
def asking(pipelines: dict[str, Language], **settings: Any) -> Iterator[TestClient]:
    """YIELDS (TestClient): A client of an application, started."""
    with TestClient(
        make_app({name: partial(lambda nlp: nlp, nlp) for name, nlp in pipelines.items()}, ServiceSettings(**settings)),
        raise_server_exceptions=False,
    ) as client:
        yield client


def free_port() -> int:
    """RETURNS (int): A port that nobody listens on."""
    with listen("127.0.0.1", 0) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def serving(app: FastAPI, settings: ServiceSettings | None = None, port: int = 0) -> Iterator[str]:
    """Run an application on a real socket. YIELDS (str): Its address, such as http://127.0.0.1:8000."""
    server = make_server(app, settings or ServiceSettings())
    with listen("127.0.0.1", port) as listener:
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


# Entities of the page's tests: label, confidence, runner-up and its confidence. None: no confidence at all.
SCORES: dict[str, tuple[str, float | None, str, float]] = {
    "Angela Merkel": ("PER", 0.987, "ORG", 0.008),
    "World Health Organization": ("ORG", 0.912, "LOC", 0.051),
    "Geneva": ("LOC", 0.73, "ORG", 0.2),
    "IBM": ("ORG", 0.42, "PER", 0.4),
    "Monday": ("DATE", None, "", 0.0),
}


@Language.component("serve_scored")
def score(doc: Doc) -> Doc:
    """Give entities the confidences of the table."""
    known = [ent for ent in doc.ents if SCORES[ent.text][1] is not None]
    group = SpanGroup(doc, name="scored", spans=known)
    rows = [SCORES[ent.text] for ent in known]
    group.attrs["scores"] = [row[1] for row in rows]
    group.attrs["runner_up"] = [row[2] for row in rows]
    group.attrs["runner_up_scores"] = [row[3] for row in rows]
    doc.spans["scored"] = group
    return doc


def make_scored() -> Language:
    """A pipeline with chosen confidences, for the page."""
    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": row[0], "pattern": text} for text, row in SCORES.items()])
    nlp.add_pipe("serve_scored")
    nlp.add_pipe("serve_faulty")
    nlp.meta.update(name="scored", version="1.2.3", description="Rules for tests", license="MIT")
    nlp.meta["performance"] = {"ents_f": 0.9, "ents_p": 0.91, "ents_r": 0.89}
    return nlp
