// What can be done to processes: start, stop, restart; what stops production is asked about first.
import { alarm, ask, capital, element, safe, toast } from "./base.js";
import { api, link, may, me, path } from "./daemon.js";
import { isOurGateway, processes, what } from "./table.js";

const UP = ["STARTING", "RUNNING", "BACKOFF", "STOPPING"];
const ICON = { start: "▶", stop: "■", restart: "↻" };

// What stops production is asked about first. `rows` are those that are meant.
export async function act(verb, name, rows) {
  if (!may("operate")) return alarm(`${verb} ${name}`, { message: `needs the role operate; you have ${me.role}` });
  if (!link.up) return alarm(`${verb} ${name}`, { message: `cannot be done now: ${link.why}` });
  const meant = rows.filter((row) => !isOurGateway(row));
  const ours = rows.find(isOurGateway);
  if (ours && verb !== "start") {
    if (rows.length === 1 && verb === "stop") return alarm(`stop ${name}`, { message: `This page is served by ${name}: stopping it would end the page with no way back from here. On the host: slctl stop ${name}` });
    if (rows.length === 1) meant.push(ours);
  }
  const running = meant.filter((row) => UP.includes(row.state));
  if (verb !== "start" && running.length && !(await confirmed(verb, name, running, ours))) return undefined;
  // A group in one request, unless we are in it ourselves.
  const whole = rows.length > 1 && meant.length === rows.length;
  return Promise.all((whole ? [name] : meant.map((row) => row.fullname)).map((each) => carryOut(verb, each)));
}

function confirmed(verb, name, running, ours) {
  const list = running.slice(0, 12).map((row) => element("li", {}, element("b", {}, safe(row.fullname)), ` ${row.state}, `, what(row, processes.get(row.fullname).at)));
  if (running.length > list.length) list.push(element("li", {}, `… and ${running.length - list.length} more`));
  const left = ours && (running.includes(ours) ? "It serves this page, which comes back by itself." : `${ours.fullname} serves this page and is left out.`);
  return ask(`${capital(verb)} ${name}?`, [element("ul", { class: "meant" }, ...list), left && element("p", {}, left)].filter(Boolean), capital(verb), true);
}

async function carryOut(verb, name) {
  try {
    // Not waited for: what comes of it is seen in the table.
    const { results } = await api(path(name, `/${verb}`), { wait: false });
    for (const result of results.filter((one) => !one.ok)) {
      const words = (result.last_words || "").trim();
      alarm(`cannot ${verb} ${result.fullname}`, { message: result.reason || result.result, details: words ? words.split("\n") : [] });
    }
    const done = results.filter((one) => one.ok).length;
    if (!results.length) toast(`${name}: nothing to ${verb}`);
    else if (done) toast(`${verb} ${name}: ${done === 1 ? results.find((one) => one.ok).result : `${done} processes`}`);
  } catch (error) { alarm(`cannot ${verb} ${name}`, error); }
}

export function actions(name, state, run, { ours = false, tabindex = "-1" } = {}) {
  if (!may("operate")) return [];
  const all = state === null ? ["start", "stop", "restart"] : UP.includes(state) ? ["stop", "restart"] : ["start"];
  return all.filter((verb) => !(ours && verb === "stop")).map((verb) => element("button", {
    type: "button", class: verb === "start" ? "" : "danger", "data-verb": verb, tabindex,
    "aria-label": `${verb} ${safe(name)}`, title: verb, disabled: state === "STOPPING" && verb === "stop",
    onclick: (event) => { event.stopPropagation(); run(verb); },
  }, ICON[verb], element("span", {}, ` ${verb}`)));
}
