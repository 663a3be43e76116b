"""Words to word pieces, each word on its own, so that alignment is exact by construction."""

import json
from collections import ChainMap
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from .casing import piece_classes

# Words whose pieces are remembered; text repeats itself, so nearly every word is found there.
CACHE_SIZE = 200_000
# Characters of a word that is remembered: longer ones hardly come again, and there is no end to their length.
LONGEST_REMEMBERED = 100


class Word(NamedTuple):
    """A word's pieces, at least one.

    ids (list[int]): Of the vocabulary.
    classes (list[int]): Of their shapes, see casing.piece_classes.
    """

    ids: list[int]
    classes: list[int]


class WordPieces:
    """A fast tokenizer's word pieces, for words that are given.

    backend (Tokenizer): The tokenizer of the `tokenizers` library; truncation and padding are switched off.
    settings (dict[str, Any]): "prefix" and "suffix", the special pieces' ids around a sequence; "unknown" and
        "mask", ids; "limit", the most pieces of a sequence, specials counted; "blank", whether words are given a blank
        to follow.
    """

    def __init__(self, backend: Tokenizer, settings: dict[str, Any]) -> None:
        backend.no_truncation()
        backend.no_padding()
        # Text that looks like a special piece ("</s>") is text.
        backend.encode_special_tokens = True
        self.backend = backend
        self.settings = settings
        self._cache: dict[str, Word] = {}

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
        prefix, suffix = _around(backend)
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        positions = config.get("max_position_embeddings") or 1 << 30
        if config.get("model_type") in POSITIONS_AFTER_PADDING:
            positions -= pad + 1
        unknown = tokenizer.unk_token_id if tokenizer.unk_token_id is not None else 0
        settings = {
            "prefix": prefix,
            "suffix": suffix,
            "unknown": unknown,
            "mask": tokenizer.mask_token_id if tokenizer.mask_token_id is not None else unknown,
            "limit": min(tokenizer.model_max_length, positions),
            "blank": _needs_blank(backend),
        }
        return cls(backend, settings)

    @property
    def specials(self) -> int:
        """RETURNS (int): Special pieces around a sequence."""
        return len(self.settings["prefix"]) + len(self.settings["suffix"])

    @property
    def lowercases(self) -> bool:
        """RETURNS (bool): Whether capitals are lost."""
        normalizer = self.backend.normalizer
        return normalizer is not None and normalizer.normalize_str("ABC") == normalizer.normalize_str("abc")

    def encode(self, words: Iterable[str], most: int) -> list[Word]:
        """Split words into pieces.

        words (Iterable[str]): Tokens' texts.
        most (int): The most pieces of a word; the rest of a longer one is left out.
        RETURNS (list[Word]): Each word's pieces: a word that the tokenizer gives none (control characters, say) has
            the unknown piece.
        """
        words = list(words)
        # Taken by reference: another thread may put an empty cache in its place at any time.
        cache = self._cache
        find: Callable[[str], Word] = cache.__getitem__
        unseen = list({word for word in words if word not in cache})
        if unseen:
            if len(cache) + len(unseen) > CACHE_SIZE:
                cache = self._cache = {}
                unseen = list(set(words))
            unknown = [self.settings["unknown"]]
            spelled = [f" {word}" for word in unseen] if self.settings["blank"] else unseen
            encodings = self.backend.encode_batch(
                [[word] for word in spelled], is_pretokenized=True, add_special_tokens=False
            )
            fresh = {
                word: Word(encoding.ids or unknown, piece_classes(text, encoding.offsets))
                for word, text, encoding in zip(unseen, spelled, encodings, strict=True)
            }
            long = {word: fresh.pop(word) for word in unseen if len(word) > LONGEST_REMEMBERED}
            cache.update(fresh)
            find = (ChainMap(cache, long) if long else cache).__getitem__
        found = map(find, words)
        return [word if len(word.ids) <= most else Word(word.ids[:most], word.classes[:most]) for word in found]

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
