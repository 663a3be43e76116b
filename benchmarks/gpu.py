"""Benchmark of a GPU: whether it gives the CPU's results, and words per second beside plain loops.

    python benchmarks/gpu.py OUT.json [--device cuda|cpu] [--small]

Weights are random, of bert-base's size, and so is the text, of CoNLL-2003's lengths; both go through the component:
`nlp.pipe` and `nlp.update`. It takes 8 minutes at most on a GPU; `--device cpu --small` runs the same in less than one
to try it out: its speeds mean nothing. It ends with an error where a check fails. The names:
    ours            the release config with what `init-config --gpu` changes in it, in bf16
    hugging_face    a plain loop over batches of 16 sentences padded to the longest, in bf16
    hugging_face_…  the same over batches with as many words as ours
    notebook        batches of 8 sentences padded to 512, in fp32
    matrix_share    share of the rate at which the device multiplies bf16 matrices; only products with the encoder's
                    weights count, without special pieces, padding and overlap
Plain loops train on sentences that are tokenized already; ours tokenizes at every step.

For a machine with torch, transformers and CuPy but no network, download the rest (57 MiB for Python 3.12) elsewhere by
    pip wheel --no-deps --wheel-dir wheels .
    pip download --no-deps --dest wheels --only-binary :all: --python-version 3.12 --platform manylinux_2_28_x86_64 \\
        --platform manylinux_2_17_x86_64 --constraint constraints.txt spacy thinc blis srsly preshed cymem murmurhash \\
        catalogue confection wasabi weasel spacy-legacy spacy-loggers cloudpathlib smart-open pydantic pydantic-core \\
        annotated-types typing-inspection
and install it there by `pip install --no-index --find-links wheels spacy-bert-ner`, which names what is still missing.
"""

import argparse
import gc
import json
import math
import platform
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, cycle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import spacy
import thinc
import torch
import transformers
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.training.batchers import minibatch_by_words
from spacy.util import fix_random_seed
from thinc.api import require_cpu, require_gpu, use_pytorch_for_gpu_memory, xp2torch
from thinc.compat import cupy_version, has_cupy
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn.utils import clip_grad_norm_
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    BertModel,
    DataCollatorForTokenClassification,
    PreTrainedTokenizerFast,
)
from wasabi import msg

import spacy_bert_ner
from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.training.completion import load_completed
from spacy_bert_ner.training.optimizer import build_adamw

RELEASE_CONFIG = Path(__file__).parent.parent / "configs" / "bert.cfg"
ENCODER = "components.bert_ner.model.tok2vec"
ON_A_GPU = {f"{ENCODER}.max_batch_pieces": 16384}
# Without randomness, so that two devices can be compared.
STILL = {f"{ENCODER}.{name}": 0.0 for name in ("hidden_dropout", "attention_dropout", "word_dropout")}
# Maximum differences from fp32 on the CPU: the relative norm of the logits' difference, the share of entities that
# differ, the largest difference of a confidence. A CPU's bf16 gave 0.011, 0 and 0.024 with 12 layers of width 128.
PREDICTION_BOUNDS = {
    "fp32": {"logits": 1e-4, "entities": 0.0, "confidences": 1e-3},
    "bf16": {"logits": 0.03, "entities": 0.01, "confidences": 0.05},
}
# The relative norm of the gradients' difference: of all parameters, and of the worst one.
GRADIENT_BOUNDS = {"all": 1e-4, "worst": 1e-3}

# Made-up words: stems that are word pieces, a quarter of them followed by a syllable. Each stem has one tag, so that
# random weights learn the text within a minute.
SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]
STEMS = [first + second for first in SYLLABLES for second in SYLLABLES]
LABELS = ("LOC", "MISC", "ORG", "PER")
TAGS = ["O", *(f"{position}-{label}" for label in LABELS for position in "BI")]
NAMES = {tag: STEMS[i::600] for i, tag in enumerate(TAGS[1:])}
PLAIN = [stem for i, stem in enumerate(STEMS) if i % 600 >= len(NAMES)]
# As words are distributed (Zipf), so that some recur within a document.
WEIGHTS = list(accumulate(1 / (10 + rank) for rank in range(len(PLAIN))))
# Words of a sentence on average.
WORDS = 14.5


@dataclass(frozen=True)
class Sizes:
    """The sizes of everything.

    layers, width, heads, feed_forward (int): Of the encoder.
    documents, compared (int): Documents to measure speed on, and to compare two devices on.
    batch_words (int): Words of a training batch.
    steps (int): Steps of training before its speed is measured; they must be enough to learn the random text's names.
    learn_rate (float): Of the encoder.
    matrix (int): Rows and columns of the matrices whose product measures the device's rate.
    seconds (float): How long each speed is measured, three times.
    """

    layers: int = 12
    width: int = 768
    heads: int = 12
    feed_forward: int = 3072
    documents: int = 400
    compared: int = 20
    batch_words: int = 2000
    steps: int = 200
    learn_rate: float = 1e-4
    matrix: int = 8192
    seconds: float = 6.0


SMALL = Sizes(2, 32, 2, 64, 24, 6, 400, 60, 2e-3, 256, 0.1)


class Sentence(NamedTuple):
    """A sentence: its words and their BIO tags."""

    words: list[str]
    tags: list[str]


Document = list[Sentence]
Gradients = dict[str, torch.Tensor]
# By document, start, end and label.
Entities = dict[tuple[int, int, int, str], float]


class Predictions(NamedTuple):
    """What a pipeline finds in documents: logits, (words, tags), and its entities' confidences."""

    logits: np.ndarray
    entities: Entities


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="what to compare with the CPU")
    parser.add_argument("--small", action="store_true", help="use a tiny encoder, to try the benchmark out")
    args = parser.parse_args(arguments)
    use(args.device)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        figures = measure(Path(folder), args.device, SMALL if args.small else Sizes())
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    show(figures)
    failed = [name for name, check in figures["checks"].items() if not check["holds"]]
    if failed:
        msg.fail(f"{args.device} does not compute what the CPU computes: {', '.join(failed)}", exits=1)
    msg.good(f"Wrote {args.output}")


def use(device: str) -> None:
    """Let spaCy and torch compute on a device. RAISES: SystemExit where they cannot."""
    if device == "cpu":
        require_cpu()
        return
    try:
        require_gpu()
    except ValueError as error:
        raise SystemExit(
            f"spaCy cannot use the GPU: {error}. It needs CuPy for the CUDA that torch was built for "
            f"({torch.version.cuda}), such as `pip install cupy-cuda12x`. Without a GPU: --device cpu --small"
        ) from error
    use_pytorch_for_gpu_memory()


def measure(folder: Path, device: str, sizes: Sizes) -> dict[str, Any]:
    """Run all measurements. RETURNS (dict[str, Any]): The content of the file."""
    start = time.perf_counter()
    encoder = make_encoder(folder / "encoder", sizes)
    tokenizer = make_tokenizer()
    train, test = write_text(0, sizes.documents), write_text(1, sizes.documents)
    gradients = check_gradients(folder, encoder, device, train[: sizes.compared], sizes)
    rate = matrix_rate(device, sizes.matrix)
    loops = {
        "hugging_face": Loop(encoder, tokenizer, device, size=16),
        "hugging_face_same_words": Loop(encoder, tokenizer, device, size=round(sizes.batch_words / WORDS)),
        "notebook": Loop(encoder, tokenizer, device, size=8, padded=True),
    }
    training = {"ours": train_ours(folder / "trained", encoder, device, train, sizes)}
    training |= {name: loop.train([s for doc in train for s in doc], sizes) for name, loop in loops.items()}
    predictions = check_predictions(folder / "trained", device, test[: sizes.compared])
    prediction = {"ours": predict_ours(folder / "trained", device, test, sizes)}
    prediction |= {name: loop.predict([s for doc in test for s in doc], sizes) for name, loop in loops.items()}
    pieces = pieces_per_word(tokenizer, test)
    per_word = 2 * pieces * sizes.layers * (4 * sizes.width**2 + 2 * sizes.width * sizes.feed_forward)
    for speeds, passes in ((training, 3), (prediction, 1)):
        for found in speeds.values():
            found["matrix_share"] = float(f"{passes * per_word * found['words_per_second'] / rate:.3g}")
    return {
        "machine": describe_machine(device),
        "versions": {
            "cupy": str(cupy_version) if has_cupy else None,
            **{one.__name__: one.__version__ for one in (np, spacy, spacy_bert_ner, thinc, torch, transformers)},
        },
        "sizes": asdict(sizes),
        "checks": {"gradients_fp32": gradients, **predictions},
        "bf16_tflops": float(f"{rate / 1e12:.3g}"),
        "pieces_per_word": round(pieces, 3),
        "training": training,
        "prediction": prediction,
        "seconds": round(time.perf_counter() - start, 1),
    }


def write_text(seed: int, count: int) -> list[Document]:
    """RETURNS (list[Document]): Documents of random words, as long as CoNLL-2003's: 217 words on average."""
    rng = random.Random(seed)
    documents: list[Document] = []
    for _ in range(count):
        left = min(max(20, round(rng.lognormvariate(5.1, 0.75))), 1500)
        documents.append([])
        while left > 0:
            documents[-1].append(write_sentence(rng, min(left, rng.randint(4, round(2 * WORDS) - 4))))
            left -= len(documents[-1][-1].words)
    return documents


def write_sentence(rng: random.Random, length: int) -> Sentence:
    """RETURNS (Sentence): Random words, with about the share of entities of CoNLL-2003."""
    tags: list[str] = []
    while len(tags) < length:
        label = rng.choice(LABELS)
        entity = rng.choice(([f"B-{label}"], [f"B-{label}", f"I-{label}"]))
        tags += entity if rng.random() < 0.13 else ["O"]
    del tags[length:]
    stems = [
        rng.choice(NAMES[tag]).title() if tag in NAMES else rng.choices(PLAIN, cum_weights=WEIGHTS)[0] for tag in tags
    ]
    return Sentence([stem + rng.choice(("", "", "", rng.choice(SYLLABLES))) for stem in stems], tags)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """RETURNS (PreTrainedTokenizerFast): An uncased WordPiece tokenizer of the made-up words."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ids = {piece: i for i, piece in enumerate([*specials, *STEMS, *(f"##{syllable}" for syllable in SYLLABLES)])}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(names, specials, strict=True)))


def make_encoder(folder: Path, sizes: Sizes) -> Path:
    """Save a BERT with random weights and its tokenizer. RETURNS (Path): The folder."""
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.feed_forward,
    )
    BertModel(config).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def make_pipeline(encoder: Path, documents: Sequence[Document], **overrides: Any) -> tuple[Language, list[Example]]:
    """RETURNS: The release config's pipeline, initialized, and the documents as examples without sentence starts."""
    fix_random_seed(0)
    # Batches and steps are the benchmark's own.
    # No corpus is read, as of one that is streamed.
    steps = {"training.max_steps": 1, "training.max_epochs": -1}
    given = {"paths.encoder": str(encoder), "training.batcher.size": 1, **steps, **overrides}
    config = load_completed(RELEASE_CONFIG, given, gpu=False)
    nlp = spacy.util.load_model_from_config(config, auto_fill=True)
    examples = make_examples(nlp, documents)
    nlp.initialize(lambda: examples)
    return nlp, examples


def make_docs(nlp: Language, documents: Iterable[Document]) -> list[Doc]:
    """RETURNS (list[Doc]): The documents without annotation."""
    return [Doc(nlp.vocab, words=[word for sent in doc for word in sent.words]) for doc in documents]


def make_examples(nlp: Language, documents: Sequence[Document]) -> list[Example]:
    """RETURNS (list[Example]): The documents with their entities."""
    examples = []
    for doc, document in zip(make_docs(nlp, documents), documents, strict=True):
        tags = [tag for sent in document for tag in sent.tags]
        examples.append(Example(doc, Doc(nlp.vocab, words=[token.text for token in doc], ents=tags)))
    return examples


def check(found: dict[str, float], bounds: dict[str, float]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): What was found, "at_most", and whether it "holds"."""
    return {**found, "at_most": bounds, "holds": all(found[name] <= bound for name, bound in bounds.items())}


def check_gradients(
    folder: Path, encoder: Path, device: str, documents: Sequence[Document], sizes: Sizes
) -> dict[str, Any]:
    """Compare the gradients of one step in fp32, after two steps on the CPU: some weights start at zero."""
    require_cpu()
    nlp, examples = make_pipeline(encoder, documents, **STILL, **{f"{ENCODER}.precision": "fp32"})
    optimizer = build_adamw(sizes.learn_rate)
    for _ in range(2):
        nlp.update(examples, sgd=optimizer)
    nlp.to_disk(folder / "still")
    expected = read_gradients(folder / "still", documents)
    use(device)
    return compare_gradients(expected, read_gradients(folder / "still", documents))


def compare_gradients(expected: Gradients, found: Gradients) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Whether two steps gave every parameter the same gradient."""
    if expected.keys() != found.keys():
        raise ValueError(f"Gradients of one device alone: {', '.join(sorted(expected.keys() ^ found.keys()))}")
    norms = {name: float(gradient.norm()) for name, gradient in expected.items()}
    total = math.hypot(*norms.values())
    errors = {name: float((gradient - found[name]).norm()) for name, gradient in expected.items()}
    # Some are zero up to rounding, such as those of the keys' biases.
    shares = {name: error / max(norms[name], 1e-3 * total) for name, error in errors.items()}
    worst = max(shares, key=shares.__getitem__)
    figures = {"all": math.hypot(*errors.values()) / total, "worst": shares[worst]}
    return {**check(figures, GRADIENT_BOUNDS), "parameters": len(expected), "worst_parameter": worst}


def read_gradients(path: Path, documents: Sequence[Document]) -> Gradients:
    """RETURNS (Gradients): What a step of a saved pipeline gives every parameter, on the CPU."""
    nlp = spacy.load(path)
    # Windows are cut at random.
    fix_random_seed(0)
    nlp.update(make_examples(nlp, documents), sgd=False)  # type: ignore[arg-type]
    model = nlp.get_pipe("bert_ner").model  # type: ignore[attr-defined]
    encoder = get_shim(model.get_ref("tok2vec")).encoder
    found = {name: param.grad for name, param in encoder.named_parameters() if param.grad is not None}
    for node in model.walk():
        found |= {
            f"{node.name}.{name}": xp2torch(node.get_grad(name)) for name in node.param_names if node.has_grad(name)
        }
    return {name: gradient.double().cpu() for name, gradient in found.items()}


def check_predictions(path: Path, device: str, documents: Sequence[Document]) -> dict[str, Any]:
    """Compare a trained pipeline's predictions with those in fp32 on the CPU. RETURNS: By dtype."""
    examples = enumerate(make_examples(spacy.blank("en"), documents))
    gold = {(i, ent.start, ent.end, ent.label_): 1.0 for i, eg in examples for ent in eg.reference.ents}
    require_cpu()
    expected = read_predictions(path, "fp32", documents)
    use(device)
    checks = {}
    for precision, bounds in PREDICTION_BOUNDS.items():
        found = read_predictions(path, precision, documents)
        checks[f"predictions_{precision}"] = compare_predictions(expected, found, bounds)
        checks[f"predictions_{precision}"]["f1"] = 1 - differing(gold, found.entities)
    return checks


def compare_predictions(expected: Predictions, found: Predictions, bounds: dict[str, float]) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): Whether two devices found the same."""
    common = expected.entities.keys() & found.entities.keys()
    confidences = (abs(expected.entities[key] - found.entities[key]) for key in common)
    difference = np.linalg.norm(found.logits - expected.logits) / np.linalg.norm(expected.logits)
    figures = {
        "logits": float(difference),
        "entities": differing(expected.entities, found.entities),
        "confidences": max(confidences, default=1.0),
    }
    return check(figures, bounds)


def differing(one: Entities, other: Entities) -> float:
    """RETURNS (float): The share of entities that only one of two has: 1 - F1."""
    return len(one.keys() ^ other.keys()) / max(1, len(one) + len(other))


def read_predictions(path: Path, precision: str, documents: Sequence[Document]) -> Predictions:
    """RETURNS (Predictions): A saved pipeline's."""
    nlp = spacy.load(path, config={f"{ENCODER}.precision": precision})
    model = nlp.get_pipe("bert_ner").model  # type: ignore[attr-defined]
    logits = model.ops.to_numpy(model.predict(make_docs(nlp, documents)).dataXd)
    docs = enumerate(nlp.pipe(make_docs(nlp, documents)))
    return Predictions(
        logits, {(i, ent.start, ent.end, ent.label_): ent._.confidence for i, doc in docs for ent in doc.ents}
    )


def clock(
    step: Callable[[Any], int], items: Sequence[Any], device: str, seconds: float, warm_up: int
) -> dict[str, Any]:
    """Time repeated calls of a function that returns the number of words it processed.

    RETURNS (dict[str, Any]): "words_per_second", their median over three "runs"; "peak_mib" of the GPU's memory.
    """
    endless = cycle(items)
    for _ in range(warm_up):
        step(next(endless))
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    runs = []
    for _ in range(3):
        words, start = 0, now(device)
        while time.perf_counter() - start < seconds:
            words += step(next(endless))
        runs.append(round(words / (now(device) - start), 1))
    peak = round(torch.cuda.max_memory_allocated() / 2**20) if device == "cuda" else None
    return {"words_per_second": statistics.median(runs), "runs": runs, "peak_mib": peak}


def now(device: str) -> float:
    """RETURNS (float): The time, once the device has finished all its work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def matrix_rate(device: str, size: int) -> float:
    """RETURNS (float): Operations per second in products of square matrices of bf16, the median of 20 times ten."""
    left, right = torch.randn(2, size, size, device=device).to(torch.bfloat16)
    times = []
    for _ in range(21):
        start = now(device)
        for _ in range(10):
            left @ right
        times.append(now(device) - start)
    return 10 * 2 * size**3 / statistics.median(times[1:])


def train_ours(path: Path, encoder: Path, device: str, documents: Sequence[Document], sizes: Sizes) -> dict[str, Any]:
    """Time steps as in spaCy's training loop, and save the trained pipeline."""
    nlp, examples = make_pipeline(encoder, documents, **ON_A_GPU, **{f"{ENCODER}.precision": "bf16"})
    batches = list(minibatch_by_words(examples, size=sizes.batch_words, discard_oversize=False))
    optimizer = build_adamw(sizes.learn_rate, head_factor=20.0)

    def step(batch: list[Example]) -> int:
        nlp.update(batch, drop=0.1, sgd=False)  # type: ignore[arg-type]
        nlp.get_pipe("bert_ner").finish_update(optimizer)  # type: ignore[attr-defined]
        optimizer.step_schedules()
        return sum(len(eg) for eg in batch)

    found = clock(step, batches, device, sizes.seconds, warm_up=sizes.steps)
    nlp.to_disk(path)
    return {"batch": f"{sizes.batch_words} words", "dtype": "bf16", **found}


def predict_ours(path: Path, device: str, documents: Sequence[Document], sizes: Sizes) -> dict[str, Any]:
    """Time `nlp.pipe`."""
    nlp = spacy.load(path, config={f"{ENCODER}.precision": "bf16"})
    docs = make_docs(nlp, documents)
    batches = [docs[i : i + 4 * nlp.batch_size] for i in range(0, len(docs), 4 * nlp.batch_size)]

    def step(batch: list[Doc]) -> int:
        return sum(len(doc) for doc in nlp.pipe([doc.copy() for doc in batch]))

    found = clock(step, batches, device, sizes.seconds, warm_up=len(batches))
    return {"batch": f"{nlp.batch_size} documents", "dtype": "bf16", **found}


@dataclass(frozen=True)
class Loop:
    """A plain loop over batches of sentences.

    encoder (Path): The folder.
    tokenizer (PreTrainedTokenizerFast): Its tokenizer.
    device (str): Where it runs.
    size (int): Sentences of a batch.
    padded (bool): Whether they are padded to 512, in fp32, instead of to the longest, in bf16.
    """

    encoder: Path
    tokenizer: PreTrainedTokenizerFast
    device: str
    size: int
    padded: bool = False

    def train(self, sentences: Sequence[Sentence], sizes: Sizes) -> dict[str, Any]:
        """Time steps: forward, back, AdamW."""
        model = self._model().train()
        fused = self.device == "cuda" and not self.padded
        optimizer = torch.optim.AdamW(model.parameters(), lr=sizes.learn_rate, fused=fused)
        rows = [self._encode(batch) for batch in self._batches(sentences)]

        def step(batch: list[dict[str, Any]]) -> int:
            with torch.autocast(self.device, torch.bfloat16, enabled=not self.padded):
                model(**self._collate(batch)).loss.backward()
            if not self.padded:
                clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            return sum(row["words"] for row in batch)

        return self._describe(clock(step, rows, self.device, sizes.seconds, warm_up=3))

    def predict(self, sentences: Sequence[Sentence], sizes: Sizes) -> dict[str, Any]:
        """Time tokenization, the forward pass and each piece's best tag."""
        model = self._model().eval().to(torch.float32 if self.padded else torch.bfloat16)

        def step(batch: list[Sentence]) -> int:
            with torch.inference_mode():
                model(**self._collate(self._encode(batch))).logits.argmax(-1).cpu()
            return sum(len(sent.words) for sent in batch)

        batches = list(self._batches(sentences))
        return self._describe(clock(step, batches, self.device, sizes.seconds, warm_up=3))

    def _model(self) -> Any:
        torch.manual_seed(0)
        return AutoModelForTokenClassification.from_pretrained(self.encoder, num_labels=len(TAGS)).to(self.device)

    def _batches(self, sentences: Sequence[Sentence]) -> Iterator[list[Sentence]]:
        shuffled = random.Random(0).sample(sentences, len(sentences))
        for i in range(0, len(shuffled) - self.size + 1, self.size):
            yield shuffled[i : i + self.size]

    def _encode(self, sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
        """Split words into pieces, of which the first ones are labelled."""
        encoded = self.tokenizer([sent.words for sent in sentences], is_split_into_words=True)
        rows = []
        for i, sent in enumerate(sentences):
            of = encoded.word_ids(i)
            first = [word is not None and word != before for word, before in zip(of, [None, *of], strict=False)]
            labels = [TAGS.index(sent.tags[word]) if own else -100 for word, own in zip(of, first, strict=True)]
            rows.append({"input_ids": encoded["input_ids"][i], "labels": labels, "words": len(sent.words)})
        return rows

    def _collate(self, rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        padding = {"padding": "max_length", "max_length": 512} if self.padded else {}
        collate = DataCollatorForTokenClassification(self.tokenizer, **padding)
        batch = collate([{name: row[name] for name in ("input_ids", "labels")} for row in rows])
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def _describe(self, found: dict[str, Any]) -> dict[str, Any]:
        padding, dtype = ("512", "fp32") if self.padded else ("the longest", "bf16")
        return {"batch": f"{self.size} sentences, padded to {padding}", "dtype": dtype, **found}


def pieces_per_word(tokenizer: PreTrainedTokenizerFast, documents: Sequence[Document]) -> float:
    """RETURNS (float): The average number of word pieces of a text."""
    words = [word for doc in documents for sent in doc for word in sent.words]
    return len(tokenizer(words, is_split_into_words=True, add_special_tokens=False)["input_ids"]) / len(words)


def describe_machine(device: str) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): The device and the versions of its software."""
    card = torch.cuda.get_device_properties(0) if device == "cuda" else None
    return {
        "card": card.name if card else None,
        "card_mib": card.total_memory // 2**20 if card else None,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
    }


def show(figures: dict[str, Any]) -> None:
    """Print what was found."""
    checks = [
        (name, "yes" if found["holds"] else "no", ", ".join(f"{key} {found[key]:.2g}" for key in found["at_most"]))
        for name, found in figures["checks"].items()
    ]
    msg.table(checks, header=("check", "holds", "differences"), divider=True)
    columns = ("words_per_second", "matrix_share", "peak_mib", "batch", "dtype")
    for task in ("training", "prediction"):
        rows = [(name, *(found[column] for column in columns)) for name, found in figures[task].items()]
        msg.table(rows, header=(task, *columns), divider=True)


if __name__ == "__main__":
    main()
