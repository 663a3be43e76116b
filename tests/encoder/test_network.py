"""Our network against Hugging Face's own, for every kind: vectors, gradients, checkpoints, versions, dtypes."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from thinc.api import fix_random_seed
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerFast

from spacy_bert_ner.encoder.building import build_encoder, checkpoint_names
from spacy_bert_ner.encoder.network.foreign import Foreign
from spacy_bert_ner.encoder.network.kinds import TRANSFORMER_KINDS, find_obstacle
from spacy_bert_ner.encoder.network.module import Encoder
from spacy_bert_ner.encoder.network.transformer import BUCKETS, Transformer, bucket
from spacy_bert_ner.encoder.pieces import WordPieces
from spacy_bert_ner.encoder.pretrained import load_pretrained
from spacy_bert_ner.encoder.settings import EncoderSettings
from tests.encoder.encoders import WEIRD, WORDS, Encoders, as_ours, words_of

OURS = ["bert", "bert-cased", "roberta", "xlm-roberta", "electra", "distilbert", "mpnet"]
LENGTHS = [5, 5, 3, 1, 1, 40]


@pytest.fixture(autouse=True)
def _same_numbers_every_time() -> None:
    fix_random_seed(0)


def load(folder: Path, **settings: Any) -> tuple[Encoder, WordPieces]:
    return load_pretrained(EncoderSettings(str(folder), window=64, stride=48, **settings))


def config_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "config.json").read_text())


def theirs(folder: Path, **settings: Any) -> Any:
    return AutoModel.from_pretrained(folder, attn_implementation="eager", **settings).float().eval()


def by_them(model: Any, ids: Tensor, lengths: list[int]) -> Tensor:
    """Each window alone, so that nothing is padded."""
    return torch.cat([model(window[None]).last_hidden_state[0] for window in ids.split(lengths)])


def test_the_kinds() -> None:
    assert {name.removesuffix("-cased") for name in OURS} | {"camembert"} == set(TRANSFORMER_KINDS)


@pytest.mark.parametrize("name", OURS)
def test_vectors_and_gradients_are_theirs(tiny_encoder: Encoders, name: str) -> None:
    folder = tiny_encoder(name)
    encoder, _ = load(folder, hidden_dropout=0.0, attention_dropout=0.0, case_features=False)
    assert isinstance(encoder.network, Transformer)
    model = theirs(folder)
    ids = torch.randint(5, 60, (sum(LENGTHS),))
    hidden, expected = encoder(ids, ids * 0, LENGTHS), by_them(model, ids, LENGTHS)
    torch.testing.assert_close(hidden, expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(encoder(ids, ids * 0, LENGTHS), expected, rtol=1e-4, atol=1e-5)
    d_hidden = torch.randn_like(hidden)
    encoder.train()(ids, ids * 0, LENGTHS).backward(d_hidden)
    expected.backward(d_hidden)
    gradients = {part: p.grad for part, p in model.named_parameters() if p.grad is not None}
    wanted = as_ours(encoder.config, gradients)
    found = {part: p.grad for part, p in encoder.named_parameters() if p.grad is not None}
    assert found.keys() == wanted.keys()
    for part, value in wanted.items():
        torch.testing.assert_close(found[part], value, rtol=1e-3, atol=1e-4, msg=part)


@pytest.mark.parametrize("name", OURS)
def test_what_is_added_is_added_to_the_words(tiny_encoder: Encoders, name: str) -> None:
    folder = tiny_encoder(name)
    encoder, _ = load(folder, case_features=True)
    torch.nn.init.normal_(encoder.casing.weight)
    ids, shapes = torch.randint(5, 60, (20,)), torch.randint(0, 8, (20,))
    model = theirs(folder)
    embedded = model.get_input_embeddings()(ids) + encoder.casing(shapes)
    expected = torch.cat([model(inputs_embeds=window[None]).last_hidden_state[0] for window in embedded.split([12, 8])])
    torch.testing.assert_close(encoder(ids, shapes, [12, 8]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OURS)
def test_dropout_in_training_alone(tiny_encoder: Encoders, name: str) -> None:
    for rates in ({"hidden_dropout": 0.5, "attention_dropout": 0.0}, {"hidden_dropout": 0.0, "attention_dropout": 0.5}):
        encoder, _ = load(tiny_encoder(name), **rates)
        ids = torch.randint(5, 60, (8,))
        vectors = [encoder.train(training)(ids, ids * 0, [8]) for training in (True, True, False, False)]
        assert not torch.equal(vectors[0], vectors[1])
        assert torch.equal(vectors[2], vectors[3])


# --- kinds that are not ours -----------------------------------------------------------------------------------------


def test_other_kinds_go_through_their_classes(tiny_encoder: Encoders) -> None:
    encoder, _ = load(tiny_encoder("deberta-v2"))
    assert isinstance(encoder.network, Foreign)
    ids = torch.randint(5, 60, (sum(LENGTHS),))
    expected = by_them(theirs(tiny_encoder("deberta-v2")), ids, LENGTHS)
    torch.testing.assert_close(encoder(ids, ids * 0, LENGTHS), expected, rtol=1e-4, atol=1e-5)


# transformers 4.53 makes its ModernBERT with it.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("case_features", [False, True])
def test_rotary_frequencies_survive_building(tmp_path: Path, tiny_bert: Path, case_features: bool) -> None:
    from transformers import AutoConfig

    own = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = AutoConfig.for_model("modernbert", vocab_size=200, pad_token_id=0, **own)
    AutoModel.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path)
    encoder, _ = load(tmp_path, case_features=case_features)
    ids = torch.randint(5, 60, (8,))
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.bfloat16, 0.05)):
        again = rebuilt(encoder, dtype)
        expected = encoder(ids, ids * 0, [5, 3])
        torch.testing.assert_close(again(ids, ids * 0, [5, 3]).float(), expected, rtol=0, atol=tolerance)
    assert encoder.train()(ids, ids * 0, [5, 3]).shape == (8, 32)


@pytest.mark.parametrize(
    ("unusual", "obstacle"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative_key'"),
        ({"is_decoder": True}, "is_decoder"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads"),
        ({"hidden_act": "quick_gelu"}, "hidden_act = 'quick_gelu'"),
        ({"model_type": "tomorrow"}, "model_type = 'tomorrow'"),
        ({"position_embedding_type": "absolute", "pruned_heads": {}, "is_decoder": False}, ""),
        ({"position_embedding_type": None, "pruned_heads": None}, ""),
    ],
)
def test_obstacles(unusual: dict[str, Any], obstacle: str) -> None:
    assert find_obstacle({"model_type": "bert", **unusual}) == obstacle


@pytest.mark.parametrize("unusual", [{"position_embedding_type": "relative_key"}, {"pruned_heads": {"0": [1]}}])
def test_what_our_network_has_not_is_theirs_or_refused(
    tiny_bert: Path, tmp_path: Path, unusual: dict[str, Any]
) -> None:
    import transformers

    folder = Path(shutil.copytree(tiny_bert, tmp_path / "encoder"))
    (folder / "config.json").write_text(json.dumps({**config_of(folder), **unusual}))
    if int(transformers.__version__.split(".")[0]) >= 5:
        with pytest.raises(ValueError, match=f"{next(iter(unusual))}.*has dropped it"):
            load(folder)
    else:
        # What the checkpoint lacks or has too much of is said by its names and shapes.
        with pytest.raises(ValueError, match="its weights"):
            load(folder)


# --- checkpoints -----------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tiny_bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bert, tmp_path / "encoder"))


def weights_of(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def check_same(folder: Path, original: Path) -> None:
    ids = torch.randint(5, 60, (13,))
    found, _ = load(folder)
    expected, _ = load(original)
    assert {p.dtype for p in found.parameters()} == {torch.float32}
    torch.testing.assert_close(found(ids, ids * 0, [8, 5]), expected(ids, ids * 0, [8, 5]), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("prefix", ["bert.", "model.bert."])
def test_a_checkpoint_with_a_head(folder: Path, tiny_bert: Path, prefix: str) -> None:
    state = {f"{prefix}{name}": tensor for name, tensor in weights_of(tiny_bert).items()}
    head = {"cls.predictions.bias": torch.zeros(7), "classifier.weight": torch.zeros(3, 32)}
    save_file({**state, **head}, folder / "model.safetensors", metadata={"format": "pt"})
    check_same(folder, tiny_bert)


def test_the_first_checkpoints_names_of_norms(folder: Path, tiny_bert: Path) -> None:
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in weights_of(tiny_bert).items()
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    check_same(folder, tiny_bert)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["bert", "deberta-v2"])
def test_half_precision_checkpoints_become_fp32(
    tiny_encoder: Encoders, tmp_path: Path, name: str, dtype: torch.dtype
) -> None:
    folder = Path(shutil.copytree(tiny_encoder(name), tmp_path / "encoder"))
    state = {key: tensor.to(dtype) for key, tensor in weights_of(folder).items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    spelled = str(dtype).removeprefix("torch.")
    config = {**config_of(folder), "torch_dtype": spelled, "dtype": spelled}
    (folder / "config.json").write_text(json.dumps(config))
    check_same(folder, tiny_encoder(name))


def test_a_checkpoint_in_several_files(folder: Path, tiny_bert: Path) -> None:
    state = weights_of(tiny_bert)
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, keys in parts.items():
        save_file({key: state[key] for key in keys}, folder / file, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {key: file for file, keys in parts.items() for key in keys}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    check_same(folder, tiny_bert)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ValueError, match=r"names model-00002-of-00002\.safetensors, which the encoder does not have"):
        load(folder)


def test_a_config_that_says_little(folder: Path, tiny_bert: Path) -> None:
    config = config_of(folder)
    for key in ("hidden_act", "layer_norm_eps", "type_vocab_size", "hidden_dropout_prob", "pad_token_id"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config))
    check_same(folder, tiny_bert)


# --- building --------------------------------------------------------------------------------------------------------


def rebuilt(encoder: Encoder, dtype: torch.dtype = torch.float32, state: Mapping[str, Tensor] | None = None) -> Encoder:
    return build_encoder(
        encoder.config,
        case_features=encoder.case_features,
        document_memory=encoder.memory is not None,
        state=encoder.state_dict() if state is None else state,
        dtype=dtype,
    )


class OneAtATime(Mapping[str, Tensor]):
    """A mapping that counts what is read, and lends memory that is overwritten afterwards."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state
        self.lent: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Tensor:
        self.lent[name] = self.state[name].clone()
        return self.lent[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.state)

    def __len__(self) -> int:
        return len(self.state)


@pytest.mark.parametrize("name", [*OURS, "deberta-v2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_building_copies_casts_and_draws_nothing(tiny_encoder: Encoders, name: str, dtype: torch.dtype) -> None:
    encoder, _ = load(tiny_encoder(name), case_features=True, document_memory=True)
    lazy = OneAtATime(dict(encoder.state_dict()))
    before = torch.random.get_rng_state()
    again = rebuilt(encoder, dtype, lazy)
    assert torch.equal(torch.random.get_rng_state(), before)
    for lent in lazy.lent.values():
        lent.fill_(7)
    assert not again.training
    for (part, p), (other, q) in zip(again.named_parameters(), encoder.named_parameters(), strict=True):
        assert part == other
        assert p.dtype == dtype
        assert torch.equal(p, q.to(dtype)), part


@pytest.mark.parametrize("name", [*OURS, "deberta-v2"])
def test_weights_of_the_first_version(tiny_encoder: Encoders, name: str) -> None:
    encoder, _ = load(tiny_encoder(name), case_features=True, document_memory=True)
    torch.nn.init.normal_(encoder.casing.weight)
    own = {part: p for part, p in encoder.state_dict().items() if not part.startswith("network.")}
    old = {f"transformer.{part}": p for part, p in theirs(tiny_encoder(name)).state_dict().items()}
    again = rebuilt(encoder, state={**old, **own})
    for part, p in encoder.state_dict().items():
        assert torch.equal(again.state_dict()[part], p), part


def test_weights_that_are_missing_or_too_many(tiny_bert: Path) -> None:
    encoder, _ = load(tiny_bert)
    state = dict(encoder.state_dict())
    with pytest.raises(ValueError, match=r"weights are unexpected: other\.weight"):
        rebuilt(encoder, state={**state, "other.weight": torch.zeros(1)})
    state.pop("network.layer.1.attention.qkv.bias")
    with pytest.raises(ValueError, match=r"weights are missing: network\.layer\.1\.attention\.qkv\.bias"):
        rebuilt(encoder, state=state)
    state["network.layer.1.attention.qkv.bias"] = torch.zeros(5)
    with pytest.raises(ValueError, match=r"qkv\.bias has the shape \(5,\), expected \(96,\)"):
        rebuilt(encoder, state=state)


@pytest.mark.parametrize("name", OURS)
def test_every_parameter_has_one_name_in_a_checkpoint(tiny_encoder: Encoders, name: str) -> None:
    encoder, _ = load(tiny_encoder(name), case_features=False)
    names = checkpoint_names(encoder.config, "")
    there = set(weights_of(tiny_encoder(name)))
    own = [part.removeprefix("network.") for part, _ in encoder.named_parameters()]
    used = [part for parameter in own for part in names[parameter]]
    assert len(used) == len(set(used))
    assert set(used) <= there
    assert {part for part in there - set(used) if "pooler" not in part and "position_ids" not in part} == set()
    assert all("." in part for part in own)


def test_buckets_are_those_of_mpnet() -> None:
    modeling = pytest.importorskip("transformers.models.mpnet.modeling_mpnet")
    distances = torch.arange(-600, 601)
    assert torch.equal(bucket(distances), modeling.MPNetEncoder.relative_position_bucket(distances))
    assert int(bucket(distances).max()) == BUCKETS - 1


# --- pieces ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OURS, "generic", "deberta-v2"])
def test_pieces_are_transformers(tiny_encoder: Encoders, name: str) -> None:
    _, pieces = load(tiny_encoder(name))
    folder = tiny_encoder(name)
    # The class that takes tokenizer.json as it is: transformers 5 makes some of the others anew, of their vocabularies.
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    if name == "roberta":
        tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    words = [*WORDS, *WEIRD, "ÄÖÜ", "İstanbul", "東京", "don't"]
    plain = [word for word in words if word.strip() and not word.startswith(("<", "["))]
    encoded = words_of(pieces.encode(plain, 1 << 20))
    inputs = tokenizer(plain, is_split_into_words=True)
    expected: list[list[int]] = [[] for _ in plain]
    for piece, word in zip(inputs["input_ids"], inputs.word_ids(), strict=True):
        if word is not None:
            expected[word].append(piece)
    for text, word, ids in zip(plain, encoded, expected, strict=True):
        assert word.ids == (ids or [pieces.settings["unknown"]]), text
    by_them = WordPieces.from_tokenizer(AutoTokenizer.from_pretrained(folder), name, config_of(folder))
    # A tokenizer without a class of its own does not know its mask.
    unknown = {"blank": None, "mask": None} if name == "generic" else {"blank": None}
    assert {**by_them.settings, **unknown} == {**pieces.settings, **unknown}


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_tokenizers_config_overrules_its_json(folder: Path, lowercase: bool) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "do_lower_case": lowercase}))
    _, pieces = load(folder)
    assert pieces.lowercases is lowercase


def test_pieces_that_were_added_in_the_other_file(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    added = dict.fromkeys(("lstrip", "rstrip", "normalized", "special", "single_word"), False)
    rows = config_of(folder)["vocab_size"]
    config["added_tokens_decoder"] = {
        **config.get("added_tokens_decoder", {}),
        str(rows): {**added, "content": "geneva"},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"has {rows + 1:,} pieces, but its embeddings have {rows:,} rows"):
        load(folder)


def test_positions_begin_where_the_config_says(tiny_encoder: Encoders, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_encoder("roberta"), tmp_path / "encoder"))
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "pad_token": "<s>"}))
    assert load(folder)[1].settings["limit"] == config_of(folder)["max_position_embeddings"] - 2


def test_a_limit_of_the_files(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 100}))
    assert load(folder)[1].settings["limit"] == 100
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 1e30}))
    assert load(folder)[1].settings["limit"] == 512
