"""Nothing runs that should not: the package's own sources, and archives that would leave their folder."""

import ast
import stat
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from spacy_bert_ner.data.assets.archives import unpack
from spacy_bert_ner.data.assets.manifest import AssetError

PROJECT = Path(__file__).parents[1]
SOURCES = sorted([*(PROJECT / "spacy_bert_ner").rglob("*.py"), *(PROJECT / "scripts").glob("*.py")])

# Modules that run what they read, or unpack wherever an archive says.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "tarfile", "yaml", "jsonpickle"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "torch.load",
    "torch.jit.load",
    "numpy.load",
    "np.load",
    "srsly.pickle_loads",
    "shutil.unpack_archive",
    "os.system",
    "os.popen",
}
METHODS = {"extractall", "unpack_archive", "pickle_loads", "read_pickle"}
KEYWORDS = {
    "trust_remote_code": False,
    "use_safetensors": True,
    "weights_only": True,
    "allow_pickle": False,
    "shell": False,
}


def dangers(source: str) -> list[str]:
    """Find what could run code that was read from somewhere. RETURNS: What was found, by line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"{node.lineno}: import {name.name}" for name in node.names if name.name.split(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            found.append(f"{node.lineno}: from {node.module}")
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in BUILTINS | CALLS or name.rpartition(".")[2] in METHODS:
                found.append(f"{node.lineno}: {name}()")
            for keyword in node.keywords:
                if keyword.arg in KEYWORDS and ast.unparse(keyword.value) != str(KEYWORDS[keyword.arg]):
                    found.append(f"{node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}")
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                key_name = key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""
                if key_name in KEYWORDS and ast.unparse(value) != str(KEYWORDS[key_name]):
                    found.append(f"{node.lineno}: {key_name}: {ast.unparse(value)}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_no_source_runs_what_it_reads(path: Path) -> None:
    assert dangers(path.read_text(encoding="utf8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import yaml",
        "import torch; torch.load('x')",
        "eval('x')",
        "exec(text)",
        "load('x', trust_remote_code=True)",
        "load('x', trust_remote_code=trusted)",
        "load('x', use_safetensors=False)",
        "load('x', **{'trust_remote_code': True})",
        "ZipFile('x').extractall()",
        "run('x', shell=True)",
    ],
)
def test_the_search_finds_them(line: str) -> None:
    assert len(dangers(line)) == 1


PREFIX = "pkg/model/"


def archive(folder: Path, name: str, mode: int = stat.S_IFREG | 0o644, content: bytes = b"{}") -> Path:
    path = folder / "bad.whl"
    member = ZipInfo(PREFIX + name)
    member.external_attr = mode << 16
    member.compress_type = ZIP_DEFLATED
    with ZipFile(path, "w") as packed:
        packed.writestr(member, content)
    return path


def test_a_plain_file_is_unpacked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for mode in (stat.S_IFREG | 0o777, 0):
        assert unpack(archive(tmp_path, "a.json", mode), PREFIX, ["a.json"], out) == {"a.json": out / "a.json"}
        assert (out / "a.json").read_bytes() == b"{}"


@pytest.mark.parametrize("name", ["../a", "../../a", "/a", "/etc/a", "b/../../a", "b/a", "..\\a", "C:\\a", "..", "."])
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    with pytest.raises(AssetError, match=r"bad\.whl: .* expected a plain (name|file)$"):
        unpack(archive(tmp_path, name), PREFIX, [name], out)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bad.whl", "deep", "out"]


KINDS = {
    "link": stat.S_IFLNK,
    "folder": stat.S_IFDIR,
    "device": stat.S_IFCHR,
    "disk": stat.S_IFBLK,
    "pipe": stat.S_IFIFO,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_no_plain_file(tmp_path: Path, kind: int) -> None:
    path = archive(tmp_path, "a.json", kind | 0o777, b"/etc/passwd")
    with pytest.raises(AssetError, match=r"'a\.json' is a link, a folder or a device, expected a plain file$"):
        unpack(path, PREFIX, ["a.json"], tmp_path)
    assert not (tmp_path / "a.json").exists()


def test_an_archive_that_swells(tmp_path: Path) -> None:
    path = archive(tmp_path, "a.json", content=bytes(10_000_000))
    assert path.stat().st_size < 20_000
    with pytest.raises(AssetError, match=r"10,000,000 bytes unpacked, expected at most [\d,]+, 100 times its size$"):
        unpack(path, PREFIX, ["a.json"], tmp_path)
    assert not (tmp_path / "a.json").exists()


def test_a_damaged_archive(tmp_path: Path) -> None:
    path = archive(tmp_path, "a.json", content=bytes(range(256)) * 20)
    content = path.read_bytes()
    for length in range(0, len(content), 9):
        path.write_bytes(content[:length])
        with pytest.raises(AssetError, match=r"expected a complete archive: fetch it again$"):
            unpack(path, PREFIX, ["a.json"], tmp_path)
    path.write_bytes(content)
    with pytest.raises(AssetError, match="expected a complete archive"):
        unpack(path, PREFIX, ["b.json"], tmp_path)
