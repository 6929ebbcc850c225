// The log of one stream: what is there, what comes, through every break of the connection.
import { Terminal } from "./ansi.js";
import { $, element, safe, soon, told } from "./base.js";
import { Failure, link, path, request } from "./daemon.js";

const FIRST = 65536; // bytes of what is there already
const LARGEST = 4 << 20; // what the gateway gives at once
const MAX_LINES = 5000;
const BURST = 200000; // characters that are shown at once; of a flood only the end can be seen anyway

export class Log {
  constructor(row, stream, bytes = FIRST) {
    this.row = row;
    this.stream = stream;
    this.bytes = bytes;
    this.stop = new AbortController();
    this.box = element("pre", { class: $("wrap").checked ? "log wrap" : "log" });
    this.more = element("p", { class: "log-more" });
    this.empty = element("p", { class: "notice log-empty" });
    this.broken = element("div", { class: "failure", role: "status" });
    $("panel").replaceChildren(this.more, this.box, this.empty, this.broken);
    this.broken.hidden = this.empty.hidden = this.more.hidden = true;
    this.came = "";
    this.after = null; // where we are, as the daemon has told it
    this.shed = 0;
    this.flush = soon(() => this.show());
    this.pause = 0;
    this.terminal = new Terminal((line) => this.take(line));
    this.file = row[`${stream}_logfile`];
    this.seen = () => { if (document.hidden) this.rest(); else if (this.resting) this.follow(); };
    document.addEventListener("visibilitychange", this.seen);
    this.follow();
  }

  again() { // after a break that this connection may not have noticed
    if (this.after !== null) this.connection?.abort();
  }

  // A tab that nobody sees keeps no connection, of which a browser has six: it goes on from its place.
  rest() {
    if (this.after === null) return;
    this.resting = true;
    this.connection?.abort();
  }

  async follow() {
    const stop = this.stop.signal;
    this.resting = false;
    while (!stop.aborted && !this.resting) {
      this.connection = new AbortController();
      const signal = AbortSignal.any([stop, this.connection.signal]);
      try {
        const from = this.after === null ? `bytes=${this.bytes}` : `after=${encodeURIComponent(this.after)}`;
        const reply = await request(`/api/v1${path(this.row.fullname, `/log/${this.stream}`)}?${from}&follow=true`, { signal, headers: { Accept: "text/event-stream" } });
        await this.read(reply.body.pipeThrough(new TextDecoderStream()).getReader(), stop);
        this.say(new Failure("the connection has ended; going on where it was as soon as it can be"));
      } catch (error) {
        if (stop.aborted || this.resting) return;
        if (error.name === "AbortError") continue;
        if (error.name !== "TypeError") this.say(error);
        if ([400, 403, 404, 409].includes(error.status) && link.up) return this.refused(error);
      }
      await new Promise((resolve) => setTimeout(resolve, 1500));
    }
  }

  async read(reader, stop) {
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done || stop.aborted) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) this.heard(part);
    }
  }

  heard(part) {
    const found = /^event: (\w+)\n(?:id: ([^\n]*)\n)?data: (.*)$/s.exec(part);
    if (!found) return;
    const [, kind, mark, data] = found;
    const about = JSON.parse(data);
    if (mark !== undefined) this.after = mark;
    if (kind === "begin") {
      this.broken.hidden = true;
      this.begun(about);
    } else if (kind === "output") this.came += about.data;
    else if (kind === "missed") this.came += `\n[${about.bytes ? `${about.bytes} bytes` : "some output"} cannot be shown: the file is gone, or it came too fast]\n`;
    else if (kind === "down" || kind === "end") this.say(new Failure(about.message));
    if (this.pause) { // a flood: not in every frame
      this.timer ||= setTimeout(() => { this.timer = this.pause = 0; this.flush(); }, this.pause);
    } else this.flush();
  }

  begun({ earlier, lost }) {
    if (this.after === null) this.bytes = 0; // a daemon without marks: what comes, and nothing twice
    if (lost) this.came += "\n[some output is not here any more: its file is gone]\n";
    if (!earlier || this.more.firstChild) return;
    this.more.append(this.bytes < LARGEST ? element("button", { type: "button", onclick: () => this.earlier() }, "Show what came before")
      : `What came before is in ${safe(this.file)}.`);
    this.more.hidden = false;
  }

  earlier() { // the same log from farther back
    this.stop.abort();
    Object.assign(this, { stop: new AbortController(), after: null, came: "", shed: 0, bytes: Math.min(this.bytes * 8, LARGEST) });
    this.terminal = new Terminal((line) => this.take(line));
    this.box.replaceChildren();
    this.more.replaceChildren();
    this.more.hidden = true;
    this.follow();
  }

  refused(error) {
    this.broken.hidden = true;
    const off = error.code === "no_log_file";
    const text = off && this.stream === "stderr" ? "Its stderr goes into no file of its own: redirect_stderr = true, or stderr_logfile is \"none\" or a device."
      : off ? "Its stdout goes into no file: stdout_logfile is \"none\" or a device." : "";
    this.empty.replaceChildren(...(text ? [text] : told(error)));
    this.empty.hidden = false;
    this.box.hidden = true;
  }

  say(error) {
    this.broken.replaceChildren(element("strong", {}, "This log does not go on at present."), ...told(error));
    this.broken.hidden = false;
  }

  show() {
    const bottom = this.atBottom();
    let text = this.came;
    this.came = "";
    if (text.length > BURST / 4) this.pause = 500;
    if (text.length > BURST) {
      const cut = text.indexOf("\n", text.length - BURST) + 1;
      this.shed += text.slice(0, cut).split("\n").length - 1;
      text = text.slice(cut);
    }
    if (text) this.terminal.write(text);
    this.trim();
    if (!this.box.firstChild && this.file) this.empty.replaceChildren(`${this.stream} is empty: nothing is in ${safe(this.file)} yet.`);
    this.empty.hidden = Boolean(this.box.firstChild) || !this.file;
    this.box.hidden = !this.empty.hidden;
    if ($("follow").checked && bottom) this.toEnd();
    if ($("grep").value) this.mark();
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

  trim() {
    const over = this.box.children.length - MAX_LINES;
    for (let i = 0; i < over; i++) this.box.firstChild.remove();
    this.shed += Math.max(0, over);
    if (!this.shed) return;
    this.more.replaceChildren(`${this.shed} earlier lines are not kept here; the page shows the last ${MAX_LINES}.`);
    this.more.hidden = false;
  }

  search() {
    for (const line of this.box.children) this.take(line);
    this.mark();
    if ($("follow").checked) this.toEnd();
  }

  mark() {
    const text = $("grep").value.toLowerCase();
    const lines = text ? [...this.box.children].filter((line) => !line.classList.contains("out")) : [];
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
    document.removeEventListener("visibilitychange", this.seen);
    window.CSS?.highlights?.delete("hits");
  }
}
