// Charts of one row each: the latency budget as stacked bars, and what models predict as marks on a line.

const ROW = { bar: 32, left: 2, right: 14, axis: 30 };
const LEVEL_MARKS = { p50: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z", p90: "M-5 -5H5V5H-5Z", p99: "M0 -6.5L6.5 0L0 6.5L-6.5 0Z" };

class Rows {
  constructor(host, spec) {
    Object.assign(this, { host, spec });
    this.svg = svg("svg", { tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": spec.label }, host);
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("pointerleave", () => tip.hide());
    this.svg.addEventListener("blur", () => this.pick(-1));
    this.picked = -1;
  }

  draw(width = this.host.clientWidth) {
    if (!width) return;
    const each = this.spec.rows[0].parts ? 58 : 42;
    const height = this.spec.rows.length * each + ROW.axis;
    this.items = [];
    this.svg.replaceChildren();
    for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) {
      this.svg.setAttribute(key, value);
    }
    this.sx = linear(0, this.spec.most * 1.02, ROW.left, width - ROW.right);
    this.axis(height, width);
    this.spec.rows.forEach((row, index) => {
      const top = index * each;
      const label = svg("text", { class: "row-label", x: ROW.left, y: top + 14 }, this.svg, row.label);
      svg("tspan", { class: "row-note", dx: 8 }, label, row.note);
      if (row.parts) this.bar(row, top + 20);
      else this.marks(row, top + 28);
    });
    this.pick(-1);
  }

  axis(height, width) {
    const base = height - ROW.axis + 4;
    const unit = "ms";
    for (const [at, text] of ticks({}, 0, this.sx.invert(width - 40), Math.max(2, Math.round(width / 110)))) {
      const px = this.sx(at).toFixed(1);
      svg("path", { class: "grid", d: `M${px} 18V${base}` }, this.svg);
      svg("text", { class: "tick", x: px, y: base + 16, "text-anchor": at === 0 ? "start" : "middle" }, this.svg, text);
    }
    svg("text", { class: "unit", x: width - 2, y: base + 16, "text-anchor": "end" }, this.svg, unit);
  }

  bar(row, top) {
    let sum = 0;
    for (const part of row.parts) {
      const [from, to] = [this.sx(sum), this.sx((sum += part.value))];
      if (to - from < 0.2) continue;
      const segment = svg("g", { class: "segment" }, this.svg);
      svg("rect", { class: `kind ${part.kind}`, x: from, y: top, width: to - from, height: ROW.bar }, segment);
      this.label(segment, part, from, to, top);
      const share = `${three(part.value)} ms, ${Math.round((100 * part.value) / row.total)} % of ${three(row.total)} ms`;
      this.item(segment, [`${row.label}: ${part.name}`, share], (from + to) / 2, top);
    }
  }

  // The name where there is room for it, in one line or in two.
  label(segment, part, from, to, top) {
    const room = (text) => text.length * 6.3 + 12 < to - from;
    const lines = room(part.name) ? [part.name] : part.name.split(/ (.*)/).filter(Boolean);
    if (!lines.every(room)) return;
    const first = top + ROW.bar / 2 + 4 - (lines.length - 1) * 6.5;
    lines.forEach((line, i) => {
      const attributes = { class: `segment-label ${part.kind}`, x: (from + to) / 2, y: first + i * 13, "text-anchor": "middle" };
      svg("text", attributes, segment, line);
    });
  }

  marks(row, middle) {
    svg("path", { class: "grid", d: `M${ROW.left} ${middle}H${this.sx(this.spec.most * 1.02)}` }, this.svg);
    if (row.interval) {
      const [low, high] = row.interval.map(this.sx);
      svg("rect", { class: "band", x: low, y: middle - 11, width: high - low, height: 22 }, this.svg);
    }
    for (const point of row.points) {
      const px = this.sx(point.value);
      const mark = svg("path", { class: `level ${row.measured ? "measured" : ""}`, d: LEVEL_MARKS[point.level], transform: `translate(${px} ${middle})` }, this.svg);
      this.item(mark, [`${row.label}, ${point.level}`, `${three(point.value)} ms`, ...(point.note ? [point.note] : [])], px, middle - 8);
    }
  }

  item(element, lines, x, y) {
    const index = this.items.push({ element, lines, x, y }) - 1;
    element.addEventListener("pointerenter", () => this.pick(index));
  }

  pick(index) {
    this.items?.[this.picked]?.element.classList.remove("picked");
    this.picked = index;
    const item = this.items?.[index];
    if (!item) {
      tip.hide();
      return;
    }
    item.element.classList.add("picked");
    tip.show(item.lines, this.svg, item.x, item.y);
  }

  key(event) {
    const last = this.items.length - 1;
    const moves = { ArrowRight: this.picked + 1, ArrowLeft: this.picked - 1, Home: 0, End: last, Escape: -1 };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves)) return;
    event.preventDefault();
    this.pick(event.key === "Escape" ? -1 : Math.min(Math.max(moves[event.key], 0), last));
  }
}
