"""`package`: a trained pipeline as a wheel, and this plugin's beside it."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from wasabi import msg

from .arguments import is_pipeline, reading_json
from .options import Arg, Opt
from .wrapping import CommandError

# spaCy's name of a pipeline without a name.
UNNAMED = "pipeline"
MODULE_NAME = re.compile(r"[A-Za-z0-9]+(_[A-Za-z0-9]+)*")


def package_cli(
    model: Annotated[Path, Arg(help="Folder of the trained pipeline", exists=True, file_okay=False)],
    output: Annotated[
        Path, Arg(help="Folder for the package's sources; wheels go to its folder wheels", file_okay=False)
    ],
    name: Annotated[str | None, Opt("--name", "-n", help="The package's, without its language: my_names")] = None,
    version: Annotated[str | None, Opt("--version", "-v", help="The package's; by default the pipeline's")] = None,
    license: Annotated[str | None, Opt("--license", help="What data and encoder leave possible")] = None,
    metrics: Annotated[
        Path | None, Opt("--metrics", help="Figures of evaluate on a test set (.json)", exists=True, dir_okay=False)
    ] = None,
    assets: Annotated[
        Path | None, Opt("--assets", help="Folder that fetch wrote: what it was made of", exists=True, file_okay=False)
    ] = None,
) -> None:
    """Package a trained pipeline: its wheel and the plugin's, in one folder that pip can take both from."""
    from spacy_bert_ner.packaging.metadata import describe_package
    from spacy_bert_ner.packaging.wheels import build_model_wheel, build_plugin_wheel, require_setuptools

    require_setuptools()
    if not is_pipeline(model):
        raise CommandError(f"{model} is no pipeline", "Expected a folder that training or calibrate has written")
    with reading_json(model / "meta.json", "a pipeline's meta") as meta:
        called = name or meta["name"]
        if called == UNNAMED:
            raise CommandError("The pipeline has no name yet", "Say what its package is to be called: --name my_names")
        if not MODULE_NAME.fullmatch(called):
            raise CommandError(f"--name {called}: expected letters, digits and underscores, as in my_names")
        described = partial(describe_package, meta, name=called, version_=version or meta["version"], licence=license)
    sources = [source_of(asset) for asset in (assets / "corpus", encoder_of(meta, assets))] if assets else []
    if metrics:
        with reading_json(metrics, "what evaluate writes with --json") as scores:
            meta = described(sources=sources, scores=scores)
    else:
        meta = described(sources=sources)
    wheels = output / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    model_wheel = build_model_wheel(model, meta, output, wheels)
    plugin_wheel = build_plugin_wheel(wheels)
    msg.good(f"Wrote {model_wheel} and {plugin_wheel}")
    msg.info(f"To install: pip install --find-links {wheels} {meta['lang']}_{meta['name']}")


def encoder_of(meta: dict[str, Any], assets: Path) -> Path:
    """Find the encoder that a pipeline was trained from: there may be that of its teacher, too.

    meta (dict[str, Any]): The pipeline's, which says its encoder's checksum.
    assets (Path): What fetch wrote, and with that of other encoders in folders of their own.
    RETURNS (Path): The encoder's folder; `assets/encoder` where none is known to be the pipeline's.
    """
    from spacy_bert_ner.storage.provenance import KEY, content_sha256

    own = ((meta.get(KEY) or {}).get("data_sha256") or {}).get("encoder")
    folders = [assets / "encoder", *sorted(assets.glob("*/encoder"))]
    return next((folder for folder in folders if own and folder.is_dir() and content_sha256(folder) == own), folders[0])


def source_of(asset: Path) -> str:
    """RETURNS (str): An asset's origin, as its manifest says; of a local folder only the name, not its path."""
    with reading_json(asset / "manifest.json", "what fetch wrote") as manifest:
        return Path(manifest["source"]).name if manifest["kind"] == "folder" else str(manifest["source"])
