"""A pipeline with torch beside what `export` made of it: start, memory, size and speed, in alternating processes.

    python benchmarks/export.py TRAINED EXPORTED CORPUS.spacy OUT.json --plain PYTHON [--torch PYTHON]
        [--precision fp32] [--rounds 3] [--documents 0]

--plain is the interpreter of an environment with `spacy-bert-ner[onnx]` and without torch, --torch that of one with
`spacy-bert-ner[torch]`; by default this one. Each round starts a process of each: it imports spaCy, loads the pipeline,
and has one short text read, then the corpus's texts. Needs Linux's /proc.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from wasabi import msg

from spacy_bert_ner.storage.files import write_atomically

# Runs in either environment, in which this project need not be installed as more than a package.
PROBE = """
import json, sys, sysconfig, time
from pathlib import Path
model, corpus, precision, documents = json.load(sys.stdin)
def resident():
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return {key: int(status.split(key + ":")[1].split()[0]) / 1024 for key in ("VmRSS", "RssAnon")}
start = time.perf_counter()
import spacy
imported = time.perf_counter()
settings = {"components.bert_ner.model.tok2vec.precision": precision} if precision else {}
nlp = spacy.load(model, config=settings)
loaded = time.perf_counter()
nlp("Angela Merkel met officials of the World Health Organization in Geneva on Tuesday.")
ready = time.perf_counter()
memory = resident()
from spacy.tokens import DocBin
texts = [doc.text for doc in DocBin().from_disk(corpus).get_docs(nlp.vocab)][: documents or None]
begun = time.perf_counter()
docs = list(nlp.pipe(texts))
seconds = time.perf_counter() - begun
places = [Path(sysconfig.get_path("purelib"))]
size = sum(file.stat().st_size for place in places for file in place.rglob("*") if file.is_file())
print("RESULT" + json.dumps({
    "import_spacy": imported - start, "load": loaded - imported, "first_call": ready - loaded, "start": ready - start,
    "mib": memory["VmRSS"], "mib_without_files": memory["RssAnon"], "mib_after": resident()["VmRSS"],
    "words_per_second": sum(map(len, docs)) / seconds, "site_packages_mib": size / 2**20,
    "torch": "torch" in sys.modules, "words": sum(map(len, docs)),
    "entities": [[(ent.start_char, ent.end_char, ent.label_, ent._.confidence) for ent in doc.ents] for doc in docs],
}))
"""


def main() -> None:
    """Parse the arguments, measure, print a table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", type=Path, help="folder of the trained pipeline")
    parser.add_argument("exported", type=Path, help="folder of what export made of it")
    parser.add_argument("corpus", type=Path, help="a corpus to take texts from (.spacy)")
    parser.add_argument("output", type=Path, help="where to write the figures (.json)")
    parser.add_argument("--plain", required=True, help="interpreter of the environment without torch")
    parser.add_argument("--torch", default=sys.executable, help="interpreter of the one with torch")
    parser.add_argument("--precision", default="fp32", help="of the trained pipeline")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each")
    parser.add_argument("--documents", type=int, default=0, help="how many texts; 0 for all")
    args = parser.parse_args()
    rounds: dict[str, list[dict[str, Any]]] = {"torch": [], "exported": []}
    for i in range(args.rounds):
        asked = [str(args.corpus), args.documents]
        rounds["torch"].append(probe(args.torch, args.trained, args.precision, *asked))
        rounds["exported"].append(probe(args.plain, args.exported, "", *asked))
        msg.info(f"Round {i + 1} of {args.rounds}")
    figures = compare(rounds)
    names = [name for name in figures["torch"] if name not in ("torch", "words")]
    rows = [(name, *(f"{figures[which][name]:.4g}" for which in ("torch", "exported", "ratio"))) for name in names]
    msg.table(rows, header=("", "torch", "exported", "ratio"), divider=True, aligns=("l", "r", "r", "r"))
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(figures, indent=2) + "\n").encode())
    msg.good(f"Wrote {args.output}")


def probe(python: str, model: Path, precision: str, corpus: str, documents: int) -> dict[str, Any]:
    """Measure one start of one pipeline in a process of its own.

    python (str): The interpreter.
    model (Path): The pipeline.
    precision (str): That it is to compute in; "" for its own.
    corpus (str): Where texts come from.
    documents (int): How many; 0 for all.
    RETURNS (dict[str, Any]): Seconds, MiB, words per second, and the entities.
    """
    asked = json.dumps([str(model), corpus, precision, documents])
    run = subprocess.run([python, "-c", PROBE], input=asked, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(run.stdout.partition("RESULT")[2])
    return result


def compare(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Put rounds together.

    rounds (dict[str, list[dict[str, Any]]]): What `probe` gave, of "torch" and "exported".
    RETURNS (dict[str, Any]): Medians of both, their ratios, whether the entities are the same, and by how much at most
        the confidences of the same ones differ.
    """
    told = {which: own[0]["entities"] for which, own in rounds.items()}
    for each in (*rounds["torch"], *rounds["exported"]):
        del each["entities"]
    names = list(rounds["torch"][0])
    medians = {
        which: {name: statistics.median(each[name] for each in own) for name in names} for which, own in rounds.items()
    }
    pairs = list(zip(told["torch"], told["exported"], strict=True))
    same = [[one[:3] for one in a] == [one[:3] for one in b] for a, b in pairs]
    apart = [abs(one[3] - other[3]) for a, b in pairs for one, other in zip(a, b, strict=False) if one[:3] == other[:3]]
    return {
        **medians,
        "ratio": {name: medians["exported"][name] / medians["torch"][name] for name in names if medians["torch"][name]},
        "documents": len(pairs),
        "documents_with_the_same_entities": sum(same),
        "largest_difference_of_confidences": max(apart, default=0.0),
        "rounds": rounds,
    }


if __name__ == "__main__":
    main()
