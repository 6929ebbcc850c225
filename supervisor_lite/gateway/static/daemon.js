// The way to the daemon: requests, what it tells by itself, and whether it can be reached at all.
import { $, age, element, safe, soon, told } from "./base.js";

const SILENCE = 35; // seconds; the gateway sends something every 15
const LOOK = 5000; // milliseconds between two looks at what is used, while somebody sees it
export const me = { role: "view", roles: ["view"], gateway: null };
export const may = (role) => me.roles.slice(0, me.roles.indexOf(me.role) + 1).includes(role);
export const path = (name, rest = "") => `/processes/${encodeURIComponent(name)}${rest}`;

export class Failure extends Error {
  constructor(message, details = [], status = 0, code = "") {
    super(message);
    this.code = code;
    this.details = details;
    this.status = status;
  }
}

// With this header the gateway does not make the browser ask for a password in between.
export async function request(url, options = {}, conflict = false) {
  const headers = { "X-Supervisor-Lite": "page", ...options.headers };
  let reply;
  try {
    reply = await fetch(location.origin + url, { credentials: "same-origin", cache: "no-store", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(error.name === "TimeoutError" ? "no answer from the gateway" : "the gateway cannot be reached");
  }
  if (reply.ok || (conflict && reply.status === 409)) return reply;
  throw await failure(reply);
}

async function failure(reply) {
  const text = (await reply.text().catch(() => "")).trim();
  let found = {};
  try { found = JSON.parse(text).error || {}; } catch { found = { message: text }; }
  if (reply.status === 401) signedOut(found.message || text);
  const details = (Array.isArray(found.details) ? found.details : []).map(String);
  return new Failure(found.message || `${reply.status} ${reply.statusText}`, details, reply.status, found.code);
}

export async function api(url, body, options = {}) {
  const post = body === undefined ? {} : { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const reply = await request(`/api/v1${url}`, { ...post, ...options }, true);
  const found = await reply.clone().json().catch(() => ({}));
  if (!reply.ok && !found.results) throw await failure(reply);
  return found;
}

// ---- whether what is shown is true ----

export const link = { up: false, asOf: 0, why: "", out: false };
const trouble = { stream: "connecting …", daemon: "", look: "" }; // why not, by who has noticed
const watchers = [];
export const onLink = (handle) => watchers.push(handle);
let heard = 0;

function judge() {
  const why = trouble.look || trouble.daemon || trouble.stream;
  const up = !why && !link.out;
  const changed = up !== link.up || why !== link.why;
  if (up) link.asOf = Date.now();
  link.up = up;
  link.why = why;
  if (changed) { showLink(); watchers.forEach((handle) => handle()); }
}

const clock = () => new Date(link.asOf).toLocaleTimeString(undefined, { hourCycle: "h23" });
export const staleness = () => (link.up || !link.asOf ? "" : `${age((Date.now() - link.asOf) / 1000)} ago`);

function showLink() {
  const first = !link.asOf && !link.out && trouble.stream === "connecting …";
  document.body.classList.toggle("stale", !link.up && !first);
  $("link").className = `link ${link.up ? "up" : first ? "" : "down"}`;
  $("link").textContent = link.up ? "live" : first ? "connecting …" : link.out ? "signed out" : "not live";
  $("banner").hidden = link.up || first;
  if (link.up || first) return;
  const what = link.asOf ? ` What you see is as it was at ${clock()}` : " Nothing is known yet";
  const text = link.out ? `You are signed out: ${safe(link.out)}.` : `Not live: ${safe(link.why)}.`;
  $("banner").replaceChildren(element("strong", {}, text), what, element("span", { id: "age" }),
    link.out ? element("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Sign in") : " Trying again …");
  tick();
}

export function tick() { // once a second
  const now = Date.now();
  if (link.up && heard && now - heard > SILENCE * 1000) {
    trouble.stream = `nothing was heard for ${SILENCE} s`;
    judge();
    stream?.abort();
  }
  const words = staleness();
  if ($("age")) $("age").textContent = words ? `, ${words}.` : ".";
}

function signedOut(why) {
  link.out = why || "a name and a password are needed";
  judge();
}

// ---- what the daemon tells: /events ----

let stream = null;
let last = null;
export const since = (serial) => { if (serial > (last || 0)) last = serial; };

export async function listen(handlers) {
  while (!link.out) {
    stream = new AbortController();
    try {
      const reply = await request("/events", { signal: stream.signal, headers: last === null ? {} : { "Last-Event-ID": String(last) } });
      await hear(reply, handlers);
      throw new Failure("the gateway has ended the connection");
    } catch (error) {
      trouble.stream = error.name === "AbortError" || error.name === "TypeError" ? trouble.stream || "the connection was lost" : error.message;
      judge();
    }
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

async function hear(reply, handlers) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard = Date.now();
    if (link.up) link.asOf = heard;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) take(part, handlers);
  }
}

function take(part, handlers) {
  const fields = {};
  for (const line of part.split("\n")) {
    const at = line.indexOf(": ");
    if (at > 0) fields[line.slice(0, at)] = line.slice(at + 2);
  }
  if (fields.id) since(Number(fields.id));
  if (!fields.event) return;
  const about = JSON.parse(fields.data);
  if (fields.event === "daemon") {
    trouble.daemon = about.connected ? "" : "the daemon does not answer";
    if (!about.connected) look(true); // which tells more of it
  }
  handlers[fields.event]?.(about);
  if (fields.event === "snapshot") {
    Object.assign(trouble, { stream: "", daemon: "" });
    look(true);
  }
  judge();
}

// ---- what is used, and who we are: asked while somebody looks, and a sign of life as well ----

let looks = 0;
let timer = null;
let used = true;
let onUsage = () => {};
let onMe = () => {};
export function looking(usage, about) { onUsage = usage; onMe = about; }

export async function about() {
  Object.assign(me, { refused: [] }, await api("/daemon", undefined, { signal: AbortSignal.timeout(10000) }));
  onMe();
  notices();
}

async function look(anew = false) {
  clearTimeout(timer);
  if (document.hidden || link.out) return;
  if (anew) looks = 0;
  try {
    if (looks % 6 === 0 || !used) await about();
    if (used) onUsage(await api("/usage", undefined, { signal: AbortSignal.timeout(12000) }));
    trouble.look = "";
  } catch (error) {
    // An older daemon does not know what is used; who may not see it has no columns.
    if ([403, 404, 501].includes(error.status)) used = false;
    else if (error.status !== 429) trouble.look = error.message;
  }
  judge();
  timer = setTimeout(look, looks++ ? LOOK : 2200);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look(true); });

// What is wrong in general, and remains so until somebody does something about it.
export const notices = soon(() => {
  const said = [];
  const refused = me.refused || [];
  if (refused.length) said.push(told(new Failure("The configuration on disk cannot be used; the daemon goes on with the one it has.", refused.map(String))));
  if (me.upgrade_error) said.push(told(new Failure(`The last upgrade has failed and was taken back: ${me.upgrade_error}`)));
  if (me.state === "stopping") said.push(told(new Failure("The daemon is shutting down.")));
  $("notices").replaceChildren(...said.map((parts) => element("div", { class: "notice-box" }, ...parts)));
});
