"""Random tiny encoders with tokenizers of their own, made on the spot: one of every kind that is supported."""

import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModel,
    BertTokenizerFast,
    DebertaV2TokenizerFast,
    DistilBertTokenizerFast,
    ElectraTokenizerFast,
    MPNetTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaTokenizerFast,
    XLMRobertaTokenizerFast,
)

WORDS = [
    "the",
    "a",
    "of",
    "in",
    "and",
    "to",
    "was",
    "said",
    "paris",
    "london",
    "ibm",
    "jane",
    "smith",
    "met",
    "at",
    "on",
    "monday",
    "works",
    "lives",
    "near",
    "un",
]
CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
}


def word_pieces(specials: list[str], lowercase: bool = True) -> Tokenizer:
    """Make a WordPiece tokenizer that spells what is not in WORDS letter by letter."""
    letters = CHARACTERS if lowercase else CHARACTERS + string.ascii_uppercase
    words = WORDS if lowercase else [*WORDS, *(word.title() for word in WORDS)]
    pieces = dict.fromkeys([*specials, *letters, *(f"##{c}" for c in letters), *words])
    ids = {piece: i for i, piece in enumerate(pieces)}
    cls, sep = ("[CLS]", "[SEP]") if "[CLS]" in ids else ("<s>", "</s>")
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing((sep, ids[sep]), (cls, ids[cls]))
    tokenizer.add_special_tokens(specials)
    return tokenizer


def byte_pairs() -> Tokenizer:
    """Make a byte-level BPE tokenizer with a few merges, as GPT-2's and RoBERTa's."""
    specials = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    pieces = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "the", "Ġt", "Ġth", "Ġthe", "an", "Ġan"]
    merges = [("t", "h"), ("th", "e"), ("Ġ", "t"), ("Ġt", "h"), ("Ġth", "e"), ("a", "n"), ("Ġ", "an")]
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    tokenizer.add_special_tokens(specials)
    return tokenizer


def unigrams(specials: list[str]) -> Tokenizer:
    """Make a SentencePiece-like Unigram tokenizer, without bytes to fall back on."""
    pieces = [*((special, 0.0) for special in specials), ("▁", -3.0)]
    pieces += [(c, -5.0) for c in CHARACTERS + string.ascii_uppercase] + [(f"▁{word}", -2.0) for word in WORDS]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=specials.index("<unk>" if "<unk>" in specials else "[UNK]")))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    cls, sep = (specials[0], specials[2])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}", special_tokens=[(cls, 0), (sep, 2)]
    )
    tokenizer.add_special_tokens(specials)
    return tokenizer


BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MPNET_SPECIALS = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
DEBERTA_SPECIALS = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]

# By name: model type, tokenizer, and what its config has beside SIZES. A new encoder is a row.
ENCODERS: dict[str, tuple[str, Callable[[], PreTrainedTokenizerFast], dict[str, Any]]] = {
    "bert": ("bert", lambda: BertTokenizerFast(tokenizer_object=word_pieces(BERT_SPECIALS)), {}),
    "bert-cased": (
        "bert",
        lambda: BertTokenizerFast(tokenizer_object=word_pieces(BERT_SPECIALS, lowercase=False), do_lower_case=False),
        {},
    ),
    # A tokenizer without a class of its own, whose special pieces only its post-processor knows.
    "generic": (
        "bert",
        lambda: PreTrainedTokenizerFast(
            tokenizer_object=word_pieces(BERT_SPECIALS), pad_token="[PAD]", unk_token="[UNK]"
        ),
        {},
    ),
    "distilbert": (
        "distilbert",
        lambda: DistilBertTokenizerFast(tokenizer_object=word_pieces(BERT_SPECIALS)),
        {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
    ),
    "electra": (
        "electra",
        lambda: ElectraTokenizerFast(tokenizer_object=word_pieces(BERT_SPECIALS)),
        {"embedding_size": 16},
    ),
    "mpnet": ("mpnet", lambda: MPNetTokenizerFast(tokenizer_object=word_pieces(MPNET_SPECIALS)), {"pad_token_id": 1}),
    "roberta": ("roberta", lambda: RobertaTokenizerFast(tokenizer_object=byte_pairs()), {"pad_token_id": 1}),
    "xlm-roberta": (
        "xlm-roberta",
        lambda: XLMRobertaTokenizerFast(tokenizer_object=unigrams(ROBERTA_SPECIALS)),
        {"pad_token_id": 1},
    ),
    "deberta-v2": (
        "deberta-v2",
        lambda: DebertaV2TokenizerFast(tokenizer_object=unigrams(DEBERTA_SPECIALS)),
        {"pad_token_id": 1, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    ),
}


def save_encoder(name: str, folder: Path) -> None:
    """Save the encoder of a name in ENCODERS, and its tokenizer, as `save_pretrained` leaves them."""
    model_type, make_tokenizer, own = ENCODERS[name]
    tokenizer = make_tokenizer()
    sizes = {**SIZES, "vocab_size": len(tokenizer), **own}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        AutoModel.from_config(AutoConfig.for_model(model_type, **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
