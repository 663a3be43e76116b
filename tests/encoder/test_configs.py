"""Configs and tokenizer files as they lie about: keys of other kinds, other names, files that contradict each other."""

import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from spacy_bert_ner.encoder.network.module import Encoder
from spacy_bert_ner.encoder.pieces import LONGEST_REMEMBERED, WordPieces
from spacy_bert_ner.encoder.pretrained import load_pretrained
from spacy_bert_ner.encoder.pretrained_files import Shards
from spacy_bert_ner.encoder.settings import EncoderSettings
from spacy_bert_ner.encoder.words import WordTable
from tests.encoder.encoders import Encoders

IDS = torch.arange(5, 45)


def load(folder: Path, **settings: Any) -> tuple[Encoder, WordPieces]:
    encoder, pieces = load_pretrained(
        EncoderSettings(str(folder), window=64, stride=48, case_features=False, **settings)
    )
    return encoder.eval(), pieces


def edited(folder: Path, target: Path, file: str, values: dict[str, Any], without: tuple[str, ...] = ()) -> Path:
    shutil.copytree(folder, target)
    content = json.loads((target / file).read_text())
    kept = {key: value for key, value in content.items() if key not in without}
    (target / file).write_text(json.dumps({**kept, **values}))
    return target


@pytest.mark.parametrize(
    ("name", "stray"),
    [
        ("bert", {"embedding_size": 16, "relative_attention_num_buckets": 32}),
        ("roberta", {"embedding_size": 16}),
        ("distilbert", {"type_vocab_size": 2, "embedding_size": 16, "layer_norm_eps": 0.5}),
        ("mpnet", {"type_vocab_size": 2, "embedding_size": 16}),
    ],
)
def test_keys_of_other_kinds_change_nothing(
    tiny_encoder: Encoders, tmp_path: Path, name: str, stray: dict[str, Any]
) -> None:
    folder = edited(tiny_encoder(name), tmp_path / "encoder", "config.json", stray)
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder, attn_implementation="eager")(IDS[None]).last_hidden_state[0]
        torch.testing.assert_close(load(folder)[0](IDS, IDS * 0, [len(IDS)]), expected, rtol=1e-4, atol=1e-5)


COMMON = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}


def test_distilbert_by_the_names_of_other_kinds(tiny_encoder: Encoders, tmp_path: Path) -> None:
    own = ("dim", "n_layers", "n_heads", *COMMON)
    folder = edited(tiny_encoder("distilbert"), tmp_path / "encoder", "config.json", COMMON, without=own)
    with torch.no_grad():
        expected = AutoModel.from_pretrained(folder, attn_implementation="eager")(IDS[None]).last_hidden_state[0]
        for encoder, _ in (load(folder), load(tiny_encoder("distilbert"), transformer_config=COMMON)):
            torch.testing.assert_close(encoder(IDS, IDS * 0, [len(IDS)]), expected, rtol=1e-4, atol=1e-5)


TOLD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "capitals": ({"do_lower_case": False}, ()),
    "accents": ({"strip_accents": False}, ()),
    "chinese": ({"tokenize_chinese_chars": False}, ()),
    "nothing": ({}, ("do_lower_case", "strip_accents", "tokenize_chinese_chars")),
    "no class": ({"do_lower_case": False, "tokenizer_class": "PreTrainedTokenizerFast"}, ()),
}
WORDS = ["Jane", "jané", "Ünlucky", "東京", "a東b", "IBM", "paris"]


@pytest.mark.parametrize("name", ["bert", "bert-cased"])
@pytest.mark.parametrize(("told", "without"), TOLD.values(), ids=TOLD)
def test_tokenizer_files_that_contradict_each_other(
    tiny_encoder: Encoders, tmp_path: Path, name: str, told: dict[str, Any], without: tuple[str, ...]
) -> None:
    folder = edited(tiny_encoder(name), tmp_path / "encoder", "tokenizer_config.json", told, without)
    theirs = AutoTokenizer.from_pretrained(folder)(
        [[word] for word in WORDS], is_split_into_words=True, add_special_tokens=False
    )
    pieces = load(folder)[1]
    assert [pieces.encode([word], 64).ids.tolist() for word in WORDS] == theirs["input_ids"]


def test_weights_are_read_one_at_a_time(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []
    lent: list[weakref.ref[torch.Tensor]] = []
    read = Shards.__getitem__

    def watched(self: Shards, name: str) -> torch.Tensor:
        tensor = read(self, name)
        lent.append(weakref.ref(tensor))
        alive.append(sum(each() is not None for each in lent))
        return tensor

    monkeypatch.setattr(Shards, "__getitem__", watched)
    load(tiny_bert)
    # Queries, keys and values, which are joined, and the parameter before them.
    assert 0 < max(alive) <= 4


def test_a_long_word_costs_no_copy_of_what_is_remembered(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = load(tiny_bert)[1]
    many = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    expected = pieces.encode(many, 64)
    pieces.encode(many, 64)
    sizes = []
    add = WordTable.add

    def counted(self: WordTable, word: str, *of: Any) -> None:
        add(self, word, *of)
        sizes.append(len(self))

    monkeypatch.setattr(WordTable, "add", counted)
    long = "x" * (LONGEST_REMEMBERED + 1)
    batch = pieces.encode(["aa", long, "Ha", "ha", "aa"], 64)
    # The batch's four words alone.
    assert sizes == [1, 2, 3, 4]
    assert batch.counts.tolist() == [2, 1, 2, 2, 2]
    assert batch.ids[:2].tolist() == batch.ids[-2:].tolist() == expected.ids[:2].tolist()
    assert batch.folded[0] == batch.folded[4]
    assert batch.folded[2] == batch.folded[3]
    assert len({*batch.folded.tolist()}) == 3
