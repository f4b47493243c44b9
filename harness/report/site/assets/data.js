"use strict";
// Data are scripts that hand over JSON as a string: a page opened from file:// may load scripts, but not fetch.
const TCM = (() => {
  const given = new Map();
  const held = new Map(); // the last shards of texts, as promises of their JSON
  const kept = new Map(); // what is needed all the time
  const HELD = 12;

  function put(name, json) { given.set(name, json); }

  function raw(name) {
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `data/${name}.js`;
      script.onload = () => {
        const json = given.get(name);
        given.delete(name);
        script.remove();
        if (json === undefined) reject(new Error(`data/${name}.js is damaged: build the site again.`));
        else resolve(json);
      };
      script.onerror = () => {
        script.remove();
        reject(new Error(`data/${name}.js is missing: copy the whole folder, or build the site again.`));
      };
      document.head.append(script);
    });
  }

  /** What is small and needed again and again: the index, a run's page. */
  function keep(name) {
    if (!kept.has(name)) {
      const coming = raw(name).then(JSON.parse);
      coming.catch(() => kept.delete(name));
      kept.set(name, coming);
    }
    return kept.get(name);
  }

  /** The JSON of a shard of texts; only the last ones are held. */
  function shard(name) {
    const coming = held.get(name) || raw(name);
    held.delete(name);
    held.set(name, coming);
    coming.catch(() => held.delete(name));
    if (held.size > HELD) held.delete(held.keys().next().value);
    return coming;
  }

  /** One sample in full: row `row` of the run's list. */
  async function sample(run, row) {
    const { starts } = await keep(`${run}/run`);
    let low = 0, high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (starts[middle] <= row) low = middle; else high = middle - 1;
    }
    return JSON.parse(await shard(`${run}/texts-${low}`))[row - starts[low]];
  }

  const lists = new Map();
  /** The run's list, which grows shard by shard; `grown` is called after each. */
  function list(run, grown) {
    let known = lists.get(run);
    if (!known) {
      known = { columns: {}, length: 0, done: false, error: null, listeners: new Set() };
      lists.set(run, known);
      if (lists.size > 3) lists.delete(lists.keys().next().value);
      grow(run, known).catch((error) => { known.error = error; lists.delete(run); tell(known); });
    }
    known.listeners.add(grown);
    if (known.length || known.done) queueMicrotask(grown);
    return { rows: known, stop: () => known.listeners.delete(grown) };
  }

  function tell(known) { for (const listener of [...known.listeners]) listener(); }

  async function grow(run, known) {
    const { shards } = await keep(`${run}/run`);
    for (let i = 0; i < shards; i++) {
      const part = JSON.parse(await raw(`${run}/rows-${i}`));
      for (const [name, values] of Object.entries(part)) {
        if (known.columns[name]) for (const value of values) known.columns[name].push(value);
        else known.columns[name] = values;
      }
      known.length = known.columns.sample.length;
      known.done = i === shards - 1;
      tell(known);
    }
    if (!shards) { known.done = true; tell(known); }
  }

  return { put, raw, keep, shard, sample, list };
})();
