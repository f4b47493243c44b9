"""Where a provider is, and the key that may go there: from the environment or from a file that only its owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit

from harness.errors import UsageError


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


def own_key(base_url: str, home: str, default_env: str, key_env: str | None, key_file: str | None) -> str | None:
    """Return the key for `base_url`: from the file or variable that was named, else from the provider's usual variable.

    The usual variable's key goes to the provider's own host `home` only; another host gets a key only when one is named. None
    means that no key is sent. Raises UsageError when a key is needed or named and not there.
    """
    stated = stated_key(key_env, key_file)
    if stated is not None:
        return stated
    if urlsplit(base_url).hostname != urlsplit(home).hostname:
        return None
    key = os.environ.get(default_env)
    if not key:
        raise UsageError(
            f"no key for {urlsplit(home).hostname}: set the environment variable {default_env}, name another one with --key-env, "
            "or a file of mode 600 with --model-arg key_file=PATH"
        )
    return key


def stated_key(key_env: str | None, key_file: str | None) -> str | None:
    """Return the key of the named file or variable, None when neither is named; raise UsageError when it cannot be had."""
    if key_file is not None:
        return _from_file(Path(key_file).expanduser())
    if key_env is None:
        return None
    if not key_env.isidentifier():
        raise UsageError("--key-env takes the name of an environment variable, not the key itself")
    key = os.environ.get(key_env)
    if not key:
        raise UsageError(f"the environment variable {key_env}, named for the key, is not set")
    return key


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
