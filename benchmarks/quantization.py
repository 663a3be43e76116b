"""Words per second of a pipeline in int8, against the same in floats and against a bare forward pass of ONNX Runtime.

    python benchmarks/quantization.py MODEL INT8 CORPUS.spacy OUT.json [--encoder FOLDER] [--repeats 3] [--documents 0]

MODEL is the pipeline in floats, INT8 what `bert-ner quantize` made of it. Systems take turns; each figure is the median
of its runs. With --encoder, the folder of the checkpoint that the pipeline was trained from, a bare ONNX Runtime runs
that network, its weights in int8 and its activations dynamically, over the same words in windows without overlap,
sorted by length, in batches of 32: without spaCy, without tokenization, without a head. That needs transformers, onnx
and onnxruntime.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

WINDOW, BATCH = 128, 32
# What is run, made ready beforehand.
Run = Callable[[], Callable[[], object]]


def main() -> None:
    """Parse the arguments, measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the pipeline in floats")
    parser.add_argument("int8", type=Path, help="folder of the pipeline in int8")
    parser.add_argument("corpus", type=Path, help="documents to predict (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--encoder", type=Path, help="folder of the checkpoint, for ONNX Runtime")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each system")
    parser.add_argument("--documents", type=int, default=0, help="how many documents; 0 for all")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    words = read_words(args.corpus, args.documents)
    systems: dict[str, Run] = {"int8": pipeline_run(args.int8, words, "int8")}
    systems |= {precision: pipeline_run(args.model, words, precision) for precision in ("bf16", "fp32")}
    if args.encoder:
        systems["onnx dynamic int8"] = onnx_run(args.encoder, words)
    speeds = take_turns(systems, sum(map(len, words)), args.repeats)
    medians = {name: statistics.median(own) for name, own in speeds.items()}
    figures = {
        "threads": torch.get_num_threads(),
        "words": sum(map(len, words)),
        "words_per_second": {name: round(median, 1) for name, median in medians.items()},
        "runs": {name: [round(speed, 1) for speed in own] for name, own in speeds.items()},
        "int8_to": {name: round(medians["int8"] / median, 3) for name, median in medians.items() if name != "int8"},
    }
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode("utf8"))
    rows = [(name, f"{median:,.0f}", f"{medians['int8'] / median:.2f}") for name, median in medians.items()]
    msg.table(rows, header=("system", "words/s", "int8 to it"), divider=True, aligns=("l", "r", "r"))


def read_words(corpus: Path, limit: int) -> list[list[str]]:
    """RETURNS (list[list[str]]): The words of the first documents of a corpus; 0 for all."""
    docs = list(DocBin().from_disk(corpus).get_docs(spacy.blank("en").vocab))
    return [[token.text for token in doc] for doc in (docs[:limit] if limit else docs)]


def pipeline_run(folder: Path, words: Sequence[list[str]], precision: str) -> Run:
    """RETURNS (Run): `nlp.pipe` over all documents."""
    nlp: Language = spacy.load(folder)
    for name in nlp.pipe_names:
        set_precision(nlp.config["components"][name], precision)
    nlp = spacy.load(folder, config=nlp.config)

    def ready() -> Callable[[], object]:
        docs = [Doc(nlp.vocab, words=own) for own in words]
        return lambda: list(nlp.pipe(docs))

    return ready


def set_precision(section: Any, precision: str) -> None:
    """Change every precision in a section of a config."""
    if isinstance(section, dict):
        for key, value in section.items():
            if key == "precision":
                section[key] = precision
            set_precision(value, precision)


def onnx_run(encoder: Path, words: Sequence[list[str]]) -> Run:
    """RETURNS (Run): A forward pass of the checkpoint by ONNX Runtime over all windows, which are ready beforehand."""
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    network = Bare(AutoModel.from_pretrained(encoder, attn_implementation="eager")).eval()
    names = ["input_ids", "attention_mask"]
    with tempfile.TemporaryDirectory() as folder:
        plain, short = f"{folder}/plain.onnx", f"{folder}/int8.onnx"
        axes = {name: {0: "windows", 1: "pieces"} for name in (*names, "hidden")}
        example = (torch.ones(2, 9, dtype=torch.int64), torch.ones(2, 9, dtype=torch.int64))
        torch.onnx.export(
            network,
            example,
            plain,
            input_names=names,
            output_names=["hidden"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(plain, short)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(short, options, providers=["CPUExecutionProvider"])
    batches = list(padded_batches(tokenizer, words))

    def run() -> None:
        for ids, mask in batches:
            session.run(None, {"input_ids": ids, "attention_mask": mask})

    return lambda: run


class Bare(torch.nn.Module):
    """A transformer of two inputs and one output, as it is exported. network (PreTrainedModel): Any encoder."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> Any:
        """RETURNS (Tensor): (windows, pieces, width), from (windows, pieces) of piece ids and a mask."""
        return self.network(input_ids=ids, attention_mask=mask, return_dict=False)[0]


def padded_batches(tokenizer: Any, words: Sequence[list[str]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """YIELDS (tuple[ndarray, ndarray]): Piece ids and mask, (windows, pieces), of windows of like length."""
    first, last = tokenizer("")["input_ids"]
    size = WINDOW - 2
    windows: list[list[int]] = []
    for ids in tokenizer([*words], is_split_into_words=True, add_special_tokens=False, truncation=False)["input_ids"]:
        windows += [[first, *ids[i : i + size], last] for i in range(0, len(ids), size)]
    windows.sort(key=len)
    for i in range(0, len(windows), BATCH):
        batch = windows[i : i + BATCH]
        ids = np.full((len(batch), len(batch[-1])), tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, own in enumerate(batch):
            ids[row, : len(own)], mask[row, : len(own)] = own, 1
        yield ids, mask


def take_turns(systems: dict[str, Run], words: int, repeats: int) -> dict[str, list[float]]:
    """RETURNS (dict[str, list[float]]): Words per second of each system's runs; one before them is not counted."""
    for ready in systems.values():
        ready()()
    speeds: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(repeats):
        for name, ready in systems.items():
            run = ready()
            start = time.perf_counter()
            run()
            speeds[name].append(words / (time.perf_counter() - start))
    return speeds


if __name__ == "__main__":
    main()
