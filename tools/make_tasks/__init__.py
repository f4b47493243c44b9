"""Generator of the bundled suite `tcm_core`: facts of the knowledge base in, items out. `python -m tools.make_tasks`."""
