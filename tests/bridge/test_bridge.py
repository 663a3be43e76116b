"""The bridge to spacy-transformers: our encoder behind its `transformer`, and our listener behind either."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Model

from spacy_bert_ner.encoder.model import get_shim
from spacy_bert_ner.encoder.shim import EncoderShim
from spacy_bert_ner.training.optimizer import build_adamw
from tests.bridge.transformers import backward, make, vectors_of
from tests.encoder.encoders import NO_DROPOUT, WORDS, as_ours, check_close, doc_of, encoder_of, gradients

pytestmark = pytest.mark.bridge


def stock_model(folder: Path) -> Model:
    from spacy_transformers import TransformerModel
    from spacy_transformers.span_getters import configure_get_doc_spans

    model: Model = TransformerModel(
        str(folder), configure_get_doc_spans(), {"use_fast": True}, {**NO_DROPOUT, "attn_implementation": "eager"}
    )
    model.initialize(X=[doc_of(["hello"])])
    return model


def test_gradients_equal_the_stock_architectures(tiny_bert: Path) -> None:
    docs = [doc_of(WORDS), doc_of(WORDS[:4]), doc_of(WORDS[3:9])]
    ours = make(tiny_bert, transformer_config=NO_DROPOUT)
    theirs = stock_model(tiny_bert)
    rng = np.random.default_rng(0)
    d_words = [rng.standard_normal((len(doc), 32)).astype("f") for doc in docs]
    batch, _ = ours.begin_update(docs)
    stock, stock_backprop = theirs.begin_update(docs)
    d_ours: list[Any] = []
    d_theirs: list[Any] = []
    # A simple head: the gradient of each word goes to its first piece.
    for ours_data, stock_data, d in zip(batch.doc_data, stock.doc_data, d_words, strict=True):
        for data, collected in ((ours_data, d_ours), (stock_data, d_theirs)):
            vectors = data.model_output.last_hidden_state
            d_vectors = np.zeros_like(vectors).reshape(-1, 32)
            first = data.align.dataXd.ravel()[np.cumsum(data.align.lengths) - data.align.lengths]
            d_vectors[first] = d
            collected.append(d_vectors.reshape(vectors.shape))
        np.testing.assert_allclose(
            vectors_of(ours_data), stock_data.model_output.last_hidden_state[0, 1 : 1 + len(d_ours[-1][0])], atol=1e-5
        )
    widest = max(d.shape[1] for d in d_theirs)
    assert all(d.shape[1] == widest for d in d_theirs)
    found = backward(ours, docs, [d[0] for d in d_ours])
    # The stock model's pooler has an output of its own, and with it a gradient of zero.
    pooled = [np.zeros((1, 32), dtype="f") for _ in docs]
    stock_backprop(stock.unsplit_by_doc([[d, p] for d, p in zip(d_theirs, pooled, strict=True)]))
    wrapped = next(shim for node in theirs.walk() for shim in node.shims)._model
    expected = {name: p.grad for name, p in wrapped.named_parameters() if "pooler" not in name}
    present = {name: grad for name, grad in expected.items() if grad is not None}
    check_close(found, as_ours(get_shim(ours).encoder.config, present))


TAGGER = {
    "model": {
        "@architectures": "spacy.Tagger.v2",
        "tok2vec": {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "grad_factor": 1.0,
            "pooling": {"@layers": "reduce_mean.v1"},
        },
    }
}
BERT_NER = {"model": {"tok2vec": {"@architectures": "spacy-bert-ner.TransformerListener.v1"}}}
LINES = [
    (["Jane", "met", "IBM"], ["U-PER", "O", "U-ORG"], ["N", "V", "N"]),
    (["IBM", "works", "near", "Paris"], ["U-ORG", "O", "O", "U-LOC"], ["N", "V", "P", "N"]),
    ([], [], []),
    (["the", "unlucky", "Londoners"], ["O", "O", "O"], ["D", "A", "N"]),
]


def make_nlp(folder: Path, components: tuple[str, ...] = ("bert_ner", "tagger"), **settings: Any) -> Language:
    nlp = spacy.blank("en")
    settings = {"window": 64, "stride": 48, "precision": "fp32", "transformer_config": NO_DROPOUT, **settings}
    model = {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": str(folder), **settings}
    nlp.add_pipe("transformer", config={"model": model})
    for component in components:
        nlp.add_pipe(component, config=TAGGER if component == "tagger" else BERT_NER)
    nlp.initialize(lambda: examples_of(nlp))
    return nlp


def examples_of(nlp: Language) -> list[Example]:
    return [
        Example.from_dict(Doc(nlp.vocab, words=words), {"entities": entities, "tags": tags})
        for words, entities, tags in LINES
    ]


def step(nlp: Language, optimizer: Any, **settings: Any) -> dict[str, float]:
    """One step of spaCy's training loop."""
    losses = nlp.update(examples_of(nlp), sgd=False, **settings)
    for name, component in nlp.pipeline:
        if name not in settings.get("exclude", ()):
            component.finish_update(optimizer)  # type: ignore[attr-defined]
    optimizer.step_schedules()
    return losses


def model_of(nlp: Language, name: str = "transformer") -> Model:
    return nlp.get_pipe(name).model  # type: ignore[attr-defined]


def annotations(nlp: Language) -> list[Any]:
    docs = nlp.pipe([Doc(nlp.vocab, words=words) for words, _, _ in LINES])
    return [([(ent.text, ent.label_) for ent in doc.ents], [token.tag_ for token in doc]) for doc in docs]


def expected_annotations() -> list[Any]:
    return [
        ([(words[i], tag[2:]) for i, tag in enumerate(entities) if tag != "O"], tags) for words, entities, tags in LINES
    ]


def test_two_listeners_share_an_encoder(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    optimizer = build_adamw(0.005)
    losses = [step(nlp, optimizer) for _ in range(30)]
    for component in ("bert_ner", "tagger"):
        assert losses[-1][component] < 0.2 * losses[0][component]
    assert annotations(nlp) == expected_annotations()


def test_the_gradients_of_two_listeners_add_up(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    # Initial weights of the tagger are zeros, which send no gradient back.
    output = model_of(nlp, "tagger").get_ref("softmax")
    output.set_param("W", np.random.default_rng(0).standard_normal(output.get_param("W").shape).astype("f"))
    (head,) = [n for n in model_of(nlp, "bert_ner").get_ref("output_layer").walk() if n.has_param("W")]
    head.set_param("W", np.random.default_rng(1).standard_normal(head.get_param("W").shape).astype("f"))

    def collect(**settings: Any) -> dict[str, Any]:
        nlp.update(examples_of(nlp), sgd=False, **settings)
        found = gradients(model_of(nlp))
        for parameter in encoder_of(model_of(nlp)).parameters():
            parameter.grad = None
        return found

    together = collect()
    parts = []
    transformer: Any = nlp.get_pipe("transformer")
    for component in ("bert_ner", "tagger"):
        others = dict(transformer.listener_map)
        for other in set(others) - {component}:
            del transformer.listener_map[other]
        parts.append(collect(exclude=[name for name in others if name != component]))
        transformer.listener_map = others
    check_close({name: parts[0][name] + parts[1][name] for name in together}, together)


def test_frozen_encoders_stay(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    weights = {name: p.detach().clone() for name, p in encoder_of(model_of(nlp)).named_parameters()}
    optimizer = build_adamw(0.05)
    losses = [step(nlp, optimizer, exclude=["transformer"], annotates=["transformer"]) for _ in range(30)]
    assert all((p == weights[name]).all() for name, p in encoder_of(model_of(nlp)).named_parameters())
    assert losses[-1]["bert_ner"] < 0.5 * losses[0]["bert_ner"]
    assert gradients(model_of(nlp)) == {}


def test_frozen_components_stay_while_the_encoder_learns(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    before = model_of(nlp, "tagger").to_bytes()
    weights = model_of(nlp).to_bytes()
    # Listeners are linked in the order of the pipeline: the last one sends the gradient, so it must not be frozen.
    nlp = make_nlp(tiny_bert, components=("tagger", "bert_ner"))
    before = model_of(nlp, "tagger").to_bytes()
    for _ in range(2):
        step(nlp, build_adamw(0.01), exclude=["tagger"])
    assert model_of(nlp, "tagger").to_bytes() == before
    assert model_of(nlp).to_bytes() != weights


def test_annotating_encoders_set_their_data_in_training(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    seen: list[Any] = []

    @Language.component("look_at_data")
    def look(doc: Doc) -> Doc:
        seen.append(doc._.trf_data)
        return doc

    from spacy_transformers.data_classes import TransformerData

    nlp.add_pipe("look_at_data", after="transformer")
    losses = [step_annotating(nlp, build_adamw(0.005)) for _ in range(2)]
    assert losses[1]["bert_ner"] != losses[0]["bert_ner"]
    assert len(seen) == 2 * len(LINES)
    assert all(isinstance(data, TransformerData) for data in seen)


def step_annotating(nlp: Language, optimizer: Any) -> dict[str, float]:
    losses = nlp.update(examples_of(nlp), sgd=optimizer, annotates=["transformer", "look_at_data"])
    optimizer.step_schedules()
    return losses


def test_direct_updates_train(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    optimizer = build_adamw(0.005)
    losses = [nlp.update(examples_of(nlp), sgd=optimizer) for _ in range(30)]
    assert losses[-1]["bert_ner"] < 0.3 * losses[0]["bert_ner"]
    assert losses[-1]["tagger"] < 0.3 * losses[0]["tagger"]


def test_pipelines_are_saved_and_loaded(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_nlp(tiny_bert)
    optimizer = build_adamw(0.005)
    for _ in range(30):
        step(nlp, optimizer)
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert annotations(loaded) == annotations(nlp) == expected_annotations()
    assert annotations(spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())) == expected_annotations()


def test_replaced_listeners(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_nlp(tiny_bert, case_features=True)
    optimizer = build_adamw(0.005)
    for _ in range(30):
        step(nlp, optimizer)
    expected = annotations(nlp)
    for component in ("bert_ner", "tagger"):
        nlp.replace_listeners("transformer", component, ["model.tok2vec"])
        tok2vec = nlp.config["components"][component]["model"]["tok2vec"]
        assert tok2vec["@architectures"] == "spacy-bert-ner.Tok2VecTransformer.v1"
    assert annotations(nlp) == expected
    nlp.remove_pipe("transformer")
    assert annotations(nlp) == expected

    shims = {name: shim_of(model_of(nlp, name)) for name in ("bert_ner", "tagger")}
    assert shims["bert_ner"].id != shims["tagger"].id
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert annotations(loaded) == expected

    # Each learns for itself, and under one optimizer.
    for pipeline in (nlp, loaded):
        tagger = shim_of(model_of(pipeline, "tagger")).to_bytes()
        ner = shim_of(model_of(pipeline, "bert_ner")).to_bytes()
        step(pipeline, build_adamw(0.005), exclude=["tagger"])
        assert shim_of(model_of(pipeline, "tagger")).to_bytes() == tagger
        assert shim_of(model_of(pipeline, "bert_ner")).to_bytes() != ner
        optimizer = build_adamw(0.005)
        losses = [step(pipeline, optimizer) for _ in range(8)]
        assert losses[-1]["bert_ner"] < losses[0]["bert_ner"] + 0.05
        assert shim_of(model_of(pipeline, "tagger")).to_bytes() != tagger


def shim_of(model: Model) -> EncoderShim:
    found = [shim for node in model.walk() for shim in node.shims]
    assert len(found) == 1
    assert isinstance(found[0], EncoderShim)
    return found[0]


def test_one_listener_replaced_and_one_sharing(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = make_nlp(tiny_bert)
    nlp.replace_listeners("transformer", "tagger", ["model.tok2vec"])
    optimizer = build_adamw(0.005)
    losses = [step(nlp, optimizer) for _ in range(30)]
    assert losses[-1]["tagger"] < 0.3 * losses[0]["tagger"]
    assert losses[-1]["bert_ner"] < 0.3 * losses[0]["bert_ner"]
    nlp.to_disk(tmp_path)
    assert annotations(spacy.load(tmp_path)) == annotations(nlp)


def test_activations_can_be_saved_with_their_doc(tiny_bert: Path) -> None:
    nlp = make_nlp(tiny_bert)
    doc = nlp("Jane met IBM near Paris")
    again = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    np.testing.assert_array_equal(vectors_of(again._.trf_data), vectors_of(doc._.trf_data))


@pytest.mark.parametrize("how", ["merge", "split"])
def test_other_tokens_than_the_transformer_saw_are_refused(tiny_bert: Path, how: str) -> None:
    nlp = make_nlp(tiny_bert, components=("bert_ner",))

    @Language.component(f"{how}_between", retokenizes=True)
    def change(doc: Doc) -> Doc:
        with doc.retokenize() as retokenizer:
            if how == "merge":
                retokenizer.merge(doc[:2])
            else:
                retokenizer.split(doc[0], [doc[0].text[:1], doc[0].text[1:]], [(doc[0], 1), doc[1]])
        return doc

    nlp.add_pipe(f"{how}_between", before="bert_ner")
    found, seen = (2, 3) if how == "merge" else (4, 3)
    message = (
        rf"\('Jane met IBM'\) has {found} tokens, and the transformer saw {seen}: .* Put 'bert_ner' directly behind"
    )
    with pytest.raises(ValueError, match=message if how == "merge" else "has 4 tokens, and the transformer saw 3"):
        nlp("Jane met IBM")
    # Behind it, they may do so.
    nlp.remove_pipe(f"{how}_between")
    nlp.add_pipe(f"{how}_between")
    assert len(nlp("Jane met IBM")) == found
