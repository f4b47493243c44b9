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

    @property
    def name(self) -> str:
        return "-".join([self.provider, *self.settings.values()])

    def answer(self, text: str) -> Reply:
        """Return a plain answer."""
        if self.provider == "anthropic":
            return said_by_anthropic(text)
        if self.provider == "google":
            return said_by_google(text)
        return said_by_responses(text) if self.settings else said(text)

    def stopped(self, text: str, why: str) -> Reply:
        """Return an answer that ended for `why`: length, filter or refusal."""
        if self.provider == "anthropic":
            blocked = self.error(400, "Output blocked by content filtering policy", "invalid_request_error")
            return blocked if why == "filter" else said_by_anthropic(text, {"length": "max_tokens"}.get(why, why))
        if self.provider == "google":
            return said_by_google(text, {"length": "MAX_TOKENS", "filter": "SAFETY", "refusal": "OTHER"}[why])
        if not self.settings:
            refused = {"refusal": text} if why == "refusal" else {}
            return said(None if refused else text, "content_filter" if why == "filter" else why, **refused)
        if why == "refusal":
            output = [{"type": "message", "content": [{"type": "refusal", "refusal": text}]}]
            return said_by_responses("", output=output)
        return said_by_responses(text, "incomplete", "content_filter" if why == "filter" else "max_output_tokens")

    def null(self) -> Reply:
        """Return an answer whose content is null."""
        if self.provider == "anthropic":
            return said_by_anthropic("", content=None)
        if self.provider == "google":
            return said_by_google("", candidates=[{"index": 0, "finishReason": "STOP", "content": None}])
        if self.settings:
            return said_by_responses("", output=[{"type": "message", "content": None}])
        return said(None)

    def error(self, status: int, text: str, code: str = "", headers: dict[str, str] | None = None) -> Reply:
        """Return an error in the provider's own shape."""
        shapes: dict[str, Any] = {
            "anthropic": {"type": "error", "error": {"type": code, "message": text}},
            "google": {"error": {"code": status, "message": text, "status": code}},
        }
        ours = {"error": {"message": text, "type": code, "code": code}}
        return Reply(status, shapes.get(self.provider, ours), headers or {})


SERVER = Protocol("server", "/v1", {})
CHAT = Protocol("openai", "/v1", {})
RESPONSES = Protocol("openai", "/v1", {"api": "responses"})
MESSAGES = Protocol("anthropic", "", {})
GEMINI = Protocol("google", "", {})
PROTOCOLS = (CHAT, RESPONSES, MESSAGES, GEMINI, SERVER)
