"""Settings that do not fit the encoder, and encoders that do not fit."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from spacy_bert_ner.encoder.model import build_encoder_model
from spacy_bert_ner.encoder.pieces import WordPieces
from tests.encoder.encoders import (
    WORDS,
    Encoders,
    doc_of,
    long_doc,
    make,
    predict,
    split,
)


def test_window_must_fit_the_encoder(tiny_encoder: Encoders) -> None:
    for name, limit in [("bert", 512), ("roberta", 510), ("mpnet", 510)]:
        with pytest.raises(ValueError, match="window") as caught:
            make(tiny_encoder(name), window=limit + 1)
        assert str(caught.value) == (
            f'[@architectures = "spacy-bert-ner.Encoder.v1"] window = {limit + 1} does not suit the encoder '
            f"{str(tiny_encoder(name))!r}: it must be more than its 2 special pieces and at most {limit}, the maximum "
            "that it can read"
        )
        doc = long_doc(900)
        data = split(make(tiny_encoder(name), window=limit, stride=limit - 8).predict([doc]))[0]
        assert np.isfinite(data.data).all()


def test_the_smallest_windows(tiny_bert: Path) -> None:
    with pytest.raises(ValueError, match="it must be more than its 2 special pieces"):
        make(tiny_bert, window=2, stride=1)
    for stride in (1, 2, 3):
        assert predict(make(tiny_bert, window=3, stride=stride), [doc_of(WORDS)])[0].shape == (len(WORDS), 32)


@pytest.mark.parametrize("stride", [0, 65])
def test_stride_must_not_leave_gaps(tiny_bert: Path, stride: int) -> None:
    message = (
        rf"^\[@architectures = \"spacy-bert-ner.Encoder.v1\"\] stride = {stride} must lie between 1 and window = 64: "
        r"it is how far one window begins behind the other$"
    )
    with pytest.raises(ValueError, match=message):
        make(tiny_bert, stride=stride)


def test_unknown_precision(tiny_bert: Path) -> None:
    message = r"\] precision = 'fp8': expected one of 'auto', 'fp32', 'bf16', 'fp16', 'int8'$"
    with pytest.raises(ValueError, match=message):
        build_encoder_model(str(tiny_bert), precision="fp8")


def test_slow_tokenizers_are_refused() -> None:
    class BertTokenizer:
        is_fast = False

    with pytest.raises(ValueError, match="fast") as caught:
        WordPieces.from_tokenizer(BertTokenizer(), "somewhere", {})
    assert str(caught.value) == (
        "The encoder 'somewhere' comes with a tokenizer that has no fast version (BertTokenizer), and only "
        "fast tokenizers say which word a piece belongs to. Choose an encoder with a tokenizer.json, or convert its "
        "tokenizer to one."
    )


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2"])
def test_a_tokenizer_with_more_pieces_than_embeddings(tiny_encoder: Encoders, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(tiny_encoder(name), tmp_path / "encoder"))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = len(tokenizer)
    tokenizer.add_tokens(["geneva", "oslo"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ValueError, match=rf"has {rows + 2:,} pieces, but its embeddings have {rows:,} rows.*resize"):
        make(folder)


def test_encoders_that_do_not_give_vectors_are_refused(tiny_encoder: Encoders, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import DebertaV2Model

    monkeypatch.setattr(DebertaV2Model, "forward", lambda self, **inputs: {"logits": None})
    with pytest.raises(
        ValueError, match=r"\(DebertaV2Model\) does not give one vector per word piece: .* Choose an encoder"
    ):
        make(tiny_encoder("deberta-v2"))


def test_other_return_types_of_the_config(tiny_bert: Path) -> None:
    tuples = make(tiny_bert, transformer_config={"return_dict": False, "output_hidden_states": True})
    doc = doc_of(WORDS)
    np.testing.assert_array_equal(predict(tuples, [doc])[0], predict(make(tiny_bert), [doc])[0])


def test_not_initialized() -> None:
    with pytest.raises(ValueError, match=r"^The encoder is not there yet: call nlp.initialize\(\), or load a trained"):
        build_encoder_model("nowhere").predict([doc_of(["a"])])
