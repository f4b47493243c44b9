"""Where the knowledge base contradicts the keys of real exam items: `python benchmarks/contradictions.py [FOLDER]`.

FOLDER (or TCM_EVAL_REAL_DATA) holds mtcmb/TCM-SE-A.jsonl, mtcmb/TCM-ED-A.jsonl and tcm_best4sdt/Basic_knowledge.json. Of the
choice items those are compared whose stem asks for something that the base states: composition, actions, nature, channels,
pregnancy, incompatibility, handling, formula of a pattern. The base answers by itself: an item agrees when it supports the
key and nothing else, contradicts when it supports other options but not the key (or, of complete lists, no option), and is
left open otherwise: mostly actions worded in another way. Each
contradiction is printed, to be mended or explained in docs/knowledge.md.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.knowledge import disease, formula, herb, incompatible, segment
from harness.knowledge.entries import Formula, Herb
from harness.knowledge.names import plain
from harness.metrics.clinical import principle_parts
from harness.text import parse_quantity


@dataclass(frozen=True)
class Question:
    """One item: where it stands, what it asks, its options by letter, and the key."""

    where: str
    stem: str
    options: Mapping[str, str]
    key: str


def questions(folder: Path) -> Iterator[Question]:
    """Yield the choice items of both files; items without a key are left out."""
    for line in (folder / "mtcmb/TCM-ED-A.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Question(f"TCM-ED-A {row['id']}", plain(row["question"]), row["options"], row["answer"])
    for row in json.loads((folder / "tcm_best4sdt/Basic_knowledge.json").read_text(encoding="utf-8")):
        if row.get("answer"):
            yield Question(f"Basic_knowledge {row['id']}", plain(row["question"]), row["option"], row["answer"])


def names(text: str, kind: str) -> list[str]:
    """Return the standard names of the terms of one kind, in order."""
    return list(dict.fromkeys(span.term.name for span in segment(text) if span.term.kind == kind))


def bases(text: str) -> set[str]:
    """Return the herbs of a text, each as the herb it is a form of."""
    found = (herb(span.form) for span in segment(text) if span.term.kind == "herb")
    return {one.base for one in found if one}


def composition(entry: Formula) -> set[str]:
    """Return the herbs of a formula, each as the herb it is a form of."""
    found = {one.herb: herb(one.herb) for one in entry.composition}
    return {one.base if one else name for name, one in found.items()}


def actions(texts: tuple[str, ...]) -> set[str]:
    """Return the single principles that a list of actions holds."""
    return {part for text in texts for part in principle_parts(text)}


# ------------------------------------------------------------------ what the base says of one option

Says = Callable[[str], bool | None]


def asks(question: Question) -> tuple[str, Says] | None:
    """Return what is asked and the function that answers it for an option; None when the base is not asked."""
    stem = question.stem
    formulas = [entry for name in names(stem, "formula") if (entry := formula(name))]
    herbs = [found.herb for span in segment(stem) if span.term.kind == "herb" and (found := herb(span.form))]
    if len(stem) > 45 or re.search(r"除外|除哪|哪项外|哪项除|除.{1,12}外|错误|不正确|不是|不具|不属", stem):
        return None
    if formulas and re.search("组成|含有|均有", stem) and not re.search("不含|意义|比例|用量|治", stem):
        wanted = [composition(entry) for entry in formulas]
        if re.search(r"(?:组成|组成药物|药物组成)(?:是|为)?[()_ ]*\Z", stem) and len(formulas) == 1:
            return "composition", lambda o: bases(o) == wanted[0] if len(bases(o)) > 1 and "去" not in o else None
        return "contains", lambda o: all(bases(o) <= one for one in wanted) if bases(o) else None
    if herbs and not formulas and re.search(r"功效(?:是|为)?[()_ 。]*\Z", stem) and len(stem) < 24:
        return "herb actions", lambda o: all(principle_parts(o) <= actions(one.actions) for one in herbs)
    if herbs and "性味" in stem:
        return "nature", lambda o: _nature(o, herbs[0])
    if herbs and re.search("归.{0,4}经", stem) and len(herbs) == 1:
        return (
            "channels",
            lambda o: set(re.findall("心包|膀胱|大肠|小肠|三焦|[肺心脾胃肝胆肾]", o)) == set(herbs[0].channels),
        )
    if re.search(r"功[效用]的(?:药物|中药|药)(?:是|为)", stem):
        wanted_parts = principle_parts(re.sub(r"(?:既能|又能|具有|下列|药物|中|均|兼有?|，|,)|功[效用].*", "、", stem))
        return "herb with actions", lambda o: _has(wanted_parts, o)
    if formulas and len(formulas) == 1 and re.search(r"功[效用](?:是|为)?[()_ 。]*\Z", stem):
        return "formula actions", lambda o: principle_parts(o) <= actions(formulas[0].actions)
    if re.search("孕妇(?:忌|禁|慎)", stem):
        return "pregnancy", lambda o: any((f := herb(n)) and f.herb.pregnancy != "none" for n in names(o, "herb"))
    if re.search("相反|相畏|反的|畏的|不宜(?:与|同)", stem) and herbs:
        return (
            "incompatible",
            lambda o: bool(incompatible([herbs[0].name, *names(o, "herb")])) if names(o, "herb") else None,
        )
    if herbs and re.search("入煎剂|入汤剂|煎(?:煮|服)时|宜[()_ ]*\\Z", stem):
        return "handling", lambda o: all(_handled(o, one) for one in herbs)
    return _treatment(question)


def _nature(option: str, entry: Herb) -> bool:
    found = set(re.findall("微[寒温苦甘辛酸咸涩]|大[寒热]|[寒凉平温热酸苦甘辛咸淡涩]", option))
    return found == {*entry.flavours, entry.nature}


def _has(wanted: set[str], option: str) -> bool | None:
    found = [herb(name) for name in names(option, "herb")]
    return all(wanted <= actions(one.herb.actions) for one in found if one) if found and wanted else None


def _handled(option: str, entry: Herb) -> bool:
    words = {
        "布包": "包煎",
        "包煎": "包煎",
        "先煎": "先煎",
        "后下": "后下",
        "另": "另煎",
        "烊化": "烊化",
        "冲": "冲服",
        "久煎": "久煎",
    }
    return any(word in option and any(way in one for one in entry.decoction) for word, way in words.items())


def _treatment(question: Question) -> tuple[str, Says] | None:
    """Answer for the formula of a pattern of a disease, where the stem names both and little else."""
    if len(question.stem) > 30 or not re.search("方|宜选|首选|选用|宜用", question.stem):
        return None
    for name in names(question.stem, "disease"):
        entry = disease(name)
        for pattern in entry.patterns if entry else ():
            bare = pattern.name.split("-")[-1].removesuffix("证")
            if bare in question.stem and pattern.formula:
                named = set(names(pattern.formula, "formula"))
                return "formula of a pattern", lambda o, named=named: bool(named & set(names(o, "formula")))
    return None


# ------------------------------------------------------------------ fill-in items of TCM-SE-A


def fill_ins(folder: Path) -> Iterator[tuple[str, str, str, bool | None]]:
    """Yield (where, question and key, what the base says, whether they agree) for the safety facts of the Pharmacopoeia."""
    for line in (folder / "mtcmb/TCM-SE-A.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        stem, key = plain(row["question"]), plain(row["answer"]).strip()
        found = [one for span in segment(stem) if span.term.kind == "herb" and (one := herb(span.form))]
        said, agrees = _fill_in(stem, key, found[0].herb if found else None)
        yield f"TCM-SE-A {row['id']}", f"{row['question']} {row['answer'].strip()}", said, agrees


def _fill_in(stem: str, key: str, entry: Herb | None) -> tuple[str, bool | None]:
    if "十八反" in stem or "不宜与" in stem or "配伍禁忌" in stem:
        first = next((span.form for span in segment(stem) if span.term.kind in ("herb", "ingredient")), "")
        return "十八反", bool(incompatible([first, key]) or incompatible(["川贝母" if first == "贝母" else first, key]))
    if entry is None:
        return "", None
    parts = [parse_quantity(part) for part in re.split(";", key)]
    dose = next((part for part in parts if part and part.unit == "g"), None)
    if dose is not None and entry.dose is not None:
        said = f"{entry.dose.low:g}～{entry.dose.high:g}g"
        low_fits = dose.low == dose.high or dose.low == entry.dose.low
        return said, low_fits and dose.high == entry.dose.high
    if "孕妇使用建议" in stem:
        said = {"none": "无", "caution": "慎用", "forbidden": "禁用"}[entry.pregnancy]
        return said, said == key
    if re.search("毒性分类", stem):
        return entry.toxicity, entry.toxicity in key
    if "孕妇禁用" in stem or key == "孕妇":
        return entry.pregnancy, entry.pregnancy == "forbidden"
    return "", None


def main() -> None:
    """Print every contradiction, then how many items were compared."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TCM_EVAL_REAL_DATA", ""))
    if not (folder / "mtcmb").is_dir():
        sys.exit(
            "usage: python benchmarks/contradictions.py FOLDER (with mtcmb/ and tcm_best4sdt/), or TCM_EVAL_REAL_DATA"
        )
    tally: Counter[str] = Counter()
    for where, item, said, agrees in fill_ins(folder):
        tally["TCM-SE-A " + {True: "agrees", False: "contradicts", None: "not asked of the base"}[agrees]] += 1
        if agrees is False:
            print(f"{where}: {item} | the base says {said}")
    for question in questions(folder):
        asked = asks(question)
        if asked is None:
            continue
        what, says = asked
        supported = "".join(letter for letter, text in question.options.items() if text and says(plain(text)))
        verdict = "agrees" if supported == question.key else "open"
        exact = what in ("composition", "nature", "channels")
        denied = exact and all(says(plain(question.options[letter])) is False for letter in question.key)
        if question.key not in supported and (supported or denied):
            verdict = "contradicts"
            shown = " / ".join(f"{letter} {question.options[letter]}" for letter in question.key + supported)
            print(f"{question.where} [{what}]: {question.stem} key {question.key}, base {supported}: {shown}")
        tally[f"choice {verdict}"] += 1
        tally[f"choice {verdict}: {what}"] += 1
    for name, count in sorted(tally.items()):
        print(f"{count:5} {name}")


if __name__ == "__main__":
    main()
