"""Small training runs that several test files make: configs, corpora, what a run leaves, and faults on the way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import DocBin
from thinc.api import Config

from spacy_bert_ner.training import checkpoints, loop, running
from tests.scenarios import LINES, encoder_block, examples_of

OUTPUT = Path("out")
TRAINING: dict[str, Any] = {
    "train_corpus": "corpora.train",
    "dev_corpus": "corpora.dev",
    "seed": 3,
    "gpu_allocator": None,
    "dropout": 0.2,
    "patience": 0,
    "max_epochs": 0,
    "max_steps": 7,
    "eval_frequency": 3,
    "batcher": {"@batchers": "spacy.batch_by_words.v1", "size": 12, "tolerance": 0.2, "discard_oversize": False},
    "logger": {"@loggers": "spacy.ConsoleLogger.v3", "output_file": str(OUTPUT / "log.jsonl")},
    "score_weights": {"ents_f": 1.0, "ents_p": 0.0},
}
OUR_OPTIMIZER = {
    "@optimizers": "spacy-bert-ner.AdamW.v1",
    "learn_rate": {"@schedules": "warmup_linear.v1", "initial_rate": 0.003, "warmup_steps": 3, "total_steps": 12},
}
STOCK_TOK2VEC = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "width": 8,
    "depth": 1,
    "embed_size": 50,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
    "pretrained_vectors": None,
}
GROWING_BATCHES = {
    "@batchers": "spacy.batch_by_sequence.v1",
    "size": {"@schedules": "compounding.v1", "start": 2, "stop": 6, "compound": 1.2},
}


def write_corpus(folder: Path) -> None:
    """Write train.spacy and dev.spacy: the scenarios' sentences, some of them joined, so that batches differ."""
    nlp = spacy.blank("en")
    docs = [example.reference for example in examples_of(nlp)]
    assert len(docs) == len(LINES)
    for name, count in (("train", 5), ("dev", 2)):
        DocBin(docs=docs * count, store_user_data=True).to_disk(folder / f"{name}.spacy")


def record_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """RETURNS: The names of the folders of the runs that are made from now on."""
    made: list[str] = []

    def train(config: Path, output: Path, **options: Any) -> Path:
        made.append(output.name)
        return original(config, output, **options)

    original = running.train
    monkeypatch.setattr("spacy_bert_ner.training.parallel.launching.train", train)
    return made


def bert_config(encoder: Path, **training: Any) -> Config:
    """A config of our encoder and our head."""
    tok2vec = encoder_block(encoder, transformer_config={})
    head = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": tok2vec}
    components = {"bert_ner": {"factory": "bert_ner", "model": head}}
    return make_config(components, {"optimizer": OUR_OPTIMIZER, **training})


def stock_config(**training: Any) -> Config:
    """A config of spaCy's own components, that draws from every random generator, and of which batches grow."""
    components = {
        "tagger": {"factory": "tagger", "model": {"@architectures": "spacy.Tagger.v2", "tok2vec": STOCK_TOK2VEC}},
        "ner": {"factory": "ner", "update_with_oracle_cut_size": 2},
    }
    adam = {"@optimizers": "Adam.v1", "learn_rate": 0.01, "use_averages": True}
    own = {"optimizer": adam, "batcher": GROWING_BATCHES, "max_steps": 0, "max_epochs": 3, "eval_frequency": 3}
    return make_config(components, {**own, **training})


def make_config(components: dict[str, Any], training: dict[str, Any]) -> Config:
    readers = {
        name: {"@readers": "spacy.Corpus.v1", "path": f"{name}.spacy", "max_length": 0} for name in ("train", "dev")
    }
    return Config(
        {
            "nlp": {"lang": "en", "pipeline": list(components)},
            "components": components,
            "corpora": readers,
            "training": {**TRAINING, **training},
        }
    )


def contents(folder: Path = OUTPUT) -> dict[str, bytes]:
    """RETURNS: The files that a run leaves."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def train(folder: Path, **options: Any) -> dict[str, bytes]:
    """Train in a folder that holds a config and corpora. RETURNS: The files that the run leaves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        running.train(Path("config.cfg"), OUTPUT, **options)
        return contents()


class Interrupted(BaseException):
    """What stands in for a signal."""


@contextmanager
def interrupted_after(events: int) -> Iterator[list[str]]:
    """Break off at the n-th of the points at which a run may be broken off. YIELDS: The points that it came to."""
    seen: list[str] = []

    def reach(point: str) -> None:
        seen.append(point)
        if len(seen) == events:
            raise Interrupted(point)

    def around(owner: Any, name: str) -> Callable:
        function = getattr(owner, name)

        def reaching(*args: Any, **kwargs: Any) -> Any:
            reach(f"before {name}")
            result = function(*args, **kwargs)
            reach(f"after {name}")
            return result

        return reaching

    def torn(tensors: Any, path: Path) -> None:
        path.write_bytes(b"half of it")
        reach("amid save_tensors")
        save_tensors(tensors, path)

    save_tensors = checkpoints.save_tensors
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.Run, "_update", around(loop.Run, "_update"))
        patch.setattr(checkpoints.Checkpoints, "write", around(checkpoints.Checkpoints, "write"))
        patch.setattr(running, "update_meta", around(running, "update_meta"))
        patch.setattr(checkpoints, "save_tensors", torn)
        # A signal leaves no time for saving, as an exception does.
        patch.setattr(
            running.CheckpointWriter,
            "save_pipeline",
            unless_interrupted(running.CheckpointWriter.save_pipeline, seen, events),
        )
        yield seen


def unless_interrupted(save: Callable, seen: list[str], events: int) -> Callable:
    def saving(keeper: running.CheckpointWriter, is_best: bool) -> None:
        if len(seen) < events:
            save(keeper, is_best)

    return saving


CONFIGS: dict[str, Callable[[Path], Config]] = {
    "ours": bert_config,
    "accumulated": lambda encoder: bert_config(
        encoder, accumulate_gradient=2, patience=4, max_steps=0, eval_frequency=2
    ),
    "ours with averages": lambda encoder: bert_config(
        encoder, optimizer={"@optimizers": "RAdam.v1", "learn_rate": 0.01, "use_averages": True}, max_steps=5
    ),
    "stock": lambda encoder: stock_config(),
    # Read anew in each epoch, and changed at random, while training draws from the same generator.
    "streamed": lambda encoder: stock_config(max_epochs=-1, max_steps=7).merge(
        {
            "corpora": {"train": {"augmenter": {"@augmenters": "spacy.lower_case.v1", "level": 0.5}}},
            "initialize": {"components": {"tagger": {"labels": ["A", "D", "N", "P", "V"]}}},
        }
    ),
}
