"""A planted key: the writings in which a server may repeat it, and the search for it in every file and every line printed."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from tests.support.chat_server import Reply, Seen
from tests.support.protocols import Protocol

KEY = "sk-planted/7Q+x9=R-4fT8w"
"""With characters that change when an address or a header is encoded."""


def escaped(text: str, which: Callable[[str], bool]) -> str:
    """Return a text as JSON may write it, with those of its characters as numbers."""
    return "".join(f"\\u{ord(c):04x}" if which(c) else c for c in text)


def writings(key: str) -> list[bytes]:
    """Return the key as it is, its halves, in hexadecimal, and in base64 at each of the three places it may begin at."""
    raw = key.encode()
    found = [raw, raw[:12], raw[-12:], raw.hex().encode(), raw.hex().upper().encode()]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            whole = encode(b"\0" * before + raw + b"\0" * 3)
            found.append(whole[(before * 8 + 5) // 6 : (len(raw) + before) * 8 // 6])
    return found


def unescaped(data: bytes) -> bytes:
    """Return bytes with the characters themselves where JSON (however often it was written again) or an address has their numbers."""
    data = re.sub(rb"\\+u00([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), data, flags=re.I)
    data = re.sub(rb"%([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), data, flags=re.I)
    return re.sub(rb"\\+/", b"/", data)


def repeated() -> list[str]:
    """Return the key in all writings in which a server may repeat it inside a JSON text; read as JSON some are the key itself."""
    address, basic = quote(KEY, safe=""), base64.b64encode(f"user:{KEY}".encode()).decode()
    return [
        KEY,
        address,
        address.replace("%2F", "%2f").replace("%2B", "%2b"),
        "".join(f"%{ord(c):02X}" for c in KEY),
        escaped(KEY, lambda c: not c.isalnum()),
        escaped(KEY, lambda _: True),
        escaped(KEY, lambda _: True).upper().replace("\\U", "\\u"),
        escaped(KEY, lambda c: c in "/+=").replace("\\", "\\\\"),
        KEY.replace("/", "\\/"),
        f"Basic {basic}",
        basic.replace("/", "\\/"),
        escaped(basic, lambda c: c in "/+="),
        quote(basic, safe=""),
        base64.urlsafe_b64encode(f"k={KEY}".encode()).decode(),
        base64.b64encode(f"Bearer {KEY}".encode()).decode(),
        KEY.encode().hex(),
        KEY.encode().hex().upper(),
    ]


MARK = "@@key@@"


def with_key(reply: Reply) -> Reply:
    """Return a reply, as bytes, that repeats the key in all writings wherever `MARK` stands."""
    body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body, ensure_ascii=False).encode()
    reply.body = body.replace(MARK.encode(), " and ".join(repeated()).encode())
    return reply


def echoing(protocol: Protocol) -> Callable[[Seen, int], Reply]:
    """Return a provider that repeats every header it got, and the key in all writings, in each kind of answer in turn."""

    def answer(seen: Seen, n: int) -> Reply:
        heard = f"you sent {dict(seen.headers)} with {MARK} and 答案：A"
        replies = [
            protocol.answer(heard),
            protocol.error(500, heard, "server_error"),
            protocol.error(400, heard, "invalid_request_error"),
            Reply(200, f'{{"broken": "{MARK}'.encode()),
            Reply(200, {"surprise": heard}),
            Reply(502, f"<html>{heard}</html>".encode(), {"content-type": "text/html"}),
        ]
        return with_key(replies[n % len(replies)])

    return answer


def texts_of(path: Path) -> bytes:
    """Return a file's bytes, with what is packed inside of it: a zip's members, a Parquet file's values."""
    data = path.read_bytes()
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return data + b"\n".join(archive.read(name) for name in archive.namelist())
    if data.startswith(b"PAR1"):
        from pyarrow import parquet

        return data + repr(parquet.read_table(path).to_pylist()).encode()
    return data


def leaks(folder: Path, *texts: str) -> list[str]:
    """Return where the key stands: files below the folder (names too), and texts."""
    places = {str(path): path.name.encode() + b"\n" + texts_of(path) for path in folder.rglob("*") if path.is_file()}
    places |= {f"text {n}": text.encode() for n, text in enumerate(texts)}
    whole = {place: data + b"\n" + unescaped(data) for place, data in places.items()}
    return [f"{place}: {form!r}" for place, data in whole.items() for form in writings(KEY) if form in data]
