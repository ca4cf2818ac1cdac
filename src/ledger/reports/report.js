// A report's script: it folds the events into the state at one of them, and shows it.
// Whatever comes from the run is put on the page as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

/** Control and direction characters would hide what a text says: they are shown by their code points. */
const visible = (text) =>
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (c) =>
    c === "\r" ? "^M" : `⟨${c.codePointAt(0).toString(16).padStart(4, "0")}⟩`);

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "rect", "path", "line", "circle", "title", "g"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) element.addEventListener(event, act);
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children) {
    if (child != null) element.append(typeof child === "string" ? visible(child) : child);
  }
  return element;
}

async function unpack() {
  const source = byId("data").dataset.source;
  if (source) return (await fetch(source)).json();
  const packed = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// ── the fold ─────────────────────────────────────────────────────────────────────────────────────

const linesOf = (text) => text.match(/[^\n]*\n|[^\n]+$/g) || [];

class Run {
  constructor(data) {
    this.data = data;
    this.files = new Map(data.base.map(([path, mode]) => [path, { path, mode, v: 1 }]));
    this.steps = data.events.map(() => []); // of each event: path, node before, node after
    this.facts = [];
    this.past = new Map(); // of each touched path: its nodes, with the versions that they hold from
    this.at = 0;
    this.fold();
    this.at = data.events.length;
  }

  fold() {
    let now = { phase: "", tree: "", accepted: 1, stateV: 1, gates: new Map(), open: new Set() };
    const newest = new Map(), measured = new Map(); // of each gate, and of each gate on each tree
    this.data.events.forEach((event, index) => {
      this.steps[index] = this.take(event);
      now = { ...now };
      if (event.phase) now.phase = event.phase;
      if (event.tree) [now.tree, now.stateV] = [event.tree, event.v];
      if (event.accepted) now.accepted = event.accepted;
      if (event.gate) {
        const gate = { ...event.gate, v: event.v };
        newest.set(gate.name, gate);
        measured.set(`${gate.tree} ${gate.name}`, gate);
      }
      // A rollback comes back to a tree that was measured before: what was found there counts again.
      if (event.gate || event.tree) {
        now.gates = new Map([...newest].map(([name, gate]) => [name, measured.get(`${now.tree} ${name}`) || gate]));
      }
      if (event.opens) now.open = new Set(now.open).add(event.opens);
      if (event.closes) (now.open = new Set(now.open)).delete(event.closes);
      this.facts.push(now);
    });
  }

  take(event) {
    const after = new Map();
    for (const change of event.changes || []) {
      if (change.op === "delete") after.set(change.p, null);
      if (change.op === "rename" && change.o) after.set(change.o, null);
    }
    for (const change of event.changes || []) {
      if (change.op === "delete") continue;
      const before = this.files.get(change.o || change.p) || null;
      const mode = change.mode || (before && before.mode) || "";
      const node = { path: change.p, mode, v: event.v, change, before: change.op === "add" ? null : before };
      after.set(change.p, event.to ? this.nodeAt(change.p, event.to) || node : node);
    }
    const steps = [...after].map(([path, node]) => [path, this.files.get(path) || null, node]);
    for (const [path, before, node] of steps) {
      if (!this.past.has(path)) this.past.set(path, [[1, before]]);
      this.past.get(path).push([event.v, node]);
      this.put(path, node);
    }
    return steps;
  }

  put(path, node) {
    if (node) this.files.set(path, node);
    else this.files.delete(path);
  }

  /** What a path was at a version; undefined where nothing ever touched it. */
  nodeAt(path, v) {
    const past = this.past.get(path);
    if (!past) return this.files.get(path) || null;
    let found = past[0][1];
    for (const [from, node] of past) if (from <= v) found = node;
    return found;
  }

  go(index) {
    while (this.at < index) for (const [path, , after] of this.steps[this.at++]) this.put(path, after);
    while (this.at > index) for (const [path, before] of this.steps[--this.at]) this.put(path, before);
  }

  /** The lines of a file with the versions that wrote them; or why they are not in the report. */
  content(node) {
    const chain = [];
    for (let at = node; ; at = at.before) {
      if (at.lines) break;
      chain.push(at);
      if (!at.change || !at.before) break;
    }
    for (const at of chain.reverse()) {
      at.lines = at.change ? patched(at.before ? at.before.lines : [], at) : this.first(at);
    }
    return node.lines;
  }

  first(node) {
    const text = this.data.contents[node.path];
    if (text === undefined) return { why: this.data.missing[node.path] || "no patch of this run touched it" };
    return linesOf(text).map((text) => ({ text, v: 1 }));
  }
}

/** Put the hunks of a patch into lines. Where they do not fit, something was left out before. */
function patched(lines, node) {
  if (lines.why || node.change.why) return { why: node.change.why || lines.why };
  const result = [];
  let at = 0;
  for (const hunk of hunksOf(node.change.d || "")) {
    const start = Math.max(hunk.count ? hunk.start - 1 : hunk.start, 0);
    while (at < start && at < lines.length) result.push(lines[at++]);
    for (const { mark, text } of hunk.lines) {
      if (mark === "+") result.push({ text, v: node.v });
      else {
        if (!lines[at] || lines[at].text !== text) return { why: "it does not follow from what is in this file" };
        if (mark === " ") result.push(lines[at]);
        at += 1;
      }
    }
  }
  return result.concat(lines.slice(at));
}

function hunksOf(diff) {
  const hunks = [];
  for (const line of linesOf(diff)) {
    const head = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    const hunk = hunks[hunks.length - 1];
    if (head && (!hunk || (hunk.oldLeft <= 0 && hunk.newLeft <= 0))) {
      const count = head[2] === undefined ? 1 : +head[2];
      const news = head[4] === undefined ? 1 : +head[4];
      hunks.push({ start: +head[1], count, newStart: +head[3], oldLeft: count, newLeft: news, lines: [], head: line });
    } else if (hunk && line[0] === "\\") {
      const last = hunk.lines[hunk.lines.length - 1];
      last.text = last.text.replace(/\n$/, "");
    } else if (hunk && (hunk.oldLeft > 0 || hunk.newLeft > 0)) {
      const mark = line[0];
      if (mark !== "+") hunk.oldLeft -= 1;
      if (mark !== "-") hunk.newLeft -= 1;
      hunk.lines.push({ mark, text: line.endsWith("\n") ? line.slice(1) : `${line.slice(1)}\n` });
    }
  }
  return hunks;
}

// ── differences ──────────────────────────────────────────────────────────────────────────────────

const MOST_CELLS = 4_000_000;

/** Rows of a comparison of two lists of lines: [mark, text, old number, new number]. */
function compare(old, now) {
  let head = 0;
  while (head < old.length && head < now.length && old[head].text === now[head].text) head += 1;
  let tail = 0;
  while (tail < old.length - head && tail < now.length - head &&
         old[old.length - 1 - tail].text === now[now.length - 1 - tail].text) tail += 1;
  const a = old.slice(head, old.length - tail), b = now.slice(head, now.length - tail);
  const rows = [];
  const put = (mark, i, j) => rows.push([mark, (mark === "+" ? now[j] : old[i]).text, i + 1, j + 1]);
  for (let i = 0; i < head; i++) put(" ", i, i);
  let i = 0, j = 0;
  if (a.length * b.length <= MOST_CELLS) {
    const width = b.length + 1, same = new Uint32Array((a.length + 1) * width);
    for (let x = a.length - 1; x >= 0; x--)
      for (let y = b.length - 1; y >= 0; y--)
        same[x * width + y] = a[x].text === b[y].text ? same[(x + 1) * width + y + 1] + 1
          : Math.max(same[(x + 1) * width + y], same[x * width + y + 1]);
    while (i < a.length && j < b.length) {
      if (a[i].text === b[j].text) put(" ", head + i++, head + j++);
      else if (same[(i + 1) * width + j] >= same[i * width + j + 1]) put("-", head + i++, head + j);
      else put("+", head + i, head + j++);
    }
  }
  while (i < a.length) put("-", head + i++, head + j);
  while (j < b.length) put("+", head + i, head + j++);
  for (let k = 0; k < tail; k++) put(" ", old.length - tail + k, now.length - tail + k);
  return rows;
}

/** Rows of the hunks of a patch, as `compare` gives them, with a head before each. */
function rowsOf(diff) {
  return hunksOf(diff).flatMap((hunk) => {
    let i = hunk.start, j = hunk.newStart;
    const rows = hunk.lines.map(({ mark, text }) =>
      [mark, text, mark === "+" ? i : i++, mark === "-" ? j : j++]);
    return [["@", hunk.head, 0, 0], ...rows];
  });
}

/** Keep three unchanged lines around each change. */
function near(rows) {
  const keep = new Set();
  rows.forEach(([mark], at) => {
    if (mark !== " ") for (let k = at - 3; k <= at + 3; k++) keep.add(k);
  });
  const kept = [];
  rows.forEach((row, at) => {
    if (keep.has(at)) {
      if (at && !keep.has(at - 1)) kept.push(["@", "⋯", 0, 0]);
      kept.push(row);
    }
  });
  return kept;
}

// ── the page ─────────────────────────────────────────────────────────────────────────────────────

const SHOWN_ROWS = 3000, FIRST_ROWS = 150, SHOWN_PATHS = 150;
const VERDICTS = { pass: ["✓", "passes"], soft: ["!", "fails, soft"], fail: ["✗", "fails, strict"],
                   inconclusive: ["?", "inconclusive"], stale: ["~", "stale"] };

function standing(gate, tree) {
  if (gate.tree !== tree) return "stale";
  if (gate.verdict === "fail" && gate.mode !== "strict") return "soft";
  return gate.verdict in VERDICTS ? gate.verdict : "inconclusive";
}

class Page {
  constructor(run) {
    this.run = run;
    this.index = run.data.events.length - 1;
    this.view = "event";
    this.file = "";
    this.opened = new Set();
    const slider = byId("slider");
    slider.addEventListener("input", () => this.go(+slider.value - 1));
    byId("back").addEventListener("click", () => this.go(this.index - 1));
    byId("next").addEventListener("click", () => this.go(this.index + 1));
    for (const view of ["event", "accepted", "file"]) byId(`to-${view}`).addEventListener("click", () => this.show(view));
    window.addEventListener("hashchange", () => this.restore());
    window.addEventListener("resize", () => {
      this.lane();
      this.cursors(this.run.data.events[this.index].v);
    });
    document.addEventListener("keydown", (event) => this.key(event));
    this.lane();
    this.restore();
  }

  /** Take the run as it is now: whoever looks at its end goes on with it, whoever looks back stays. */
  replace(run) {
    const atEnd = this.index === this.run.data.events.length - 1;
    this.run = run;
    this.lane();
    this.go(atEnd ? Infinity : this.index);
  }

  key(event) {
    if (event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
    const to = { ArrowLeft: this.index - 1, ArrowRight: this.index + 1, Home: 0, End: Infinity }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.go(to);
    }
  }

  restore() {
    const asked = /[?#&]at=(\d+)/.exec(location.hash) || /[?&]at=(\d+)/.exec(location.search);
    this.go(asked ? +asked[1] - 1 : this.index);
  }

  go(index) {
    const last = this.run.data.events.length - 1;
    this.index = Math.min(Math.max(index, 0), last);
    this.run.go(this.index + 1);
    const event = this.run.data.events[this.index], facts = this.run.facts[this.index];
    const reference = `${this.run.data.run}:${event.v}`;
    byId("slider").value = String(this.index + 1);
    byId("slider").setAttribute("aria-valuetext", `${reference}, ${event.kind}, ${visible(event.says)}`);
    byId("back").disabled = this.index === 0;
    byId("next").disabled = this.index === last;
    byId("reference").textContent = reference;
    byId("kind").textContent = event.kind;
    byId("when").textContent = event.at.replace("T", " ").replace("Z", " UTC");
    byId("who").textContent = visible(event.who);
    byId("says").textContent = visible(event.says);
    // A file's address can change behind its # alone.
    const shown = location.protocol === "file:" ? `#at=${event.v}` : `?at=${event.v}`;
    if (location.search + location.hash !== shown) history.replaceState(null, "", shown);
    this.standing(facts);
    this.cursors(event.v);
    this.tree();
    this.panes(event, facts);
  }

  standing(facts) {
    const { data } = this.run;
    const row = (name, ...value) => [make("dt", {}, name), make("dd", {}, ...value)];
    const jump = (v) => make("button", { class: "link", on: { click: () => this.go(v - 1) } }, `:${v}`);
    const accepted = facts.accepted === facts.stateV ? "the candidate" : null;
    const tickets = [...facts.open].filter((name) => name[0] !== "?");
    const questions = [...facts.open].filter((name) => name[0] === "?");
    byId("standing").replaceChildren(
      ...row("Phase", facts.phase || "none"),
      ...row("Candidate", make("code", {}, facts.tree), " of ", jump(facts.stateV)),
      ...row("Accepted", accepted || (facts.accepted === 1 ? "the base " : "the state of "), accepted ? null : jump(facts.accepted)),
      ...row("Tickets", tickets.join(", ") || "none open"),
      ...row("Questions", ...(questions.length ? questions.flatMap((name) => [jump(+name.slice(1)), " "]) : ["none open"])),
      ...row("Files", `${this.run.files.size} of ${data.base.length} at first`),
    );
    const chips = [...facts.gates.values()].map((gate) => {
      const how = standing(gate, facts.tree), [sign, words] = VERDICTS[how];
      const number = gate.value == null ? "" : ` ${gate.metric} ${+gate.value.toPrecision(6)}`;
      const said = `${gate.name} ${words}${number}, measured at :${gate.v}. ${(gate.reasons || []).join("; ")}`;
      return make("li", {}, make("button", { class: `chip ${how}`, title: visible(said), on: { click: () => this.go(gate.v - 1) } },
        make("span", { class: "sign", "aria-hidden": true }, sign), make("b", {}, gate.name), ` ${words}${number}`));
    });
    byId("gates").replaceChildren(...(chips.length ? chips : [make("li", { class: "quiet" }, "no gate was measured yet")]));
  }

  cursors(v) {
    for (const svg of document.querySelectorAll("svg[data-to]")) {
      const { from, to, left, right } = svg.dataset;
      const x = to === from ? +right : +left + ((v - from) / (to - from)) * (right - left);
      const line = svg.querySelector(".now");
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
  }

  lane() {
    const events = this.run.data.events, lane = byId("lane"), last = events.length;
    const width = Math.max(Math.round(lane.getBoundingClientRect().width), 100); // marks keep their shape
    lane.setAttribute("viewBox", `0 0 ${width} 52`);
    lane.dataset.right = String(width);
    lane.dataset.to = byId("slider").max = String(last);
    for (const mark of lane.querySelectorAll(":scope > :not(.now)")) mark.remove();
    const x = (v) => (last === 1 ? width : ((v - 1) / (last - 1)) * width);
    let phase = "", from = 1;
    const marks = [];
    const end = (v) => phase && marks.push(make("rect", { class: `phase ${phase}`, x: x(from), y: 2, width: Math.max(x(v) - x(from), 1), height: 12 },
      make("title", {}, `${phase}, :${from} to :${v}`)));
    const seen = new Set();
    const mark = (name, v, y) => {
      const at = Math.round(x(v));
      if (!seen.has(`${name} ${at}`)) marks.push(make("path", { class: name, d: shapes[name](x(v), y) }));
      seen.add(`${name} ${at}`);
    };
    const bar = (px, y) => `M${px - 1} ${y}h2v12h-2z`;
    const shapes = { patch: bar, "patch back": bar, pass: (px, y) => `M${px - 3} ${y + 6}a3 5 0 1 0 6 0a3 5 0 1 0 -6 0`,
                     soft: (px, y) => `M${px} ${y}l3 11h-6z`, fail: (px, y) => `M${px - 3} ${y}h6v12h-6z`,
                     inconclusive: (px, y) => `M${px - 3} ${y + 6}l3 -6l3 6l-3 6z` };
    for (const event of events) {
      if (event.phase) {
        end(event.v);
        [phase, from] = [event.phase, event.v];
      }
      if (event.kind === "patch.applied") mark("patch", event.v, 20);
      if (event.kind === "patch.rolled_back") mark("patch back", event.v, 20);
      if (event.gate) mark(standing(event.gate, event.gate.tree), event.v, 38);
    }
    end(last);
    lane.prepend(...marks);
  }

  // Files

  tree() {
    const touched = new Map();
    for (let at = 0; at <= this.index; at++)
      for (const change of this.run.data.events[at].changes || []) {
        touched.set(change.p, this.run.data.events[at].v);
        if (change.o) touched.set(change.o, this.run.data.events[at].v);
      }
    const now = new Set((this.run.data.events[this.index].changes || []).map((change) => change.p));
    const newest = [...touched].sort(([, a], [, b]) => b - a).slice(0, SHOWN_PATHS);
    const rows = newest.sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, v]) => {
      const there = this.run.files.has(path);
      return make("li", {}, make("button", {
        class: `path${there ? "" : " gone"}${now.has(path) ? " now" : ""}`,
        "aria-current": path === this.file && this.view === "file" ? "true" : false,
        on: { click: () => this.open(path) } }, make("span", {}, path), make("small", {}, there ? `:${v}` : `gone :${v}`)));
    });
    const rest = touched.size - rows.length;
    if (rest > 0) rows.push(make("li", { class: "quiet" }, `and ${rest} that were changed before these`));
    byId("touched").replaceChildren(...(rows.length ? rows : [make("li", { class: "quiet" }, "no file was changed yet")]));
    if (byId("all").open) this.directory(byId("everything"), "");
    byId("all").ontoggle = () => byId("all").open && this.directory(byId("everything"), "");
  }

  directory(list, prefix) {
    const names = new Map();
    for (const path of this.run.files.keys())
      if (path.startsWith(prefix)) {
        const rest = path.slice(prefix.length), slash = rest.indexOf("/");
        names.set(slash < 0 ? rest : rest.slice(0, slash + 1), slash >= 0);
      }
    const sorted = [...names].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
    list.replaceChildren(...sorted.map(([name, isDirectory]) => {
      const path = prefix + name;
      if (!isDirectory) return make("li", {}, make("button", { class: "path", on: { click: () => this.open(path) } }, make("span", {}, name)));
      const inner = make("ul", {}), details = make("details", {}, make("summary", {}, name), inner);
      details.open = this.opened.has(path);
      const fill = () => {
        this.opened[details.open ? "add" : "delete"](path);
        if (details.open) this.directory(inner, path);
      };
      details.addEventListener("toggle", fill);
      if (details.open) this.directory(inner, path);
      return make("li", {}, details);
    }));
  }

  open(path) {
    this.file = path;
    this.show("file");
  }

  show(view) {
    this.view = view;
    this.go(this.index);
  }

  // Panes

  panes(event, facts) {
    for (const view of ["event", "accepted", "file"]) {
      byId(`to-${view}`).setAttribute("aria-pressed", String(view === this.view));
    }
    const make_ = { event: () => this.eventPane(event), accepted: () => this.acceptedPane(facts), file: () => this.filePane() };
    byId("pane").replaceChildren(...make_[this.view]());
  }

  eventPane(event) {
    const texts = Object.entries(event.texts || {}).map(([name, text]) =>
      make("section", { class: "text" }, make("h3", {}, name), make("pre", { tabindex: 0, "aria-label": name }, text)));
    const reasons = event.gate && event.gate.reasons ? [make("ul", {}, ...event.gate.reasons.map((why) => make("li", {}, why)))] : [];
    const changes = (event.changes || []).map((change) => this.change(change, rowsOf(change.d || ""), change.why));
    const all = [...reasons, ...texts, ...changes];
    return all.length ? all : [make("p", { class: "quiet" }, "This event changed no file and has no text.")];
  }

  acceptedPane(facts) {
    const paths = [...this.run.past.keys()].sort();
    const changed = [];
    for (const path of paths) {
      const old = this.run.nodeAt(path, facts.accepted), now = this.run.files.get(path) || null;
      if (old === now) continue;
      const before = old ? this.run.content(old) : [], after = now ? this.run.content(now) : [];
      const why = before.why || after.why || "";
      const rows = why ? [] : near(compare(before, after));
      if (!why && !rows.length && old && now && old.mode === now.mode) continue;
      const count = (mark) => rows.filter((row) => row[0] === mark).length;
      const op = !old ? "add" : !now ? "delete" : "modify";
      changed.push(this.change({ p: path, op, added: count("+"), removed: count("-") }, rows, why));
    }
    if (changed.length) return changed;
    return [make("p", { class: "quiet" }, "Nothing: the candidate is what was accepted.")];
  }

  filePane() {
    const node = this.run.files.get(this.file);
    if (!this.file) return [make("p", { class: "quiet" }, "Choose a file on the left.")];
    const title = make("h3", { class: "file-title" }, this.file);
    if (!node) return [title, make("p", { class: "quiet" }, "It is not there at this event.")];
    const lines = this.run.content(node);
    if (lines.why) return [title, make("p", { class: "quiet" }, `Not in this report: ${lines.why}.`)];
    const rows = lines.slice(0, SHOWN_ROWS).map((line, at) => {
      const wrote = this.run.data.events[line.v - 1];
      const said = `line ${at + 1}, from :${line.v}, ${wrote.kind}, ${wrote.who}: ${wrote.says}`;
      return make("tr", { title: visible(said), class: line.v === this.run.data.events[this.index].v ? "new" : false },
        make("td", { class: "number" }, String(at + 1)),
        make("td", { class: "from" }, make("button", { class: "link", "aria-label": visible(said), tabindex: -1, on: { click: () => this.go(line.v - 1) } }, `:${line.v}`)),
        make("td", { class: "code" }, line.text.replace(/\n$/, "")));
    });
    const more = lines.length > SHOWN_ROWS ? make("p", { class: "quiet" }, `… ${lines.length - SHOWN_ROWS} more lines`) : null;
    const table = make("table", { class: "code-table" }, make("caption", {}, `${lines.length} lines, each with the event that wrote it`), make("tbody", {}, ...rows));
    return [title, make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "content of the file" }, table), ...(more ? [more] : [])];
  }

  change(change, rows, why) {
    const from = change.o ? ` from ${change.o}` : "";
    const counts = change.added || change.removed ? make("small", {}, `+${change.added || 0} −${change.removed || 0}`) : null;
    const draw = (part) => part.map(([mark, text, i, j]) =>
      mark === "@"
        ? make("tr", { class: "hunk" }, make("td", { colspan: 4 }, text.replace(/\n$/, "")))
        : make("tr", { class: { "+": "added", "-": "removed", " ": "same" }[mark] },
            make("td", { class: "number" }, mark === "+" ? "" : String(i)), make("td", { class: "number" }, mark === "-" ? "" : String(j)),
            make("td", { class: "mark" }, mark), make("td", { class: "code" }, text.replace(/\n$/, ""))));
    const note = why ? `Not in this report: ${why}.` : rows.length ? "" : "No line changed.";
    const body = make("tbody", {}, ...draw(rows.slice(0, FIRST_ROWS)));
    const more = rows.length <= FIRST_ROWS ? null : make("button", { class: "link", on: { click: () => {
      body.append(...draw(rows.slice(FIRST_ROWS)));
      more.remove();
    } } }, `${rows.length - FIRST_ROWS} more lines`);
    return make("section", { class: "change" },
      make("h3", {}, make("span", { class: "op" }, change.op), " ",
        make("button", { class: "link file", on: { click: () => this.open(change.p) } }, change.p), from, " ", counts),
      rows.length ? make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": visible(`changes of ${change.p}`) },
        make("table", { class: "code-table" }, body)) : null,
      more,
      note ? make("p", { class: "quiet" }, note) : null);
  }
}

/** On a server's page: its title, and what comes while it is open. */
function follow(page) {
  const told = () => {
    const { data } = page.run;
    byId("run-title").textContent = visible(data.title || data.run);
    byId("run-facts").textContent = `${data.run} · ${data.events.length} events`;
  };
  told();
  new EventSource(byId("data").dataset.live).addEventListener("message", async () => {
    page.replace(new Run(await unpack()));
    told();
  });
}

unpack().then((data) => {
  byId("page").hidden = false;
  window.report = new Page(new Run(data));
  if (byId("data").dataset.live) follow(window.report);
}, (error) => {
  byId("broken").hidden = false;
  byId("broken").textContent = `This file is damaged, or the browser is too old for it: ${error.message}`;
});
