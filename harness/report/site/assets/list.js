"use strict";
// A list that draws only what can be seen, whatever its length. The keyboard moves a selection; Enter opens it.
const TALLEST = 12_000_000; // pixels: browsers give up on taller elements, so longer lists are scrolled in proportion

function virtualList(label, height, draw, open) {
  const space = h("div", { class: "list-space" });
  const box = h("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": label }, space);
  let length = 0, chosen = -1, frame = 0, drawn = new Map(), version = 0;

  const total = () => length * height;
  const scale = () => { // how many pixels of the whole list one pixel of scrolling stands for
    const shown = box.clientHeight || 600, tall = Math.min(total(), TALLEST);
    return tall <= shown ? 1 : Math.max(1, (total() - shown) / (tall - shown));
  };

  function paint() {
    frame = 0;
    const top = box.scrollTop * scale(), shown = box.clientHeight || 600;
    const first = Math.max(0, Math.floor(top / height) - 6);
    const last = Math.min(length, Math.ceil((top + shown) / height) + 6);
    const next = new Map();
    for (let i = first; i < last; i++) {
      let row = drawn.get(i);
      if (!row || row.version !== version) {
        const node = h("div", { class: "list-row", role: "option", id: `row-${i}`, "aria-setsize": length, "aria-posinset": i + 1,
          onclick: () => { choose(i, false); open(i); } }, draw(i));
        node.style.height = `${height}px`;
        row = { node, version };
      }
      row.node.style.transform = `translateY(${i * height - top + box.scrollTop}px)`;
      row.node.setAttribute("aria-selected", String(i === chosen));
      next.set(i, row);
    }
    for (const [i, row] of drawn) if (next.get(i) !== row) row.node.remove();
    for (const [i, row] of next) if (drawn.get(i) !== row) space.append(row.node);
    drawn = next;
    if (drawn.has(chosen)) box.setAttribute("aria-activedescendant", `row-${chosen}`);
    else box.removeAttribute("aria-activedescendant");
  }

  const ask = () => { if (!frame) frame = requestAnimationFrame(paint); };

  function show(i) {
    const ratio = scale(), top = box.scrollTop * ratio, shown = box.clientHeight || 600;
    if (i * height < top) box.scrollTop = (i * height) / ratio;
    else if ((i + 1) * height > top + shown) box.scrollTop = ((i + 1) * height - shown) / ratio;
  }

  function choose(i, scroll = true) {
    chosen = Math.max(-1, Math.min(length - 1, i));
    if (scroll && chosen >= 0) show(chosen);
    ask();
  }

  function keys(event) {
    const page = Math.max(1, Math.floor(box.clientHeight / height) - 1);
    const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -length, End: length }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (step !== undefined) { event.preventDefault(); choose(Math.max(0, chosen + step)); }
    else if ((event.key === "Enter" || event.key === " ") && chosen >= 0) { event.preventDefault(); open(chosen); }
  }

  box.addEventListener("scroll", ask, { passive: true });
  box.addEventListener("keydown", keys);
  new ResizeObserver(ask).observe(box);

  /** Show so many rows; `fresh` says that they are others than before, so that drawn ones are drawn anew. */
  function set(count, fresh) {
    length = count;
    if (fresh) { version++; chosen = -1; box.scrollTop = 0; }
    space.style.height = `${Math.min(total(), TALLEST)}px`;
    ask();
  }
  return { box, set, choose, chosen: () => chosen };
}
