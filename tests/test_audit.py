"""The dependency audit fails on a known vulnerability, and says where it could not look."""

import importlib.util
import io
import json
import subprocess
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[1] / ".ci" / "audit.py"


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", AUDIT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(audit, monkeypatch, *, index, packages=None):
    """Let the index answer with some content, and pip-audit with some packages; None cannot be reached or read."""

    def urlopen(*_, **__):
        if index is None:
            raise OSError("no route")
        return io.BytesIO(json.dumps(index).encode())

    def run(words, **_):
        text = "" if packages is None else json.dumps({"dependencies": packages})
        return subprocess.CompletedProcess(words, 1, stdout=text)

    monkeypatch.setattr(audit.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(audit.subprocess, "run", run)


KNOWN = {"vulnerabilities": [{"id": "GHSA-1"}]}
SOUND = {"name": "a", "version": "1", "vulns": []}
BROKEN = {"name": "b", "version": "2", "vulns": [{"id": "GHSA-2", "fix_versions": ["2.1"]}]}


@pytest.mark.parametrize(
    ("index", "packages", "code", "told"),
    [
        (KNOWN, [SOUND, BROKEN], 1, ("b 2", "GHSA-2", "2.1")),
        (KNOWN, [SOUND], 0, ("1 packages",)),
        (KNOWN, [SOUND, {"name": "c", "skip_reason": "not on the index"}], 0, ("1 packages",)),
        (None, [BROKEN], 0, ("skipped", "no route")),
        ({"vulnerabilities": []}, [BROKEN], 0, ("skipped",)),
        ({}, [BROKEN], 0, ("skipped",)),
        (KNOWN, None, 0, ("skipped",)),
    ],
)
def test_a_vulnerability_fails_and_an_index_out_of_reach_is_one_line(
    audit, monkeypatch, capsys, index, packages, code, told
):
    answers(audit, monkeypatch, index=index, packages=packages)
    assert audit.main() == code
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert all(each in out for each in told)
