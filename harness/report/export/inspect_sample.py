"""One sample of a run as inspect_ai's log has it: the conversation, the target, each score with its explanation, usage, error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.extract.reasoning import split
from harness.report.site.samples import Entry, in_full
from harness.types import Choice, Failure, Message, Record, Response, Score

Row = dict[str, Any]
STOPS = {"stop": "stop", "length": "max_tokens", "filter": "content_filter", "refusal": "content_filter"}
REASONS = {
    "unparsed": "invalid_response_format",
    "truncated": "truncated",
    "refused": "refusal",
    "unscored": "scoring_failed",
}
SAID = {
    "unparsed": "no answer could be read",
    "truncated": "the token limit cut the answer off",
    "refused": "the model refused",
    "unscored": "the metric could not be computed",
}
JUDGED = ("judge_rubric", "judge_semantic", "ladder_score")
"""The metrics that judges' marks may stand in; a sample without judges has no opinions to show."""

SHORT = 1000
"""So many characters of a text stand in a sample's summary."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What all samples of a log share: task, the model's name, the run, and how many rotations of the options were asked."""

    task: str
    model: str
    run: str
    variants: int


def sample_of(entry: Entry, asked: Asked) -> Row:
    """Return a sample. Options, target and answer are in the letters of the data; the messages show what was sent.

    An epoch is a repeat or a rotation of the options. A failed call is an error, and has no scores.
    """
    full, head = in_full(entry), entry.headline
    last = entry.records[-1].outcome if entry.records else None
    messages = _messages(entry, asked.model)
    sample: Row = {
        "id": head.sample,
        "epoch": 1 + head.repeat * asked.variants + head.variant,
        "input": _input(entry, messages),
        **_key(entry, full),
        "messages": messages,
        "output": _output(last, messages, asked.model),
        "scores": {s.metric: _score(s, full) for s in entry.scores if s.status != "failed"},
        "metadata": _metadata(entry, full),
        "store": {},
        "events": [],
        "attachments": {},
        "model_usage": _usage(entry.records, asked.model),
        "total_time": sum(r.outcome.seconds for r in entry.records if isinstance(r.outcome, Response)),
        "uuid": f"{asked.run}/{asked.task}/{head.sample}/{head.repeat}/{head.variant}",
    }
    if head.status == "failed":
        said = "no answer was recorded"
        if isinstance(last, Failure):
            said = f"{last.kind}: {last.message} (tried {last.attempts} times)"
        sample["error"] = {"message": said, "traceback": said, "traceback_ansi": said}
    return sample


def _input(entry: Entry, messages: Sequence[Row]) -> str | list[Row]:
    """Return the question as the data has it, or what was sent where it is a dialogue or there is none."""
    if entry.job is not None and entry.job.sample.question and not entry.job.sample.fields.get("turns"):
        return entry.job.sample.question
    return [message for message in messages if message.get("source") != "generate"]


def _key(entry: Entry, full: Mapping[str, Any]) -> Row:
    """Return the options and what is right; without the data, there are none."""
    if entry.job is None:
        return {"target": ""}
    sample = entry.job.sample
    target = full["target"][0] if isinstance(sample.target, Choice) else full["target"]
    plain = list(sample.options) == [chr(ord("A") + i) for i in range(len(sample.options))]
    return {"target": target} | ({"choices": list(sample.options.values())} if sample.options and plain else {})


def _messages(entry: Entry, model: str) -> list[Row]:
    """Return the whole conversation: what was sent at the last step, and what came back."""
    place = f"{entry.headline.sample}/{entry.headline.repeat}/{entry.headline.variant}"
    sent: Sequence[Message] = ()
    if entry.job is not None:
        before = [r.outcome for r in entry.records[:-1] if isinstance(r.outcome, Response)]
        request = entry.job.next(before)
        sent = request.messages if request else ()
    rows = [{"id": f"{place}/{i}", "role": m.role, "content": _content(m)} for i, m in enumerate(sent)]
    for record in entry.records[-1:] if sent else entry.records:
        if isinstance(record.outcome, Response):
            said = {"role": "assistant", "source": "generate", "model": record.outcome.model_version or model}
            rows.append({"id": f"{place}/{len(rows)}", "content": _said(record.outcome), **said})
    return rows


def _content(message: Message) -> str | list[Row]:
    if isinstance(message.content, str):
        return message.content
    return [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image", "image": f"data:{part.media_type};base64,{part.data}"}
        for part in message.content
    ]


def _said(response: Response) -> str | list[Row]:
    """Return an answer, with its reasoning set apart where it has any."""
    parts = split(response.text, response.reasoning)
    if not parts.reasoning:
        return response.text
    return [{"type": "reasoning", "reasoning": parts.reasoning}, {"type": "text", "text": parts.answer}]


def _output(last: Response | Failure | None, messages: Sequence[Row], model: str) -> Row:
    if not isinstance(last, Response):
        return {"model": model, "choices": [], "completion": ""}
    choice: Row = {"message": messages[-1], "stop_reason": STOPS[last.stop]}
    output: Row = {
        "model": last.model_version or model,
        "choices": [choice],
        "completion": split(last.text, last.reasoning).answer,
        "time": last.seconds,
    }
    if tokens := _tokens([last]):
        output["usage"] = tokens
    if last.logprobs is not None:
        output["metadata"] = {"option_logprobs": [[one.total, one.tokens] for one in last.logprobs]}
    return output


def _usage(records: Sequence[Record], model: str) -> Row:
    tokens = _tokens([record.outcome for record in records if isinstance(record.outcome, Response)])
    return {model: tokens} if tokens else {}


def _tokens(said: Sequence[Response]) -> Row:
    """Return summed token counts, cached ones apart as inspect_ai counts them; empty where the provider told none."""
    read, wrote = sum(r.tokens_in for r in said), sum(r.tokens_out for r in said)
    cached, thought = sum(r.tokens_cached for r in said), sum(r.tokens_reasoning for r in said)
    if not read and not wrote:
        return {}
    tokens = {"input_tokens": max(0, read - cached), "output_tokens": wrote, "total_tokens": read + wrote}
    if cached:
        tokens["input_tokens_cache_read"] = cached
    return tokens | ({"reasoning_tokens": thought} if thought else {})


def _score(score: Score, full: Mapping[str, Any]) -> Row:
    """Return a score; `NaN` is inspect_ai's mark of one that counts in no mean."""
    told: Row = {
        "value": float("nan") if score.value is None else score.value,
        "answer": score.answer,
        "explanation": _explained(score, full),
        "metadata": {"status": score.status, "parts": dict(score.parts)},
    }
    if score.metric in JUDGED and full.get("judged"):
        told["metadata"]["judges"] = full["judged"]
    return told | ({"reason": REASONS[score.status]} if score.status in REASONS else {})


def _explained(score: Score, full: Mapping[str, Any]) -> str:
    """Return what was read by which reader, why it counts what it counts, and what a safety rule found."""
    if score.status in SAID:
        lines = [f"{SAID[score.status]}: it counts {'in no mean' if score.value is None else f'{score.value:g}'}"]
    else:
        lines = ["the whole answer was judged" if score.answer is None else f"read: {score.answer}"]
    if "reader" in full:
        lines.append(f"reader: {full['reader']}")
    lines += [f"{name}: {value:g}" for name, value in score.parts.items()]
    if score.metric in JUDGED:
        lines += [line for one in full.get("judged", ()) for line in _opinion(one)]
    rule = score.metric.removeprefix("safety_")
    lines += [found["why"] for found in full.get("unsafe", ()) if found["rule"] == rule and rule != score.metric]
    return "\n".join(lines)


def _opinion(one: Mapping[str, Any]) -> list[str]:
    """Return what one judge said of an answer, a line a point of the rubric."""
    if "unread" in one:
        return [f"{one['judge']}: no mark: {one['unread']}"]
    points = [f"{one['judge']}: {c['mark']} of 2: {c['criterion']}: {c['reason']}" for c in one["criteria"]]
    return [*points, f"{one['judge']}: meaning {one['meaning']} of 10: {one['reason']}"]


def _metadata(entry: Entry, full: Mapping[str, Any]) -> Row:
    head = entry.headline
    told = {
        "discipline": head.discipline,
        "group": head.group,
        "split": head.split,
        "repeat": head.repeat,
        "rotation": head.variant,
        "outcome": full["outcome"],
        "unsafe": [found["why"] for found in full.get("unsafe", ()) if found["harm"]] or None,
        **{f"tag_{name}": value for name, value in head.tags.items()},
    }
    return {name: value for name, value in told.items() if value is not None}


def summary_of(sample: Mapping[str, Any]) -> Row:
    """Return what a list of samples shows of one: texts shortened, no conversation."""
    names = ("id", "epoch", "choices", "target", "metadata", "model_usage", "total_time", "uuid")
    brief = {name: sample[name] for name in names if name in sample}
    shown = {
        "input": _brief_input(sample["input"]),
        "scores": {
            name: {**score, "answer": _brief(score["answer"]), "explanation": _brief(score["explanation"])}
            for name, score in sample["scores"].items()
        },
        "completed": True,
        "message_count": len(sample["messages"]),
    }
    return brief | shown | ({"error": sample["error"]["message"]} if "error" in sample else {})


def _brief_input(asked: str | Sequence[Row]) -> Any:
    if isinstance(asked, str):
        return _brief(asked)
    return [{**message, "content": _brief(message["content"])} for message in asked]


def _brief(content: Any) -> Any:
    if isinstance(content, str):
        return content if len(content) <= SHORT else content[: SHORT - 1] + "…"
    if isinstance(content, list):
        return [{"type": "text", "text": _brief(p.get("text", f"({p['type'].capitalize()})"))} for p in content]
    return content
