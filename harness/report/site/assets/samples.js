"use strict";
// The browser of a run's answers: a list that fits 100,000 rows, filters, and one answer beside it.

const ROW = 64; // pixels

function rowView(columns, i, index, tasks, more) {
  const outcome = index.outcomes[columns.outcome[i]];
  const discipline = index.disciplines[columns.discipline[i]];
  return [h("span", { class: `stripe ${KINDS[outcome]}` }),
    h("span", { class: "row-text" },
      h("span", { class: "row-about", dir: "auto" }, columns.about[i] || columns.sample[i]),
      h("span", { class: "row-meta" }, `${columns.sample[i]}${columns.repeat[i] ? ` repeat ${columns.repeat[i]}` : ""}${columns.variant[i] ? ` rotation ${columns.variant[i]}` : ""}`,
        tasks.length > 1 ? ` · ${taskOf(tasks[columns.task[i]])}` : "", discipline ? ` · ${discipline}` : "",
        columns.answer[i] ? [" · ", h("bdi", {}, columns.answer[i])] : "")),
    h("span", { class: "row-end" }, columns.unsafe[i] ? h("span", { class: "badge danger" }, "unsafe") : null, more || badge(outcome))];
}

function rowTest(columns, now, index, tasks) {
  const outcome = now.outcome ? index.outcomes.indexOf(now.outcome) : -1;
  const discipline = now.discipline === "none" ? -1 : now.discipline ? index.disciplines.indexOf(now.discipline) : null;
  const task = now.task ? tasks.indexOf(now.task) : -1;
  const words = (now.q || "").toLowerCase().split(/\s+/).filter(Boolean);
  return (i) => (outcome < 0 || columns.outcome[i] === outcome)
    && (discipline === null || columns.discipline[i] === discipline)
    && (task < 0 || columns.task[i] === task)
    && (now.unsafe !== "1" || columns.unsafe[i] > 0)
    && words.every((w) => `${columns.sample[i]} ${columns.about[i]} ${columns.answer[i]}`.toLowerCase().includes(w));
}

/** The rows whose whole texts hold `wanted`; `found` is told of each shard's rows, and says whether to go on. */
async function searchTexts(run, wanted, found) {
  const { starts } = await TCM.keep(`${run}/run`);
  const needle = JSON.stringify(wanted.toLowerCase()).slice(1, -1);
  const raw = needle.replaceAll("<", "\\u003c").replaceAll(">", "\\u003e").replaceAll("&", "\\u0026");
  for (let s = 0; s < starts.length; s++) {
    const json = await TCM.raw(`${run}/texts-${s}`);
    const rows = [];
    if (json.toLowerCase().includes(raw)) {
      JSON.parse(json).forEach((sample, i) => { if (JSON.stringify(sample).toLowerCase().includes(needle)) rows.push(starts[s] + i); });
    }
    if (!found(rows, s + 1, starts.length)) return;
  }
}

async function samplesView(main, route) {
  const index = await TCM.keep("index");
  const run = index.runs.find((one) => one.id === route.path[1]);
  if (!run) throw new Error(`There is no run ${route.path[1]} on this site.`);
  const { manifest } = await TCM.keep(`${run.id}/run`);
  const tasks = Object.keys(manifest.tasks);
  document.title = `Answers of ${plain(run.name)} · tcm-eval`;
  let now = route.params, hits = [], seen = 0, asked = "", deep = null, round = 0;

  const count = h("p", { class: "count", role: "status" });
  const detail = h("article", { class: "detail", tabindex: "-1", "aria-label": "One answer" });
  const search = h("input", { type: "search", value: now.q || "", placeholder: "question, answer or id", "aria-label": "Search", oninput: () => change({ q: search.value }) });
  const whole_ = h("button", { type: "button", class: "quiet", onclick: () => wholeTexts() }, "Search whole texts");
  const change = (what) => Router.replace({ ...now, ...what });
  const open = (at) => Router.go({ ...now, open: String(hits[at]) });
  const list = virtualList("Answers", ROW, (at) => rowView(shelf.rows.columns, hits[at], index, tasks), open);
  const shelf = TCM.list(run.id, () => refresh());
  const disciplines = [["", "all disciplines"], ...index.disciplines.map((d) => [d, d]), ["none", "none named"]];
  const filters = h("form", { class: "filters", role: "search", onsubmit: (e) => { e.preventDefault(); list.box.focus(); } },
    h("label", { class: "field grow" }, h("span", {}, "Search"), search), whole_);
  const selects = h("div", { class: "filters" });

  function drawSelects() {
    selects.replaceChildren(
      choose("Outcome", [["", "all outcomes"], ...index.outcomes.map((o, i) => [o, `${o} (${whole(run.outcomes[i])})`])], now.outcome || "", (outcome) => change({ outcome })),
      choose("Discipline", disciplines, now.discipline || "", (discipline) => change({ discipline })),
      tasks.length > 1 ? choose("Task", [["", "all tasks"], ...tasks.map((t) => [t, t])], now.task || "", (task) => change({ task })) : "",
      h("label", { class: "check" }, h("input", { type: "checkbox", checked: now.unsafe === "1", onchange: (e) => change({ unsafe: e.target.checked ? "1" : "" }) }), `unsafe only (${whole(run.unsafe)})`));
  }

  function refresh() {
    const rows = shelf.rows;
    const key = JSON.stringify([now.q, now.outcome, now.discipline, now.task, now.unsafe, deep && round]);
    const fresh = key !== asked;
    if (fresh) { asked = key; hits = []; seen = 0; }
    if (!rows.columns.sample) { count.textContent = rows.error ? rows.error.message : rows.done ? "No answers." : "Loading …"; return; }
    const passes = rowTest(rows.columns, deep ? { ...now, q: "" } : now, index, tasks);
    if (deep) hits = [...deep.rows].filter((i) => i < rows.length && passes(i));
    else for (; seen < rows.length; seen++) if (passes(seen)) hits.push(seen);
    list.set(hits.length, fresh);
    const rest = rows.error ? ` ${rows.error.message}` : rows.done ? "" : `, ${whole(rows.length)} of ${whole(run.rows)} loaded`;
    count.replaceChildren(h("b", {}, whole(hits.length)), ` of ${whole(run.rows)} answers${rest}`, deep ? deep.note : "");
    if (now.open !== undefined) list.choose(hits.indexOf(Number(now.open)), fresh);
  }

  async function wholeTexts() {
    const wanted = (now.q || "").trim();
    if (!wanted) { search.focus(); return; }
    const mine = ++round;
    deep = { rows: [], note: "" };
    try {
      await searchTexts(run.id, wanted, (rows, done, all) => {
        if (mine !== round || !main.contains(list.box)) return false;
        deep.rows.push(...rows);
        deep.note = done < all ? `, whole texts ${Math.round((100 * done) / all)}% searched` : ", whole texts searched";
        refresh();
        return true;
      });
    } catch (error) { count.textContent = error.message; }
  }

  async function showDetail() {
    const row = now.open === undefined ? -1 : Number(now.open);
    main.classList.toggle("has-detail", row >= 0);
    if (row < 0) { detail.replaceChildren(h("p", { class: "empty" }, "Choose an answer. Arrow keys move, Enter opens, / searches.")); return; }
    if (!Number.isInteger(row) || row >= run.rows) { detail.replaceChildren(h("p", { class: "error" }, "There is no such answer.")); return; }
    try {
      const sample = await TCM.sample(run.id, row);
      if (String(row) !== now.open) return;
      const step = (by) => () => { const at = hits.indexOf(row) + by; if (at >= 0 && at < hits.length) Router.go({ ...now, open: String(hits[at]) }); };
      detail.replaceChildren(h("p", { class: "actions" }, h("button", { type: "button", class: "quiet only-narrow", onclick: () => Router.go({ ...now, open: undefined }) }, "← List"),
        h("button", { type: "button", class: "quiet", onclick: step(-1) }, "Previous"), h("button", { type: "button", class: "quiet", onclick: step(1) }, "Next")),
      h("h2", {}, sample.sample), add(document.createDocumentFragment(), sampleView(sample)));
      detail.scrollTop = 0;
    } catch (error) { detail.replaceChildren(h("p", { class: "error" }, error.message)); }
  }

  main.classList.add("wide");
  main.replaceChildren(
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Leaderboard"), " / ", h("a", { href: link("run", run.id) }, run.name), " / answers"),
    h("h1", { tabindex: "-1" }, `Answers of ${run.name}`), filters, selects, count, h("div", { class: "panes" }, list.box, detail));
  drawSelects();
  refresh();
  await showDetail();
  return {
    search: () => search.focus(),
    update(params) {
      const opened = params.open !== now.open;
      if (params.q !== now.q) { deep = null; round++; }
      now = params;
      if (document.activeElement !== search) search.value = plain(now.q || "");
      if (!selects.contains(document.activeElement)) drawSelects();
      refresh();
      if (opened) showDetail();
    },
    leave() { shelf.stop(); round++; main.classList.remove("wide", "has-detail"); },
  };
}
