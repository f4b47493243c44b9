"""Model text to answer: reasoning taken off, then letters, blanks or free text; None means that none could be read."""

from harness.extract.blanks import blanks
from harness.extract.choice import choice
from harness.extract.free_text import free_text
from harness.extract.reasoning import Split, split

__all__ = ["Split", "blanks", "choice", "free_text", "split"]
