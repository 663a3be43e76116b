"""What all tests share: seeds, what keeps them fast, and random tiny encoders.

What is heavy is imported where it is used: the process that hands the tests out to others reads this file, too.
"""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says nothing on a machine that does something else meanwhile.
hypothesis.settings.register_profile(
    "tests", max_examples=50, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# Words that spaCy's English tokenizer cuts in a way of their own, and the tests' pipelines have.
CUT_WORDS = ("can't", "cannot", "didn't", "don't", "I'm", "it's", "a.m.", "Dr.", "Mr.", "e.g.")
SKIPPED: list[str] = []


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what stays to the end: thousands of tests, and all modules.

    Processes that are copies of this one share that memory, too, as long as no collection writes in it.
    """
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed all generators before a test's fixtures, so that no result depends on the tests before it."""
    from spacy.util import fix_random_seed

    fix_random_seed(0)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Tests kill processes, not machines: what was written is there without fsync, which takes long on a busy disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def few_cut_words() -> Iterator[None]:
    """English pipelines of the tests know CUT_WORDS alone.

    spaCy goes through all 1347 whenever a pipeline is made or loaded, six times as long as the rest of it takes. What
    the tests' modules make at their top, what was saved, and other processes have all of them.
    """
    from spacy.lang.en import EnglishDefaults

    few = {word: EnglishDefaults.tokenizer_exceptions[word] for word in CUT_WORDS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EnglishDefaults, "tokenizer_exceptions", few)
        yield


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember skipped tests: on CI only a missing GPU or Ray, which has a lane of its own, excuses one."""
    if report.skipped and not {"gpu", "ray"} & set(report.keywords):
        SKIPPED.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run on CI that skipped what it should have run."""
    if os.environ.get("CI") == "true" and SKIPPED:
        session.config.get_terminal_writer().line(f"\nCI=true, but skipped: {', '.join(SKIPPED)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a function: name in ENCODERS to the folder of a random tiny encoder, as `save_pretrained` leaves it."""
    from tests.tiny_encoders import save_encoder

    @cache
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        save_encoder(name, folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_bert(tiny_encoder: Callable[[str], Path]) -> Path:
    """A random tiny uncased BERT with a WordPiece vocabulary: 2 layers of width 32, 512 positions."""
    return tiny_encoder("bert")


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Stands in for `build_plugin_wheel`, which takes seconds: the wheel is built once in a process, and copied."""
    from spacy_bert_ner.packaging.repacking import DISTRIBUTION
    from spacy_bert_ner.packaging.wheels import build_plugin_wheel

    @cache
    def built() -> Path:
        return build_plugin_wheel(tmp_path_factory.mktemp("wheel"))

    def copy(wheels: Path) -> Path:
        for earlier in wheels.glob(f"{DISTRIBUTION}-*.whl"):
            earlier.unlink()
        return Path(shutil.copy(built(), wheels))

    return copy


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that `annotate` and `train` start are copies of the tests' own, which has imported what they need."""
    from tests.processes import fork_workers

    fork_workers(monkeypatch)
