"""Words per second of prediction and training, beside what people use today, in one run on one machine.

    python benchmarks/speed.py ENCODER CORPUS_DIR OUT.json

All run with the same encoder on the same documents; read the figures as ratios. The names:
    stock      spaCy's `transformer` (spacy-transformers' own model) and transition-based `ner`
    raw        the bare forward pass of Hugging Face's model over windows without overlap, tokenization included
    hf_loop    a plain PyTorch loop: batches of 16 random sentences padded to their longest, AdamW, clipping
    notebook   batches of 8 sentences padded to 512, Adam
    ours       the pipeline of configs/bert.cfg
"""

import argparse
import json
import platform
import random
import time
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

from spacy_bert_ner.encoder.precision import choose_dtype
from spacy_bert_ner.optimizer import build_adamw

STOCK = "spacy-transformers.TransformerModel.v3"
LABELS = ("LOC", "MISC", "ORG", "PER")


def main() -> None:
    """Parse the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="folder of the encoder")
    parser.add_argument("corpus", type=Path, help="folder with train.spacy and test.spacy")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--documents", type=int, default=120, help="test documents to predict")
    parser.add_argument("--steps", type=int, default=12, help="training steps to time, of about 1000 words")
    args = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    figures = {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "native_type": str(choose_dtype("auto", torch.device("cpu"))),
        },
        "prediction": measure_prediction(args.encoder, args.corpus / "test.spacy", args.documents),
        "training": measure_training(args.encoder, args.corpus / "train.spacy", args.steps),
    }
    args.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf8")
    print(json.dumps(figures, indent=2))


def stock_pipeline(encoder: str) -> Language:
    """spaCy's own transformer and ner."""
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {"@architectures": STOCK, "name": encoder}})
    listener = {"@architectures": "spacy-transformers.TransformerListener.v1", "pooling": {"@layers": "reduce_mean.v1"}}
    model = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": {**listener, "grad_factor": 1.0},
    }
    nlp.add_pipe("ner", config={"model": model})
    return nlp


def our_pipeline(encoder: str) -> Language:
    """The pipeline of the release config."""
    config = spacy.util.load_config("configs/bert.cfg", overrides={"paths.encoder": encoder})
    return spacy.util.load_model_from_config(config, auto_fill=True)


def load_examples(nlp: Language, path: Path, limit: int | None = None) -> list[Example]:
    """The corpus as `spacy train` hands it over."""
    return list(Corpus(path, limit=limit or 0)(nlp))


def words_per_second(run: Callable[[], int], repeats: int = 2) -> float:
    """Time a call that says how many words it took; the best of some runs, the first one not counted."""
    run()
    best = 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        words = run()
        best = max(best, words / (time.perf_counter() - start))
    return round(best, 1)


def measure_prediction(encoder: str, path: Path, documents: int) -> dict[str, Any]:
    """Words per second over whole documents."""
    figures: dict[str, Any] = {}
    for name, build in (("stock", stock_pipeline), ("ours", our_pipeline)):
        nlp = build(encoder)
        examples = load_examples(nlp, path, documents)
        nlp.initialize(lambda examples=examples: examples)

        def run(nlp: Language = nlp, examples: list[Example] = examples) -> int:
            return sum(len(doc) for doc in nlp.pipe([eg.predicted.copy() for eg in examples]))

        figures[name] = words_per_second(run)
    docs = [[token.text for token in eg.reference] for eg in examples]
    figures["raw"] = words_per_second(lambda: raw_forward(encoder, docs))
    figures["ours / stock"] = round(figures["ours"] / figures["stock"], 2)
    figures["ours / raw"] = round(figures["ours"] / figures["raw"], 2)
    return figures


def raw_forward(encoder: str, docs: list[list[str]], size: int = 126) -> int:
    """Tokenize, cut into windows without overlap, sort by length, run the model: nothing else."""
    tokenizer, model = cached(encoder)
    windows = []
    for ids in tokenizer(docs, is_split_into_words=True, add_special_tokens=False)["input_ids"]:
        windows += [ids[i : i + size] for i in range(0, len(ids), size)]
    windows = sorted((tokenizer.build_inputs_with_special_tokens(ids) for ids in windows), key=len)
    with torch.inference_mode():
        for i in range(0, len(windows), 32):
            batch = tokenizer.pad({"input_ids": windows[i : i + 32]}, return_tensors="pt")
            model.base_model(**batch)
    return sum(map(len, docs))


_CACHE: dict[str, Any] = {}


def cached(encoder: str) -> Any:
    """The tokenizer, and the model in the device's native number type, loaded once."""
    if encoder not in _CACHE:
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        tokenizer.model_max_length = 1 << 30
        tokenizer.backend_tokenizer.no_truncation()
        dtype = choose_dtype("auto", torch.device("cpu"))
        model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=9, torch_dtype=dtype).eval()
        _CACHE[encoder] = (tokenizer, model)
    return _CACHE[encoder]


def measure_training(encoder: str, path: Path, steps: int) -> dict[str, Any]:
    """Words per second of updates, optimizer included."""
    figures: dict[str, Any] = {}
    for name, build in (("stock", stock_pipeline), ("ours", our_pipeline)):
        nlp = build(encoder)
        examples = load_examples(nlp, path, 20 * steps)
        nlp.initialize(lambda examples=examples: examples[:50])
        optimizer = Adam(5e-5, L2=0.01, grad_clip=1.0) if name == "stock" else build_adamw(5e-5)
        batches = list(minibatch_by_words(examples, size=1000, discard_oversize=False))
        if name == "stock":
            batches = batches[: max(3, steps // 3)]
        figures[name] = words_per_second(
            lambda nlp=nlp, b=batches, o=optimizer: update_all(nlp, b[:steps], o), repeats=1
        )
    sentences = [
        [token.text for token in sent]
        for doc in DocBin().from_disk(path).get_docs(spacy.blank("en").vocab)
        for sent in doc.sents
    ]
    random.shuffle(sentences)
    figures["hf_loop"] = words_per_second(lambda: torch_loop(encoder, sentences[: 16 * steps], 16, None), repeats=1)
    figures["notebook"] = words_per_second(lambda: torch_loop(encoder, sentences[:16], 8, 512), repeats=1)
    for name in ("stock", "hf_loop", "notebook"):
        figures[f"ours / {name}"] = round(figures["ours"] / figures[name], 2)
    return figures


def update_all(nlp: Language, batches: Iterable[list[Example]], optimizer: Any) -> int:
    """Update on every batch as spaCy's training loop does. RETURNS: Words."""
    words = 0
    for batch in batches:
        nlp.update(batch, drop=0.1, sgd=False)  # type: ignore[arg-type]
        for _, component in nlp.pipeline:
            if getattr(component, "is_trainable", False):
                component.finish_update(optimizer)  # type: ignore[attr-defined]
        optimizer.step_schedules()
        words += sum(len(eg) for eg in batch)
    return words


def torch_loop(encoder: str, sentences: list[list[str]], size: int, pad_to: int | None) -> int:
    """Fine-tune by hand on random labels; speed does not depend on them. RETURNS: Words."""
    tokenizer = cached(encoder)[0]
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=9).train()
    optimizer = (torch.optim.AdamW if pad_to is None else torch.optim.Adam)(model.parameters(), lr=1e-5)
    for batch in in_batches(sentences, size):
        encoded = tokenizer(batch, is_split_into_words=True)
        padding = {"padding": "longest"} if pad_to is None else {"padding": "max_length", "max_length": pad_to}
        tensors = tokenizer.pad(encoded, return_tensors="pt", **padding)
        labels = torch.randint(0, 9, tensors["input_ids"].shape).masked_fill(tensors["attention_mask"] == 0, -100)
        loss = model(**tensors, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return sum(map(len, sentences))


def in_batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Slices of a list."""
    for i in range(0, len(items), size):
        yield items[i : i + size]


if __name__ == "__main__":
    main()
