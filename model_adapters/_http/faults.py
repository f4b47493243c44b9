"""What a provider's HTTP answer means: which error of ours it is, and which sampling fields it refuses."""

from __future__ import annotations

import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import orjson

from harness.errors import AdapterError, Fatal, RateLimited, Rejected, TooLong, Transient

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of one answer; a larger one is refused before it fills the memory."""
CONNECT_S = 10.0
"""Seconds that a connection may take to come about, unless a provider's `connect_timeout` says otherwise."""
SILENCE_S = 60.0
"""Seconds of silence within an answer that has begun: longer, and the connection is taken for broken."""

SECRET = 12
"""Characters from which on a key is taken for a secret, not for the placeholder that local servers want."""

_REFUSES = re.compile(
    r"unexpected|unrecogni[sz]ed|unsupported|not support|unknown|extra|not permitted|not allowed|does not accept"
    r"|invalid(?!_request|_argument)"  # not the kind that every refused request has
    r"|deprecated|may only be|only the default|cannot (?:both )?be|must be (?:unset|default)",
    re.I,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:context|sequence|model)|too long|exceeds? the (?:max|available)|prompt is too",
    re.I,
)
_NO_MONEY = re.compile(
    r"insufficient_quota|exceeded_current_quota|credit balance|billing|exceeded your current quota.*plan"
    r"|arrearage|account is in good standing|欠费|余额不足",
    re.I | re.S,
)
_BAD_KEY = re.compile(r"api[ _]key not valid|api_key_invalid|invalid api[ _]key", re.I)
_NO_MODEL = re.compile(r"model\b.{0,80}\b(?:does not exist|not exist|not found)|模型不存在|pinned to '", re.I | re.S)
_OVERLOADED = re.compile(r"overload", re.I)
_FILTERED = re.compile(
    r"content_filter|content filtering policy|content management policy|flagged as potentially violating"  # OpenAI, Anthropic, Kimi
    r"|data_?inspection_?failed|inappropriate content|content exists risk|contentFilter|敏感内容"  # Qwen, DeepSeek, GLM
    r"|content violates usage guidelines",  # Grok, as 403
    re.I,
)
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes. `key` is here only so that no message ever shows it; `models` is the path of the provider's list.

    `withheld` names the environment variable whose key is there, but was not meant for this host.
    """

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    models: str = "/models"
    withheld: str | None = None

    def hide(self, text: str) -> str:
        """Return the text without the key, for providers repeat keys in their messages."""
        if not self.key:
            return text
        if len(self.key) < SECRET:
            return text.replace(self.key, "[key]")
        return self.clean(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def clean(self, data: bytes) -> bytes:
        """Return an answer's bytes without the key, however it is written: answers are stored.

        What is as short as a word (`none`, `EMPTY`) is left.
        """
        if not self.key or len(self.key) < SECRET:
            return data
        encoded = _encoded(self.key)
        for form in encoded:
            data = data.replace(form, b"[key]")
        if b"\\" in data or b"%" in data:
            data = _escaped(self.key.encode()).sub(b"[key]", data)
        if b"\\/" in data or b"\\u00" in data or b"%2" in data:
            for form in encoded[1:]:
                data = _escaped(form).sub(b"[key]", data)
        return data


@lru_cache(maxsize=16)
def _encoded(key: str) -> tuple[bytes, ...]:
    """Return a key as it is, in hexadecimal, and in base64 at each of the three places it may begin at, as after `user:`."""
    raw = key.encode()
    found = [raw, raw.hex().encode(), raw.hex().upper().encode()]
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            whole = encode(bytes(before) + raw + bytes(3))
            found.append(whole[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6])
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=256)
def _escaped(form: bytes) -> re.Pattern[bytes]:
    """Return a pattern of a text whose characters a JSON text (also one within another) or an address may have escaped, one or all."""
    ways = (rf"(?:{re.escape(chr(c))}|\\+u{c:04x}|%{c:02x}{'|' + chr(92) * 2 + '+/' if c == 47 else ''})" for c in form)
    return re.compile("".join(ways).encode("latin-1"), re.I)


def readable(data: bytes) -> str:
    """Return an error's body as text; in JSON the characters stand as themselves, however they were escaped."""
    try:
        return orjson.dumps(orjson.loads(data)).decode()
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")


def fault(status: int, text: str, retry_after: float | None, place: Place) -> AdapterError:
    """Return the error that an HTTP status other than 200 stands for."""
    said = f"HTTP {status}: {place.hide(message(text))}" if text.strip() else f"HTTP {status} without a word of why"
    if status in (401, 403) or (status == 400 and _BAD_KEY.search(text)):
        return Fatal(f"{place.url}: {refused_key(place)} ({said}). {KEY_WAYS}")
    if status == 404 or (status == 400 and _NO_MODEL.search(text)):
        return Fatal(
            f"{place.url} has no model '{place.model}' or no such path ({said}). See its list: {place.url}{place.models}"
        )
    if status == 402 or (status in (400, 429) and _NO_MONEY.search(text)):
        return Fatal(f"{place.url}: the account has no credit left ({said})")
    if status == 429 or status == 529 or (status == 503 and _OVERLOADED.search(text)):
        return RateLimited(said, retry_after)
    if status >= 500 or status in (408, 409, 425):
        return Transient(said, retry_after)
    if status in REDIRECTS:
        return redirected(place, "")
    if status == 413 or _TOO_LONG.search(text):
        return TooLong(said)
    return Rejected(said)


KEY_WAYS = (
    "A key comes from an environment variable (--key-env NAME) or a file of mode 600 (--model-arg key_file=PATH)."
)


def refused_key(place: Place) -> str:
    """Return what a provider that lets nobody in has refused: the key, or that there was none."""
    if place.key:
        return "the key was refused"
    name = place.withheld
    why = f": that of {name} goes to its own host only, unless you name it with --key-env {name}" if name else ""
    return f"it wants a key, and none was sent{why}"


def redirected(place: Place, location: str) -> Fatal:
    """Return the error for an answer that sends us to another address."""
    return Fatal(
        f"{place.url} redirects to {place.hide(urlsplit(location).netloc) or 'another address'}. Redirects are not followed, "
        "so that no key goes to another host: give the final address with --base-url."
    )


def too_large() -> Rejected:
    """Return the error for an answer beyond `LARGEST_BODY`."""
    return Rejected(f"the server's answer is larger than {LARGEST_BODY >> 20} MB")


def filtered(status: int, text: str) -> bool:
    """Tell whether an error says that a content filter stopped the question or the answer: that is an answer too."""
    return status in (400, 403, 422) and bool(_FILTERED.search(text))


def message(text: str) -> str:
    """Return the message inside an error body, at most 300 characters."""
    try:
        loaded = orjson.loads(text)
        error = loaded.get("error", loaded)
        said = error.get("message") or error.get("detail") if isinstance(error, dict) else error
        return str(said or text)[:300]
    except (orjson.JSONDecodeError, AttributeError):
        return text[:300]


_DELAY = re.compile(r'"retryDelay":\s*"([0-9.]+)s"')


def wait_of(headers: Mapping[str, str], text: str = "") -> float | None:
    """Return the seconds that the provider asks us to wait (header in seconds or as a date, or Google's retryDelay), or None."""
    header = headers.get("retry-after")
    if header:
        try:
            return max(0.0, float(header))
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
        except ValueError:
            return None
    found = _DELAY.search(text)
    return float(found[1]) if found else None


def parsed(data: bytes) -> Any:
    """Return the JSON of an answer; broken UTF-8 costs only the broken characters. Raises Transient when it is no JSON."""
    if not data.strip():
        raise Transient("the server's answer is empty")
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(data.decode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        begins = data[:120].decode("utf-8", "replace")
        if data.lstrip()[:1] == b"<":
            raise Transient(f"the server's answer is no JSON but a page; is the address right? {begins}") from None
        raise Transient(f"the server's answer is no JSON: {error}: {begins}") from None


def refuses(status: int, text: str, name: str) -> bool:
    """Tell whether an error says that this field of the request is not taken."""
    if status not in (400, 422) or _TOO_LONG.search(text) or not _REFUSES.search(text):
        return False
    return bool(re.search(rf"\b{name}\b", text))
