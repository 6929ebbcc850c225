// The table of processes: rows that are changed in place, groups, order, filters, and the keyboard in it.
import { act, actions } from "./actions.js";
import { $, KIND, duration, element, recall, remember, safe, size, soon } from "./base.js";
import { link, me, staleness } from "./daemon.js";
import { describe, gone, open, picked } from "./detail.js";

const STATES = ["FATAL", "BACKOFF", "STARTING", "STOPPING", "RUNNING", "EXITED", "STOPPED"];
export const processes = new Map(); // fullname -> { data, at (our clock), tr, usage }
const shownStates = new Set();
const collapsed = new Set(JSON.parse(recall("collapsed", "[]")));
let known = false; // has the daemon told anything yet?
let dirty = false; // are there rows to be put in their places?

export const isTrouble = (row) => ["FATAL", "BACKOFF"].includes(row.state) || (row.wanted && row.state === "EXITED");
export const isOurGateway = (row) => row.fullname === me.gateway?.fullname && row.run === me.gateway?.run;

export function what(row, at) {
  const old = staleness();
  const asOf = old && `${old}: `;
  if (!row.pid) return asOf + safe(row.reason);
  const now = link.up ? performance.now() : Math.max(at, link.asOf - performance.timeOrigin);
  const up = row.uptime == null ? "" : `, up ${duration(row.uptime + (now - at) / 1000)}`;
  return `${asOf}pid ${row.pid}${up}${row.stale ? " · its definition has changed" : ""}${row.reason ? ` · ${safe(row.reason)}` : ""}`;
}

// ---- rows ----

function made(row) {
  const single = row.group === row.name;
  const tr = element("tr", {
    class: "row", role: "row", tabindex: "-1", "data-name": row.fullname, "aria-selected": "false",
    onclick: () => open(row.fullname, null, true),
  });
  const cell = (name, ...children) => element("td", { class: name, role: "gridcell" }, ...children);
  tr.append(
    cell("state", element("span", { class: "badge" })),
    cell("name", single ? "" : element("span", { class: "of" }, `${safe(row.group)}:`), safe(row.name)),
    cell("used cpu"), cell("used mem"), cell("what"), cell("do", element("div", { class: "actions" })));
  tr.children[1].title = safe(row.fullname);
  return tr;
}

const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

export function put(row) {
  let entry = processes.get(row.fullname);
  if (!entry) {
    entry = { tr: made(row), usage: null };
    watcher.observe(entry.tr);
    processes.set(row.fullname, entry);
    dirty = true;
  }
  if (entry.usage && entry.usage.run !== row.run) entry.usage = null;
  Object.assign(entry, { data: row, at: performance.now() });
  entry.tr.dataset.state = row.state;
  paint(entry);
  if (order.key !== "name") dirty = true;
  if (picked() === row.fullname) describe();
}

function paint(entry) {
  const { data, tr, usage } = entry;
  const [state, , cpu, mem, text, todo] = tr.children;
  set(state.firstChild, data.state);
  state.firstChild.className = `badge ${KIND[data.state] || "quiet"}`;
  set(text, what(data, entry.at));
  text.title = safe(data.reason);
  text.className = isTrouble(data) ? "what trouble" : "what";
  set(cpu, data.pid && usage?.percent != null ? `${usage.percent.toFixed(1)} %` : "");
  set(mem, data.pid && usage ? size(usage.memory_bytes) : "");
  mem.title = data.pid && usage ? `${usage.processes} ${usage.processes === 1 ? "process" : "processes"}` : "";
  const which = `${data.state} ${me.role} ${isOurGateway(data)}`;
  if (tr.dataset.can === which) return;
  tr.dataset.can = which;
  const verb = todo.contains(document.activeElement) ? document.activeElement.dataset.verb : null;
  todo.firstChild.replaceChildren(...actions(data.fullname, data.state, (chosen) => act(chosen, data.fullname, [processes.get(data.fullname).data]), { ours: isOurGateway(data) }));
  if (verb) (todo.querySelector(`[data-verb="${verb}"]:not(:disabled)`) || tr).focus();
  if (tr === current) setCurrent(tr);
}

export function drop(name) {
  const entry = processes.get(name);
  if (!entry) return;
  watcher.unobserve(entry.tr);
  entry.tr.remove();
  processes.delete(name);
  dirty = true;
  gone(name);
}

export function snapshot({ processes: rows }) {
  const names = new Set(rows.map((row) => row.fullname));
  for (const name of [...processes.keys()]) if (!names.has(name)) drop(name);
  rows.forEach(put);
  known = true;
  refresh();
}

export function repaint() { // when what is true of all rows has changed
  for (const entry of processes.values()) paint(entry);
  refresh();
}

export function usage({ now, processes: rows }) {
  for (const row of rows) {
    const entry = processes.get(row.fullname);
    if (!entry || entry.data.run !== row.run) continue;
    const before = entry.usage;
    if (before?.now === now) continue;
    const percent = before ? Math.max(0, (row.cpu_seconds - before.cpu_seconds) / (now - before.now) * 100) : null;
    entry.usage = { ...row, now, percent };
    paint(entry);
  }
  // Not below somebody's pointer.
  if (["cpu", "memory"].includes(order.key) && !$("table").matches(":hover, :focus-within")) dirty = true;
  refresh();
  if (picked()) describe();
}

// The uptimes, of rows that are to be seen; nothing is asked of the server for them.
const seen = new Set();
const watcher = new IntersectionObserver((changes) => {
  for (const { target, isIntersecting } of changes) isIntersecting ? seen.add(target) : seen.delete(target);
  tickRows();
});

export function tickRows() {
  for (const tr of seen) {
    const entry = processes.get(tr.dataset.name);
    if (entry?.tr !== tr) seen.delete(tr);
    else if (entry.data.pid || !link.up) set(tr.children[4], what(entry.data, entry.at));
  }
}

// ---- order and groups ----

const collator = new Intl.Collator("en", { numeric: true });
const byName = (a, b) => collator.compare(a.data.group, b.data.group) || collator.compare(a.data.name, b.data.name);
const up = (entry) => (entry.data.pid && entry.data.uptime != null ? entry.data.uptime - entry.at / 1000 : -Infinity);
const ORDERS = {
  name: byName,
  state: (a, b) => STATES.indexOf(a.data.state) - STATES.indexOf(b.data.state),
  cpu: (a, b) => (b.usage?.percent ?? -1) - (a.usage?.percent ?? -1),
  memory: (a, b) => (b.usage?.memory_bytes ?? -1) - (a.usage?.memory_bytes ?? -1),
  uptime: (a, b) => up(b) - up(a),
};
const order = { key: "name", back: false };
[order.key, order.back] = recall("order", "name").split(" ").map((word, i) => (i ? true : word));
if (!ORDERS[order.key]) order.key = "name";

export function sortBy(key, back = order.key === key && !order.back) {
  Object.assign(order, { key, back });
  remember("order", back ? `${key} back` : key);
  dirty = true;
  refresh();
}

function arrange() {
  dirty = false;
  const compare = ORDERS[order.key];
  const entries = [...processes.values()].sort((a, b) => (order.back ? compare(b, a) : compare(a, b)) || byName(a, b));
  const parts = new Map(); // by group only where the order is that of names
  for (const entry of entries) {
    const key = order.key === "name" ? entry.data.group : "";
    if (!parts.has(key)) parts.set(key, []);
    parts.get(key).push(entry.tr);
  }
  const bodies = new Map([...$("table").tBodies].map((body) => [body.dataset.group, body]));
  const focused = document.activeElement;
  const wanted = [];
  for (const [group, rows] of parts) {
    const body = bodies.get(group) || element("tbody", { "data-group": group, role: "rowgroup" });
    const head = body.querySelector("tr.group");
    const all = group && rows.length > 1 ? [head || groupHead(group), ...rows] : rows;
    if (all.length !== body.children.length || all.some((tr, i) => body.children[i] !== tr)) body.replaceChildren(...all);
    for (const tr of rows) tr.setAttribute("aria-level", all.length > rows.length ? "2" : "1");
    wanted.push(body);
  }
  const there = [...$("table").tBodies];
  if (wanted.length !== there.length || wanted.some((body, i) => body !== there[i])) {
    there.forEach((body) => body.remove());
    $("table").append(...wanted);
  }
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  for (const th of document.querySelectorAll("#table th[data-sort]")) {
    th.setAttribute("aria-sort", th.dataset.sort !== order.key ? "none" : order.back ? "descending" : "ascending");
  }
  $("sort").value = order.key;
}

function members(group) { return [...processes.values()].map((entry) => entry.data).filter((row) => row.group === group); }

function groupHead(group) {
  return element("tr", { class: "group", role: "row", tabindex: "-1", "aria-level": "1", "data-group": group, onclick: () => fold(group) },
    element("td", { class: "name", role: "gridcell", colspan: "2" }, element("span", { class: "fold", "aria-hidden": "true" }), safe(group), element("span", { class: "dim" })),
    element("td", { class: "used cpu", role: "gridcell" }), element("td", { class: "used mem", role: "gridcell" }),
    element("td", { class: "what", role: "gridcell" }), element("td", { class: "do", role: "gridcell" }, element("div", { class: "actions" })));
}

export function fold(group, closed = !collapsed.has(group)) {
  closed ? collapsed.add(group) : collapsed.delete(group);
  remember("collapsed", JSON.stringify([...collapsed]));
  refresh();
}

function heads() {
  for (const head of document.querySelectorAll("#table tr.group")) {
    const group = head.dataset.group;
    const entries = [...head.parentElement.querySelectorAll("tr.row")].map((tr) => processes.get(tr.dataset.name));
    const running = entries.filter(({ data }) => data.state === "RUNNING").length;
    const bad = entries.filter(({ data }) => isTrouble(data)).length;
    const sum = (key) => entries.reduce((total, { usage: one }) => total + (one?.[key] ?? 0), 0);
    const measured = entries.some(({ usage: one }) => one);
    set(head.children[0].lastChild, ` ${running} of ${entries.length} running`);
    set(head.children[1], entries.some(({ usage: one }) => one?.percent != null) ? `${sum("percent").toFixed(1)} %` : "");
    set(head.children[2], measured ? size(sum("memory_bytes")) : "");
    set(head.children[3], bad ? `${bad} in trouble` : "");
    head.children[3].className = bad ? "what trouble" : "what";
    head.setAttribute("aria-expanded", String(!isClosed(group)));
    if (head.dataset.can === me.role) continue;
    head.dataset.can = me.role;
    head.querySelector(".actions").replaceChildren(...actions(`all of ${group}`, null, (verb) => act(verb, `${group}:*`, members(group))));
  }
}

const isClosed = (group) => collapsed.has(group) && !$("find").value.trim() && !shownStates.size;

// ---- filters ----

function chips() {
  const counts = {};
  for (const { data } of processes.values()) counts[data.state] = (counts[data.state] || 0) + 1;
  for (const state of [...shownStates]) if (!counts[state]) shownStates.delete(state);
  const wanted = STATES.filter((state) => counts[state]);
  const box = $("states");
  const same = box.children.length === wanted.length && wanted.every((state, i) => box.children[i].dataset.state === state);
  if (!same) {
    box.replaceChildren(...wanted.map((state) => element("button", {
      type: "button", class: KIND[state], "data-state": state,
      onclick: () => { shownStates.has(state) ? shownStates.delete(state) : shownStates.add(state); refresh(); },
    })));
  }
  wanted.forEach((state, i) => {
    set(box.children[i], `${state.toLowerCase()} ${counts[state]}`);
    box.children[i].setAttribute("aria-pressed", String(shownStates.has(state)));
  });
  const bad = (counts.FATAL || 0) + (counts.BACKOFF || 0);
  document.title = `${!link.up && known ? "? " : bad ? `(${bad}) ` : ""}${$("title").textContent}`;
}

function filter() {
  const text = $("find").value.trim().toLowerCase();
  let any = false;
  for (const body of $("table").tBodies) {
    const closed = isClosed(body.dataset.group) && body.querySelector("tr.group");
    let some = false;
    for (const tr of body.querySelectorAll("tr.row")) {
      const fits = tr.dataset.name.toLowerCase().includes(text) && (!shownStates.size || shownStates.has(tr.dataset.state));
      tr.hidden = !fits || Boolean(closed);
      some ||= fits;
    }
    body.hidden = !some;
    any ||= some;
  }
  $("none").hidden = any;
  $("none").textContent = processes.size ? "No process matches." : known ? "No processes are defined." : "Nothing is known yet.";
  if (!current?.isConnected || !isShown(current)) setCurrent(visible()[0] || null);
}

export const refresh = soon(() => {
  if (dirty) arrange();
  heads();
  chips();
  filter();
});

// ---- the keyboard: one stop of the Tab key for the whole table ----

let current = null;
const isShown = (tr) => !tr.hidden && !tr.parentElement?.hidden;
const visible = () => [...document.querySelectorAll("#table tbody tr")].filter(isShown);

function setCurrent(tr) {
  for (const [row, index] of [[current, -1], [tr, 0]]) {
    if (!row) continue;
    row.tabIndex = index;
    for (const button of row.querySelectorAll("button")) button.tabIndex = index;
  }
  current = tr;
}

export const currentRow = () => (current?.isConnected ? current : null);
$("table").addEventListener("focusin", (event) => { const tr = event.target.closest("tbody tr"); if (tr && tr !== current) setCurrent(tr); });

export function move(step) {
  const rows = visible().filter((tr) => !picked() || tr.dataset.name);
  if (!rows.length) return;
  const now = rows.findIndex((tr) => (picked() ? tr.dataset.name === picked() : tr.contains(document.activeElement)));
  const tr = rows[Math.min(rows.length - 1, Math.max(0, now + step))];
  tr.scrollIntoView({ block: "nearest" });
  if (picked()) open(tr.dataset.name, "same");
  else tr.focus();
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -1e6, End: 1e6 };
$("table").addEventListener("keydown", (event) => {
  const tr = event.target.closest("tbody tr");
  if (!tr || event.ctrlKey || event.metaKey || event.altKey) return;
  const onRow = event.target === tr;
  const group = tr.dataset.group;
  const buttons = [...tr.querySelectorAll("button:not(:disabled)")];
  const at = buttons.indexOf(event.target);
  if (STEPS[event.key]) move(STEPS[event.key]);
  else if (group && onRow && ["Enter", " "].includes(event.key)) fold(group);
  else if (group && event.key === "ArrowRight" && isClosed(group)) fold(group, false);
  else if (group && event.key === "ArrowLeft" && onRow) fold(group, true);
  else if (event.key === "ArrowRight") buttons[Math.min(buttons.length - 1, at + 1)]?.focus();
  else if (event.key === "ArrowLeft") (at > 0 ? buttons[at - 1] : tr).focus();
  else if (onRow && event.key === "Enter") open(tr.dataset.name, null, true);
  else return;
  event.preventDefault();
  event.stopPropagation();
});
for (const th of document.querySelectorAll("#table th[data-sort]")) th.firstElementChild.addEventListener("click", () => sortBy(th.dataset.sort));
$("sort").addEventListener("change", () => sortBy($("sort").value, false));
$("find").addEventListener("input", refresh);
