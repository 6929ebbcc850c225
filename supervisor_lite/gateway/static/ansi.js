// Terminal output as DOM: colours and styles (ANSI SGR) are shown, what moves the cursor or sets a
// title is dropped, and what is left of control characters is spelled out.
import { element, spell } from "./base.js";

const ESC = "\x1b";
// CSI, OSC (ended by BEL or ST), and two-character sequences.
const SEQUENCE = /\x1b(?:\[([0-?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_=>78]|[()][0-9A-B])/y;
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[()])?$/;
// A tab and the joiners of emoji and scripts are meant as they are; other controls, and what turns
// the direction of the text, would hide or forge something.
const UNSEEN = /(?![\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const MAX_LINE = 16384;

export class Terminal {
  // `sink` is called with the element of each line when it is begun, and again when it has changed.
  constructor(sink) {
    this.sink = sink;
    this.held = "";
    this.style = {};
    this.line = null;
    this.length = 0;
    this.returned = false;
  }

  write(text) {
    text = this.held + text;
    this.held = "";
    const cut = text.length < 4096 ? text.search(UNFINISHED) : text.slice(-512).search(UNFINISHED);
    if (cut >= 0) {
      const at = text.length < 4096 ? cut : text.length - 512 + cut;
      this.held = text.slice(at);
      text = text.slice(0, at);
    }
    let plain = 0;
    for (let i = 0; i < text.length; ) {
      const char = text[i];
      if (char === ESC) {
        this.put(text.slice(plain, i));
        SEQUENCE.lastIndex = i;
        const found = SEQUENCE.exec(text);
        if (found && found[2] === "m") this.sgr(found[1]);
        i += found ? found[0].length : 1;
        if (!found) this.put(ESC);
        plain = i;
      } else if (char === "\b") {
        this.put(text.slice(plain, i));
        this.back();
        plain = ++i;
      } else if (char === "\n" || char === "\r") {
        this.put(text.slice(plain, i));
        if (char === "\n") this.end();
        else this.returned = true;
        plain = ++i;
      } else {
        i++;
      }
    }
    this.put(text.slice(plain));
    if (this.line) this.sink(this.line);
  }

  begin() {
    this.line = document.createElement("div");
    this.length = 0;
    this.sink(this.line);
  }

  end() {
    this.returned = false;
    if (!this.line) this.begin();
    this.sink(this.line);
    this.line = null;
  }

  put(text) {
    if (!text) return;
    if (!this.line) this.begin();
    if (this.returned) {
      this.line.replaceChildren();
      this.length = 0;
      this.returned = false;
    }
    if (this.length > MAX_LINE) return;
    this.length += text.length;
    let plain = 0;
    for (const { 0: char, index } of text.matchAll(UNSEEN)) {
      if (index > plain) this.line.append(this.styled(text.slice(plain, index)));
      this.line.append(element("span", { class: "ctl" }, spell(char)));
      plain = index + char.length;
    }
    if (plain < text.length) this.line.append(this.styled(text.slice(plain)));
    if (this.length > MAX_LINE) this.line.append(element("span", { class: "ctl" }, " … this line is longer"));
  }

  back() { // as a progress sign does it: the last character is written over
    const last = this.line?.lastChild;
    if (!last || this.returned) return;
    const text = last.textContent.slice(0, -1);
    if (text) last.textContent = text;
    else last.remove();
    this.length--;
  }

  styled(text) {
    const { fore, back, names } = this.style;
    if (fore === undefined && back === undefined && !names) return document.createTextNode(text);
    const span = document.createElement("span");
    span.textContent = text;
    span.className = names || "";
    if (typeof fore === "number") span.classList.add(`f${fore}`);
    else if (fore) span.style.color = fore;
    if (typeof back === "number") span.classList.add(`b${back}`);
    else if (back) span.style.background = back;
    return span;
  }

  sgr(text) {
    const codes = text.split(/[;:]/).map((word) => Number(word || 0));
    const names = new Set((this.style.names || "").split(" ").filter(Boolean));
    let { fore, back } = this.style;
    const set = { 1: "bold", 2: "faint", 3: "italic", 4: "under", 7: "inverse" };
    for (let i = 0; i < codes.length; i++) {
      const code = codes[i];
      if (code === 0) { names.clear(); fore = back = undefined; }
      else if (set[code]) names.add(set[code]);
      else if (code === 22) { names.delete("bold"); names.delete("faint"); }
      else if (code === 23) names.delete("italic");
      else if (code === 24) names.delete("under");
      else if (code === 27) names.delete("inverse");
      else if (code >= 30 && code <= 37) fore = code - 30;
      else if (code >= 90 && code <= 97) fore = code - 82;
      else if (code >= 40 && code <= 47) back = code - 40;
      else if (code >= 100 && code <= 107) back = code - 92;
      else if (code === 39) fore = undefined;
      else if (code === 49) back = undefined;
      else if (code === 38 || code === 48) {
        let colour;
        if (codes[i + 1] === 5) { colour = indexed(codes[i + 2]); i += 2; }
        else if (codes[i + 1] === 2) { colour = rgb(codes.slice(i + 2, i + 5)); i += 4; }
        if (code === 38) fore = colour;
        else back = colour;
      }
    }
    this.style = { fore, back, names: [...names].join(" ") };
  }
}

function rgb(parts) {
  return parts.length === 3 && parts.every((n) => n >= 0 && n < 256) ? `rgb(${parts.join(" ")})` : undefined;
}

function indexed(number) {
  if (!(number >= 0 && number < 256)) return undefined;
  if (number < 16) return number;
  if (number >= 232) { const grey = 8 + (number - 232) * 10; return rgb([grey, grey, grey]); }
  const cube = number - 16;
  return rgb([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((n) => (n ? 55 + n * 40 : 0)));
}
