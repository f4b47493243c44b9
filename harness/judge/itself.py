"""Is a judge the very model that it judges, or of its family?"""

from __future__ import annotations

import re
from collections.abc import Mapping

_FAMILY = re.compile(r"[a-z]{3,}")


def is_same(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Tell whether two identities are one model: the same weights, or the same name where weights cannot tell.

    Of a name only the part after the last slash counts: the same model behind another provider is still the same.
    """
    if "weights" in first and "weights" in second and first.get("provider") == second.get("provider"):
        return first["weights"] == second["weights"]
    return _name(first) == _name(second)


def shared_family(first: Mapping[str, str], second: Mapping[str, str]) -> str | None:
    """Return the word that both models' names begin with (`qwen`, `gpt`), None where they differ. A name is a weak sign."""
    words = [found[0] if (found := _FAMILY.match(_name(one))) else None for one in (first, second)]
    return words[0] if words[0] == words[1] else None


def _name(identity: Mapping[str, str]) -> str:
    return str(identity.get("model", "")).rstrip("/").rpartition("/")[2].lower()
