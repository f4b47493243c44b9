"""How answers are judged: from tasks and models to scores, comparisons and verdicts."""
