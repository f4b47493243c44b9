"use strict";
// One answer in full. Everything in it came from data and models, and becomes text.

const LONG = 20000; // so many characters are shown at once; the rest on request

function prose(text, kind) {
  const box = h("div", { class: `prose ${kind || ""}`, dir: "auto" });
  if (text.length <= LONG) { box.append(visible(text)); return box; }
  let cut = LONG;
  if (/[\ud800-\udbff]/.test(text[cut - 1])) cut--;
  box.append(visible(text.slice(0, cut)));
  const more = h("button", { type: "button", class: "more", onclick: () => { box.replaceChildren(visible(text)); more.remove(); } },
    `Show all ${whole(text.length)} characters`);
  return h("div", {}, box, more);
}

const badge = (name) => h("span", { class: `badge ${KINDS[name] || ""}` }, name);

function why(sample) {
  const last = sample.turns[sample.turns.length - 1];
  const reader = sample.reader ? `The reader ${sample.reader}` : "The reader";
  switch (sample.status) {
    case "failed": return last && last.failure ? "The call failed: there is no answer, and it counts neither right nor wrong." : "Nothing was answered here.";
    case "refused": return `The provider ended the answer with "${last ? last.stop : "refusal"}": it counts 0.`;
    case "truncated": return last && last.closed === false ? "The reasoning never ended, so that no answer was given: it counts 0." : "The token limit cut the answer.";
    case "unparsed": return `${reader} found no answer that it could be sure of: it counts 0.`;
    case "unscored": return "A metric could not be computed for this answer: it is left out.";
    default: if (last && last.logprobs) return `${reader} chose among the options by their log-probabilities; no text was asked for.`;
      return sample.answer === null ? "The whole text without its reasoning is the answer." :
      `${reader} took this from the text after the reasoning.${sample.variant ? ` The options were shown rotated by ${sample.variant}; letters here are those of the data.` : ""}`;
  }
}

/** The options as a table: how likely the model holds each to be what follows. */
function optionsView(logprobs, options) {
  const best = Math.max(...logprobs.map(([total]) => total));
  const weights = logprobs.map(([total]) => Math.exp(total - best)), sum = weights.reduce((a, b) => a + b, 0);
  return table(["Option", "Log-probability (nats)", "Tokens", "Per token", "Share"], logprobs.map(([total, n], k) => [
    [(options && options[k] ? options[k].trim() : "") || `option ${k + 1}`, total === best ? h("span", { class: "tag" }, "highest") : null],
    number(total), whole(n), number(n ? total / n : null), percent(weights[k], sum)]), "Options by log-probability");
}

/** One answer; `asked` is what it answers, given where there are several, `options` what was offered to be scored. */
function turnView(turn, i, many, asked, options) {
  const title = many ? `Answer ${i + 1}` : "Answer as it came";
  if (turn.failure) return h("section", { class: "turn" }, h("h3", {}, title), h("p", { class: "callout" }, `${turn.failure.kind} after ${amount(turn.failure.attempts, "attempt")}: `, turn.failure.message));
  const said = turn.answer === null ? turn.text : turn.answer;
  const [tin, tout, treason] = turn.tokens;
  const meta = [turn.stop !== "stop" ? `ended by ${turn.stop}` : null, tin ? `${whole(tin)} tokens in` : null, tout ? `${whole(tout)} out` : null,
    treason ? `${whole(treason)} of reasoning` : null, turn.seconds ? `${number(turn.seconds, 2)} s` : null, turn.version, turn.origin ? `adopted from ${turn.origin}` : null].filter(Boolean);
  return h("section", { class: "turn" }, asked ? h("section", { class: "message user" }, h("h4", {}, `user, turn ${i + 1}`), asked.parts.map((part) => (part.text ? prose(part.text) : null))) : null,
    h("h3", {}, title),
    turn.reasoning ? h("details", { class: "reasoning" }, h("summary", {}, `Reasoning (${amount(turn.reasoning.length, "character")})`), prose(turn.reasoning)) : null,
    said ? prose(said, "answer") : h("p", { class: "empty" }, turn.logprobs ? "No text: options were scored by log-probability." : "No text."),
    turn.answer !== null ? h("details", {}, h("summary", {}, "Raw text with its tags"), prose(turn.text)) : null,
    turn.logprobs ? optionsView(turn.logprobs, options) : null,
    meta.length ? h("p", { class: "quiet-text" }, meta.join(" · ")) : null);
}

function promptView(sample) {
  if (!sample.prompt) return h("p", { class: "note" }, "The question's data are not here any more, so the prompt cannot be shown.");
  return sample.prompt.map((message) => h("section", { class: `message ${["system", "user", "assistant"].includes(message.role) ? message.role : ""}` }, h("h4", {}, message.role),
    message.parts.map((part) => (part.image && /^data:image\/(png|jpeg|gif|webp);base64,/.test(part.image) ? h("img", { src: part.image, alt: "image of the question" }) : prose(part.text || "")))));
}

function safetyView(sample) {
  const found = sample.unsafe || [];
  const harm = found.filter((one) => one.harm), other = found.filter((one) => !one.harm);
  return [
    harm.length ? h("div", { class: "callout danger", role: "note" }, h("b", {}, "Unsafe prescription"), h("ul", {}, harm.map((one) => h("li", {}, h("b", {}, one.rule.replaceAll("_", " ")), ": ", one.why)))) : null,
    other.length ? h("p", { class: "note" }, `Not in the knowledge base: ${other.map((one) => one.why).join("、")}`) : null];
}

function metricsView(sample) {
  return table(["Metric", "Value", "Status", "Parts"], sample.metrics.map((m) => [m.name, number(m.value), m.status,
    h("span", { class: "aside" }, Object.entries(m.parts).map(([k, v]) => `${k} ${Number.isInteger(v) ? v : number(v)}`).join(", ") || "–")]), "Metrics");
}

/** One judge's verdict: a mark and a reason for each point of the rubric, or why there is none. */
function verdictView(one, several) {
  const title = `${one.judge}${several ? `, answer ${one.turn + 1}` : ""}`;
  if (one.unread) return h("section", { class: "verdict" }, h("h4", {}, title), h("p", { class: "note" }, `No mark: ${one.unread}.`), one.said ? prose(one.said) : null);
  return h("section", { class: "verdict" }, h("h4", {}, title),
    one.criteria.length ? h("ul", {}, one.criteria.map((c) => h("li", {}, h("b", {}, `${c.mark} of 2`), " ", h("bdi", {}, c.criterion), prose(c.reason)))) : null,
    h("p", {}, h("b", {}, `Meaning: ${one.meaning} of 10`)), prose(one.reason));
}

function judgedView(sample) {
  const found = sample.judged || [];
  if (!found.length) return null;
  return h("details", { class: "judged" }, h("summary", {}, `What the judges said (${amount(found.length, "opinion")})`), found.map((one) => verdictView(one, sample.turns.length > 1)));
}

function readView(sample) {
  return h("dl", { class: "read" },
    sample.target ? [h("dt", {}, "Expected"), h("dd", { dir: "auto" }, sample.target.map((t) => prose(t)))] : null,
    h("dt", {}, "Extracted"), h("dd", { dir: "auto" }, sample.answer === null ? (sample.status === "ok" ? "the whole text" : "nothing") : sample.answer),
    h("dt", {}, "Why"), h("dd", {}, why(sample)));
}

/** Everything about one answer. */
function sampleView(sample) {
  const many = sample.turns.length > 1;
  const users = many && sample.prompt ? sample.prompt.filter((message) => message.role === "user").slice(-sample.turns.length) : [];
  return [
    h("p", { class: "labels" }, badge(sample.outcome), sample.status !== "ok" && sample.status !== sample.outcome ? badge(sample.status) : null,
      h("span", { class: "tag" }, sample.task), sample.discipline ? h("span", { class: "tag" }, sample.discipline) : null,
      sample.repeat ? h("span", { class: "tag" }, `repeat ${sample.repeat}`) : null, sample.variant ? h("span", { class: "tag" }, `rotation ${sample.variant}`) : null),
    safetyView(sample), readView(sample),
    sample.turns.length ? sample.turns.map((turn, i) => turnView(turn, i, many, users[i], sample.asked_options)) : h("p", { class: "empty" }, "There is no record of an answer."),
    metricsView(sample), judgedView(sample),
    h("section", {}, h("h3", {}, "Prompt as sent"), promptView(sample))];
}
