"use strict";
// What a score takes: its column of the leaderboard against money, tokens and time.

const PER = 1000; // costs are of so many answers: of one they would be hard to read

/** What each run's answers took: [key, title, how much for one run or null]. */
function takings(runs) {
  const currencies = [...new Set(runs.map((run) => run.usage.cost && run.usage.price.currency).filter((c) => c !== undefined && c !== null && c !== 0))];
  const each = (use, what) => (use.calls && what ? what / use.calls : null);
  return [
    ...currencies.map((c) => [`cost ${c}`, `Cost of 1,000 answers (${plain(c || "in the unit of --price")})`, ({ usage }) => (usage.cost && usage.price.currency === c ? PER * each(usage, usage.cost) : null)]),
    ["tokens", "Output tokens per answer", ({ usage }) => each(usage, usage.tokens_out)],
    ["seconds", "Seconds per answer", ({ usage }) => each(usage, usage.seconds)],
  ].filter(([, , much]) => runs.filter((run) => much(run) > 0).length > 1);
}

function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = plain(text);
  return node;
}

/** Steps for a logarithmic axis: 1, 2 and 5 times powers of ten, or the powers alone where amounts are far apart. */
function logSteps(amounts) {
  const leading = Math.log10(Math.max(...amounts) / Math.min(...amounts)) < 2.2 ? [1, 2, 5] : [1];
  const out = [];
  for (let e = -9; e <= 9; e++) for (const m of leading) out.push(Number(`${m}e${e}`));
  return out;
}

/** The still chart: `points` as in `Plots.scattered`, amounts on a logarithmic scale. */
function scatterStill(points, xTitle, yTitle) {
  const wide = innerWidth < 640 ? 380 : 680, tall = 320, left = 56, right = 20, top = 12, bottom = 44;
  const ends = (values, share) => { const a = Math.min(...values), b = Math.max(...values), more = (b - a || 1) * share; return [a - more, b + more]; };
  const [x0, x1] = ends(points.map((p) => Math.log10(p.x)), 0.12);
  const [y0, y1] = ends(points.flatMap(({ row }) => [row.low ?? row.mean, row.high ?? row.mean]), 0.06);
  const across = (value) => left + ((Math.log10(value) - x0) / (x1 - x0)) * (wide - left - right);
  const up = (value) => tall - bottom - ((value - y0) / (y1 - y0)) * (tall - top - bottom);
  const out = svg("svg", { viewBox: `0 0 ${wide} ${tall}`, class: "scatter", role: "img", "aria-label": `${yTitle} against ${xTitle}; the numbers stand below` });
  const steps = logSteps(points.map((p) => p.x)).filter((v) => Math.log10(v) > x0 && Math.log10(v) < x1);
  for (const v of steps) out.append(svg("line", { x1: across(v), x2: across(v), y1: top, y2: tall - bottom, class: "grid" }), svg("text", { x: across(v), y: tall - bottom + 16, "text-anchor": "middle" }, String(v)));
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find((s) => (y1 - y0) / s <= 6) || 0.5;
  for (let v = Math.ceil(y0 / step) * step; v <= y1; v += step) out.append(svg("line", { x1: left, x2: wide - right, y1: up(v), y2: up(v), class: "grid" }), svg("text", { x: left - 8, y: up(v) + 4, "text-anchor": "end" }, v.toFixed(2)));
  out.append(svg("text", { x: (left + wide - right) / 2, y: tall - 6, "text-anchor": "middle" }, xTitle), svg("text", { x: -(top + tall - bottom) / 2, y: 13, "text-anchor": "middle", transform: "rotate(-90)" }, yTitle));
  for (const { x, row, mark, apart } of points) {
    if (row.low !== null && row.low !== undefined) out.append(svg("line", { x1: across(x), x2: across(x), y1: up(row.low), y2: up(row.high), class: apart ? "interval apart" : "interval" }));
    out.append(svg("circle", { cx: across(x), cy: up(row.mean), r: 4.5, class: apart ? "dot apart" : "dot" }), svg("text", { x: across(x) + 9, y: up(row.mean) + 4 }, mark));
  }
  return h("div", {}, out);
}

/** The section below the leaderboard; "" where fewer than two runs say what they took. `rows` are the board's. */
function costSection(rows, column, runs, now, index, change) {
  const ways = takings(rows.map((row) => row.run));
  const scored = rows.map((row) => ({ ...row, row: column.rows.get(row.run.id) })).filter(({ row }) => row && row.mean !== null);
  const [key, title, much] = ways.find(([name]) => name === now.against) || ways[0] || [];
  const points = key ? scored.filter(({ run }) => much(run) > 0).map(({ run, row, rank, trained }) => ({
    name: subject(run, runs), mark: rank ? String(rank) : trained ? "†" : "*", x: much(run), row, apart: trained, go: link("run", run.id) })) : [];
  if (points.length < 2) return "";
  const score = `${column.name}, ${column.metric}`;
  const silent = scored.filter(({ run }) => !(much(run) > 0)).map(({ run }) => subject(run, runs));
  const amounts = ways.map(([, name, of]) => [name, of]);
  const notes = ["Figures beside the marks are ranks in the table above, † is facts seen in training, * incomplete. Amounts are over all answers of a run, not of this column alone.",
    key.startsWith("cost") ? "Cost: all tokens at the price per token, without discounts." : "", silent.length ? `Not shown, for nothing is known of them here: ${silent.join(", ")}.` : ""].filter(Boolean);
  return h("section", { class: "cost" }, h("h2", {}, "What a score takes"),
    ways.length > 1 ? h("div", { class: "filters" }, choose("Against", ways.map(([name, text]) => [name, text]), key, (against) => change({ against }))) : null,
    h("figure", {}, h("figcaption", {}, h("b", {}, `${score} against ${title[0].toLowerCase()}${title.slice(1)}`), " ", h("span", {}, "Line: 95% interval."), Plots.hint()),
      Plots.place(scatterStill(points, title, score), index, () => Plots.scattered("What a score takes", points, title, score))),
    h("p", { class: "note" }, notes.join(" ")),
    h("details", {}, h("summary", {}, "As numbers"), table(["Model", score, ...amounts.map(([name]) => name)],
      scored.map(({ run, row }) => [subject(run, runs), number(row.mean), ...amounts.map(([, of]) => (of(run) > 0 ? String(Number(of(run).toPrecision(4))) : "–"))]), "What a score takes, as numbers")));
}
