"""English twins: the same question, options and letters, with standard English terms and the names of formulas in pinyin.

A twin is made wherever every part of an item has a translation in `english.json` or a Latin or pinyin name in the
knowledge base; no part is left in Chinese.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from harness.knowledge.files import facts, formulas, herbs
from tools.make_tasks.diseases import parts
from tools.make_tasks.items import Item

BOOKS = {
    "Internal Medicine": "Internal Medicine of Chinese Medicine",
    "Surgery": "Surgery of Chinese Medicine",
    "Pediatrics": "Pediatrics of Chinese Medicine",
}
HERB_STEMS = {
    "herb-nature": "According to the Chinese Pharmacopoeia (2020), what is the nature of {herb}?",
    "herb-channels": "According to the Chinese Pharmacopoeia (2020), which meridians does {herb} enter?",
    "herb-flavours": "According to the Chinese Pharmacopoeia (2020), what is the flavour of {herb}?",
    "herb-dose": "According to the Chinese Pharmacopoeia (2020), what is the dose of {herb} in a decoction?",
    "herb-toxicity-a": "Which of these medicinals does the Chinese Pharmacopoeia (2020) mark as toxic (slightly toxic, toxic or highly toxic)?",
    "herb-toxicity-b": "For which of these medicinals does the Chinese Pharmacopoeia (2020) mark no toxicity?",
    "herb-pregnancy-a": "Which of these medicinals does the Chinese Pharmacopoeia (2020) forbid in pregnancy (not merely caution)?",
    "herb-pregnancy-b": "For which of these medicinals does the Chinese Pharmacopoeia (2020) advise caution in pregnancy (without forbidding it)?",
}
FORMULA_STEMS = {
    "formula-member": "Which of these medicinals belongs to {formula}?",
    "formula-sovereign": "What is the sovereign medicinal of {formula}?",
    "formula-source": "According to the textbook Formulas of Chinese Medicine, which book is {formula} from?",
}


@cache
def words() -> dict[str, Any]:
    """Return section -> Chinese -> English."""
    found: dict[str, Any] = json.loads(Path(__file__).with_name("english.json").read_text("utf-8"))
    return found


def say(section: str, text: str) -> str:
    """Return the English of a term; raise KeyError where it has none."""
    return str(words()[section][text])


def plain(pinyin: str) -> str:
    """Return pinyin without tone marks, each word capitalised: sìjūnzǐ tāng -> Sijunzi Tang."""
    bare = "".join(c for c in unicodedata.normalize("NFD", pinyin) if not unicodedata.combining(c) or c == "\u0308")
    return " ".join(word.capitalize() for word in unicodedata.normalize("NFC", bare).split())


@cache
def _herbs() -> dict[str, str]:
    return {h.name: f"{plain(h.pinyin)} ({h.latin})" for h in herbs() if h.latin}


@cache
def _formulas() -> dict[str, str]:
    return {**words()["formulas"], **{f.name: plain(f.pinyin) for f in formulas()}}


def twin(item: Item) -> Item | None:
    """Return the item in English, or None where a part of it has no translation."""
    try:
        question, options = _question(item), {k: _option(item, v) for k, v in item["options"].items()}
    except KeyError:
        return None
    if len(set(options.values())) < len(options) or re.search("[\u4e00-\u9fff]", question + "".join(options.values())):
        return None
    english = {
        **item,
        "id": item["id"].replace("sc-", "en-", 1),
        "lang": "en",
        "question": question,
        "options": options,
    }
    english["twin"] = item["id"]
    return english


def _question(item: Item) -> str:
    template, fact = item["template"], item["facts"][0]
    if template in HERB_STEMS:
        return HERB_STEMS[template].format(herb=_herbs()[fact.split(":")[1].split("#")[0]])
    if template in FORMULA_STEMS:
        name = fact.split(":")[1].split("#")[0]
        formula = next(f for f in formulas() if f.name == name)
        source = "" if template == "formula-source" else f" (from {_book(formula.source.work)})"
        return FORMULA_STEMS[template].format(formula=f"{_formulas()[name]}{source}")
    if template == "disease-formula":
        disease, pattern = fact.split(":")[1].split("#")[0].split("/", 1)
        named = ", ".join(say("patterns", p) for p in pattern.split("-"))
        book = BOOKS[item["discipline"]]
        return f"According to the textbook {book}, what is the representative formula for {say('diseases', disease)} with the pattern: {named}?"
    if template in ("fact-object", "fact-term"):
        found = next(f for f in facts() if f.id == fact)
        stems = words()["stems"][f"{found.relation}/{found.kind}"]
        if template == "fact-object":
            return str(stems["object"]).format(term=say("terms", found.term))
        return str(stems["term"]).format(object=say("terms", found.object[0]))
    raise KeyError(template)


def _book(work: str) -> str:
    return say("books", work)


def _option(item: Item, text: str) -> str:
    template = item["template"]
    if template == "herb-nature":
        return say("natures", text)
    if template == "herb-channels":
        return ", ".join(say("channels", c) for c in text.removesuffix("经").split("、"))
    if template == "herb-flavours":
        return ", ".join(say("flavours", c) for c in text.split("、"))
    if template == "herb-dose":
        return text.replace("～", " to ").replace("g", " g")
    if template.startswith("herb-") or template in ("formula-member", "formula-sovereign"):
        return _herbs()[text]
    if template == "formula-source":
        return _book(text.strip("《》"))
    if template == "disease-formula":
        if "，" in text or "送服" in text:
            raise KeyError(text)
        joint = " or " if "或" in text else " combined with "
        if "或" in text and len(parts(text)) > 2:
            raise KeyError(text)
        return joint.join(_formulas()[p] for p in parts(text))
    return say("terms", text)
