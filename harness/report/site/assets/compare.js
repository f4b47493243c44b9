"use strict";
// Two runs side by side, paired on task, sample, repeat and rotation; only tasks that both were asked alike.

const CLASSES = [["won", "good", "B better"], ["lost", "bad", "A better"], ["both right", "part", ""], ["both wrong", "odd", ""], ["equal", "cut", "equal, neither right nor wrong"], ["no pair", "lost", "failed or unscored in one"]];

/** The tasks of both runs, and those of them that were asked alike and share a headline metric. */
function alike(a, b) {
  const both = Object.keys(a.tasks).filter((task) => task in b.tasks);
  const same = both.filter((task) => a.headlines[task] === b.headlines[task]
    && a.tasks[task][a.headlines[task]].comparison_id === b.tasks[task][b.headlines[task]].comparison_id);
  return { same, differ: both.filter((task) => !same.includes(task)) };
}

function pairUp(a, b, tasksA, tasksB, same, lower) {
  const place = (columns, tasks, i) => `${tasks[columns.task[i]]}\u0000${columns.sample[i]}\u0000${columns.repeat[i]}\u0000${columns.variant[i]}`;
  const where = new Map();
  for (let i = 0; i < a.sample.length; i++) if (same.has(tasksA[a.task[i]])) where.set(place(a, tasksA, i), i);
  const pairs = { a: [], b: [], kind: [] };
  let alone = 0;
  for (let i = 0; i < b.sample.length; i++) {
    const task = tasksB[b.task[i]];
    if (!same.has(task)) continue;
    const key = place(b, tasksB, i), other = where.get(key);
    if (other === undefined) { alone++; continue; }
    where.delete(key);
    const x = a.value[other], y = b.value[i];
    let kind = 5;
    if (x !== null && y !== null) {
      const gain = (y - x) * (lower.has(same.get(task)) ? -1 : 1);
      kind = gain > 0 ? 0 : gain < 0 ? 1 : a.outcome[other] === 0 && b.outcome[i] === 0 ? 2 : a.outcome[other] >= 2 && b.outcome[i] >= 2 ? 3 : 4;
    }
    pairs.a.push(other); pairs.b.push(i); pairs.kind.push(kind);
  }
  return { pairs, alone: alone + where.size };
}

const whenWhole = (run) => new Promise((resolve, reject) => {
  const shelf = TCM.list(run, () => {
    if (shelf.rows.error) { shelf.stop(); reject(shelf.rows.error); } else if (shelf.rows.done) { shelf.stop(); resolve(shelf.rows.columns); }
  });
});

function tallies(pairs, columns, tasks) {
  const found = new Map();
  pairs.kind.forEach((kind, i) => {
    const task = tasks[columns.task[pairs.b[i]]];
    if (!found.has(task)) found.set(task, CLASSES.map(() => 0));
    found.get(task)[kind]++;
  });
  return found;
}

async function compareView(main, route) {
  const index = await TCM.keep("index");
  document.title = "Compare · tcm-eval";
  const runs = index.runs;
  let now = { ...route.params };
  const a = runs.find((run) => run.id === now.a) || runs[0];
  const b = runs.find((run) => run.id === now.b) || runs.find((run) => run.id !== a.id);
  const pick = (key, label, run) => choose(label, runs.map((one) => [one.id, subject(one, runs)]), run.id, (id) => Router.go({ a: a.id, b: b ? b.id : "", [key]: id }));
  const heading = [h("h1", { tabindex: "-1" }, "Compare two runs")];
  if (!b) { main.replaceChildren(...heading, h("p", { class: "empty" }, "There is only one run on this site.")); return null; }
  const top = h("form", { class: "filters", onsubmit: (e) => e.preventDefault() }, pick("a", "A, the baseline", a), pick("b", "B, the candidate", b));
  const { same, differ } = alike(a, b);
  const notes = differ.map((task) => `${task} is left out: the two were not asked alike (see the comparison ids on their pages).`);
  if (a.id === b.id || !same.length) {
    const said = a.id === b.id ? "Choose two different runs." : "These two runs share no task that was asked alike.";
    main.replaceChildren(...heading, top, h("p", { class: "empty" }, said), h("ul", { class: "notes" }, notes.map((n) => h("li", {}, n))));
    return null;
  }
  heading.push(h("p", { class: "only-print" }, `A, the baseline: ${subject(a, runs)}. B, the candidate: ${subject(b, runs)}.`)); // in the controls on a screen
  main.replaceChildren(...heading, top, h("p", { class: "wait" }, "Loading …"));
  const [pageA, pageB] = await Promise.all([TCM.keep(`${a.id}/run`), TCM.keep(`${b.id}/run`)]);
  const [columnsA, columnsB] = await Promise.all([whenWhole(a.id), whenWhole(b.id)]);
  const tasksA = Object.keys(pageA.manifest.tasks), tasksB = Object.keys(pageB.manifest.tasks);
  const { pairs, alone } = pairUp(columnsA, columnsB, tasksA, tasksB, new Map(same.map((t) => [t, b.headlines[t]])), new Set(index.lower_is_better));
  const counted = tallies(pairs, columnsB, tasksB);
  const allowed = [a, b].map((run) => (ownTokens(run) ? `${whole(ownTokens(run))} tokens, its own budget` : "what the task allows"));
  if (allowed[0] !== allowed[1]) notes.push(`An answer's token budget: A ${allowed[0]}, B ${allowed[1]}.`);
  if (alone) notes.push(`${amount(alone, "answer")} without a counterpart in the other run.`);
  notes.push(`Whether the difference is more than chance: tcm-eval compare ${a.id} ${b.id}`);

  let hits = [], key = "";
  const count = h("p", { class: "count", role: "status" });
  const detail = h("article", { class: "detail", tabindex: "-1", "aria-label": "One question, two answers" });
  const search = h("input", { type: "search", value: now.q || "", placeholder: "question, answer or id", "aria-label": "Search", oninput: () => change({ q: search.value }) });
  const change = (what) => Router.replace({ ...now, ...what });
  const open = (at) => Router.go({ ...now, open: String(hits[at]) });
  const list = virtualList("Pairs", ROW, (at) => {
    const [name, kind] = CLASSES[pairs.kind[hits[at]]];
    return rowView(columnsB, pairs.b[hits[at]], index, tasksB, h("span", { class: `badge ${kind}` }, name));
  }, open);
  const selects = h("div", { class: "filters" });
  const total = CLASSES.map((_, k) => pairs.kind.filter((kind) => kind === k).length);

  function drawSelects() {
    selects.replaceChildren(h("label", { class: "field grow" }, h("span", {}, "Search"), search),
      choose("Pairs", [["", "all pairs"], ...CLASSES.map(([name], k) => [name, `${name} (${whole(total[k])})`])], now.kind || "", (kind) => change({ kind })),
      same.length > 1 ? choose("Task", [["", "all tasks"], ...same.map((t) => [t, t])], now.task || "", (task) => change({ task })) : "");
  }

  function refresh() {
    const asked = JSON.stringify([now.q, now.kind, now.task]);
    const fresh = asked !== key;
    key = asked;
    const passes = rowTest(columnsB, { q: now.q, task: now.task }, index, tasksB);
    const kind = CLASSES.findIndex(([name]) => name === now.kind);
    if (fresh) hits = [...pairs.kind.keys()].filter((i) => (kind < 0 || pairs.kind[i] === kind) && passes(pairs.b[i]));
    list.set(hits.length, fresh);
    count.replaceChildren(h("b", {}, whole(hits.length)), ` of ${whole(pairs.kind.length)} pairs`);
    if (now.open !== undefined) list.choose(hits.indexOf(Number(now.open)), fresh);
  }

  async function showDetail() {
    const i = now.open === undefined ? -1 : Number(now.open);
    main.classList.toggle("has-detail", i >= 0);
    if (!(i >= 0 && i < pairs.kind.length)) { detail.replaceChildren(h("p", { class: "empty" }, "Choose a pair to see both answers.")); return; }
    try {
      const [x, y] = await Promise.all([TCM.sample(a.id, pairs.a[i]), TCM.sample(b.id, pairs.b[i])]);
      if (String(i) !== now.open) return;
      const side = (label, run, s) => h("section", { class: "side" }, h("h3", {}, `${label}: ${subject(run, runs)}`), h("p", { class: "labels" }, badge(s.outcome)), safetyView(s), readView({ ...s, target: null }),
        s.turns.map((turn, k) => turnView(turn, k, s.turns.length > 1, null, s.asked_options)), metricsView(s), judgedView(s));
      detail.replaceChildren(h("p", { class: "actions" }, h("button", { type: "button", class: "quiet only-narrow", onclick: () => Router.go({ ...now, open: undefined }) }, "← List")),
        h("h2", {}, x.sample), h("p", { class: "labels" }, h("span", { class: `badge ${CLASSES[pairs.kind[i]][1]}` }, CLASSES[pairs.kind[i]][0]), h("span", { class: "tag" }, x.task)),
        h("section", {}, h("h3", {}, "Prompt as sent"), promptView(y)),
        y.target ? h("dl", { class: "read" }, h("dt", {}, "Expected"), h("dd", {}, y.target.map((t) => prose(t)))) : "",
        h("div", { class: "sides" }, side("A", a, x), side("B", b, y)));
      detail.scrollTop = 0;
    } catch (error) { detail.replaceChildren(h("p", { class: "error" }, error.message)); }
  }

  main.classList.add("wide");
  main.replaceChildren(...heading, top,
    parts("Pairs", CLASSES.map(([name, kind, more], k) => [more ? `${name} (${more})` : name, total[k], kind])),
    same.length > 1 ? h("details", {}, h("summary", {}, "By task"), table(["Task", ...CLASSES.map(([name]) => name)], [...counted].map(([task, n]) => [task, ...n.map((v) => whole(v))]), "Pairs by task")) : "",
    h("ul", { class: "notes" }, notes.map((n) => h("li", {}, n))), selects, count, h("div", { class: "panes" }, list.box, detail));
  drawSelects();
  refresh();
  await showDetail();
  return {
    search: () => search.focus(),
    update(params) {
      const opened = params.open !== now.open;
      now = { ...params };
      if (document.activeElement !== search) search.value = plain(now.q || "");
      if (!selects.contains(document.activeElement)) drawSelects();
      refresh();
      if (opened) showDetail();
    },
    leave() { main.classList.remove("wide", "has-detail"); },
    same: (params) => (params.a || a.id) === a.id && (params.b || b.id) === b.id,
  };
}
