"""Where a provider is, and the key that may go there: from the environment or from a file that only its owner can read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from harness.errors import UsageError
from model_adapters._http.faults import Place

_CHANGING = Lock()


@dataclass(frozen=True, slots=True)
class Own:
    """A provider's own address, the environment variable that usually holds its key, and the path of its list of models.

    `begins` are the beginnings of the names of all environment variables that its SDK reads.
    """

    home: str
    key_env: str
    begins: tuple[str, ...]
    models: str = "/models"

    @contextmanager
    def unseen(self, url: str) -> Iterator[None]:
        """Keep from the SDK that is made within the block what the environment would let it send to `url`.

        SDKs add headers from variables of their own to every address that they are given: OPENAI_CUSTOM_HEADERS, mostly the key of a
        gateway, even over the key that was named, and OPENAI_ORG_ID. The first goes nowhere, the account to the provider's own host
        only; keys the SDK takes from us. Taking the variables away is the one way that also holds for those of later SDKs.
        """
        ends = ("_API_KEY", "_CUSTOM_HEADERS") if _at_home(url, self) else ""
        with _CHANGING:
            kept = {name: v for name, v in os.environ.items() if name.startswith(self.begins) and name.endswith(ends)}
            for name in kept:
                del os.environ[name]
            try:
                yield
            finally:
                os.environ.update(kept)


def _at_home(url: str, own: Own) -> bool:
    return urlsplit(url).hostname == urlsplit(own.home).hostname


def address(base_url: str, key_env: str) -> str:
    """Return the address without its last slash; raise UsageError for one that is none, or that holds a key."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--base-url {base_url}: expected http://HOST:PORT/v1 or https://…")
    if parts.username or parts.password or parts.query:
        raise UsageError(
            f"--base-url: a key does not belong into the address. Put it into the environment variable {key_env}."
        )
    return base_url.rstrip("/")


def endpoint(base_url: str) -> str:
    """Return an address as it stands in a subject's identity."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}{parts.path}"


def own_place(model: str, base_url: str, own: Own, key_env: str | None = None, key_file: str | None = None) -> Place:
    """Return where a provider's model is asked, with the key that may go there: of the file or variable that was named, else its own.

    The usual variable's key goes to the provider's own host only; to another host goes a key only when one is named. Raises
    UsageError for an address that is none, and when a key is needed or named and not there.
    """
    url = address(base_url, key_env or own.key_env)
    key = stated_key(key_env, key_file)
    withheld = None
    if key is None:
        usual = os.environ.get(own.key_env) or None
        if not _at_home(url, own):
            withheld = own.key_env if usual else None
        elif usual is None:
            raise UsageError(
                f"no key for {urlsplit(own.home).hostname}: set the environment variable {own.key_env}, name another one with "
                "--key-env, or a file of mode 600 with --model-arg key_file=PATH"
            )
        else:
            key = usual
    return Place(url, model, key, own.models, withheld)


SERVER_KEY, SERVER_URL = "TCM_EVAL_SERVER_KEY", "TCM_EVAL_BASE_URL"


def server_place(model: str, base_url: str, key_env: str | None = None, key_file: str | None = None) -> Place:
    """Return where a server's model is asked, with the key that may go there: of the file or variable that was named, else the usual one.

    That of TCM_EVAL_SERVER_KEY goes to the host of TCM_EVAL_BASE_URL and to this machine itself. Raises as `own_place` does.
    """
    url = address(base_url, key_env or SERVER_KEY)
    key = stated_key(key_env, key_file)
    usual = os.environ.get(SERVER_KEY) or None
    if key is not None or usual is None:
        return Place(url, model, key)
    if loopback(url) or urlsplit(url).hostname == urlsplit(os.environ.get(SERVER_URL, "")).hostname:
        return Place(url, model, usual)
    return Place(url, model, withheld=SERVER_KEY)


def loopback(url: str) -> bool:
    """Tell whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def proxy(url: str) -> str | None:
    """Return the proxy that the environment names for an address (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), None for none.

    There is none for this machine itself. Raises UsageError for a kind that the lean client does not take.
    """
    parts = urlsplit(url)
    if loopback(url) or proxy_bypass(parts.netloc):
        return None
    named = getproxies()
    found = named.get(parts.scheme) or named.get("all")
    if not found:
        return None
    if "://" not in found:
        return f"http://{found}"
    if not found.startswith(("http://", "https://")):
        raise UsageError(
            f"{parts.hostname}: the environment names a {found.partition('://')[0]} proxy for it, and server/ takes http:// ones only. "
            f"Name one in {parts.scheme.upper()}_PROXY, or the host in NO_PROXY"
        )
    return found


def stated_key(key_env: str | None, key_file: str | None) -> str | None:
    """Return the key of the named file or variable, None when neither is named; raise UsageError when it cannot be had."""
    if key_file is not None:
        if is_like_a_key(key_file) and not Path(key_file).exists():
            raise UsageError("key_file takes the path of a file of mode 600 that holds the key, not the key itself")
        return _from_file(Path(key_file).expanduser())
    if key_env is None:
        return None
    if not key_env.isidentifier():
        raise UsageError("--key-env takes the name of an environment variable, not the key itself")
    key = os.environ.get(key_env)
    if key:
        return key
    if _VARIABLE.fullmatch(key_env) and not is_like_a_key(key_env):
        raise UsageError(f"the environment variable {key_env}, named for the key, is not set")
    raise UsageError(  # what stands there may be the key itself
        "--key-env takes the name of an environment variable, not the key itself, and no variable of the name given is set"
    )


_VARIABLE = re.compile(r"[A-Z]{2,12}\d{0,2}(?:_[A-Z]{0,12}\d{0,2})*")
"""A name as people give it to a variable; whatever else was given may be a key, and is not shown."""
_LIKE_A_KEY = re.compile(
    r"[Bb]earer\s+\S{12,}|(?:sk[-_]|[pr]k_|xai-|gsk_|hf_|ghp_|github_pat_|AIza|AKIA|ya29\.|eyJ)(?=\S*\d)\S{12,}"
)


def is_like_a_key(text: str) -> bool:
    """Tell whether a text begins as providers' keys do: what was typed in the wrong place is neither kept nor shown."""
    return bool(_LIKE_A_KEY.match(text.strip()))


_SECRET = re.compile(r"(?:^|_)(?:api_?key|key|token|secret|password|passwd|authorization|credentials?)$")


def secrets(value: Any, name: str = "") -> Iterator[str]:
    """Yield the names of all fields in a JSON value that hold a key: called as keys are, with a text in them, or beginning as keys do."""
    if isinstance(value, Mapping):
        for below, inner in value.items():
            yield from secrets(inner, str(below))
    elif isinstance(value, list):
        for inner in value:
            yield from secrets(inner, name)
    elif isinstance(value, str) and value:
        plain = re.sub(r"(?<=[a-z])(?=[A-Z])|[-.\s]+", "_", name).lower()
        if is_like_a_key(value) or (_SECRET.search(plain) and plain not in _NO_SECRET):
            yield name


_NO_SECRET = ("prompt_cache_key",)
"""Fields that are called as keys are and hold none."""


def _from_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise UsageError(f"key file {path}: others can read it, or it is no plain file. Do: chmod 600 {path}")
        key = path.read_text("utf-8").strip()
    except OSError as error:
        raise UsageError(f"key file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"key file {path}: it is not text") from None
    if not key or len(key.split()) != 1:
        raise UsageError(f"key file {path}: expected one line with the key and nothing else")
    return key
