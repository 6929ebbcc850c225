// The page: a live table, and one process in detail. No library, no build step, no other hosts.
import { Terminal } from "./ansi.js";

const $ = (id) => document.getElementById(id);
const KIND = { RUNNING: "ok", STARTING: "busy", STOPPING: "busy", BACKOFF: "busy", FATAL: "bad", EXITED: "info", STOPPED: "quiet" };
const STATES = ["FATAL", "BACKOFF", "STARTING", "STOPPING", "RUNNING", "EXITED", "STOPPED"];
const MAX_LINES = 5000;
const CLOCK = { hourCycle: "h23" }; // as in what the daemon tells
const processes = new Map(); // fullname -> { data, at (our clock), tr }
const shownStates = new Set();
let me = { role: "view", roles: ["view"] };
let picked = null;
let view = null;

// ---- small helpers ----

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function toast(text, bad = false) {
  const made = element("div", { class: bad ? "toast bad" : "toast" }, text);
  $("toasts").append(made);
  setTimeout(() => made.remove(), bad ? 9000 : 3500);
}

function duration(seconds) {
  seconds = Math.max(0, Math.floor(seconds));
  const days = Math.floor(seconds / 86400);
  const clock = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map((n) => Math.floor(n));
  const text = `${clock[0]}:${String(clock[1]).padStart(2, "0")}:${String(clock[2]).padStart(2, "0")}`;
  return days ? `${days} d ${text}` : text;
}

function moment(text) {
  const date = new Date(text);
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString(undefined, CLOCK) : date.toLocaleString(undefined, CLOCK);
}

async function api(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Supervisor-Lite": "page" },
  };
  const reply = await fetch(`${location.origin}/api/v1${path}`, { credentials: "same-origin", ...options });
  const text = await reply.text();
  let found = {};
  try { found = JSON.parse(text); } catch { found = { error: { message: text.trim() } }; }
  if (!reply.ok && !found.results) throw new Error(found.error?.message || reply.statusText);
  return found;
}

const path = (name, rest = "") => `/processes/${encodeURIComponent(name)}${rest}`;
const may = (role) => me.roles.slice(0, me.roles.indexOf(me.role) + 1).includes(role);

// ---- what can be done ----

async function act(verb, name) {
  try {
    // Not waited for: what comes of it is seen in the table.
    const found = await api(path(name, `/${verb}`), { wait: false });
    const failed = found.results.filter((result) => !result.ok);
    for (const result of failed) toast(`${result.fullname}: ${result.reason || result.result}`, true);
    if (!failed.length && !found.results.length) toast(`${name}: nothing to ${verb}`);
  } catch (error) {
    toast(`${verb} ${name}: ${error.message}`, true);
  }
}

function ask(title, body, yes) {
  return new Promise((resolve) => {
    $("dialog-title").textContent = title;
    $("dialog-body").replaceChildren(...body);
    $("dialog-yes").textContent = yes || "";
    $("dialog-yes").hidden = !yes;
    $("dialog-no").textContent = yes ? "Cancel" : "Close";
    $("dialog").returnValue = "no";
    $("dialog").addEventListener("close", () => resolve($("dialog").returnValue === "yes"), { once: true });
    $("dialog").showModal();
  });
}

async function actOnMany(verb, name, count) {
  const text = `This will ${verb} ${count} processes.`;
  if (await ask(`${verb[0].toUpperCase()}${verb.slice(1)} ${name}?`, [element("p", {}, text)], verb)) act(verb, name);
}

const ICON = { start: "▶", stop: "■", restart: "↻" };

function actions(names, state, run) {
  if (!may("operate")) return [];
  const up = ["STARTING", "RUNNING", "BACKOFF", "STOPPING"].includes(state);
  const verbs = state === null ? ["start", "stop", "restart"] : up ? ["stop", "restart"] : ["start"];
  return verbs.map((verb) => element("button", {
    type: "button", class: verb === "start" ? "" : "danger", "data-verb": verb,
    "aria-label": `${verb} ${names}`, title: verb, disabled: state === "STOPPING" && verb === "stop",
    onclick: (event) => { event.stopPropagation(); run(verb); },
  }, ICON[verb], element("span", {}, ` ${verb}`)));
}

// ---- the table ----

function what(row, at) {
  if (row.state === "RUNNING" || row.pid) {
    const up = row.uptime == null ? "" : `, up ${duration(row.uptime + (performance.now() - at) / 1000)}`;
    return `pid ${row.pid}${up}${row.stale ? " · its definition has changed" : ""}${row.reason ? ` · ${row.reason}` : ""}`;
  }
  return row.reason || "";
}

function groupOf(row) {
  let body = document.querySelector(`#table tbody[data-group="${CSS.escape(row.group)}"]`);
  if (body) return body;
  body = element("tbody", { "data-group": row.group });
  const after = [...$("table").tBodies].find((other) => compare(other.dataset.group, row.group) > 0);
  $("table").insertBefore(body, after || null);
  return body;
}

const order = new Intl.Collator("en", { numeric: true });
const compare = (a, b) => order.compare(a, b);

function put(row) {
  const known = processes.get(row.fullname);
  const tr = known?.tr || element("tr", {
    class: "row", tabindex: "0", "data-name": row.fullname,
    onclick: () => open(row.fullname),
    onkeydown: (event) => { if (event.key === "Enter" && event.target === event.currentTarget) open(row.fullname); },
  });
  const hadFocus = tr.contains(document.activeElement) ? document.activeElement.dataset.verb || "" : null;
  const single = row.group === row.name;
  const trouble = ["FATAL", "BACKOFF"].includes(row.state) || (row.wanted && row.state === "EXITED");
  tr.replaceChildren(
    element("td", { class: "state" }, element("span", { class: `badge ${KIND[row.state] || "quiet"}` }, row.state)),
    element("td", { class: "name", title: row.fullname }, single ? "" : element("span", { class: "of" }, `${row.group}:`), row.name),
    element("td", { class: trouble ? "what trouble" : "what", title: row.reason || "" }),
    element("td", { class: "do" }, element("div", { class: "actions" }, ...actions(row.fullname, row.state, (verb) => act(verb, row.fullname)))),
  );
  tr.dataset.state = row.state;
  const entry = { data: row, at: performance.now(), tr };
  processes.set(row.fullname, entry);
  tr.children[2].textContent = what(row, entry.at);
  if (!known) {
    const body = groupOf(row);
    const after = [...body.querySelectorAll("tr.row")].find((other) => compare(other.dataset.name, row.fullname) > 0);
    body.insertBefore(tr, after || null);
  }
  if (hadFocus !== null) (tr.querySelector(`[data-verb="${hadFocus}"]`) || tr).focus();
  if (picked === row.fullname) describe();
}

function drop(name) {
  const entry = processes.get(name);
  if (!entry) return;
  const body = entry.tr.parentElement;
  entry.tr.remove();
  processes.delete(name);
  if (!body.querySelector("tr.row")) body.remove();
  if (picked === name) close();
}

let planned = false;
function refresh() { // once for many changes
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => { planned = false; heads(); chips(); filter(); });
}

function heads() {
  for (const body of $("table").tBodies) {
    const rows = body.querySelectorAll("tr.row");
    const head = body.querySelector("tr.group");
    if (rows.length < 2) { head?.remove(); continue; }
    const running = [...rows].filter((tr) => tr.dataset.state === "RUNNING").length;
    const text = ` ${running} of ${rows.length} running`;
    if (head) { head.querySelector(".dim").textContent = text; continue; }
    const group = body.dataset.group;
    body.prepend(element("tr", { class: "group" },
      element("td", { colspan: "3" }, group, element("span", { class: "dim" }, text)),
      element("td", { class: "do" }, element("div", { class: "actions" },
        ...actions(`all of ${group}`, null, (verb) => actOnMany(verb, `${group}:*`, body.querySelectorAll("tr.row").length))))));
  }
}

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
    box.children[i].textContent = `${state.toLowerCase()} ${counts[state]}`;
    box.children[i].setAttribute("aria-pressed", String(shownStates.has(state)));
  });
  const bad = (counts.FATAL || 0) + (counts.BACKOFF || 0);
  document.title = `${bad ? `(${bad}) ` : ""}${$("title").textContent}`;
}

function filter() {
  const text = $("find").value.trim().toLowerCase();
  let any = false;
  for (const body of $("table").tBodies) {
    let some = false;
    for (const tr of body.querySelectorAll("tr.row")) {
      const fits = tr.dataset.name.toLowerCase().includes(text) && (!shownStates.size || shownStates.has(tr.dataset.state));
      tr.hidden = !fits;
      some ||= fits;
    }
    body.hidden = !some;
    any ||= some;
  }
  $("none").hidden = any;
  $("none").textContent = processes.size ? "No process matches." : "No processes are defined.";
}

setInterval(() => { // the uptimes; nothing is asked of the server for them
  if (document.hidden) return;
  for (const { data, at, tr } of processes.values()) {
    if (data.pid && !tr.hidden) tr.children[2].textContent = what(data, at);
  }
  if (picked) describe();
}, 1000);

// ---- events ----

function connect() {
  const source = new EventSource(`${location.origin}/events`);
  const on = (kind, handle) => source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  on("snapshot", ({ processes: rows }) => {
    const names = new Set(rows.map((row) => row.fullname));
    for (const name of [...processes.keys()]) if (!names.has(name)) drop(name);
    rows.forEach(put);
    refresh();
    link("up", "live");
  });
  on("process", (row) => { put(row); refresh(); });
  on("gone", ({ fullname }) => { drop(fullname); refresh(); });
  on("change", change);
  on("daemon", ({ connected }) => (connected ? link("up", "live") : link("down", "the daemon does not answer")));
  source.onerror = () => {
    link("down", "no connection, trying again …");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}

function link(kind, text) {
  $("link").className = `link ${kind}`;
  $("link").textContent = text;
}

function change(about) {
  const by = about.by ? ` by ${about.by}` : "";
  const line = element("li", {}, `${moment(about.time)} `, element("b", {}, about.name), ` ${about.from} → `,
    element("span", { class: `badge ${KIND[about.to] || "quiet"}` }, about.to), about.cause ? ` ${about.cause}` : "", by);
  $("changes").prepend(line);
  while ($("changes").children.length > 100) $("changes").lastChild.remove();
  if (picked === about.name && view?.reload) view.reload();
}

// ---- one process ----

function open(name, tab = "stdout") {
  picked = name;
  for (const { tr } of processes.values()) tr.classList.toggle("picked", tr.dataset.name === name);
  $("detail").hidden = false;
  document.querySelector("main").classList.add("open");
  describe();
  show(tab);
  $("name").focus({ preventScroll: true });
  history.replaceState(null, "", `#${encodeURIComponent(name)}/${tab}`);
}

function close() {
  const entry = processes.get(picked);
  picked = null;
  view?.end();
  view = null;
  $("detail").hidden = true;
  document.querySelector("main").classList.remove("open");
  entry?.tr.classList.remove("picked");
  entry?.tr.focus();
  history.replaceState(null, "", location.pathname);
}

function describe() {
  const entry = processes.get(picked);
  if (!entry) return;
  const { data, at } = entry;
  $("name").textContent = data.fullname;
  $("badge").textContent = data.state;
  $("badge").className = `badge ${KIND[data.state] || "quiet"}`;
  $("about").textContent = [
    what(data, at), data.restarts ? `${data.restarts} automatic restarts` : "",
    data.wanted ? "" : "not wanted up", data.exitcode != null ? `last exit code ${data.exitcode}` : data.signal ? `last ended by ${data.signal}` : "",
  ].filter(Boolean).join(" · ");
  if ($("actions").dataset.of !== `${data.fullname} ${data.state} ${me.role}`) {
    $("actions").dataset.of = `${data.fullname} ${data.state} ${me.role}`;
    $("actions").replaceChildren(...actions(data.fullname, data.state, (verb) => act(verb, data.fullname)));
  }
}

const TABS = ["stdout", "stderr", "why", "runs"];

function show(tab) {
  view?.end();
  for (const other of TABS) {
    $(`tab-${other}`).setAttribute("aria-selected", String(other === tab));
    $(`tab-${other}`).tabIndex = other === tab ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${tab}`);
  $("panel").replaceChildren();
  const isLog = tab === "stdout" || tab === "stderr";
  $("logbar").hidden = !isLog;
  view = isLog ? new Log(picked, tab) : tab === "why" ? new Told(picked) : new Runs(picked);
  history.replaceState(null, "", `#${encodeURIComponent(picked)}/${tab}`);
}

class Log {
  constructor(name, stream) {
    this.stop = new AbortController();
    this.box = element("pre", { class: $("wrap").checked ? "log wrap" : "log" });
    $("panel").append(this.box);
    this.follow(name, stream);
  }

  async follow(name, stream) {
    let first = true;
    while (!this.stop.signal.aborted) {
      try {
        const bytes = first ? 65536 : 0;
        const reply = await fetch(`${location.origin}/api/v1${path(name, `/log/${stream}`)}?bytes=${bytes}&follow=true`, { signal: this.stop.signal });
        if (!reply.ok) {
          const about = await reply.json().catch(() => ({}));
          this.tell(about.error?.message || `no log: ${reply.status}`);
          return;
        }
        const terminal = new Terminal((line) => this.take(line));
        const decoder = new TextDecoder();
        const reader = reply.body.getReader();
        first = false;
        for (;;) {
          const { done, value } = await reader.read();
          if (done) break;
          const bottom = this.atBottom();
          terminal.write(decoder.decode(value, { stream: true }));
          this.trim();
          if ($("follow").checked && bottom) this.toEnd();
          this.mark();
        }
      } catch (error) {
        if (this.stop.signal.aborted) return;
      }
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }

  atBottom() {
    const panel = $("panel");
    return panel.scrollHeight - panel.scrollTop - panel.clientHeight < 40;
  }

  toEnd() { $("panel").scrollTop = $("panel").scrollHeight; }

  take(line) {
    if (!line.parentElement) this.box.append(line);
    const text = $("grep").value.toLowerCase();
    line.classList.toggle("out", text !== "" && !line.textContent.toLowerCase().includes(text));
  }

  tell(text) { this.box.append(element("div", { class: "told" }, text)); }

  trim() { while (this.box.children.length > MAX_LINES) this.box.firstChild.remove(); }

  search() {
    for (const line of this.box.children) if (!line.classList.contains("told")) this.take(line);
    this.mark();
    if ($("follow").checked) this.toEnd();
  }

  mark() {
    const text = $("grep").value.toLowerCase();
    const lines = [...this.box.children].filter((line) => !line.classList.contains("out"));
    $("hits").textContent = text ? `${lines.length} lines` : "";
    if (!window.CSS?.highlights) return;
    CSS.highlights.delete("hits");
    if (!text) return;
    const ranges = [];
    for (const line of lines.slice(-500)) {
      const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
      while (walker.nextNode()) {
        const content = walker.currentNode.data.toLowerCase();
        for (let at = content.indexOf(text); at >= 0; at = content.indexOf(text, at + text.length)) {
          const range = new Range();
          range.setStart(walker.currentNode, at);
          range.setEnd(walker.currentNode, at + text.length);
          ranges.push(range);
        }
      }
    }
    CSS.highlights.set("hits", new Highlight(...ranges));
  }

  end() {
    this.stop.abort();
    window.CSS?.highlights?.delete("hits");
  }
}

class Told {
  constructor(name) { this.name = name; this.reload(); }

  async reload() {
    try {
      const [why, next] = await Promise.all([api(path(this.name, "/why")), api(path(this.name, "/explain"))]);
      if (view !== this) return;
      const schedule = (next.schedule || []).map((step) => element("li", { class: "next" }, `in ${step.at.toFixed(1)} s: ${step.what}`));
      $("panel").replaceChildren(element("ul", { class: "story" },
        ...why.lines.map((line) => element("li", {}, line)),
        element("h3", {}, "What the restart policy does"),
        ...next.lines.map((line) => element("li", {}, line)), ...schedule));
    } catch (error) { failed(error); }
  }

  end() {}
}

class Runs {
  constructor(name) { this.name = name; this.reload(); }

  async reload() {
    try {
      const { runs } = await api(path(this.name, "/runs?limit=100"));
      if (view !== this) return;
      const head = ["Run", "Pid", "Spawned", "Lasted", "End"].map((text) => element("th", { scope: "col" }, text));
      $("panel").replaceChildren(element("div", { class: "runs" }, runs.length
        ? element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...runs.map(this.row)))
        : element("p", { class: "notice" }, "It has never been started.")));
    } catch (error) { failed(error); }
  }

  row(run) {
    const alive = run.ended == null;
    const how = alive ? "still running" : run.signal ? run.signal : run.exitcode != null ? `exit ${run.exitcode}` : "unknown";
    const kind = alive ? "ok" : run.exitcode === 0 ? "quiet" : "bad";
    return element("tr", {}, element("td", {}, String(run.run)), element("td", {}, run.pid == null ? "–" : String(run.pid)),
      element("td", {}, run.spawned ? moment(run.spawned) : "–"), element("td", {}, run.duration == null ? "–" : duration(run.duration)),
      element("td", {}, element("span", { class: `badge ${kind}` }, how), run.reason ? ` ${run.reason}` : ""));
  }

  end() {}
}

function failed(error) {
  $("panel").replaceChildren(element("p", { class: "notice" }, error.message));
}

// ---- the configuration, the theme, the keyboard ----

async function apply() {
  try {
    const found = await api("/reread", {});
    const lines = [["added", "new"], ["changed", "changed"], ["removed", "gone"]].flatMap(([key, word]) => found[key].map((name) => `${name}: ${word}`));
    const body = lines.length ? [element("ul", {}, ...lines.map((line) => element("li", {}, line)))] : [element("p", {}, "Nothing has changed in the configuration.")];
    if (await ask("Configuration", body, lines.length ? "Apply" : "")) {
      await api("/update", {});
      toast("The configuration is applied.");
    }
  } catch (error) { toast(error.message, true); }
}

const THEMES = ["auto", "light", "dark"];
function theme(choice) {
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = { auto: "◐", light: "☀", dark: "☾" }[choice];
  $("theme").setAttribute("aria-label", `Colours: ${choice === "auto" ? "as the system" : choice}`);
  try { localStorage.setItem("theme", choice); } catch { /* private mode */ }
}
let chosen = "auto";
try { chosen = localStorage.getItem("theme") || "auto"; } catch { /* private mode */ }
if (!THEMES.includes(chosen)) chosen = "auto";
theme(chosen);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(chosen));
$("theme").addEventListener("click", () => { chosen = THEMES[(THEMES.indexOf(chosen) + 1) % 3]; theme(chosen); });

const HELP = [["/", "find a process"], ["j k ↓ ↑", "next, previous process"], ["Enter", "open it"], ["1 2 3 4", "stdout, stderr, why, runs"],
  ["s x r", "start, stop, restart"], ["f", "find in the log"], ["Esc", "back"]];
function help() {
  ask("Keyboard", [element("dl", {}, ...HELP.flatMap(([keys, text]) => [
    element("dt", {}, ...keys.split(" ").map((key) => element("kbd", {}, key))), element("dd", {}, text)]))], "");
}

function move(step) {
  const rows = [...document.querySelectorAll("#table tr.row")].filter((tr) => !tr.hidden && !tr.parentElement.hidden);
  if (!rows.length) return;
  const now = rows.findIndex((tr) => tr.contains(document.activeElement) || (tr.dataset.name === picked && !$("detail").hidden));
  const tr = rows[Math.min(rows.length - 1, Math.max(0, now + step))];
  tr.scrollIntoView({ block: "nearest" });
  if (picked) open(tr.dataset.name, TABS.find((tab) => $(`tab-${tab}`).getAttribute("aria-selected") === "true"));
  else tr.focus();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  const typing = event.target.matches("input[type=search]");
  if (event.key === "Escape") {
    if (typing && event.target.value) { event.target.value = ""; event.target.dispatchEvent(new Event("input")); }
    else if (typing) event.target.blur();
    else if (picked) close();
    return;
  }
  if (typing) return;
  const name = picked || event.target.closest?.("tr.row")?.dataset.name;
  const verb = { s: "start", x: "stop", r: "restart" }[event.key];
  if (event.key === "/") $("find").focus();
  else if (event.key === "f" && picked && !$("logbar").hidden) $("grep").focus();
  else if (event.key === "?") help();
  else if (event.key === "j" || (event.key === "ArrowDown" && event.target.closest?.("tr.row"))) move(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && event.target.closest?.("tr.row"))) move(-1);
  else if (picked && "1234".includes(event.key)) show(TABS[event.key - 1]);
  else if (verb && name && may("operate")) act(verb, name);
  else return;
  event.preventDefault();
});

for (const tab of TABS) {
  $(`tab-${tab}`).addEventListener("click", () => show(tab));
  $(`tab-${tab}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length];
    show(next);
    $(`tab-${next}`).focus();
  });
}
$("close").addEventListener("click", close);
$("keys").addEventListener("click", help);
$("apply").addEventListener("click", apply);
$("find").addEventListener("input", refresh);
$("grep").addEventListener("input", () => view?.search?.());
$("wrap").addEventListener("change", () => view?.box?.classList.toggle("wrap", $("wrap").checked));
$("follow").addEventListener("change", () => { if ($("follow").checked) view?.toEnd?.(); });

// ---- begin ----

async function begin() {
  try {
    me = await api("/daemon");
    $("title").textContent = me.identifier;
    $("apply").hidden = !may("admin");
    const { changes } = await api("/events?limit=50");
    changes.forEach(change);
  } catch (error) { link("down", error.message); }
  connect();
  const [name, tab] = location.hash.slice(1).split("/");
  if (name) {
    const wanted = decodeURIComponent(name);
    const wait = setInterval(() => { if (processes.has(wanted)) { clearInterval(wait); open(wanted, TABS.includes(tab) ? tab : "stdout"); } }, 50);
    setTimeout(() => clearInterval(wait), 5000);
  }
}
begin();
