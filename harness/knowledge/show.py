"""One entry of the knowledge base as text, for `tcm-eval knowledge show 黄芪`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.errors import unknown
from harness.knowledge import files
from harness.knowledge.entries import Disease, Dose, Entry, Fact, Formula, Source, Syndrome
from harness.knowledge.lexicon import terms
from harness.knowledge.names import Found, disease, formula, herb, ingredients, plain, syndrome

NOTICE = "For research, not medical advice. 仅供研究，不构成医疗建议。"
MOST_FACTS = 30


def text(name: str) -> str:
    """Return all that the base says under a name, by any alias or written form: herb, formula, pattern, disease, facts.

    Raises UsageError with close names when it says nothing.
    """
    blocks = [*_entries(name)]
    about = [fact for fact in files.facts() if plain(fact.term) == plain(name.strip())]
    if about:
        blocks.append("\n".join(_facts(about)))
    if not blocks:
        blocks += _term(name)
    return "\n\n".join([*blocks, NOTICE]) + "\n"


def _entries(name: str) -> Iterator[str]:
    if found := herb(name):
        yield "\n".join(_herb(name, found))
    if named := formula(name):
        yield "\n".join(_formula(named))
    if pattern := syndrome(name):
        yield "\n".join(_syndrome(pattern))
    if illness := disease(name):
        yield "\n".join(_disease(illness))
    if plain(name.strip()) in ingredients():
        yield f"{ingredients()[plain(name.strip())]}：方剂中的其他成分，知识库未立专条"


def _term(name: str) -> Iterator[str]:
    term = terms().get(plain(name.strip()))
    if term is None:
        raise unknown("entry of the knowledge base", name, _entry_names())
    others = [form for form, other in terms().items() if other == term and form != term.name]
    yield "\n".join([f"{term.name}（{term.kind}）", *_line("又作", others[:MOST_FACTS])])


def _entry_names() -> set[str]:
    entries: tuple[Entry, ...] = (*files.herbs(), *files.formulas(), *files.syndromes(), *files.diseases())
    return {name for entry in entries for name in (entry.name, *entry.aliases)}


def _line(label: str, values: Iterable[str] | str | None) -> list[str]:
    value = values if isinstance(values, str) else "、".join(values or ())
    return [f"  {label}：{value}"] if value else []


def _herb(name: str, found: Found) -> Iterator[str]:
    entry = found.herb
    yield f"{entry.name}  {entry.pinyin}  {entry.latin or ''}  {entry.english}".rstrip()
    if found.form != entry.name:
        yield f"  {name.strip()} 即 {found.form}，按 {entry.name} 计"
    yield from _line("繁体", entry.traditional if entry.traditional != entry.name else None)
    yield from _line("别名", entry.aliases)
    yield from _line("炮制品", (f"{made.name}（{made.how}）" for made in entry.processed))
    yield from _line("原药", entry.base)
    yield from _line("分类", entry.category)
    yield f"  性味归经：{'、'.join(entry.flavours)}，{entry.nature}；归{'、'.join(entry.channels)}经"
    yield from _line("功效", entry.actions)
    yield from _line("主治", entry.indications)
    yield from _line("用量", _dose(entry.dose, entry.dose_note))
    yield from _line("煎服", entry.decoction)
    levels = {"none": "", "caution": "；孕妇慎用", "forbidden": "；孕妇禁用"}
    yield f"  毒性：{entry.toxicity}{levels[entry.pregnancy]}"
    yield from _line("注意", entry.precaution)
    yield from _line("药用部位", entry.part)
    for rule in files.incompatibilities():
        sides = ((rule.a, rule.a_forms, rule.b), (rule.b, rule.b_forms, rule.a))
        for own, forms, other in sides:
            if other and (entry.name in own or entry.name in forms):
                yield f"  {rule.kind}：不宜与{'、'.join(other)}同用"
    yield from _source(entry.source, entry.checked_against)


def _dose(dose: Dose | None, note: str | None) -> str:
    figures = f"{dose.low:g}～{dose.high:g}{dose.unit}，{dose.route}" if dose else ""
    return "；".join(part for part in (figures, note) if part)


def _formula(entry: Formula) -> Iterator[str]:
    yield f"{entry.name}  {entry.pinyin}"
    yield from _line("别名", entry.aliases)
    yield from _line("分类", entry.category)
    yield from _line(
        "组成",
        (
            f"{one.processing or ''}{one.herb}{f'{one.dose:g}g' if one.dose else one.original or ''}{f'（{one.role}）' if one.role else ''}"
            for one in entry.composition
        ),
    )
    yield from _line("功用", entry.actions)
    yield from _line("主治", entry.indications)
    yield from _line("症状", entry.symptoms)
    yield from _line("舌脉", (part for part in (entry.tongue, entry.pulse) if part))
    for change in entry.modifications:
        parts = [
            f"加{'、'.join(change.add)}" if change.add else "",
            f"去{'、'.join(change.remove)}" if change.remove else "",
        ]
        yield f"  加减：{''.join(parts)}{f'，名{change.name}' if change.name else ''}{f'，治{change.reason}' if change.reason else ''}"
    yield from _line("配伍禁忌", entry.incompatible)
    yield from _source(entry.source, entry.checked_against)


def _syndrome(entry: Syndrome) -> Iterator[str]:
    yield f"{entry.name}（证，{entry.system}，{entry.discipline}）"
    yield from _line("别名", entry.aliases)
    yield from _line("上级", entry.parent)
    yield from _line("症状", entry.symptoms)
    yield from _line("舌脉", (part for part in (entry.tongue, entry.pulse) if part))
    yield from _line("病机", entry.mechanism)
    yield from _line("治法", entry.principle)
    yield from _line("代表方", entry.formulas)
    yield from _source(entry.source, entry.checked_against)


def _disease(entry: Disease) -> Iterator[str]:
    yield f"{entry.name}（病，{entry.discipline}）"
    yield from _line("别名", entry.aliases)
    yield from _line("定义", entry.definition)
    for pattern in entry.patterns:
        yield f"  {pattern.name}：{pattern.principle}{f'，{pattern.formula}' if pattern.formula else ''}"
    yield from _source(entry.source, entry.checked_against)


def _facts(facts: list[Fact]) -> Iterator[str]:
    yield f"{facts[0].term}（{facts[0].kind}）"
    for fact in facts[:MOST_FACTS]:
        yield f"  {fact.statement}  [{fact.id}，{fact.source.work}·{fact.source.entry}]"
    if len(facts) > MOST_FACTS:
        yield f"  （共 {len(facts)} 条）"


def _source(source: Source, checked: str | None) -> Iterator[str]:
    yield f"  出处：{source.work}（{source.edition}）{source.entry}"
    yield f"  核对：{checked or '未与原文核对'}"
