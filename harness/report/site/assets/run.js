"use strict";
// The page of one run: who was asked what, how it went, what it cost.

const KINDS = { right: "good", "partly right": "part", wrong: "bad", ok: "good", unparsed: "odd", truncated: "cut", refused: "no", failed: "lost", unscored: "lost" };

function facts(title, pairs) {
  const there = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("section", { class: "facts" }, h("h2", {}, title),
    h("dl", {}, there.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function asText(value) {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return value.map(asText).join(", ") || "none";
  if (typeof value !== "object") return String(value);
  return Object.entries(value).map(([k, v]) => `${k.replaceAll("_", " ")}: ${asText(v)}`).join("; ");
}
const estimateCells = (row) => [number(row.mean), row.low === null ? "–" : `${number(row.low)} – ${number(row.high)}`, number(row.chance), number(row.mean_parsed_only), whole(row.n)];

function speed(summary, sessions) {
  const use = summary.usage || {}, wall = use.wall_seconds || 0;
  const asked = sessions.reduce((sum, s) => sum + s.calls, 0);
  return facts("Cost and speed", [
    ["Answers", `${whole(use.calls)}${use.adopted ? `, ${whole(use.adopted)} of them adopted from earlier runs` : ""}`],
    ["Tokens in", use.tokens_in ? whole(use.tokens_in) : "not told by the provider"],
    ["Tokens out", use.tokens_out ? `${whole(use.tokens_out)}${use.calls ? `, ${number(use.tokens_out / use.calls, 1)} an answer` : ""}` : "not told by the provider"],
    ["Cost", typeof use.cost === "number" ? `${Number(use.cost.toPrecision(4))} ${use.price.currency || "in the unit of --price"}, ${Number(((1000 * use.cost) / use.calls).toPrecision(4))} for 1,000 answers (a million tokens: ${use.price.input} in, ${use.price.output} out${use.price.date ? `, as of ${use.price.date}` : ""}; without discounts)`
      : use.price ? "unknown: the provider told no tokens" : "unknown: no price (--price INPUT,OUTPUT)"],
    ["Time of all calls", use.seconds ? `${number(use.seconds, 1)} s` : ""],
    ["Time on the clock", wall ? `${number(wall, 1)} s in ${amount(sessions.length, "session")}` : ""],
    ["Speed", wall && asked ? `${asked / wall < 100 ? number(asked / wall, 1) : whole(asked / wall)} answers a second` : ""],
  ]);
}

function taskTable(manifest, summary) {
  const rows = Object.entries(summary.tasks).flatMap(([task, metrics]) => Object.entries(metrics).map(([metric, row]) =>
    [[h("b", {}, inParts(task)), " ", inParts(metric), metric === manifest.tasks[task].headline ? h("span", { class: "tag" }, "headline") : null], ...estimateCells(row)]));
  return table(["Task and metric", "Mean", "95% interval", "By chance", "Parsed only", "n"], rows, "Results by task");
}

/** Dots by a label of the questions, such as their difficulty; "" where the data have none. */
function byLabels(summary, index) {
  const found = Object.entries(summary.suites || {}).flatMap(([suite, own]) => Object.entries(own.tags || {}).map(([tag, labels]) => [suite, tag, labels]));
  return found.map(([suite, tag, labels]) => {
    const metrics = [...new Set(Object.values(labels).flatMap((m) => Object.keys(m)))];
    const metric = metrics.includes("accuracy") ? "accuracy" : metrics[0];
    const rows = Object.entries(labels).filter(([, m]) => m[metric]).sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })).map(([label, m]) => ({ label: `${tag} ${label}`, row: m[metric] }));
    const title = `${suite}: ${metric} by ${tag}`;
    return h("section", {}, h("h2", {}, `By ${tag}`),
      dots(title, rows, Plots.hint(), (still) => Plots.place(still, index, () => Plots.dotted(title, rows))),
      table([tag, "Mean", "95% interval", "By chance", "Parsed only", "n"], rows.map(({ label, row }) => [label, ...estimateCells(row)]), `${title}, as labelled in the data`));
  });
}

function disciplines(summary, index) {
  const found = Object.entries(summary.disciplines || {});
  const metrics = [...new Set(found.flatMap(([, m]) => Object.keys(m)))];
  if (!metrics.length) return h("p", { class: "note" }, "The data of this run name no discipline.");
  let now = metrics.includes("accuracy") ? "accuracy" : metrics[0];
  const box = h("div", {});
  const chart = (title, shown) => dots(title, shown, Plots.hint(), (still) => Plots.place(still, index, () => Plots.dotted(title, shown)));
  const draw = () => {
    const rows = found.filter(([, m]) => m[now]);
    const over = summary.overall[now] || {};
    const all = [["mean of disciplines", over.macro], ["all questions", over.micro]].filter(([, row]) => row);
    box.replaceChildren(
      chart(`${now} by discipline`, rows.map(([label, m]) => ({ label, row: m[now] }))),
      table(["Discipline", "Mean", "95% interval", "By chance", "Parsed only", "n"],
        [...rows.map(([name, m]) => [name, ...estimateCells(m[now])]), ...all.map(([name, row]) => [name, ...estimateCells(row)])], `${now} by discipline, as numbers`));
  };
  draw();
  return [metrics.length > 1 ? choose("Metric", metrics.map((m) => [m, m]), now, (m) => { now = m; draw(); }) : null, box];
}

/** What became of questions whose options were asked in several orders: a section, or none where none was. */
function turned(summary) {
  const found = Object.entries(summary.position || {}).filter(([, told]) => told.rotations > 1);
  if (!found.length) return [];
  const share = (row) => (row ? `${number(row.mean)} (${number(row.low)} – ${number(row.high)})` : "–");
  const letters = [...new Set(found.flatMap(([, told]) => Object.keys(told.places)))].sort();
  const once = found.reduce((sum, [, told]) => sum + told.asked_once, 0);
  return [h("section", {}, h("h2", {}, "Options in other places"),
    table(["Task", "Rotations", "Same in all", "Right in all", "Position bias", "Bias by chance alone"],
      found.map(([task, told]) => [task, whole(told.rotations), share(told.consistent), share(told.right_in_all), share(told.bias), number(told.bias.noise)]), "Rotations of the options, with 95% intervals"),
    table(["Task", ...letters], found.map(([task, told]) => [task, ...letters.map((at) => (told.places[at] ? share(told.places[at]) : "–"))]), "How much more often a letter was chosen than it should be"),
    h("p", { class: "note" }, `Position bias: the share of answers that would have to move to another letter.${once ? ` ${amount(once, "question")} with an option that speaks of others, asked once, ${once === 1 ? "is" : "are"} not in here.` : ""}`))];
}

function countsTable(manifest, summary, statuses) {
  const rows = Object.entries(summary.tasks).map(([task, metrics]) => {
    const counts = metrics[manifest.tasks[task].headline].counts;
    return [inParts(task), ...statuses.map((s) => whole(counts[s]))];
  });
  return table(["Task", ...statuses], rows, "Answers by status");
}

function questions(manifest) {
  return Object.entries(manifest.tasks).map(([task, info]) => h("details", {}, h("summary", {}, task, h("span", { class: "quiet-text" }, ` ${info.title || ""}`)),
    h("dl", {}, [["Type", info.type], ["Version", `task ${info.version}, suite ${info.suite_version}`], ["Licence", info.licence], ["Questions", whole(info.samples)],
      ["Answers wanted", whole(info.answers)], ["Prompt", info.prompt], ["Sampling", asText(info.sampling)], ["Shots", asText(info.shots)],
      ...Object.entries(info.data).filter(([name]) => name).map(([name, sum]) => [`Data: ${name}`, `sha256 ${sum}`]),
      ...Object.entries(info.metrics).map(([metric, id]) => [`Comparison id: ${metric}`, id])].map(([k, v]) => [h("dt", {}, k), h("dd", { class: "code" }, v)]))));
}

async function runView(main, route) {
  const index = await TCM.keep("index");
  const run = index.runs.find((one) => one.id === route.path[1]);
  if (!run) throw new Error(`There is no run ${route.path[1]} on this site.`);
  const { manifest, summary, sessions } = await TCM.keep(`${run.id}/run`);
  document.title = `${plain(run.name)} · tcm-eval`;
  const tally = index.outcomes.map((name, i) => [name, run.outcomes[i], KINDS[name]]);
  const others = index.runs.filter((one) => one.id !== run.id && Object.keys(one.tasks).some((t) => t in run.tasks));
  main.replaceChildren(
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Leaderboard"), " / run"),
    h("h1", { tabindex: "-1" }, run.name),
    h("p", {}, h("span", { class: "code" }, manifest.run), " ", manifest.created,
      run.complete ? null : h("span", { class: "tag warn" }, "incomplete"),
      run.trained_on.length ? h("span", { class: "tag warn" }, `facts of ${run.trained_on.join(", ")} seen in training`) : null,
      run.not_accepted.length ? h("span", { class: "tag" }, `did not accept ${run.not_accepted.join(", ")}`) : null, ownBudget(run)),
    h("p", { class: "actions" }, h("a", { class: "button", href: link("samples", run.id) }, `Browse ${amount(run.rows, "answer")}`),
      run.unsafe ? h("a", { class: "button danger", href: link("samples", run.id) + "?unsafe=1" }, amount(run.unsafe, "unsafe prescription")) : null,
      others.length ? h("a", { class: "button", href: `#/compare?b=${encodeURIComponent(run.id)}&a=${encodeURIComponent(others[0].id)}` }, "Compare with another run") : null),
    h("section", {}, h("h2", {}, "What became of the answers"), parts("Answers by outcome", tally),
      run.gone ? h("p", { class: "note" }, `Shown without questions: ${run.gone}`) : null),
    h("section", {}, h("h2", {}, "By discipline"), disciplines(summary, index)),
    ...byLabels(summary, index),
    h("section", {}, h("h2", {}, "By task"), taskTable(manifest, summary), countsTable(manifest, summary, index.statuses)),
    ...turned(summary),
    speed(summary, sessions),
    facts("Who answered", [["Name", run.name], ...Object.entries(run.identity).map(([k, v]) => [k.replaceAll("_", " "), asText(v)]), ["Versions told", (summary.model_versions || []).join(", ")]]),
    h("section", {}, h("h2", {}, "What was asked"), questions(manifest)),
    facts("How", [["Selection", asText(manifest.selection)], ["Style", asText(manifest.style)], ["Limits", asText(manifest.limits)],
      ...Object.entries(manifest.environment || {}), ...Object.entries(manifest.absent || {}).map(([t, c]) => [`Not asked: ${t}`, c])]));
}
