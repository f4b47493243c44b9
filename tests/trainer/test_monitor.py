from __future__ import annotations

from pathlib import Path
from typing import Any

from ladder_trainer.curves import draw, panels
from ladder_trainer.monitor import Warnings, all_truncated, entropy_collapse, line, no_signal, out_of_patience


def logs(**series: list[float]) -> list[dict[str, Any]]:
    length = max(len(values) for values in series.values())
    return [{"step": i + 1, **{k.replace("__", "/"): v[i] for k, v in series.items()}} for i in range(length)]


def test_groups_without_signal_are_warned_of_above_ninety_per_cent_and_say_what_to_do() -> None:
    assert no_signal(logs(frac_reward_zero_std=[1.0] * 4)) is None
    assert no_signal(logs(frac_reward_zero_std=[1.0, 1.0, 0.9, 1.0, 1.0])) is None
    text = no_signal(logs(frac_reward_zero_std=[0.2, *[0.95] * 5], reward=[0.1] * 6))
    assert text is not None and "95%" in text and "warm up first" in text and "mean reward 0.10" in text


def test_an_entropy_collapse_is_warned_of() -> None:
    healthy = [2.0, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2, 1.1]
    assert entropy_collapse(logs(entropy=healthy)) is None
    assert entropy_collapse(logs(entropy=[0.3] * 5 + [0.04] * 5)) is None  # sharp from the start on: less than tenfold
    text = entropy_collapse(logs(entropy=[2.0] * 5 + [0.01] * 5))
    assert text is not None and "Lower grpo.learning_rate" in text


def test_completions_that_are_all_cut_are_warned_of() -> None:
    assert all_truncated(logs(completions__clipped_ratio=[1, 1, 1, 1, 0.99])) is None
    text = all_truncated(logs(completions__clipped_ratio=[1.0] * 5))
    assert text is not None and "max_completion_tokens" in text


def test_each_warning_is_given_once() -> None:
    seen = Warnings()
    history = logs(completions__clipped_ratio=[1.0] * 6)
    assert [len(seen.look(history[:n])) for n in range(1, 7)] == [0, 0, 0, 0, 1, 0]
    assert seen.given["all_truncated"][0] == 5


def test_patience_counts_validations_without_a_better_one() -> None:
    rising = [{"eval_reward": x} for x in (1, 2, 3)]
    assert not out_of_patience(rising, "eval_reward", 2, greater=True)
    flat = [{"eval_reward": x} for x in (1, 3, 3, 2)]
    assert out_of_patience(flat, "eval_reward", 2, greater=True)
    assert not out_of_patience(flat, "eval_reward", 3, greater=True)
    assert not out_of_patience(flat, "eval_reward", None, greater=True)
    assert out_of_patience([{"eval_loss": x} for x in (1, 2, 3)], "eval_loss", 2, greater=False)


def test_a_log_is_one_line_in_a_fixed_order() -> None:
    assert line({"step": 3, "entropy": 0.5, "reward": 1.25, "unknown": 1}, 9) == "3/9  reward 1.25  entropy 0.5"


def test_curves_leave_out_what_was_not_logged_and_escape_names(tmp_path: Path) -> None:
    history: list[dict[str, Any]] = [{"step": 1, "loss": 1.0, "kl": None}, {"step": 2, "loss": 0.5}]
    assert [title for title, _ in panels(history)] == ["loss"]
    files = draw({"sft": history, "grpo": []}, tmp_path, "<b>金匮")
    assert [f.name for f in files] == ["sft.png", "index.html"]
    page = files[-1].read_text("utf-8")
    assert "&lt;b&gt;金匮" in page and "loss 1 to 0.5" in page
    assert draw({"sft": []}, tmp_path / "none", "x") == []


def test_a_line_of_one_point_is_seen_where_the_legend_names_it(tmp_path: Path) -> None:
    history = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}, {"step": 2, "eval_loss": 0.75}]
    page = draw({"sft": history}, tmp_path, "x")[-1].read_text("utf-8")
    assert "validation loss" in page and page.count("<circle") == 1
