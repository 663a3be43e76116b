"""Words to word pieces, each word on its own, so that alignment is exact by construction."""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer, normalizers

from .locks import HOLDERS
from .network.casing import piece_classes
from .network.kinds import NetworkShape, find_obstacle
from .words import Encoded, Sightings, WordTable

if TYPE_CHECKING:
    from .pretrained_files import PretrainedFiles

# Words whose pieces are remembered; text repeats itself, so nearly every word is found there.
CACHE_SIZE = 200_000
# Characters of a word that is remembered: longer ones hardly come again, and there is no end to their length.
LONGEST_REMEMBERED = 100
# What a special piece is called where no file says so.
USUAL_SPECIALS = {"pad_token": ("[PAD]", "<pad>"), "unk_token": ("[UNK]", "<unk>"), "mask_token": ("[MASK]", "<mask>")}
NO_LIMIT = 1 << 30


class WordPieces:
    """A fast tokenizer's word pieces, for words that are given.

    backend (Tokenizer): The tokenizer of the `tokenizers` library; truncation and padding are switched off.
    settings (dict[str, Any]): "prefix" and "suffix", the special pieces' ids around a sequence; "unknown" and
        "mask", ids; "limit", the maximum number of pieces of a sequence, specials counted; "blank", whether words are
        given a blank to follow.
    """

    def __init__(self, backend: Tokenizer, settings: dict[str, Any]) -> None:
        backend.no_truncation()
        backend.no_padding()
        # Text that looks like a special piece ("</s>") is text.
        backend.encode_special_tokens = True
        self.backend = backend
        self.settings = settings
        self._table = WordTable()
        self._sightings = Sightings()
        self.renew_lock()

    def renew_lock(self) -> None:
        """Start with a free lock."""
        self._lock = threading.Lock()
        HOLDERS.add(self)

    @classmethod
    def from_tokenizer(cls, tokenizer: Any, name: str, config: dict[str, Any]) -> "WordPieces":
        """Take the word pieces of transformers' tokenizer.

        tokenizer (PreTrainedTokenizerBase): The tokenizer.
        name (str): The encoder's folder or Hub id.
        config (dict[str, Any]): The encoder's own config, for the number of positions it has.
        RETURNS (WordPieces): The word pieces.
        RAISES: ValueError where the tokenizer has no fast version.
        """
        if not tokenizer.is_fast:
            raise ValueError(
                f"The encoder {name!r} comes with a tokenizer that has no fast version ({type(tokenizer).__name__}), "
                "and only fast tokenizers say which word a piece belongs to. Choose an encoder with a tokenizer.json, "
                "or convert its tokenizer to one."
            )
        backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        # Some tokenizer.json, MiniLM's for one, carry truncation and padding, which would pass for special pieces.
        backend.no_truncation()
        backend.no_padding()
        specials = {"unk_token": tokenizer.unk_token_id, "mask_token": tokenizer.mask_token_id}
        return cls._of(backend, specials, tokenizer.pad_token_id, tokenizer.model_max_length, config)

    @classmethod
    def from_checkpoint(cls, path: Path, files: "PretrainedFiles", config: Mapping[str, Any]) -> "WordPieces":
        """Take the word pieces straight from a checkpoint's files.

        path (Path): tokenizer.json.
        files (PretrainedFiles): The checkpoint, for what stands in its other files.
        config (Mapping[str, Any]): Its config, for the number of positions it has.
        RETURNS (WordPieces): The word pieces.
        RAISES: ValueError, or what `tokenizers` raises, where a file is damaged.
        """
        backend = Tokenizer.from_file(str(path))
        backend.no_truncation()
        backend.no_padding()
        declared = files.read_json("tokenizer_config.json") or {}
        declared = {**(files.read_json("special_tokens_map.json") or {}), **declared}
        _apply(backend, declared, config.get("model_type", ""))
        specials = {name: _special_id(backend, declared.get(name), usual) for name, usual in USUAL_SPECIALS.items()}
        return cls._of(backend, specials, specials["pad_token"], declared.get("model_max_length"), config)

    @classmethod
    def _of(
        cls,
        backend: Tokenizer,
        specials: Mapping[str, int | None],
        padding: int | None,
        longest: float | None,
        config: Mapping[str, Any],
    ) -> "WordPieces":
        """Put together what is known of a tokenizer. longest: pieces of a sequence, as the tokenizer's files say."""
        positions = config.get("max_position_embeddings") or NO_LIMIT
        if not find_obstacle(config):
            positions -= NetworkShape.of(config).first_position
        elif config.get("model_type") in POSITIONS_AFTER_PADDING:
            positions -= (padding or 0) + 1
        prefix, suffix = _around(backend)
        unknown = specials["unk_token"] if specials["unk_token"] is not None else 0
        mask = specials["mask_token"]
        settings = {
            "prefix": prefix,
            "suffix": suffix,
            "unknown": unknown,
            "mask": unknown if mask is None else mask,
            # Some files say 1e30.
            "limit": int(min(longest or NO_LIMIT, positions)),
            "blank": _needs_blank(backend),
        }
        return cls(backend, settings)

    @property
    def count(self) -> int:
        """RETURNS (int): How many rows a table must have for all pieces to have one."""
        return max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @property
    def specials(self) -> int:
        """RETURNS (int): Special pieces around a sequence."""
        return len(self.settings["prefix"]) + len(self.settings["suffix"])

    @property
    def lowercases(self) -> bool:
        """RETURNS (bool): Whether capitals are lost."""
        normalizer = self.backend.normalizer
        return normalizer is not None and normalizer.normalize_str("ABC") == normalizer.normalize_str("abc")

    def encode(self, words: Sequence[str], maximum: int) -> Encoded:
        """Split words into pieces.

        words (Sequence[str]): Tokens' texts.
        maximum (int): The maximum number of pieces of a word; the rest of a longer one is left out.
        RETURNS (Encoded): The pieces; a word to which the tokenizer gives none (control characters, say) has the
            unknown piece.
        """
        # Taken by reference: another thread may put an empty table in its place at any time.
        table = self._table
        rows = list(map(table.rows.get, words))
        if None in rows:
            table = self._with(table, words)
            rows = list(map(table.rows.get, words))
        return table.take(np.array(rows, dtype=np.int64), maximum)

    def _with(self, table: WordTable, words: Sequence[str]) -> WordTable:
        """RETURNS (WordTable): A table that has all of some words; short ones that come again are remembered."""
        unseen = list(dict.fromkeys(word for word in words if word not in table.rows))
        if len(table) + len(unseen) > CACHE_SIZE:
            table = WordTable()
            unseen = list(dict.fromkeys(words))
        split = self._split(unseen)
        with self._lock:
            passing = []
            for word, ids, classes in split:
                if len(word) > LONGEST_REMEMBERED or not (word in table.rows or self._sightings.note(word)):
                    passing.append((word, ids, classes))
                elif word not in table.rows:
                    table.add(word, ids, classes)
            self._table = table
            return table.only(words, passing) if passing else table

    def _split(self, words: list[str]) -> list[tuple[str, list[int], list[int]]]:
        """RETURNS: Each word, its pieces' ids and their shapes' classes."""
        spelled = [f" {word}" for word in words] if self.settings["blank"] else words
        encodings = self.backend.encode_batch(
            [[word] for word in spelled], is_pretokenized=True, add_special_tokens=False
        )
        unknown = [self.settings["unknown"]]
        return [
            (word, encoding.ids or unknown, piece_classes(text, encoding.offsets))
            for word, text, encoding in zip(words, spelled, encodings, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """RETURNS (dict[str, Any]): What `from_dict` takes, of plain types."""
        return {"tokenizer": self.backend.to_str(), "settings": self.settings}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "WordPieces":
        """RETURNS (WordPieces): What `to_dict` was called on."""
        return cls(Tokenizer.from_str(data["tokenizer"]), data["settings"])

    def __reduce__(self) -> tuple[Any, ...]:
        return WordPieces.from_dict, (self.to_dict(),)


# Encoders that number positions from the padding id on, so that as many fewer are to be had.
POSITIONS_AFTER_PADDING = frozenset(
    {
        "camembert",
        "data2vec-text",
        "ibert",
        "longformer",
        "luke",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    }
)


# transformers' tokenizers that set what becomes of letters, by the kind whose tokenizers they are.
BERT_TOKENIZERS = {
    "bert": "BertTokenizer",
    "convbert": "ConvBertTokenizer",
    "distilbert": "DistilBertTokenizer",
    "electra": "ElectraTokenizer",
    "funnel": "FunnelTokenizer",
    "layoutlm": "LayoutLMTokenizer",
    "lxmert": "LxmertTokenizer",
    "mobilebert": "MobileBertTokenizer",
    "mpnet": "MPNetTokenizer",
    "squeezebert": "SqueezeBertTokenizer",
}


def _apply(backend: Tokenizer, declared: Mapping[str, Any], model_type: str) -> None:
    """Let tokenizer_config.json overrule tokenizer.json in what BERT's tokenizers do with letters.

    As transformers does, which overrules it by the class's defaults as well: a checkpoint whose two files differ was
    trained with what its class made of both. A tokenizer without a class of its own takes tokenizer.json as it is.
    """
    named = declared.get("tokenizer_class")
    of_bert = named.removesuffix("Fast") in BERT_TOKENIZERS.values() if named else model_type in BERT_TOKENIZERS
    normalizer = backend.normalizer
    if of_bert and isinstance(normalizer, normalizers.BertNormalizer):
        normalizer.lowercase = declared.get("do_lower_case", True)
        normalizer.strip_accents = declared.get("strip_accents")
        normalizer.handle_chinese_chars = declared.get("tokenize_chinese_chars", True)
        backend.normalizer = normalizer


def _special_id(backend: Tokenizer, declared: Any, usual: Iterable[str]) -> int | None:
    """RETURNS (int | None): The id of a special piece; None where there is none."""
    text = declared.get("content") if isinstance(declared, dict) else declared
    for candidate in [text] if isinstance(text, str) else usual:
        found = backend.token_to_id(candidate)
        if found is not None:
            return found
    return None


def _around(backend: Tokenizer) -> tuple[list[int], list[int]]:
    """Find the special pieces around a sequence. RETURNS: Those before it and those behind it."""
    # By the post-processor: transformers' tokenizers without a class of their own know of no special pieces.
    encoding = backend.encode(["a"], is_pretokenized=True)
    text = [i for i, special in enumerate(encoding.special_tokens_mask) if not special]
    return encoding.ids[: text[0]], encoding.ids[text[-1] + 1 :]


def _needs_blank(backend: Tokenizer) -> bool:
    """Say whether a word after a blank is spelled unlike one at a text's start: all words are to follow a blank."""
    pre_tokenizer = json.loads(backend.to_str())["pre_tokenizer"] or {}
    parts = [pre_tokenizer, *pre_tokenizer.get("pretokenizers", [])]
    return any(part.get("type") == "ByteLevel" and not part.get("add_prefix_space") for part in parts)
