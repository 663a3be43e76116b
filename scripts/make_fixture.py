"""Save a tiny trained pipeline and its predictions, for later versions to load: `python scripts/make_fixture.py`.

Takes a few seconds and writes tests/fixtures/vVERSION. Run it once for each release, and never again for the same one.
"""

import argparse
import json
import shutil
import string
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any, cast

import spacy
from spacy.language import Language
from spacy.training import Example, offsets_to_biluo_tags
from thinc.api import fix_random_seed
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, BertTokenizerFast
from wasabi import msg

from spacy_bert_ner import __version__
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.training.optimizer import build_adamw

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures"
STEPS = 80
SENTENCES: list[tuple[str, list[tuple[str, str]]]] = [
    ("Jane Smith lives in Paris.", [("Jane Smith", "PER"), ("Paris", "LOC")]),
    ("The engineers of Acme Tools met in London on Monday.", [("Acme Tools", "ORG"), ("London", "LOC")]),
    ("Omar Haddad left Acme Tools in Oslo.", [("Omar Haddad", "PER"), ("Acme Tools", "ORG"), ("Oslo", "LOC")]),
    ("Nobody was there, the man said.", []),
    ("In Lagos, Rivet Bank opened an office.", [("Lagos", "LOC"), ("Rivet Bank", "ORG")]),
    ("Ms Haddad and Mr Smith never met.", [("Haddad", "PER"), ("Smith", "PER")]),
]
ENCODER = {
    "@architectures": "spacy-bert-ner.Encoder.v1",
    "name": "encoder",
    "window": 32,
    "stride": 24,
    "precision": "fp32",
    "transformer_config": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
}
# Never trained on: new words, no word, and more pieces than a window has.
UNSEEN = [
    "Zoë Smith of RIVET BANK flew to lagos.",
    "",
    " \n",
    "🙂 \u200b",
    " ".join(text for text, _ in SENTENCES) * 2,
]


def main() -> None:
    """Parse the arguments, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="?", default=FIXTURES, help="folder of the versions' folders")
    folder = make_fixture(parser.parse_args().output.resolve())
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    msg.good(f"Wrote {folder}, {size / 1024:.0f} KiB")


def make_fixture(output: Path) -> Path:
    """Train a pipeline and save it.

    output (Path): Folder of the versions' folders.
    RETURNS (Path): This version's folder: "model", and "expected.json" with texts, their entities by characters, and
        the entities' confidences.
    RAISES: SystemExit where training has not learnt its sentences.
    """
    nlp = train()
    for text, entities in SENTENCES:
        found = [(ent.text, ent.label_) for ent in nlp(text).ents]
        if found != entities:
            raise SystemExit(f"{text!r}: found {found}, expected {entities}. Raise STEPS.")
    folder = output / f"v{__version__}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    nlp.to_disk(folder / "model")
    expected = [describe(nlp, text) for text in [*(text for text, _ in SENTENCES), *UNSEEN]]
    lines = ",\n".join(json.dumps(row) for row in expected)
    write_atomically(folder / "expected.json", f"[\n{lines}\n]\n".encode())
    return folder


def describe(nlp: Language, text: str) -> dict[str, Any]:
    """RETURNS (dict[str, Any]): A text, and what the pipeline says of it."""
    doc = nlp(text)
    return {
        "text": text,
        "entities": [[e.start_char, e.end_char, e.label_, round(e._.confidence, 6)] for e in doc.ents],
    }


def train() -> Language:
    """RETURNS (Language): A pipeline that knows SENTENCES, the same each time."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    # Within the folder, as the config on disk names the encoder by the path used here.
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        save_encoder(Path("encoder"))
        component: Any = nlp.add_pipe("bert_ner", config={"model": {"tok2vec": ENCODER}})
        examples = [example(nlp, text, entities) for text, entities in SENTENCES]
        nlp.initialize(lambda: examples)
    optimizer = build_adamw(0.004)
    for _ in range(STEPS):
        nlp.update(examples, sgd=optimizer)
    # As calibration would set them, so that loading them is tested too.
    component.cfg |= {"temperature": 1.5, "offsets": {"LOC": -0.25, "PER": 0.5}}
    return nlp


def example(nlp: Language, text: str, entities: list[tuple[str, str]]) -> Example:
    """RETURNS (Example): A sentence whose entities are the first places where their texts stand."""
    doc = nlp.make_doc(text)
    offsets = [(text.index(name), text.index(name) + len(name), label) for name, label in entities]
    return Example.from_dict(doc, {"entities": offsets_to_biluo_tags(doc, offsets)})


def save_encoder(folder: Path) -> None:
    """Make a random uncased BERT that spells most words letter by letter."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = string.ascii_lowercase + string.digits + string.punctuation
    words = ["the", "in", "on", "of", "and", "said", "met", "was", "bank", "tools", "smith"]
    pieces = dict.fromkeys([*specials, *letters, *(f"##{c}" for c in letters), *words])
    ids = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    tokenizer.add_special_tokens(specials)
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(ids),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    cast(Any, BertModel(config)).save_pretrained(folder)


if __name__ == "__main__":
    main()
