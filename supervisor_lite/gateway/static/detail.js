// One process in detail: its outputs, why it is where it is, its runs; and the browser's Back.
import { act, actions } from "./actions.js";
import { $, KIND, duration, element, moment, safe, safeLines, size, told } from "./base.js";
import { api, link, me, path } from "./daemon.js";
import { Log } from "./log.js";
import { isOurGateway, isTrouble, processes, what } from "./table.js";

export const TABS = ["stdout", "stderr", "why", "runs"];
let name = null;
let tab = null;
let view = null;
export const picked = () => name;
export const shownView = () => view;

// `chosen` is a tab, "same" for the one that is open, or null for what matters most.
export function open(which, chosen = null, push = false) {
  const entry = processes.get(which);
  if (!entry) return;
  const same = chosen === "same" ? tab : chosen;
  mark(false);
  const address = () => `#${encodeURIComponent(which)}/${tab}`;
  const first = name === null;
  name = which;
  tab = TABS.includes(same) ? same : isTrouble(entry.data) ? "why" : "stdout";
  mark(true);
  $("detail").hidden = false;
  document.querySelector("main").classList.add("open");
  // Back leads from the first that was opened to the table, on a phone too.
  if (push && first) history.pushState({ opened: true }, "", address());
  describe();
  show(tab);
  $("name").focus({ preventScroll: true });
}

function mark(on) {
  const tr = processes.get(name)?.tr;
  tr?.classList.toggle("picked", on);
  tr?.setAttribute("aria-selected", String(on));
}

export function close() {
  if (history.state?.opened) history.back(); // and then as below
  else hide(true);
}

function hide(clean) {
  const tr = processes.get(name)?.tr;
  mark(false);
  name = tab = null;
  view?.end();
  view = null;
  $("detail").hidden = true;
  document.querySelector("main").classList.remove("open");
  tr?.focus();
  tr?.scrollIntoView({ block: "nearest" });
  if (clean) history.replaceState(null, "", location.pathname);
}

// Where the address leads, at the beginning, after Back, and when somebody changes it.
export function follow() {
  const [which, chosen] = location.hash.slice(1).split("/");
  let wanted = "";
  try { wanted = decodeURIComponent(which || ""); } catch { /* nobody's name */ }
  if (!wanted) { if (name !== null) hide(false); }
  else if (processes.has(wanted)) { if (wanted !== name || chosen !== tab) open(wanted, chosen); }
  else if (processes.size) lost(wanted);
}

export function gone(which) { if (which === name) { hide(true); lost(which); } }

function lost(which) {
  const box = $("none");
  box.hidden = false;
  box.textContent = `There is no process "${safe(which)}" any more.`;
}

export function describe() {
  const entry = processes.get(name);
  if (!entry) return;
  const { data, at, usage } = entry;
  const ours = isOurGateway(data);
  $("name").textContent = safe(data.fullname);
  $("badge").textContent = data.state;
  $("badge").className = `badge ${KIND[data.state] || "quiet"}`;
  $("about").textContent = [
    what(data, at), data.pid && usage ? `${usage.percent == null ? "" : `${usage.percent.toFixed(1)} % CPU, `}${size(usage.memory_bytes)}${usage.processes > 1 ? ` in ${usage.processes} processes` : ""}` : "",
    data.restarts ? `${data.restarts} automatic restart${data.restarts > 1 ? "s" : ""}` : "", data.wanted ? "" : "not wanted up",
    data.exitcode != null ? `last exit code ${data.exitcode}` : data.signal ? `last ended by ${data.signal}` : "",
    ours ? "serves this page" : "",
  ].filter(Boolean).join(" · ");
  const which = `${data.fullname} ${data.state} ${me.role} ${ours}`;
  if ($("actions").dataset.of === which) return;
  const verb = $("actions").contains(document.activeElement) ? document.activeElement.dataset.verb : null;
  $("actions").dataset.of = which;
  $("actions").replaceChildren(...actions(data.fullname, data.state, (chosen) => act(chosen, data.fullname, [processes.get(data.fullname).data]), { ours, tabindex: "0" }));
  if (verb) ($("actions").querySelector(`[data-verb="${verb}"]:not(:disabled)`) || $("actions").querySelector("button:not(:disabled)") || $("name")).focus();
}

export function show(chosen) {
  view?.end();
  tab = chosen;
  for (const other of TABS) {
    $(`tab-${other}`).setAttribute("aria-selected", String(other === tab));
    $(`tab-${other}`).tabIndex = other === tab ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${tab}`);
  $("panel").replaceChildren();
  const isLog = tab === "stdout" || tab === "stderr";
  $("logbar").hidden = !isLog;
  view = isLog ? new Log(processes.get(name).data, tab) : tab === "why" ? new Told(name) : new Runs(name);
  history.replaceState(history.state, "", `#${encodeURIComponent(name)}/${tab}`);
}

export function reload(which = name) { if (which === name) view?.reload?.(); }

function failed(error, title) {
  // What was told before is still there, and is not true any more.
  $("panel").querySelector(".failure")?.remove();
  $("panel").prepend(element("div", { class: "failure", role: "alert" }, element("strong", {}, title), ...told(error)));
}

class Told {
  constructor(which) { this.name = which; this.reload(); }

  async reload() {
    try {
      const [why, next] = await Promise.all([api(path(this.name, "/why")), api(path(this.name, "/explain"))]);
      if (view !== this) return;
      const line = (text) => element("li", {}, safeLines(text).join("\n"));
      const schedule = (next.schedule || []).map((step) => element("li", { class: "next" }, `in ${step.at.toFixed(1)} s: ${safe(step.what)}`));
      $("panel").replaceChildren(element("ul", { class: "story" }, ...why.lines.map(line),
        element("h3", {}, "What the restart policy does"), ...next.lines.map(line), ...schedule));
    } catch (error) { if (view === this) failed(error, `cannot tell why of ${safe(this.name)}`); }
  }

  end() {}
}

class Runs {
  constructor(which) { this.name = which; this.reload(); }

  async reload() {
    try {
      const { runs } = await api(path(this.name, "/runs?limit=100"));
      if (view !== this) return;
      const head = ["Run", "Pid", "Spawned", "Lasted", "End"].map((text) => element("th", { scope: "col" }, text));
      $("panel").replaceChildren(element("div", { class: "runs" }, runs.length
        ? element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...runs.map(this.row)))
        : element("p", { class: "notice" }, "It has never been started."),
      runs.length === 100 ? element("p", { class: "dim" }, `The latest 100. All of them: slctl runs -n 1000 ${safe(this.name)}`) : null));
    } catch (error) { if (view === this) failed(error, `cannot tell the runs of ${safe(this.name)}`); }
  }

  row(run) {
    const alive = run.ended == null;
    const how = alive ? (link.up ? "still running" : "was running") : run.signal ? run.signal : run.exitcode != null ? `exit ${run.exitcode}` : run.pid == null ? "not spawned" : "unknown";
    const kind = alive ? "ok" : run.exitcode === 0 ? "quiet" : "bad";
    const words = run.last_words ? element("pre", { class: "words" }, safeLines(run.last_words).join("\n")) : null;
    return element("tr", {}, element("td", {}, String(run.run)), element("td", {}, run.pid == null ? "–" : String(run.pid)),
      element("td", {}, run.spawned ? moment(run.spawned) : "–"), element("td", {}, run.duration == null ? "–" : duration(run.duration)),
      element("td", {}, element("span", { class: `badge ${kind}` }, how), run.reason ? ` ${safe(run.reason)}` : "", words));
  }

  end() {}
}

for (const each of TABS) {
  $(`tab-${each}`).addEventListener("click", () => show(each));
  $(`tab-${each}`).addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = TABS[(TABS.indexOf(each) + step + TABS.length) % TABS.length];
    show(next);
    $(`tab-${next}`).focus();
  });
}
$("close").addEventListener("click", close);
addEventListener("popstate", follow);
