"""One file per metric family: pure functions from (sample, answer) to a value."""
