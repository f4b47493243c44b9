"use strict";
// The leaderboard. A column is (task, metric, comparison id): numbers that may not be compared never share one.

const subject = (run, runs) => (runs.filter((other) => other.name === run.name).length > 1
  ? `${run.name} · ${run.id.slice(-4)}` : run.name);
const ownTokens = (run) => Number(run.identity.own_max_tokens || 0); // what the model's own entry allows for an answer, else 0
const ownBudget = (run) => (ownTokens(run) ? h("span", { class: "tag" }, `own budget: ${whole(ownTokens(run))} tokens an answer`) : null);
const suiteOf = (task) => task.split("/")[0];
const taskOf = (task) => task.slice(suiteOf(task).length + 1);
const link = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");

function columnsByTask(index, runs, now) {
  const found = new Map();
  for (const run of runs) {
    for (const [task, metrics] of Object.entries(run.tasks)) {
      const metric = now.metric === "headline" ? run.headlines[task] : now.metric;
      if (suiteOf(task) !== now.suite || !metrics[metric] || (now.type && run.types[task] !== now.type)) continue;
      const id = metrics[metric].comparison_id;
      const column = found.get(`${task} ${metric} ${id}`) || { key: `${task} ${metric} ${id}`, name: taskOf(task), metric, id, group: `${task} ${metric}`, rows: new Map() };
      column.rows.set(run.id, metrics[metric]);
      found.set(column.key, column);
    }
  }
  return [...found.values()].sort((a, b) => (a.group < b.group ? -1 : a.group > b.group ? 1 : b.rows.size - a.rows.size));
}

function columnsByDiscipline(index, runs, now) {
  const found = new Map();
  const names = now.discipline ? [now.discipline] : ["micro", "macro", ...index.disciplines];
  const metric = now.metric === "headline" ? "accuracy" : now.metric;
  for (const name of names) {
    for (const run of runs) {
      const suite = run.suites[now.suite];
      if (!suite) continue;
      const over = name === "macro" || name === "micro" ? (suite.overall[metric] || {})[name] : (suite.disciplines[name] || {})[metric];
      if (!over) continue;
      const key = `${name} ${metric} ${over.comparison_id}`;
      const shown = { macro: "mean of disciplines", micro: "all questions" }[name] || name;
      const column = found.get(key) || { key, name: shown, metric, id: over.comparison_id, group: `${name} ${metric}`, rows: new Map() };
      column.rows.set(run.id, over);
      found.set(key, column);
    }
  }
  return [...found.values()];
}

/** Give columns of one task that was asked in several ways a letter each; return what the ways are. */
function lettered(columns) {
  const notes = [];
  for (const column of columns) {
    const ways = columns.filter((other) => other.group === column.group);
    if (ways.length < 2) continue;
    column.letter = String.fromCharCode(97 + ways.indexOf(column));
    const shared = ways.map((w) => new Set(w.id.split("|"))).reduce((a, b) => new Set([...a].filter((x) => b.has(x))));
    const own = column.id.split("|").filter((part) => !shared.has(part)).join(", ");
    notes.push(`${column.name} ${column.metric} (${column.letter}) was asked ${own ? `in a way of its own: ${own}` : "as the task stands"}`);
  }
  return notes;
}

const incomplete = (row) => row && row.counts && (row.counts.failed || row.counts.unscored);

function boardRows(runs, columns, now, index) {
  const lower = (column) => index.lower_is_better.includes(column.metric);
  const rows = runs.map((run) => {
    const cells = columns.map((column) => column.rows.get(run.id));
    const trained = run.trained_on.includes(now.suite);
    const whole = cells.every((cell) => cell && cell.mean !== null && !incomplete(cell));
    const values = cells.filter((cell) => cell && cell.mean !== null).map((cell) => cell.mean);
    return { run, cells, trained, whole, mean: values.length ? values.reduce((a, b) => a + b, 0) / values.length : null };
  }).filter((row) => row.cells.some(Boolean));
  const at = columns.findIndex((column) => column.key === now.sort);
  const value = (row) => (now.sort === "name" ? subject(row.run, runs) : at >= 0 ? row.cells[at] && row.cells[at].mean : row.mean);
  const best = at >= 0 && lower(columns[at]) ? 1 : -1;
  const way = now.sort === "name" ? 1 : best;
  const down = now.up === "1" ? -way : way;
  rows.sort((a, b) => {
    const x = value(a), y = value(b);
    if (x === null || x === undefined) return 1;
    if (y === null || y === undefined) return -1;
    return (x < y ? -1 : x > y ? 1 : 0) * down || (a.run.name < b.run.name ? -1 : 1);
  });
  const numeric = rows.filter((row) => !row.trained && row.whole && now.sort !== "name");
  const ranked = [...numeric].sort((a, b) => (value(a) - value(b)) * best);
  ranked.forEach((row, i) => { row.rank = i && value(ranked[i - 1]) === value(row) ? ranked[i - 1].rank : i + 1; });
  return rows;
}

function boardCell(cell, column) {
  if (!cell || cell.mean === null) return h("td", { class: "num" }, "–");
  const interval = cell.low === null || cell.high === null ? "" : `${number(cell.low)} – ${number(cell.high)}`;
  return h("td", { class: "num", title: `${column.id}\nn ${cell.n}` },
    h("span", { class: "value" }, number(cell.mean) + (incomplete(cell) ? " *" : "")),
    h("span", { class: "range" }, interval), track(cell, cell.chance));
}

function boardTable(rows, columns, runs, now, change) {
  const head = (key, name, detail) => {
    const on = now.sort === key;
    const state = on ? (now.up === "1" ? "ascending" : "descending") : "none";
    return h("th", { scope: "col", "aria-sort": state, class: key === "name" ? null : "num" },
      h("button", { type: "button", class: "sort", onclick: () => change({ sort: key, up: on && now.up !== "1" ? "1" : "" }) },
        name, h("span", { class: "arrow", "aria-hidden": "true" }, on ? (now.up === "1" ? " ▴" : " ▾") : ""), detail ? h("small", {}, detail) : null));
  };
  const several = columns.length > 1 && now.view !== "discipline"; // disciplines have a mean of their own, in a column
  const line = (row) => h("tr", { class: row.trained ? "apart" : null },
    h("td", { class: "rank" }, row.rank ? String(row.rank) : "–"),
    h("th", { scope: "row" }, h("a", { href: link("run", row.run.id) }, subject(row.run, runs)),
      row.trained ? h("span", { class: "tag warn" }, "facts seen in training") : null,
      row.run.not_accepted.length ? h("span", { class: "tag" }, `did not accept ${row.run.not_accepted.join(", ")}`) : null, ownBudget(row.run)),
    several ? h("td", { class: "num" }, h("span", { class: "value" }, row.whole ? number(row.mean) : "–")) : null,
    row.cells.map((cell, i) => boardCell(cell, columns[i])));
  const open = rows.filter((row) => !row.trained), trained = rows.filter((row) => row.trained);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Leaderboard" },
    h("table", { class: "board" },
      h("caption", {}, `${now.suite}: ${amount(rows.length, "run")}, measured here`),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "#"), head("name", "Model"),
        several ? head("mean", "Mean of columns", "each counts once") : null,
        columns.map((c) => head(c.key, c.name + (c.letter ? ` (${c.letter})` : ""), c.metric)))),
      h("tbody", {}, open.map(line)),
      trained.length ? h("tbody", { class: "apart" }, h("tr", {}, h("th", { colspan: columns.length + 3, scope: "rowgroup", class: "band" },
        "Facts seen in training: shown, not ranked")), trained.map(line)) : null));
}

function publishedTables(index, suite) {
  const mine = index.published.filter((row) => row.suite === suite);
  const groups = Map.groupBy ? Map.groupBy(mine, (r) => `${r.metric} ${r.source}`) : mine.reduce((m, r) => {
    const key = `${r.metric} ${r.source}`;
    return m.set(key, [...(m.get(key) || []), r]);
  }, new Map());
  return [...groups.values()].map((rows) => {
    const columns = [...new Set(rows.flatMap((r) => Object.keys(r.values)))];
    const level = (r) => ("mean" in r.values ? r.values.mean : -1);
    const body = [...rows].sort((a, b) => level(b) - level(a)).map((r) => [
      [r.model, r.trained_on ? h("span", { class: "tag warn" }, "facts seen in training") : null],
      ...columns.map((c) => (c in r.values ? number(r.values[c]) + (r.how[c] === "published" ? "" : " ~") : "–"))]);
    const read = rows.some((r) => Object.values(r.how).some((how) => how !== "published"));
    const notes = rows.filter((r) => r.note).map((r) => `${r.model}: ${r.note}.`);
    return h("section", { class: "published" },
      table(["Model", ...columns], body, `Published by others, not measured here: ${rows[0].metric}`),
      h("p", { class: "note" }, `Source: ${rows[0].source}${read ? " ~ read off a figure." : ""} `, notes.join(" ")));
  });
}

function boardChart(title, rows, index) {
  return dots(title, rows, [" Sort by another column to see that one.", Plots.hint()], (still) => Plots.place(still, index, () => Plots.dotted(title, rows)));
}

async function boardView(main, route) {
  const index = await TCM.keep("index");
  document.title = "Leaderboard · tcm-eval";
  const suites = [...new Set([...index.runs.flatMap((run) => Object.keys(run.tasks).map(suiteOf)), ...index.published.map((r) => r.suite)])];
  const now = { suite: suites[0], view: "task", type: "", metric: "headline", discipline: "", sort: "mean", up: "", asked: "0", ...route.params };
  if (!suites.includes(now.suite)) now.suite = suites[0];
  const change = (what) => Router.replace({ ...route.params, ...what });
  const groups = index.alike[now.suite] || []; // runs that were asked alike: only these share a board
  const group = groups[now.asked] ? now.asked : "0";
  const runs = index.runs.filter((run) => groups.length && groups[group].runs.includes(run.id));
  const mine = runs.flatMap((run) => Object.keys(run.tasks).filter((t) => suiteOf(t) === now.suite).map((t) => [run, t]));
  const types = [...new Set(mine.map(([run, t]) => run.types[t]))].sort();
  const metrics = [...new Set(mine.flatMap(([run, t]) => Object.keys(run.tasks[t])))].sort();
  const columns = now.view === "discipline" ? columnsByDiscipline(index, runs, now) : columnsByTask(index, runs, now);
  const notes = lettered(columns);
  const apart = groups.filter((g, i) => String(i) !== group).flatMap((g) => g.runs).length;
  if (apart) notes.push(`${amount(apart, "run")} of this suite ${apart > 1 ? "were" : "was"} asked in another way and ranked apart: see Asked, above.`);
  if (!columns.some((c) => c.key === now.sort) && now.sort !== "name") now.sort = columns.length && (columns.length === 1 || now.view === "discipline") ? columns[0].key : "mean";
  const rows = boardRows(runs, columns, now, index);
  if (rows.some((row) => row.cells.some(incomplete))) notes.push("* incomplete: some calls failed or some answers could not be scored. Such runs get no rank.");
  if (rows.length) notes.push("Unparsed, truncated and refused answers count 0; failed calls are left out. Hover a cell for its comparison id. Whether two runs differ: open Compare.");
  const at = columns.find((c) => c.key === now.sort) || columns[0];
  main.replaceChildren(
    h("h1", { tabindex: "-1" }, "Leaderboard"),
    h("form", { class: "filters", onsubmit: (e) => e.preventDefault() },
      choose("Suite", suites.map((s) => [s, s]), now.suite, (suite) => Router.replace({ suite })),
      groups.length > 1 ? choose("Asked", groups.map((g, i) => [String(i), `${g.way || "as the tasks stand"} (${amount(g.runs.length, "run")})`]), group, (asked) => Router.replace({ suite: now.suite, asked })) : null,
      choose("Columns", [["task", "by task"], ["discipline", "by discipline"]], now.view, (view) => change({ view, sort: "", discipline: "", type: "" })),
      now.view === "task"
        ? choose("Question type", [["", "all types"], ...types.map((t) => [t, t.replaceAll("_", " ")])], now.type, (type) => change({ type, sort: "" }))
        : choose("Discipline", [["", "all disciplines"], ...index.disciplines.map((d) => [d, d])], now.discipline, (discipline) => change({ discipline, sort: "" })),
      choose("Metric", [["headline", "each task's own"], ...metrics.map((m) => [m, m])], now.metric, (metric) => change({ metric, sort: "" }))),
    rows.length ? boardTable(rows, columns, runs, now, change) : h("p", { class: "empty" }, runs.length ? "No number fits these filters." : "No run of this suite was measured here."),
    at && rows.length > 1 ? boardChart(`${at.name}, ${at.metric}`, rows.filter((r) => at.rows.get(r.run.id)).map((r) => ({ label: subject(r.run, runs), row: at.rows.get(r.run.id), apart: r.trained, go: link("run", r.run.id) })), index) : "",
    h("ul", { class: "notes" }, notes.map((n) => h("li", {}, n)), index.left.map((one) => h("li", {}, `Left out: ${one.run}: ${one.reason}`))),
    at && rows.length > 1 ? costSection(rows, at, runs, now, index, change) : "",
    ...publishedTables(index, now.suite));
}
