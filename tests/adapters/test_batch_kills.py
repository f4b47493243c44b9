"""`kill -9` of a real process at each stage of a batch: the same command ends with the very records of a run that nobody disturbed.

The server holds still at the stage, so the process is killed there and nowhere else; no test waits for a length of time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from harness.batch import parts
from harness.store import read
from tests.adapters.batching import Call, as_asked, command, folder_of
from tests.adapters.batching import quick_batches as quick_batches
from tests.adapters.test_batch_restarts import killed, wait_until
from tests.support.batch_server import Batch, BatchServer, serving_batches
from tests.support.chat_server import Reply

pytestmark = pytest.mark.usefixtures("quick_batches")

QUICK = """
import sys
from harness.batch import collecting
collecting.POLLS, collecting.SETTLED = (0.01, 0.02), 0.05
from harness.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The command line with short waits between two looks at a batch."""
FEW = 10
"""So many results are sent before the server holds still."""


class Hold:
    """A place where the server holds still until it is told to go on; told once, it holds nobody any more."""

    def __init__(self) -> None:
        self.reached, self.over = threading.Event(), threading.Event()

    def here(self) -> bool:
        """Hold; tell whether anybody was held."""
        if self.over.is_set():
            return False
        self.reached.set()
        assert self.over.wait(120)
        return True

    def before_create(self) -> Reply | None:
        return Reply(500, {}) if self.here() else None

    def after_create(self, _batch: Batch, _handler: BaseHTTPRequestHandler) -> bool:
        return not self.here()

    def before_upload(self) -> None:
        if self.here():
            raise ConnectionAbortedError

    def sends_results(self, handler: BaseHTTPRequestHandler, data: bytes) -> bool:
        """Send the first results and hold; the connection then ends in the middle."""
        if self.over.is_set():
            return False
        handler.send_response(200)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(b"".join(data.splitlines(keepends=True)[:FEW]) + b'{"custom_id": "')
        handler.wfile.flush()
        self.here()
        handler.close_connection = True
        handler.connection.close()
        return True


def started(server: BatchServer, suite: Path, output: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", QUICK, *map(str, command(server, suite, output, "--batch"))]
    return subprocess.Popen(words, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def tasks_of(output: Path) -> Any:
    return json.loads((folder_of(output) / "summary.json").read_bytes())["tasks"]


@pytest.mark.parametrize(
    ("provider", "stage"),
    [
        ("openai", "before_upload"),
        *product(("openai", "anthropic"), ("before_create", "after_create", "sends_results")),
    ],
)
def test_a_killed_process_goes_on_and_every_question_is_asked_and_paid_for_once(
    provider: str, stage: str, suite: Path, tmp_path: Path, tcm_eval: Call
) -> None:
    hold, output = Hold(), tmp_path / "r"
    made, known = stage in ("after_create", "sends_results"), stage == "sends_results"
    with serving_batches(provider, looks_until_done=0, **{stage: getattr(hold, stage)}) as server:
        process = started(server, suite, output)
        wait_until(hold.reached.is_set)
        records = folder_of(output) / "records.jsonl"
        wait_until(lambda: len(list(read(records))) == 1 + FEW * known)
        killed(process)
        [part] = parts(folder_of(output))
        assert not part.closed and (part.batch is not None) == known
        assert len(server.batches) == made and len(server.live) == 1
        hold.over.set()

        again = started(server, suite, output)
        err = again.communicate()[1]
        assert again.returncode == 0, err
        assert ("found batch" in err) == (stage == "after_create")
        assert len(server.batches) == 1 and len(server.live) == 2 - made
        asked = Counter(server.live + server.paid)
        assert len(asked) == 30 and set(asked.values()) == {1}, "nothing is paid for twice"
        assert tcm_eval(*command(server, suite, tmp_path / "whole", "--batch", "--quiet"))[0] == 0, "undisturbed"
    found = list(read(records))
    assert len(found) == 30 and len({record.sample for record in found}) == 30, "every sample exactly once"
    assert as_asked(output) == as_asked(tmp_path / "whole") != {}
    assert tasks_of(output) == tasks_of(tmp_path / "whole")
    assert all(part.closed for part in parts(folder_of(output)))
    assert not list((folder_of(output) / "batches").iterdir()), "no request is left behind"
