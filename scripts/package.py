"""Package a trained pipeline: its wheel and the plugin's, in one folder that pip can take both from."""

import argparse
import json
import shutil
from pathlib import Path

from wasabi import msg

from spacy_bert_ner.packaging.wheels import build_model_wheel, build_plugin_wheel, describe


def main() -> None:
    """Parse the arguments, build both wheels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="folder of the trained pipeline")
    parser.add_argument("packages", type=Path, help="folder for package sources; the wheels go to its folder wheels/")
    parser.add_argument("--name", required=True, help="package name without its language, e.g. bert_ner_conll2003")
    parser.add_argument("--version", required=True, help="package version")
    parser.add_argument("--license", required=True, help="licence of the model")
    parser.add_argument("--metrics", type=Path, required=True, help="measures on the test set (.json)")
    parser.add_argument("--assets", type=Path, required=True, help="folder that `fetch` wrote")
    args = parser.parse_args()
    meta = describe(
        json.loads((args.model / "meta.json").read_text(encoding="utf8")),
        name=args.name,
        version_=args.version,
        licence=args.license,
        sources=[source_name(args.assets / part) for part in ("corpus", "encoder")],
        scores=json.loads(args.metrics.read_text(encoding="utf8")),
    )
    wheels = args.packages / "wheels"
    # Wheels of earlier versions would be found by pip as well, and preferred where they are newer.
    shutil.rmtree(wheels, ignore_errors=True)
    wheels.mkdir(parents=True)
    model_wheel = build_model_wheel(args.model, meta, args.packages, wheels)
    plugin_wheel = build_plugin_wheel(Path(__file__).parents[1], wheels)
    msg.good(f"Wheels: {model_wheel} and {plugin_wheel}")
    msg.info(f"To install: pip install --find-links {wheels} {meta['lang']}_{meta['name']}")


def source_name(asset: Path) -> str:
    """RETURNS (str): Where an asset came from, as its manifest says; of a folder its name alone, not its place."""
    manifest = json.loads((asset / "manifest.json").read_text(encoding="utf8"))
    return Path(manifest["source"]).name if manifest["kind"] == "folder" else str(manifest["source"])


if __name__ == "__main__":
    main()
