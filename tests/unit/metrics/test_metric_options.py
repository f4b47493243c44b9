"""An option that a metric does not have is refused wherever the metric is asked, never left unread."""

from __future__ import annotations

import re

import pytest

from harness.errors import UsageError
from harness.registry import get_metric, metric_names


@pytest.mark.parametrize("name", metric_names())
def test_every_metric_refuses_an_option_it_does_not_have(name: str) -> None:
    metric = get_metric(name)
    for asked in (lambda options: metric.score([], options), metric.signature):
        with pytest.raises(UsageError, match=re.escape(f"unknown option of metric {name} 'no_such'")) as raised:
            asked({"no_such": 1})
        allowed = f"Known: {', '.join(sorted(metric.options))}." if metric.options else "has no options: leave it out"
        assert allowed in str(raised.value)


def test_a_misspelt_option_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError, match=r"unknown option of metric herb_f1 'form'\. Did you mean: forms"):
        get_metric("herb_f1").score([], {"form": "joined"})
