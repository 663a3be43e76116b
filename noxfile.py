"""The lanes that the project is tested in: `nox -s tests-3.13`, `ray`, `bridge`. CI's are those of the Makefile.

Each session makes an environment of its own, with the interpreters that are on the PATH; where torch's default build is
the large one for GPUs, so is what is downloaded.
"""

import nox

nox.options.sessions = ["lint", "tests-3.11", "bridge"]
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Style and types."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The newest of everything."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("pytest", "-m", "not bridge", *session.posargs)


@nox.session(python="3.11")
def ray(session: nox.Session) -> None:
    """The engine `ray` of `annotate`."""
    session.install("-c", "constraints.txt", "-e", ".[dev,ray]")
    session.run("pytest", "-m", "ray", *session.posargs)


@nox.session(python="3.11")
def bridge(session: nox.Session) -> None:
    """spacy-transformers 1.4 with the newest transformers that it admits."""
    session.install("-c", "constraints-bridge.txt", "-e", ".[dev,bridge]")
    session.run("make", "test-bridge", f"BRIDGE_BIN={session.bin}", "BRIDGE_INSTALLED=setup.cfg", external=True)


@nox.session(python="3.11")
def presidio(session: nox.Session) -> None:
    """Presidio with a pipeline of ours: `nox -s presidio -- MODEL TEXT`."""
    session.install("-c", "constraints.txt", "-e", ".[torch,presidio]")
    session.run("python", "scripts/try_presidio.py", *session.posargs)
