"""What a config takes over from a trained pipeline that it trains further."""

from typing import TYPE_CHECKING, NamedTuple

from wasabi import msg

from .arguments import load_pipeline

if TYPE_CHECKING:
    from spacy.language import Language
    from thinc.api import Config

# Components that delete what other components listen to.
CLEANERS = ("doc_cleaner", "tensor_cleaner")
SCORER = {"@scorers": "spacy-bert-ner.scorer.v1"}
ADD_LABELS = {"@callbacks": "spacy-bert-ner.add_labels.v1"}


class Source(NamedTuple):
    """A trained pipeline.

    name (str): Its folder or package.
    lang (str): Its language.
    components (list[str]): Its components that belong to entity recognition, in their order.
    width (int): Of the encoder's vectors.
    tells_raw_text (bool): Whether their scorer tells raw text from annotated tokens; that of older pipelines does not.
    """

    name: str
    lang: str
    components: list[str]
    width: int
    tells_raw_text: bool


def read_source(name: str) -> Source:
    """Look at a trained pipeline; end the command where it cannot be trained further.

    name (str): Folder or package name.
    RETURNS (Source): What the config needs.
    """
    from spacy_bert_ner.ner.component import BertNER
    from spacy_bert_ner.ner.sourced import vector_width

    nlp = load_pipeline(name)
    heads = [head for head, pipe in nlp.pipeline if isinstance(pipe, BertNER)]
    if not heads:
        msg.fail(f"{name} holds no bert_ner, but {', '.join(nlp.pipe_names) or 'nothing'}", exits=1)
    pipe = nlp.get_pipe(heads[0])
    assert isinstance(pipe, BertNER)
    tells_raw_text = all(nlp.get_pipe_config(head)["scorer"] == SCORER for head in heads)
    return Source(name, nlp.meta["lang"], belonging(nlp, heads), vector_width(pipe), tells_raw_text)


def belonging(nlp: "Language", heads: list[str]) -> list[str]:
    """RETURNS (list[str]): Heads, what they listen to, and the cleaner of that, in the pipeline's order."""
    feeding = [name for name, pipe in nlp.pipeline if set(heads) & set(getattr(pipe, "listening_components", ()))]
    cleaners = [name for name in nlp.pipe_names if feeding and nlp.get_pipe_meta(name).factory in CLEANERS]
    return [name for name in nlp.pipe_names if name in {*heads, *feeding, *cleaners}]


def with_source(config: "Config", source: Source) -> "Config":
    """Take a pipeline's components in place of a config's own ones, and add the training corpus's labels to them.

    config (Config): A training config, variables not yet filled in.
    source (Source): The pipeline.
    RETURNS (Config): A changed copy.
    """
    changed = config.copy()
    changed["paths"].pop("encoder")
    changed["paths"]["source"] = source.name
    changed["nlp"] |= {"lang": source.lang, "pipeline": source.components}
    changed["components"] = {name: {"source": "${paths.source}"} for name in source.components}
    changed["initialize"]["after_init"] = dict(ADD_LABELS)
    if not source.tells_raw_text:
        changed["corpora"]["dev"].pop("augmenter")
        weights = changed["training"]["score_weights"]
        weights["ents_f"] += weights.pop("raw_ents_f")
    return changed
