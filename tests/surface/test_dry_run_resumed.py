"""What `--dry-run` says of a run that is finished, half-done, or lent answers by another one."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.chat_server import Reply, Seen, said, serving
from tests.surface.test_limits_cli import PRICE, Call, answers, command, right


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_dry_run_leaves_out_what_is_answered_already_and_writes_nothing(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    """A run stopped half-way; a smaller run that lends its answers; and a finished one."""
    with serving(right) as server:
        half = command(server, suite, tmp_path / "half", *PRICE, "--max-cost", "300", "--concurrency", "2")
        assert tcm_eval(*half)[0] == 3
        there, seen = answers(tmp_path / "half"), len(server.seen)
        before = files_of(tmp_path)
        code, out, err = tcm_eval(*half, "--dry-run")
        assert code == 0, err
        [run] = (tmp_path / "half" / "runs").iterdir()
        assert f"server/mock: {30 - there} requests; at most " in out and f" and {(30 - there) * 3} out; cost" in out
        said = f"{there} more are answered already, if the model is still the one that answered in {run.name}"
        assert out.splitlines()[1].strip() == said
        _, fresh, _ = tcm_eval(*half, "--dry-run", "--fresh")
        assert "server/mock: 30 requests" in fresh and "already" not in fresh
        most = float(re.search(r"cost at most ([\d,.]+)", out)[1].replace(",", ""))  # type: ignore[index]
        assert files_of(tmp_path) == before and len(server.seen) == seen, "nothing is written, nobody is asked"
        code, _, err = tcm_eval(*half[:-4], *PRICE, "--max-cost", str(there * 13 + most))
        assert code == 0 and answers(tmp_path / "half") == 30, f"it is an upper bound of the rest: {err}"
        code, out, _ = tcm_eval(*half, "--dry-run")
        assert code == 0 and "server/mock: 0 requests; at most 0 tokens in and 0 out; cost at most 0.00\n" in out
        assert "30 more are answered already" in out

        assert tcm_eval(*command(server, suite, tmp_path / "lent", "--limit", "20"))[0] == 0
        code, out, _ = tcm_eval(*command(server, suite, tmp_path / "lent", "--name", "another", "--dry-run"))
        assert code == 0 and "another: 10 requests" in out and "20 more are answered already" in out


def test_a_dry_run_says_where_only_the_model_itself_tells_whether_something_is_answered(
    tcm_eval: Call, suite: Path, tmp_path: Path
) -> None:
    with serving(right) as server:
        assert tcm_eval(*command(server, suite, tmp_path))[0] == 0
        for other in (("--model-arg", 'body={"n": 1}'), ("--base-url", server.url.replace("127.0.0.1", "localhost"))):
            code, out, err = tcm_eval(*command(server, suite, tmp_path), *other, "--dry-run")
            assert code == 0, err
            assert (
                "server/mock: 30 requests; " in out and "if nothing is answered yet: " in out and "already" not in out
            )
        [manifest] = tmp_path.glob("runs/*/manifest.json")
        older = {k: v for k, v in json.loads(manifest.read_text("utf-8")).items() if k != "asked_as"}
        manifest.write_text(json.dumps(older), "utf-8")
        code, out, _ = tcm_eval(*command(server, suite, tmp_path), "--dry-run")
        assert code == 0 and "30 requests; " in out and "if nothing is answered yet: " in out, (
            "a run of an older version"
        )
    _, out, _ = tcm_eval("run", "--model", "echo/first", *command(server, suite, tmp_path)[5:], "--dry-run")
    assert "echo/first: 30 requests; " in out and "if nothing" not in out, "no run here can be of this model"


def test_a_dry_run_of_a_dialogue_that_broke_off_asks_the_turns_that_are_left(tcm_eval: Call, tmp_path: Path) -> None:
    def third_fails(_seen: Seen, n: int) -> Reply:
        return said("脉浮") if n < 2 else Reply(400, {"error": {"message": "never"}})

    with serving(third_fails) as server:
        asked = ("run", "--model", "server/mock", "--base-url", server.url, "--tasks", "tcm_core/dialogue_own")
        asked = (*asked, "--output", tmp_path, "--limit", "1", "--max-tokens", "500")
        _, out, _ = tcm_eval(*asked, "--dry-run")
        found = re.match(r"server/mock: (\d+) requests?; at most ([\d,]+)", out)
        assert found, out
        whole, most = int(found[1]), int(found[2].replace(",", ""))
        assert whole > 2
        assert tcm_eval(*asked, "--concurrency", "1")[0] == 3
        _, out, _ = tcm_eval(*asked, "--dry-run")
        found = re.match(r"server/mock: (\d+) requests?; at most ([\d,]+)", out)
        assert found and int(found[1]) == whole - 2 and "2 more are answered already" in out
        assert int(found[2].replace(",", "")) < most - 2 * (whole - 2) * 480, "answers that are there count as they are"
