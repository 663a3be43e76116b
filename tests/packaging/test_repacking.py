"""A wheel out of an installation: what was installed, and nothing else."""

import csv
import io
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

from spacy_bert_ner.packaging.repacking import repack

FILES = {
    "tiny/__init__.py": "NAME = 'tiny'\n",
    "tiny/deep/data.txt": "é",
    "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
    "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
BY_INSTALLER = {
    "tiny/__pycache__/__init__.cpython-311.pyc": "x",
    "tiny-1.0.dist-info/INSTALLER": "pip\n",
    "tiny-1.0.dist-info/REQUESTED": "",
    "tiny-1.0.dist-info/direct_url.json": "{}",
}


@pytest.fixture
def installed(tmp_path: Path) -> Distribution:
    place = tmp_path / "site-packages"
    for name, content in {**FILES, **BY_INSTALLER}.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content, encoding="utf8")
    record = "tiny-1.0.dist-info/RECORD"
    names = [*FILES, *BY_INSTALLER, record, "../../../bin/tiny"]
    (place / record).write_text("".join(f"{name},,\n" for name in names), encoding="utf8")
    return PathDistribution(place / "tiny-1.0.dist-info")


def test_it_holds_what_was_installed_and_no_more(installed: Distribution, tmp_path: Path) -> None:
    wheel = repack(installed, tmp_path)
    assert wheel.name == "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        record = list(csv.reader(io.StringIO(archive.read("tiny-1.0.dist-info/RECORD").decode())))
        assert {name: archive.read(name).decode() for name in FILES} == FILES
        assert set(archive.namelist()) == {*FILES, "tiny-1.0.dist-info/RECORD"} == {row[0] for row in record}
    again = tmp_path / "again"
    again.mkdir()
    assert repack(installed, again).read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_pip_installs_it(installed: Distribution, tmp_path: Path) -> None:
    wheel, target = repack(installed, tmp_path), tmp_path / "target"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    assert (target / "tiny" / "deep" / "data.txt").read_text(encoding="utf8") == "é"


def test_what_is_not_all_there_is_refused(installed: Distribution, tmp_path: Path) -> None:
    (tmp_path / "site-packages" / "tiny" / "deep" / "data.txt").unlink()
    with pytest.raises(ValueError, match=r"tiny is not installed as a wheel \(tiny/deep/data\.txt is missing\)"):
        repack(installed, tmp_path)


def test_an_editable_installation_is_none(installed: Distribution, tmp_path: Path) -> None:
    record = tmp_path / "site-packages" / "tiny-1.0.dist-info" / "RECORD"
    record.write_text("__editable__.tiny.pth,,\ntiny-1.0.dist-info/METADATA,,\n", encoding="utf8")
    (tmp_path / "site-packages" / "__editable__.tiny.pth").write_text("", encoding="utf8")
    with pytest.raises(ValueError, match=r"\(tiny/__init__\.py is missing\)"):
        repack(installed, tmp_path)
