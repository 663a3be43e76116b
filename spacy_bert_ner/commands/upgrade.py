"""`upgrade`: a pipeline of version 0.1.0 in the one-component form."""

from pathlib import Path
from typing import Annotated

from spacy.cli._util import Arg, Opt
from wasabi import msg


def upgrade_cli(
    old: Annotated[str, Arg(help="Folder or package of a pipeline of spacy-bert-ner 0.1.0")],
    new: Annotated[Path, Arg(help="Folder to write the pipeline to", file_okay=False)],
    force: Annotated[bool, Opt("--force", "-F", help="Replace the folder if it is there")] = False,
) -> None:
    """Turn a pipeline of version 0.1.0 (transformer, bert_ner, doc_cleaner) into one component; it needs no
    spacy-transformers, before or afterwards.
    """
    from spacy_bert_ner.bridge.upgrading import upgrade
    from spacy_bert_ner.storage.files import replacing_folder
    from spacy_bert_ner.storage.sources import pipeline_folder

    source = pipeline_folder(old)
    if source is None:
        msg.fail(f"{old} is neither a folder nor an installed package", exits=1)
        return
    if new.exists() and not force:
        msg.fail(f"{new} is there already", "Add --force to replace it", exits=1)
    try:
        nlp, notes = upgrade(source)
    except ValueError as error:
        msg.fail(f"{old} was not upgraded", str(error), exits=1)
    with replacing_folder(new) as folder:
        nlp.to_disk(folder)
    for note in notes:
        msg.warn(note)
    msg.good(f"Wrote {new}", f"Its components: {', '.join(nlp.pipe_names)}")
