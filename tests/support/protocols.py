"""What the providers' own protocols say, as a local server plays them: answers, stops, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.chat_server import Reply, said


def said_by_responses(text: str, status: str = "completed", reason: str | None = None, **fields: Any) -> Reply:
    """Return an answer of OpenAI's Responses API."""
    thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "想了一下"}]}
    spoken = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    usage = {
        "input_tokens": 7,
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "input_tokens_details": {"cached_tokens": 4},
    }
    body = {
        "id": "x",
        "object": "response",
        "model": "mock-2026",
        "status": status,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [thought, spoken],
        "usage": usage,
        **fields,
    }
    return Reply(body=body)


def said_by_anthropic(text: str, stop: str = "end_turn", **fields: Any) -> Reply:
    """Return an answer of Anthropic's Messages API."""
    content = [{"type": "thinking", "thinking": "想了一下", "signature": "s"}, {"type": "text", "text": text}]
    usage = {
        "input_tokens": 3,
        "output_tokens": 5,
        "cache_read_input_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    body = {
        "id": "x",
        "type": "message",
        "role": "assistant",
        "model": "mock-2026",
        "content": content,
        "stop_reason": stop,
        "usage": usage,
        **fields,
    }
    return Reply(body=body)


def said_by_google(text: str, finish: str = "STOP", **fields: Any) -> Reply:
    """Return an answer of Gemini's generateContent."""
    parts = [{"text": "想了一下", "thought": True}, {"text": text}]
    usage = {
        "promptTokenCount": 7,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 4,
    }
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish, "index": 0}],
        "usageMetadata": usage,
        "modelVersion": "mock-2026",
        **fields,
    }
    return Reply(body=body)


@dataclass(frozen=True)
class Protocol:
    """One provider's protocol: where its address begins below the server's, how it answers and how it says no."""

    provider: str
    root: str
    settings: dict[str, str]

    def answer(self, text: str) -> Reply:
        """Return a plain answer."""
        if self.provider == "anthropic":
            return said_by_anthropic(text)
        if self.provider == "google":
            return said_by_google(text)
        return said_by_responses(text) if self.settings.get("api") == "responses" else said(text)

    def error(self, status: int, text: str, code: str = "", headers: dict[str, str] | None = None) -> Reply:
        """Return an error in the provider's own shape."""
        shapes: dict[str, Any] = {
            "openai": {"error": {"message": text, "type": code, "code": code}},
            "anthropic": {"type": "error", "error": {"type": code, "message": text}},
            "google": {"error": {"code": status, "message": text, "status": code}},
        }
        return Reply(status, shapes[self.provider], headers or {})


PROTOCOLS = (
    Protocol("openai", "/v1", {}),
    Protocol("openai", "/v1", {"api": "responses"}),
    Protocol("anthropic", "", {}),
    Protocol("google", "", {}),
)
