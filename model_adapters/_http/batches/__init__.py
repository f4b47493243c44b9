"""The providers' batch interfaces: many questions in one file, answered within a day, at half the price.

A batch is found again after a crash by the `tag` that it was submitted under. Results come in any order and are read by the very
functions that read the answer to a single question.
"""

from __future__ import annotations

from model_adapters._http.batches.anthropic import AnthropicBatches
from model_adapters._http.batches.openai import OpenAIBatches
from model_adapters._http.batches.shared import Progress, Protocol

Batches = OpenAIBatches | AnthropicBatches
__all__ = ["AnthropicBatches", "Batches", "OpenAIBatches", "Progress", "Protocol"]
