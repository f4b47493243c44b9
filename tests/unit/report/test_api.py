"""The Python in docs/api.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOC = Path(__file__).resolve().parents[3] / "docs" / "api.md"


def test_every_snippet_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    snippets = re.findall(r"```python\n(.*?)```", DOC.read_text("utf-8"), re.DOTALL)
    assert len(snippets) == 2
    for snippet in snippets:
        exec(compile(snippet, str(DOC), "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("True 0.")
    assert "guess" in said
    assert len(list((tmp_path / "results" / "runs").iterdir())) == 1, "the second call found the finished run"
