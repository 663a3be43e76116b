"""The systems that scripts/benchmark.py measures, one per process: the usual alternatives, and ours.

    python benchmarks/systems.py SYSTEM TASK ENCODER CORPUS_DIR [--documents N] [--steps N] [--threads N]

prints one JSON object on standard output. All systems get the same encoder, documents and number of threads.
"""

import argparse
import json
import logging
import random
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import DocBin
from spacy.training import Corpus, Example
from spacy.training.batchers import minibatch_by_words
from thinc.api import Adam
from transformers import AutoModelForTokenClassification, AutoTokenizer

from spacy_bert_ner.encoder.network.precision import choose_dtype
from spacy_bert_ner.training.completion import load_completed
from spacy_bert_ner.training.optimizer import build_adamw

LABELS = 9
WINDOW = 128
BATCH_WORDS = 1000
MATRIX_SECONDS = 1.0
STOCK_ENCODER = {"@architectures": "spacy-transformers.TransformerModel.v3"}
STOCK_LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "reduce_mean.v1"},
}
TRANSITION_NER = {
    "@architectures": "spacy.TransitionBasedParser.v2",
    "state_type": "ner",
    "extra_state_tokens": False,
    "hidden_width": 64,
    "maxout_pieces": 2,
    "use_upper": False,
    "tok2vec": STOCK_LISTENER,
}
TAGGER = {"@architectures": "spacy-bert-ner.TokenClassifier.v1", "tok2vec": STOCK_LISTENER}


def stock_ner(encoder: str) -> Language:
    """spaCy's own transformer and its transition-based ner."""
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {**STOCK_ENCODER, "name": encoder}})
    nlp.add_pipe("ner", config={"model": TRANSITION_NER})
    return nlp


def stock_bert_ner(encoder: str) -> Language:
    """spaCy's own transformer and our component."""
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {**STOCK_ENCODER, "name": encoder}})
    nlp.add_pipe("bert_ner", config={"model": TAGGER})
    return nlp


def ours(encoder: str) -> Language:
    """The pipeline of the release config."""
    # Batches and steps are the benchmark's own, and no corpus is read, as of one that is streamed.
    steps = {"training.max_steps": 1, "training.max_epochs": -1}
    given = {"paths.encoder": encoder, "training.batcher.size": BATCH_WORDS, **steps}
    config = load_completed(Path(__file__).parent.parent / "configs" / "bert.cfg", given, gpu=False)
    return spacy.util.load_model_from_config(config, auto_fill=True)


PIPELINES: dict[str, Callable[[str], Language]] = {
    "stock_ner": stock_ner,
    "stock_bert_ner": stock_bert_ner,
    "ours": ours,
}


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", choices=[*PIPELINES, "forward", "trainer", "notebook", "matrix"])
    parser.add_argument("task", choices=["predict", "train", "latency"])
    parser.add_argument("encoder", help="folder of the encoder")
    parser.add_argument("corpus", type=Path, help="folder with train.spacy and test.spacy")
    parser.add_argument("--documents", type=int, default=0, help="test documents to predict; 0 for all")
    parser.add_argument("--steps", type=int, default=12, help="training steps to time")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    random.seed(0)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    figures = measure(args)
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
    print(json.dumps({"threads": args.threads, **figures, "peak_mib": round(peak)}))


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure one system on one task. RETURNS: Words per second, batch and dtype, as far as they apply."""
    native = str(choose_dtype("auto", torch.device("cpu"))).removeprefix("torch.")
    if args.system == "matrix":
        return {"gflops": {kind: matrix_rate(getattr(torch, kind)) for kind in ("float32", "bfloat16")}}
    if args.task == "latency":
        return latency(PIPELINES[args.system](args.encoder), args.corpus)
    if args.system == "forward":
        words = [[token.text for token in doc] for doc in load_docs(args.corpus / "test.spacy", args.documents)]
        figures = forward_only(args.encoder, words)
        return {"batch": f"32 windows of {WINDOW} pieces, no overlap", "dtype": native, **figures}
    if args.system in ("trainer", "notebook"):
        return train_by_hand(args.system, args.encoder, args.corpus / "train.spacy", args.steps)
    dtype = native if args.system == "ours" else "float32"
    nlp = PIPELINES[args.system](args.encoder)
    if args.task == "predict":
        return {"batch": f"{nlp.batch_size} documents", "dtype": dtype, **predict(nlp, args.corpus, args.documents)}
    return {"batch": f"{BATCH_WORDS} words", "dtype": dtype, **train(nlp, args.system, args.corpus, args.steps)}


def matrix_rate(dtype: torch.dtype, size: int = 1024) -> float:
    """RETURNS (float): The speed of the fastest of MATRIX_SECONDS' square products, in 10^9 operations per second."""
    left, right = torch.randn(2, size, size).to(dtype)
    best = 0.0
    started = time.perf_counter()
    while time.perf_counter() - started < MATRIX_SECONDS:
        start = time.perf_counter()
        left @ right
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return round(best / 1e9, 1)


def words_per_second(run: Callable[[], int], repeats: int) -> dict[str, Any]:
    """Time a call that returns the number of words it processed; the first one is not counted."""
    run()
    speeds = []
    for _ in range(repeats):
        start = time.perf_counter()
        words = run()
        speeds.append(words / (time.perf_counter() - start))
    return {"words_per_second": round(statistics.median(speeds), 1), "runs": [round(speed, 1) for speed in speeds]}


def load_docs(path: Path, limit: int) -> list[Any]:
    """The first documents of a corpus; 0 for all."""
    docs = list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))
    return docs[:limit] if limit else docs


def load_examples(nlp: Language, path: Path, limit: int) -> list[Example]:
    """The corpus as `spacy train` reads it: documents without sentence starts."""
    return list(Corpus(path, limit=limit)(nlp))


def predict(nlp: Language, corpus: Path, documents: int) -> dict[str, Any]:
    """Words per second of `nlp.pipe` over whole documents."""
    examples = load_examples(nlp, corpus / "test.spacy", documents)
    nlp.initialize(lambda: examples[:20])

    def run() -> int:
        return sum(len(doc) for doc in nlp.pipe([eg.predicted.copy() for eg in examples]))

    return words_per_second(run, repeats=3)


def train(nlp: Language, system: str, corpus: Path, steps: int) -> dict[str, Any]:
    """Words per second of updates as in spaCy's training loop, optimizer included."""
    examples = load_examples(nlp, corpus / "train.spacy", 20 * steps)
    nlp.initialize(lambda: examples[:50])
    optimizer = build_adamw(5e-5) if system == "ours" else Adam(5e-5, L2=0.01, grad_clip=1.0)
    batches = list(minibatch_by_words(examples, size=BATCH_WORDS, discard_oversize=False))[:steps]

    def run() -> int:
        for batch in batches:
            nlp.update(batch, drop=0.1, sgd=False)  # type: ignore[arg-type]
            for _, component in nlp.pipeline:
                if getattr(component, "is_trainable", False):
                    component.finish_update(optimizer)  # type: ignore[attr-defined]
            optimizer.step_schedules()
        return sum(len(eg) for batch in batches for eg in batch)

    return words_per_second(run, repeats=2)


def forward_only(encoder: str, docs: list[list[str]]) -> dict[str, Any]:
    """Tokenize, cut into windows without overlap, sort by length, run the model: nothing else."""
    tokenizer = load_tokenizer(encoder)
    dtype = choose_dtype("auto", torch.device("cpu"))
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=LABELS, torch_dtype=dtype).eval()
    first, last = tokenizer("")["input_ids"]
    size = WINDOW - 2
    pieces = [0]

    def run() -> int:
        windows: list[list[int]] = []
        for ids in tokenizer(docs, is_split_into_words=True, add_special_tokens=False)["input_ids"]:
            windows += [ids[i : i + size] for i in range(0, len(ids), size)]
        pieces[0] = sum(map(len, windows))
        windows = sorted(([first, *ids, last] for ids in windows), key=len)
        with torch.inference_mode():
            for batch in in_batches(windows, 32):
                model.base_model(**tokenizer.pad({"input_ids": batch}, return_tensors="pt"))
        return sum(map(len, docs))

    figures = words_per_second(run, repeats=3)
    # Operations of the encoder's matrix products alone, for the share of the machine's rate.
    matrices = sum(p.numel() for name, p in model.base_model.named_parameters() if p.ndim == 2 and "embed" not in name)
    per_word = 2 * matrices * pieces[0] / sum(map(len, docs))
    return {**figures, "matrix_operations_per_word": round(per_word)}


def train_by_hand(system: str, encoder: str, path: Path, steps: int) -> dict[str, Any]:
    """Words per second of fine-tuning without spaCy, sentence by sentence, on gold tags.

    "trainer" is Hugging Face's Trainer with dynamic padding; "notebook" is a loop with batches padded to 512.
    """
    sentences = [sent for doc in load_docs(path, 20 * steps) for sent in doc.sents]
    random.shuffle(sentences)
    size = 16 if system == "trainer" else 8
    rows = align(load_tokenizer(encoder), sentences[: size * (steps if system == "trainer" else max(2, steps // 6))])
    words = sum(row.pop("words") for row in rows)
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=LABELS)
    native = choose_dtype("auto", torch.device("cpu"))
    if system == "trainer":
        batch, dtype = f"{size} sentences, padded to the longest", str(native).removeprefix("torch.")
        run = hugging_face_trainer(model, load_tokenizer(encoder), rows, size, native == torch.bfloat16)
    else:
        batch, dtype = f"{size} sentences, padded to 512", "float32"
        run = notebook_loop(model, load_tokenizer(encoder), rows, size)

    def timed() -> int:
        run()
        return words

    return {"batch": batch, "dtype": dtype, **words_per_second(timed, repeats=1)}


def align(tokenizer: Any, sentences: list[Any]) -> list[dict[str, Any]]:
    """Word pieces with a label on each word's first one, as the notebook and `run_ner` do it."""
    names = ["O"] + [f"{bio}-{label}" for label in ("LOC", "MISC", "ORG", "PER") for bio in "BI"]
    rows = []
    for sent in sentences:
        encoded = tokenizer([token.text for token in sent], is_split_into_words=True)
        tags = [names.index(f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O") for t in sent]
        labels, previous = [], None
        for word in encoded.word_ids():
            labels.append(-100 if word is None or word == previous else tags[word])
            previous = word
        rows.append({**encoded, "labels": labels, "words": len(sent)})
    return rows


def hugging_face_trainer(model: Any, tokenizer: Any, rows: list[Any], size: int, bf16: bool) -> Callable[[], Any]:
    """RETURNS: A call that trains one epoch."""
    from transformers import DataCollatorForTokenClassification, Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(Path(tempfile.gettempdir()) / "benchmark-trainer"),
        per_device_train_batch_size=size,
        num_train_epochs=1,
        learning_rate=5e-5,
        bf16=bf16,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    collator = DataCollatorForTokenClassification(tokenizer)
    return lambda: Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator).train()


def notebook_loop(model: Any, tokenizer: Any, rows: list[Any], size: int) -> Callable[[], Any]:
    """RETURNS: A call that trains one epoch, every sentence padded to 512."""
    from transformers import DataCollatorForTokenClassification

    collator = DataCollatorForTokenClassification(tokenizer, padding="max_length", max_length=512)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)

    def run() -> None:
        model.train()
        for batch in in_batches(rows, size):
            model(**collator([dict(row) for row in batch])).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run


def latency(nlp: Language, corpus: Path, calls: int = 100) -> dict[str, Any]:
    """Time `nlp(text)` on single texts of 30 words."""
    examples = load_examples(nlp, corpus / "test.spacy", 20)
    nlp.initialize(lambda: examples)
    words = [token.text for eg in examples for token in eg.reference]
    texts = [" ".join(chunk) for chunk in in_batches(words, 30)]
    times = []
    for i in range(calls + 10):
        start = time.perf_counter()
        nlp(texts[i % len(texts)])
        times.append(1000 * (time.perf_counter() - start))
    hundredths = statistics.quantiles(times[10:], n=100)
    return {"p50_ms": round(hundredths[49], 2), "p95_ms": round(hundredths[94], 2)}


def load_tokenizer(encoder: str) -> Any:
    """The encoder's tokenizer, without the truncation and padding that its files may carry."""
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokenizer.model_max_length = 1 << 30
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def in_batches(items: Iterable[Any], size: int) -> Iterator[Any]:
    """Slices of a list."""
    items = list(items)
    for i in range(0, len(items), size):
        yield items[i : i + size]


if __name__ == "__main__":
    main()
