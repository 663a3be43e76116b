"""Several processes: the same gradients, weights and scores as one, whatever the pipeline, and resumed by any."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from thinc.api import Config
from torch import Tensor

from spacy_bert_ner.ner.sourced import initialize
from spacy_bert_ner.training import running
from spacy_bert_ner.training.loop import Run
from spacy_bert_ner.training.optimizer import AdamW
from spacy_bert_ner.training.parallel.balancing import share_out
from spacy_bert_ner.training.parallel.exchange import Exchange
from spacy_bert_ner.training.parallel.group import Group, LostError
from spacy_bert_ner.training.parallel.partition import Partition
from spacy_bert_ner.training.training_error import RunError
from tests.scenarios import CNN, LISTENER, encoder_block, shared_config
from tests.training.parallel_runs import together
from tests.training.training_runs import OUR_OPTIMIZER, OUTPUT, STOCK_TOK2VEC, contents, make_config, write_corpus

# Without anything drawn at random, as processes draw apart; several documents for each part of a batch.
STILL: dict[str, Any] = {
    "dropout": 0.0,
    "max_steps": 19,
    "eval_frequency": 5,
    "batcher": {"@batchers": "spacy.batch_by_words.v1", "size": 30, "tolerance": 0.2, "discard_oversize": False},
}

ONE_A_BATCH = {"@batchers": "spacy.batch_by_sequence.v1", "size": 1}


def ner_config(tok2vec: dict[str, Any], upstream: dict[str, Any] | None = None, **settings: Any) -> Config:
    pieces, ner = settings.pop("pieces", "first"), settings.pop("ner", {})
    head = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": tok2vec, "pieces": pieces}
    components: dict[str, Any] = {"bert_ner": {"factory": "bert_ner", "model": head, **ner}}
    if upstream is not None:
        components = {"tok2vec": {"factory": "tok2vec", **upstream}, **components}
    return make_config(components, {"optimizer": OUR_OPTIMIZER, **STILL, **settings})


CONFIGS: dict[str, Callable[[Path], Config]] = {
    "memory and case features": lambda encoder: ner_config(
        encoder_block(encoder, document_memory=True, case_features=True)
    ),
    "all pieces, sequence loss, accumulated": lambda encoder: ner_config(
        encoder_block(encoder), pieces="all", ner={"loss": "sequence"}, accumulate_gradient=2
    ),
    "frozen layers, no clipping": lambda encoder: ner_config(
        encoder_block(encoder, freeze_layers=1, case_features=True), optimizer={**OUR_OPTIMIZER, "grad_clip": 0.0}
    ),
    "a shared encoder": lambda encoder: ner_config(LISTENER, shared_config(encoder)),
    "no transformer": lambda encoder: ner_config(CNN),
    # Most processes get nothing of such a batch.
    "a document a batch": lambda encoder: ner_config(encoder_block(encoder), batcher=ONE_A_BATCH),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with corpora, in which the test runs."""
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_steps(group: Group, steps: int) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Train. RETURNS: The gradients of the first step, the weights after the last one, and what was evaluated."""
    run = running.start_run(initialize(Config().from_disk("config.cfg"), use_gpu=-1), -1, None, group)
    names = run.parameters.names()
    gradients: dict[str, Any] = {}
    take, add_up = AdamW.take, Exchange.sum

    def taking(optimizer: AdamW, key: Any, weights: Tensor, gradient: Tensor, **options: Any) -> None:
        gradients.setdefault(names[key], gradient.numpy().copy())
        take(optimizer, key, weights, gradient, **options)

    def adding_up(exchange: Exchange, *arguments: Any) -> Any:
        pieces, _ = add_up(exchange, *arguments)
        for name, whole in exchange.whole(pieces).items():
            gradients.setdefault(name, whole.numpy().copy())
        # Anew, as these were lost.
        return add_up(exchange, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdamW, "take", taking)
        patch.setattr(Exchange, "sum", adding_up)
        for _, _ in zip(range(steps), run.steps(lambda: None), strict=False):
            pass
    return gradients, {name: tensor.numpy().copy() for name, tensor in run.parameters.tensors().items()}, scores_of(run)


def scores_of(run: Run) -> list[dict[str, Any]]:
    return [
        {"score": found["score"], "ents_per_type": found["other_scores"]["ents_per_type"], "losses": found["losses"]}
        for found in run.progress.evaluations
    ]


@pytest.mark.parametrize(
    ("name", "processes", "transport"),
    [
        *((name, 2, "shared memory") for name in CONFIGS if name != "a document a batch"),
        ("memory and case features", 3, "shared memory"),
        ("a document a batch", 3, "shared memory"),
        ("memory and case features", 2, "collectives"),
        ("frozen layers, no clipping", 3, "collectives"),
    ],
)
def test_several_train_as_one_does(
    name: str, processes: int, transport: str, tiny_bert: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CONFIGS[name](tiny_bert).to_disk("config.cfg")
    gradients, weights, scores = make_steps(Group(), 20)
    if transport == "collectives":
        monkeypatch.delattr(os, "memfd_create")
    norm = float(np.sqrt(sum(np.sum(gradient.astype(float) ** 2) for gradient in gradients.values())))
    for found in together(processes, make_steps, 20):
        assert found[0].keys() == gradients.keys()
        assert max(np.abs(found[0][key] - gradients[key]).max() for key in gradients) < 1e-6 * max(norm, 1.0)
        # The true gradient of the keys' biases is zero: what moves them is rounding, which Adam makes steps of.
        odd = {key for key in weights if np.abs(found[1][key] - weights[key]).max() > 1e-5}
        assert {key for key in odd if not key.endswith(".attention.qkv.bias")} == set()
        for key in odd:
            query, _, value = np.split(np.abs(found[1][key] - weights[key]), 3)
            assert max(query.max(), value.max()) < 1e-5
        for one, several in zip(scores, found[2], strict=True):
            assert several["losses"] == pytest.approx(one["losses"], rel=1e-5)
            assert (several["score"], several["ents_per_type"]) == (one["score"], one["ents_per_type"])


class StoppedError(BaseException):
    """What stands in for whatever ends a run."""


def train(group: Group, stop: int | None = None) -> None:
    """Train, with a checkpoint after each step; end before a step."""
    make_step, save = Run._step, running.CheckpointWriter.save_pipeline
    is_over = False

    def stopping(run: Run, *arguments: Any) -> None:
        nonlocal is_over
        if run.progress.step + 1 == stop:
            is_over = True
            raise StoppedError
        make_step(run, *arguments)

    def saving(keeper: running.CheckpointWriter, is_best: bool) -> None:
        # A signal leaves no time for it.
        if not is_over:
            save(keeper, is_best)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_step", stopping)
        patch.setattr(running.CheckpointWriter, "save_pipeline", saving)
        running.train(Path("config.cfg"), OUTPUT, interval=0, group=group)


def learnt() -> dict[str, Any]:
    return load_file(OUTPUT / "model-last" / "bert_ner" / "encoder.safetensors")


def test_a_run_goes_on_with_another_number_of_processes(tiny_bert: Path, folder: Path) -> None:
    ner_config(encoder_block(tiny_bert, document_memory=True), max_steps=11).to_disk("config.cfg")
    train(Group())
    expected = learnt()
    shutil.rmtree(OUTPUT)
    for processes, stop in ((2, 4), (1, 8), (3, None)):
        ends = together(processes, train, stop) if processes > 1 or stop is None else [end_of(train, stop)]
        assert [type(end) for end in ends] == [type(None) if stop is None else StoppedError] * processes
    found = learnt()
    assert found.keys() == expected.keys()
    for name, weights in expected.items():
        if not name.endswith(".attention.key.bias"):
            assert np.abs(found[name] - weights).max() < 1e-5, name
    assert not (OUTPUT / "checkpoints").exists()


def end_of(job: Callable[..., None], stop: int) -> BaseException:
    with pytest.raises(StoppedError) as caught:
        job(Group(), stop)
    return caught.value


def test_the_same_number_ends_with_the_same_bytes(tiny_bert: Path, folder: Path) -> None:
    """What processes draw apart is drawn again after a resumption."""
    drawing = {"dropout": 0.2, "max_steps": 6, "eval_frequency": 2}
    ner_config(encoder_block(tiny_bert, word_dropout=0.2, hidden_dropout=0.2), **drawing).to_disk("config.cfg")
    assert together(2, train) == [None, None]
    expected = contents()
    shutil.rmtree(OUTPUT)
    assert [type(end) for end in together(2, train, 3)] == [StoppedError, StoppedError]
    assert together(2, train) == [None, None]
    found = contents()
    assert found.keys() == expected.keys()
    # How long it took, and so the speed, is in meta.json and the curve.
    assert [name for name in found if found[name] != expected[name] and not name.endswith((".json", ".jsonl"))] == []
    assert {"curve.jsonl", "model-best/meta.json", "model-last/bert_ner/model"} <= found.keys()


REFUSED: dict[str, tuple[Callable[[Path], Config], str]] = {
    "another component": (
        lambda encoder: make_config(
            {
                "tagger": {
                    "factory": "tagger",
                    "model": {"@architectures": "spacy.Tagger.v2", "tok2vec": STOCK_TOK2VEC},
                },
                **ner_config(CNN)["components"],
            },
            {"optimizer": OUR_OPTIMIZER, **STILL},
        ),
        r"also trains tagger, .* Add tagger to \[training\] frozen_components, or train with one process",
    ),
    "another optimizer": (
        lambda encoder: ner_config(CNN, optimizer={"@optimizers": "Adam.v1", "learn_rate": 0.01}),
        r'set @optimizers = "spacy-bert-ner.AdamW.v1", or train with one process',
    ),
    "fp16": (
        lambda encoder: ner_config(encoder_block(encoder, precision="fp16")),
        r"'bert_ner' trains in fp16, .* set precision to bf16 or fp32",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_divided_is_refused_by_name(name: str, tiny_bert: Path, folder: Path) -> None:
    config, message = REFUSED[name]
    config(tiny_bert).to_disk("config.cfg")
    nlp = initialize(Config().from_disk("config.cfg"), use_gpu=-1)
    with pytest.raises(RunError, match=message):
        running.start_run(nlp, -1, None, Group(0, 2))


def test_processes_that_are_given_different_documents_stop(folder: Path) -> None:
    ner_config(CNN).to_disk("config.cfg")
    ends = together(2, train_own_corpus)
    assert [str(end) for end in ends] == [
        "Corpus reader and batcher do not give the same documents in each of the 2 processes, as training needs it"
    ] * 2


def train_own_corpus(group: Group) -> None:
    draw = running.fix_random_seed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "fix_random_seed", lambda seed: draw(seed + group.rank))
        train(group)


def fail_alone(group: Group, error: Exception) -> None:
    group.wait()
    if group.rank == 1:
        raise error
    group.wait()


def test_the_others_notice_that_one_has_ended() -> None:
    lost, cause, lost_too = together(3, fail_alone, ValueError("x"))
    assert (type(lost), type(cause), type(lost_too)) == (LostError, ValueError, LostError)
    assert "Another process has ended" in str(lost)


@given(st.lists(st.integers(0, 500), max_size=12), st.integers(1, 4))
def test_every_document_is_shared_out_once(costs: list[int], processes: int) -> None:
    shares = share_out(costs, processes)
    assert len(shares) == processes
    assert sorted(i for share in shares for i in share) == list(range(len(costs)))
    assert all(share == sorted(share) for share in shares)
    loads = [sum(costs[i] for i in share) for share in shares]
    # No document could be moved to make the most even better than by its own cost.
    assert max(loads) - min(loads) <= max(costs, default=0)


@pytest.mark.parametrize(
    ("costs", "processes", "loads"),
    [
        ([], 2, [0, 0]),
        ([7], 3, [0, 0, 7]),
        ([8, 7, 6, 5, 4], 2, [14, 16]),
        ([5, 5, 4, 3, 3], 2, [9, 11]),
        ([100, *[1] * 100], 2, [100, 100]),
    ],
)
def test_shares_are_even(costs: list[int], processes: int, loads: list[int]) -> None:
    assert sorted(sum(costs[i] for i in share) for share in share_out(costs, processes)) == loads


@given(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=6), st.integers(1, 5))
def test_every_number_is_moved_by_one_process(shapes: list[list[int]], processes: int) -> None:
    partition = Partition({str(i): tuple(shape) for i, shape in enumerate(shapes)}, processes)
    slices = [partition.slice_of(rank) for rank in range(processes)]
    assert [start for start, _ in slices] == [0, *(end for _, end in slices[:-1])]
    assert slices[-1][1] == partition.total
    moved: list[int] = []
    for name, (start, end) in partition.spans.items():
        pieces = [range(*partition.piece_of(name, rank)) for rank in range(processes)]
        assert [i for piece in pieces for i in piece] == list(range(start, end))
        for piece, (low, high) in zip(pieces, slices, strict=True):
            assert not piece or (low <= piece[0] and piece[-1] < high)
        moved += range(start, end)
    assert len(moved) == len(set(moved)) == sum(int(np.prod(shape)) for shape in shapes)
