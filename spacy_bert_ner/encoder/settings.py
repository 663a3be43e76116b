"""The encoder's settings, refused where they contradict themselves, each other or the encoder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from spacy_bert_ner.checks import check_choice, check_number

from .choices import Precision
from .pieces import WordPieces

ENCODER = "spacy-bert-ner.Encoder.v1"
# How transformers' configs call them.
DROPOUTS = {
    "hidden_dropout": ("hidden_dropout_prob", "hidden_dropout", "dropout", "mlp_dropout"),
    "attention_dropout": ("attention_probs_dropout_prob", "attention_dropout"),
}


@dataclass(frozen=True)
class EncoderSettings:
    """The settings of an encoder: see model.build_encoder_model.

    architecture (str): The name in the config by which it is built, for messages, as its section may stand anywhere.
    RAISES: ValueError for a setting out of range, or where two contradict each other.
    """

    name: str
    window: int = 128
    stride: int = 96
    max_batch_pieces: int = 4096
    precision: Precision = "auto"
    case_features: bool | None = None
    document_memory: bool = False
    hidden_dropout: float | None = None
    attention_dropout: float | None = None
    word_dropout: float = 0.0
    trainable: bool = True
    freeze_layers: int = 0
    tokenizer_config: dict[str, Any] = field(default_factory=dict)
    transformer_config: dict[str, Any] = field(default_factory=dict)
    architecture: str = ENCODER

    @property
    def section(self) -> str:
        """RETURNS (str): What messages call the section of the config, which may stand in any component."""
        return f'@architectures = "{self.architecture}"'

    @property
    def named(self) -> str:
        """RETURNS (str): What messages call the encoder that the settings name."""
        return f"[{self.section}] name = {self.name!r}"

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError(f'[{self.section}] name = "": expected the folder or Hub id of a pretrained encoder')
        check_choice(self.section, "precision", self.precision, get_args(Precision))
        for name in ("window", "stride", "max_batch_pieces"):
            check_number(
                self.section, name, getattr(self, name), lambda x: x == int(x), "a whole number of word pieces"
            )
        if not 0 < self.stride <= self.window:
            raise ValueError(
                f"[{self.section}] stride = {self.stride} must lie between 1 and window = {self.window}: it is how far "
                "one window begins behind the other"
            )
        check_number(
            self.section,
            "max_batch_pieces",
            self.max_batch_pieces,
            lambda x: x >= 1,
            "a number of word pieces, 1 or more",
        )
        check_number(
            self.section,
            "freeze_layers",
            self.freeze_layers,
            lambda x: x == int(x) and x >= 0,
            "a number of layers, or 0",
        )
        check_number(self.section, "word_dropout", self.word_dropout, lambda x: 0 <= x < 1, "a share below 1")
        for name in DROPOUTS:
            if getattr(self, name) is not None:
                check_number(self.section, name, getattr(self, name), lambda x: 0 <= x < 1, "a share below 1, or null")
        for name in ("tokenizer_config", "transformer_config"):
            refuse_code(self.section, name, getattr(self, name) or {})


def own_dropouts(settings: EncoderSettings, config: Mapping[str, Any]) -> dict[str, float]:
    """Say by which names an encoder's config takes the dropouts.

    settings (EncoderSettings): The settings.
    config (Mapping[str, Any]): The encoder's own config.
    RETURNS (dict[str, float]): Its names and the values, without those that are left to it.
    RAISES: ValueError where a value is given and the config has no name for it.
    """
    found: dict[str, float] = {}
    for name, names in DROPOUTS.items():
        rate = getattr(settings, name)
        own = [other for other in names if other in config]
        if rate and not own:
            raise ValueError(
                f"[{settings.section}] {name} = {rate}: the config of {settings.name!r} has none of {', '.join(names)}"
                f". Set {name} = null, and transformer_config to what this encoder calls it"
            )
        found |= dict.fromkeys(own if rate is not None else (), rate)
    return found


def refuse_code(section: str, setting: str, value: Mapping[str, Any]) -> None:
    """Refuse settings by which an encoder's own code would run. RAISES: ValueError that names the setting."""
    for key in ("trust_remote_code", "auto_map", "code_revision"):
        if value.get(key):
            raise ValueError(
                f"[{section}] {setting} = {dict(value)!r}: {key} would run code that comes with an encoder, which "
                f"spacy-bert-ner never does. Remove {key}, and choose an encoder that transformers itself knows"
            )


def check_window(window: int, pieces: WordPieces, section: str, encoder: str) -> None:
    """Compare the window with what an encoder can read.

    window (int): Maximum number of pieces encoded together.
    pieces (WordPieces): The encoder's tokenizer.
    section (str): What the error calls the section of the config.
    encoder (str): What the error calls it.
    RAISES: ValueError where it holds no piece of text, or more pieces than the encoder has positions.
    """
    if not pieces.specials < window <= pieces.settings["limit"]:
        raise ValueError(
            f"[{section}] window = {window} does not suit {encoder}: it must be more than its {pieces.specials} "
            f"special pieces and at most {pieces.settings['limit']}, the maximum that it can read"
        )


def check_vocabulary(pieces: WordPieces, rows: int, where: str) -> None:
    """Compare a tokenizer with the table of embeddings: a piece without a row would fail when a text first has it.

    pieces (WordPieces): The tokenizer.
    rows (int): Rows of the table.
    where (str): What the error calls the place.
    RAISES: ValueError where a piece has no row.
    """
    if pieces.count > rows:
        raise ValueError(
            f"{where}: its tokenizer has {pieces.count:,} pieces, but its embeddings have {rows:,} rows. Pieces "
            "were added without model.resize_token_embeddings(len(tokenizer)): call it, and save both, or take the "
            "tokenizer that belongs to the weights"
        )
