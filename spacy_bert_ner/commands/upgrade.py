"""`upgrade`: a pipeline of version 0.1.0 in the one-component form."""

from pathlib import Path
from typing import Annotated

from wasabi import msg

from .arguments import check_target, find_pipeline, write_pipeline
from .options import Arg, Force
from .wrapping import explained


def upgrade_cli(
    old: Annotated[str, Arg(help="Folder or package of a pipeline of spacy-bert-ner 0.1.0")],
    new: Annotated[Path, Arg(help="Folder to write the pipeline to", file_okay=False)],
    force: Force = False,
) -> None:
    """Turn a pipeline of version 0.1.0 (transformer, bert_ner, doc_cleaner) into one component; it needs no
    spacy-transformers, before or afterwards.
    """
    from spacy_bert_ner.bridge.upgrading import upgrade

    source = find_pipeline(old)
    check_target(new, force)
    with explained(f"{old} was not upgraded"):
        nlp, notes = upgrade(source)
    write_pipeline(nlp, new)
    for note in notes:
        msg.warn(note)
    msg.good(f"Wrote {new}", f"Its components: {', '.join(nlp.pipe_names)}")
