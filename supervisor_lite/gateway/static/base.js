// What every part of the page uses: elements, words, notices, questions.

export const $ = (id) => document.getElementById(id);
export const KIND = { RUNNING: "ok", STARTING: "busy", STOPPING: "busy", BACKOFF: "busy", FATAL: "bad", EXITED: "info", STOPPED: "quiet" };
const CLOCK = { hourCycle: "h23" }; // as in what the daemon tells

export function element(tag, attributes = {}, ...children) {
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

// ---- words ----

// Names, reasons and output come from programs: what is invisible, or turns the direction of what
// follows, is spelled out as `slctl` does it.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function spell(char) {
  const hex = char.codePointAt(0).toString(16);
  if (SHORT[char]) return SHORT[char];
  if (hex.length <= 2) return `\\x${hex.padStart(2, "0")}`;
  return hex.length <= 4 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
}

export const safe = (text) => String(text ?? "").replace(INVISIBLE, spell);
export const safeLines = (text) => String(text ?? "").trimEnd().split("\n").map(safe);

export function duration(seconds) {
  seconds = Math.max(0, Math.floor(seconds));
  const days = Math.floor(seconds / 86400);
  const clock = [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map((n) => Math.floor(n));
  const text = `${clock[0]}:${String(clock[1]).padStart(2, "0")}:${String(clock[2]).padStart(2, "0")}`;
  return days ? `${days} d ${text}` : text;
}

export function age(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 100) return `${seconds} s`;
  return seconds < 6000 ? `${Math.floor(seconds / 60)} m ${seconds % 60} s` : `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} m`;
}

export function size(bytes) {
  let unit = 0;
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024;
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${["B", "KB", "MB", "GB", "TB"][unit]}`;
}

export function moment(text) {
  const date = new Date(text);
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString(undefined, CLOCK) : date.toLocaleString(undefined, CLOCK);
}

export const capital = (word) => word[0].toUpperCase() + word.slice(1);
export const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode */ } };
export const recall = (key, otherwise) => { try { return localStorage.getItem(key) ?? otherwise; } catch { return otherwise; } };

// For many changes at once; also in a tab that nobody sees, whose title still tells.
export function soon(work) {
  let planned = false;
  return () => {
    if (planned) return;
    planned = true;
    const run = () => { planned = false; work(); };
    document.hidden ? setTimeout(run, 250) : requestAnimationFrame(run);
  };
}

// ---- notices and questions ----

// Everything that an error says, as blocks: the message, then file, line and key of each mistake.
export function told(error) {
  const details = (error.details || []).map(safe);
  const lines = safeLines(error.message).filter((line) => !details.includes(line));
  const parts = lines.map((line) => element("p", {}, line));
  if (details.length) parts.push(element("ul", { class: "details" }, ...details.map((line) => element("li", {}, line))));
  return parts;
}

export function toast(text) {
  const made = element("div", { class: "toast" }, safe(text));
  $("toasts").append(made);
  setTimeout(() => made.remove(), 4000);
}

// An error stays until somebody has read it.
export function alarm(title, error) {
  const made = element("div", { class: "toast bad" },
    element("button", { type: "button", "aria-label": "Dismiss", onclick: () => made.remove() }, "✕"),
    element("strong", {}, safe(title)), ...told(error));
  const same = [...$("alarms").children].find((other) => other.textContent === made.textContent);
  same?.remove();
  $("alarms").append(made);
  while ($("alarms").children.length > 4) $("alarms").firstChild.remove();
}

// Asks; the safe answer has the focus, and `y` is the other one.
export function ask(title, body, yes, danger = false) {
  const dialog = $("dialog");
  const before = document.activeElement;
  return new Promise((resolve) => {
    $("dialog-title").textContent = title;
    $("dialog-body").replaceChildren(...body);
    $("dialog-yes").replaceChildren(yes || "", yes ? element("kbd", {}, "y") : "");
    $("dialog-yes").hidden = !yes;
    $("dialog-yes").className = danger ? "primary danger" : "primary";
    $("dialog-no").textContent = yes ? "Cancel" : "Close";
    dialog.returnValue = "no";
    const key = (event) => {
      if (event.key === "y" && yes && !event.repeat) dialog.close("yes");
      if (event.key === "n") dialog.close("no");
    };
    dialog.addEventListener("keydown", key);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("keydown", key);
      if (before?.isConnected) before.focus();
      resolve(dialog.returnValue === "yes");
    }, { once: true });
    dialog.showModal();
    $("dialog-no").focus();
  });
}
