"""Any OpenAI-compatible server (vLLM, SGLang, llama.cpp, `transformers serve`, a provider's endpoint): one lean aiohttp client.

Every sampling field is sent. A field that the server refuses is left out from then on and recorded with each answer as not
accepted. A key goes only to the host it was meant for: redirects are never followed.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson

from harness.errors import Fatal, Transient, UsageError, unknown
from harness.types import Request, Response
from model_adapters._http import (
    DROPPABLE,
    KEY_WAYS,
    SERVER_URL,
    Chat,
    Place,
    endpoint,
    ignored,
    is_like_a_key,
    loopback,
    message,
    proxy,
    refused_key,
    secrets,
    server_place,
)

REFUSALS = 3
"""Answers of HTTP 500 to the first requests for a model that the server does not list: so many, and it is taken to have no such model."""


class Server:
    """A model behind an OpenAI-compatible server. `metered` says that somebody counts our requests: there is a key."""

    def __init__(
        self, place: Place, chat: Chat, served: str | None, listed: Sequence[str] | None, asked: Mapping[str, str]
    ) -> None:
        self.name = f"server/{place.model}"
        self.metered = place.key is not None
        self.identity: Mapping[str, str] = {
            "provider": "server",
            "model": place.model,
            "endpoint": endpoint(place.url),
            **({"served_as": served} if served else {}),
            **asked,
        }
        self._chat = chat
        self._place = place
        self._listed = listed
        self._doubtful = served is None and listed is not None
        self._refused = 0

    async def generate(self, request: Request) -> Response:
        """Return the answer; raise one of the adapter errors."""
        try:
            response = await self._chat.ask(request)
        except Transient as error:
            self._refused += self._doubtful and str(error).startswith("HTTP 500")
            if self._refused >= REFUSALS:
                raise self._no_such_model(str(error)) from None
            raise
        self._doubtful = False
        return response

    def _no_such_model(self, said: str) -> Fatal:
        """Return the error for a model that was asked for and never answered: `transformers serve` says 500 when it cannot load one."""
        url, model = self._place.url, self._place.model
        known = f"It lists {', '.join(self._listed[:20])}." if self._listed else "It gives no list of its models."
        return Fatal(
            f"{url} answered the first {REFUSALS} requests for '{model}' with {said}. Does it have that model? {known} A local "
            "server that loads what it is asked for needs the checkpoint's own folder or a name on the hub; its log says more."
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._chat.aclose()


def build(
    model: str,
    *,
    base_url: str | None = None,
    key_env: str | None = None,
    key_file: str | None = None,
    opens_with: str = "",
    body: str = "",
    ignores: str = "",
    check: bool = True,
    connect_timeout: float = 10.0,
    first_byte_timeout: float = 0.0,
) -> Server:
    """Return the model `model` behind the server at `base_url`.

    `key_env` names the environment variable that holds the key, if the server wants one, and `key_file` a file of mode 600; without
    them TCM_EVAL_SERVER_KEY's goes to the host of TCM_EVAL_BASE_URL and to this machine, nowhere else. `opens_with` is a reasoning tag
    that the server's chat template puts into the prompt (mostly `<think>`), given back to the answer. `body` is a JSON object of
    further fields for every request, such as {"thinking": {"type": "disabled"}}; `ignores` names sampling fields, separated by commas,
    that the server takes without using them: they are left out and recorded as not accepted. `check` asks first whether the server
    has the model. `connect_timeout` and `first_byte_timeout` are seconds, 0 for none. Raises UsageError for a wrong setting, Fatal
    when the server cannot be reached, refuses the key or does not have the model.
    """
    given = base_url or os.environ.get(SERVER_URL)
    if not given:
        raise UsageError(
            f"server/{model}: where is the server? Give --base-url, for example --base-url http://127.0.0.1:8000/v1"
        )
    place = server_place(model, given, key_env, key_file)
    fields, fixed = _further(model, body), ignored(f"server/{model}", ignores)
    asked = {
        "opens_with": opens_with,
        "body": orjson.dumps(fields, option=orjson.OPT_SORT_KEYS).decode() if fields else "",
    }
    asked |= {"ignores": ",".join(fixed)}
    served, listed = asyncio.run(_served(place)) if check else (None, None)
    chat = Chat(place, opens_with, connect_timeout, first_byte_timeout, fields, fixed)
    return Server(place, chat, served, listed, {name: value for name, value in asked.items() if value})


OURS = (
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "n",
    "logprobs",
    "top_logprobs",
    *DROPPABLE,
)
"""Fields of a request that are not the user's to set here: a run's own options say them, and what is compared depends on them."""


def _further(model: str, body: str) -> dict[str, Any]:
    """Return the further fields of every request; raise UsageError for what is no JSON object, or holds a field of ours."""
    if not body:
        return {}
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"server/{model}: body is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise UsageError(
            f'server/{model}: body={_shown(body)} is no JSON object; example: {{"reasoning_effort": "low"}}'
        )
    keys = list(dict.fromkeys(secrets(fields)))
    if keys:
        raise UsageError(
            f"server/{model}: body holds a key ({', '.join(map(_shown, keys))}); body stands in the run's files. {KEY_WAYS}"
        )
    taken = sorted(set(fields) & set(OURS))
    if taken:
        raise UsageError(
            f"server/{model}: body sets {', '.join(taken)}, which a run's own options say (tcm-eval run --help)"
        )
    return fields


def _shown(body: str) -> str:
    """Return what was given as `body`, shortened, without what may be a key in it."""
    return "..." if any(is_like_a_key(word) for word in re.split(r"[^-\w.]+", body)) else body[:200]


async def _served(place: Place) -> tuple[str | None, Sequence[str] | None]:
    """Return the server's own version of the model and the names that it lists, none where it has no list.

    The names are None where they say nothing of what it has: elsewhere than on this machine a model that is not listed is an error.
    """
    url, model = place.url, place.model
    here = loopback(url)
    headers = {"authorization": f"Bearer {place.key}"} if place.key else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session,
            session.get(f"{url}/models", headers=headers, allow_redirects=False, proxy=proxy(url)) as reply,
        ):
            status, data = reply.status, place.clean(await reply.read())
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause = getattr(getattr(error, "os_error", None), "strerror", None) or str(error) or type(error).__name__
        raise Fatal(
            f"{url}: the server cannot be reached: {place.hide(cause)}. Is it running, and is --base-url right?"
        ) from None
    if status in (401, 403):
        why = place.hide(message(data.decode("utf-8", "replace")))
        raise Fatal(f"{url}: {refused_key(place)} (HTTP {status}: {why}). {KEY_WAYS}")
    unlisted = () if here else None
    if status != 200:
        return None, unlisted
    try:
        listed = [one for one in orjson.loads(data)["data"] if isinstance(one, dict)]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None, unlisted
    names = [str(one.get("id")) for one in listed]
    matching = [one for one in listed if one.get("id") == model or str(one.get("id", "")).partition("@")[0] == model]
    if not matching:
        if names and not here:
            raise _no_such_model(url, model, names)
        return None, names if here else None  # local servers often answer to any name, or load a model on demand
    one = matching[0]
    said = [f"{field}={one[field]}" for field in ("root", "owned_by") if one.get(field)]
    return ",".join(said) or None, None


def _no_such_model(url: str, model: str, names: Sequence[str]) -> UsageError:
    return unknown(f"model at {url}", model, names)
