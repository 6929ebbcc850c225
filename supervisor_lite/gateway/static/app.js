// The page: a live table, and one process in detail. No library, no build step, no other hosts.
import { act } from "./actions.js";
import { $, KIND, alarm, ask, element, moment, recall, remember, safe, toast, told } from "./base.js";
import { api, link, listen, looking, may, me, notices, onLink, since, tick } from "./daemon.js";
import { TABS, close, describe, follow, picked, reload, show, shownView } from "./detail.js";
import { currentRow, drop, move, processes, put, refresh, repaint, snapshot, tickRows, usage } from "./table.js";

// ---- changes ----

function change(about, old = false) {
  since(about.serial);
  const by = about.by ? ` by ${safe(about.by)}` : "";
  const line = element("li", {}, `${moment(about.time)} `, element("b", {}, safe(about.name)), ` ${about.from} → `,
    element("span", { class: `badge ${KIND[about.to] || "quiet"}` }, about.to), about.cause ? ` ${safe(about.cause)}` : "", by);
  $("changes").prepend(line);
  while ($("changes").children.length > 100) $("changes").lastChild.remove();
  if (!old) reload(about.name);
}

// ---- the configuration ----

const WORDS = [["added", "is new: it will be added"], ["changed", "has changed: it will be restarted if it needs to be"], ["removed", "is gone: it will be stopped and removed"]];

// What may not be meant, such as a directory of files that is empty now, is asked about once more.
async function update() {
  try {
    return await api("/update", {});
  } catch (error) {
    if (error.code !== "confirmation_needed") throw error;
    return (await ask("Is that meant?", told(error), "Apply all the same", true)) ? api("/update", { yes: true }) : null;
  }
}

async function configure() {
  let found;
  try {
    found = await api("/reread", {});
  } catch (error) { return alarm("cannot use the configuration; nothing has changed", error); }
  const line = (text) => element("li", {}, ...text);
  const lines = WORDS.flatMap(([key, word]) => found[key].map((name) => line([element("b", {}, safe(name)), ` ${word}`])));
  const more = [...(found.warnings || []), ...(found.notes || [])].map((text) => line([safe(text)]));
  const body = [lines.length ? element("ul", {}, ...lines) : element("p", {}, "No program has changed in the configuration."), more.length ? element("ul", { class: "details" }, ...more) : null].filter(Boolean);
  if (!(await ask("Configuration", body, lines.length ? "Apply" : "", found.removed.length + found.changed.length > 0))) return undefined;
  try {
    const done = await update();
    if (!done) return undefined;
    const failed = (done.results || []).filter((result) => result.ok === false);
    for (const result of failed) alarm(`not up after the update: ${result.fullname || result.name}`, { message: result.reason || result.result, details: (result.last_words || "").split("\n").filter(Boolean) });
    const applied = (done.results || []).filter((result) => result.ok !== false).map((result) => `${result.name} ${result.result}`);
    toast(`The configuration is applied: ${applied.join(", ") || "nothing had to be done"}.`);
    for (const note of done.notes || []) alarm("not all of it is true yet", { message: note });
  } catch (error) { alarm("cannot apply the configuration", error); }
  return undefined;
}

// ---- the theme, signing out ----

const THEMES = ["auto", "light", "dark"];
function theme(choice) {
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = { auto: "◐", light: "☀", dark: "☾" }[choice];
  $("theme").setAttribute("aria-label", `Colours: ${choice === "auto" ? "as the system" : choice}`);
  remember("theme", choice);
}
let chosen = recall("theme", "auto");
if (!THEMES.includes(chosen)) chosen = "auto";
theme(chosen);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(chosen));
$("theme").addEventListener("click", () => { chosen = THEMES[(THEMES.indexOf(chosen) + 1) % 3]; theme(chosen); });

// The browser forgets a password that is refused: this address refuses it once.
$("out").addEventListener("click", () => { location.href = `/signout?once=${crypto.getRandomValues(new Uint32Array(3)).join("-")}`; });

// ---- the keyboard ----

const HELP = [["/", "find a process"], ["j k ↓ ↑", "next, previous process"], ["Enter", "open it; open or close a group"], ["← →", "close, open a group; to the buttons of a row"],
  ["1 2 3 4", "stdout, stderr, why, runs"], ["s x r", "start, stop, restart"], ["y n", "yes, no (asked before anything stops)"], ["f", "find in the log"], ["Esc", "back"]];
function help() {
  ask("Keyboard", [element("dl", {}, ...HELP.flatMap(([keys, text]) => [
    element("dt", {}, ...keys.split(" ").map((key) => element("kbd", {}, key))), element("dd", {}, text)]))], "");
}

function actOn(verb) {
  const tr = currentRow();
  const group = !picked() && tr?.contains(document.activeElement) ? tr.dataset.group : null;
  const name = picked() || (tr?.contains(document.activeElement) ? tr.dataset.name : null);
  const rows = [...processes.values()].map((entry) => entry.data).filter((row) => (group ? row.group === group : row.fullname === name));
  if (rows.length) act(verb, group ? `${group}:*` : name, rows);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && "sxr".includes(event.key) || $("dialog").open) return;
  const typing = event.target.matches("input[type=search], select");
  if (event.key === "Escape") {
    if (typing && event.target.value && event.target.type === "search") { event.target.value = ""; event.target.dispatchEvent(new Event("input")); }
    else if (typing) event.target.blur();
    else if ($("alarms").lastChild) $("alarms").lastChild.remove();
    else if (picked()) close();
    return;
  }
  if (typing) return;
  const verb = { s: "start", x: "stop", r: "restart" }[event.key];
  if (event.key === "/") $("find").focus();
  else if (event.key === "f" && picked() && !$("logbar").hidden) $("grep").focus();
  else if (event.key === "?") help();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (picked() && "1234".includes(event.key)) show(TABS[event.key - 1]);
  else if (verb) actOn(verb);
  else return;
  event.preventDefault();
});

$("keys").addEventListener("click", help);
$("apply").addEventListener("click", configure);
$("grep").addEventListener("input", () => shownView()?.search?.());
$("wrap").addEventListener("change", () => shownView()?.box?.classList.toggle("wrap", $("wrap").checked));
$("follow").addEventListener("change", () => { if ($("follow").checked) shownView()?.toEnd?.(); });

// ---- begin ----

let drawnFor = "";
looking(usage, () => {
  $("title").textContent = me.identifier;
  $("apply").hidden = !may("admin");
  $("out").hidden = !me.password;
  $("out").setAttribute("aria-label", `Sign out: ${me.user}, ${me.role}`);
  $("out").title = `${me.user}, ${me.role}`;
  const which = JSON.stringify([me.role, me.gateway]);
  if (which !== drawnFor) repaint();
  drawnFor = which;
});
onLink(() => { repaint(); notices(); describe(); if (link.up) { reload(); shownView()?.again?.(); } });
setInterval(() => {
  tick();
  if (document.hidden) return;
  tickRows();
  describe();
}, 1000);

async function begin() {
  try {
    const { changes } = await api("/events?limit=50");
    changes.forEach((about) => change(about, true));
  } catch { /* what is wrong is said by what comes next */ }
  let first = true;
  listen({
    snapshot: (about) => { snapshot(about); if (first) follow(); first = false; },
    process: (row) => { put(row); refresh(); },
    gone: ({ fullname }) => { drop(fullname); refresh(); },
    change,
  });
}
begin();
