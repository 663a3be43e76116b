"""`export`: a trained pipeline that needs no torch."""

from pathlib import Path
from typing import Annotated

from wasabi import msg

from .arguments import check_target, find_pipeline, write_pipeline
from .options import Arg, Force
from .wrapping import explained


def export_cli(
    model: Annotated[str, Arg(help="Folder or package name of the trained pipeline")],
    output: Annotated[Path, Arg(help="Folder for the exported pipeline", file_okay=False)],
    force: Force = False,
) -> None:
    """Export a trained pipeline: spaCy loads and runs it by ONNX Runtime, without torch, and so can other languages."""
    from spacy_bert_ner.exporting.pipeline_export import export_pipeline

    source = find_pipeline(model)
    check_target(output, force)
    with explained(f"{model} was not exported"):
        nlp, differences = export_pipeline(source)
    write_pipeline(nlp, output)
    for name, difference in differences.items():
        files = sorted(path for path in (output / name).iterdir() if path.suffix in (".onnx", ".weights"))
        sizes = ", ".join(f"{path.name} ({path.stat().st_size / 2**20:.1f} MiB)" for path in files)
        msg.info(f"{name}: {sizes}; its logits differ from torch's by at most {difference:.1g}")
    msg.good(f"Wrote {output}", "To load it elsewhere: pip install spacy-bert-ner[onnx], and spacy.load as ever")
