// A chart with two axes. Charts of one group have the same x axis: they zoom together and share a cursor.

const MARGIN = { left: 56, right: 14, top: 20, bottom: 28 };

class Group {
  constructor() {
    this.plots = [];
    this.cursor = null;
  }

  add(plot) {
    this.plots.push(plot);
    this.fit();
  }

  // All that is shown, and nothing else.
  fit() {
    const extents = this.plots.map((plot) => plot.extent());
    this.full = [Math.min(...extents.map(([low]) => low)), Math.max(...extents.map(([, high]) => high))];
    this.view = this.full;
  }

  get zoomed() {
    return this.view[0] > this.full[0] || this.view[1] < this.full[1];
  }

  show(low, high) {
    const least = (this.full[1] - this.full[0]) * 1e-5;
    if (high - low < least) [low, high] = [(low + high - least) / 2, (low + high + least) / 2];
    this.view = [Math.max(low, this.full[0]), Math.min(high, this.full[1])];
    this.plots.forEach((plot) => plot.draw());
  }

  reset() {
    this.show(...this.full);
  }

  point(at) {
    this.cursor = at;
    this.plots.forEach((plot) => plot.drawCursor());
  }
}

class Plot {
  constructor(host, spec, group) {
    Object.assign(this, { host, spec, group });
    this.tx = transform(spec.x);
    this.series = spec.series.map((s) => ({ ...s, x: floats(s.x).map(this.tx), y: floats(s.y), numbers: s.numbers && floats(s.numbers) }));
    group.add(this);
    if (this.series.length > 1 && !this.series.some((s) => s.kind === "shade")) this.legend();
    this.svg = svg("svg", { tabindex: 0, role: "group", "aria-roledescription": "chart", "aria-label": spec.label }, host);
    this.reset = html("button", { type: "button", class: "reset", hidden: "" }, host, "Reset zoom");
    this.reset.addEventListener("click", () => group.reset());
    this.listen();
  }

  legend() {
    const list = html("div", { class: "legend" }, this.host);
    for (const series of this.series) {
      const button = html("button", { type: "button", "aria-pressed": String(!series.hidden) }, list);
      const swatch = svg("svg", { width: 26, height: 8, "aria-hidden": "true" }, button);
      svg("path", { d: "M1 4H25", class: `line s${series.style}` }, swatch);
      button.append(series.label);
      button.addEventListener("click", () => {
        series.hidden = !series.hidden;
        button.setAttribute("aria-pressed", String(!series.hidden));
        this.group.fit();
        this.group.reset();
      });
    }
  }

  get shown() {
    return this.series.filter((series) => !series.hidden);
  }

  extent() {
    if (this.spec.x.range) return this.spec.x.range.map(this.tx);
    const drawn = this.shown.length ? this.shown : this.series;
    return [Math.min(...drawn.map((s) => s.x[0])), Math.max(...drawn.map((s) => s.x[s.x.length - 1]))];
  }

  // The indices to draw: one before and one after what is visible.
  span(series) {
    const [low, high] = this.group.view;
    return [Math.max(above(series.x, low) - 1, 0), Math.min(above(series.x, high) + 1, series.y.length)];
  }

  yRange() {
    let [low, high] = [Infinity, -Infinity];
    for (const series of this.shown) {
      const [from, to] = series.kind === "bars" ? [0, series.y.length] : this.span(series);
      for (let i = from; i < to; i++) {
        low = Math.min(low, series.y[i]);
        high = Math.max(high, series.y[i]);
      }
    }
    for (const mark of this.spec.marks || []) {
      const top = Math.max(mark.at ?? 0, ...(mark.interval || []));
      if (top < 1.5 * high) high = Math.max(high, top);
    }
    if (this.spec.y.range) return this.spec.y.range;
    if (!(high > -Infinity)) [low, high] = [0, 1];
    return [Math.min(low, 0), high > 0 ? high * 1.06 : 1];
  }

  draw(width = this.host.clientWidth) {
    if (!width) return;
    const height = this.spec.height;
    const [right, bottom] = [width - MARGIN.right, height - MARGIN.bottom];
    const [y0, y1] = this.yRange();
    this.sx = linear(...this.group.view, MARGIN.left, right);
    this.sy = linear(y0, y1, bottom, MARGIN.top);
    Object.assign(this, { right, bottom });
    this.svg.replaceChildren();
    for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}` })) {
      this.svg.setAttribute(key, value);
    }
    this.drawAxes(y0, y1, width);
    const clip = `clip-${this.spec.id}`;
    svg("rect", { x: MARGIN.left - 4, y: 0, width: right - MARGIN.left + 8, height: bottom + 1 }, svg("clipPath", { id: clip }, this.svg));
    const area = svg("g", { "clip-path": `url(#${clip})` }, this.svg);
    for (const series of this.shown) this.drawSeries(series, area, right - MARGIN.left);
    this.drawMarks(area);
    this.cursorLine = svg("path", { class: "cursor", d: "" }, area);
    this.brush = svg("rect", { class: "brush", y: MARGIN.top, height: bottom - MARGIN.top, width: 0 }, area);
    this.reset.hidden = !this.group.zoomed;
    this.drawCursor();
  }

  drawAxes(y0, y1, width) {
    const { x, y } = this.spec;
    for (const [at, text] of ticks(y, y0, y1, Math.max(2, Math.round((this.bottom - MARGIN.top) / 32)))) {
      svg("path", { class: "grid", d: `M${MARGIN.left} ${this.sy(at).toFixed(1)}H${this.right}` }, this.svg);
      svg("text", { class: "tick", x: MARGIN.left - 8, y: this.sy(at) + 4, "text-anchor": "end" }, this.svg, text);
    }
    svg("text", { class: "unit", x: 0, y: 10 }, this.svg, y.unit);
    const title = x.title.length * 6.4 < width / 3 ? x.title : x.unit;
    let free = MARGIN.left - 30;
    for (const [at, text] of ticks(x, ...this.group.view, Math.max(2, Math.round(width / 90)))) {
      const px = this.sx(at);
      svg("path", { class: "grid", d: `M${px.toFixed(1)} ${this.bottom}v4` }, this.svg);
      const half = text.length * 3.4;
      if (px - half < free || px + half > this.right - title.length * 6.4) continue;
      svg("text", { class: "tick", x: px, y: this.bottom + 17, "text-anchor": "middle" }, this.svg, text);
      free = px + half + 8;
    }
    svg("path", { class: "axis", d: `M${MARGIN.left} ${this.bottom}H${this.right}` }, this.svg);
    svg("text", { class: "unit", x: this.right, y: this.bottom + 17, "text-anchor": "end" }, this.svg, title);
  }

  drawSeries(series, area, width) {
    if (series.kind === "bars") {
      svg("path", { class: "bars", d: barsPath(series, this.sx, this.sy, this.bottom) }, area);
      return;
    }
    const [from, to] = this.span(series);
    if (series.kind === "dots") {
      const { path, dense } = dotsPath(series, from, to, this.sx, this.sy, width);
      svg("path", { class: dense ? "envelope" : "dots", d: path }, area);
      if (series.threshold) {
        svg("path", { class: "slow", d: slowPath(series, from, to, this.sx, this.sy, series.threshold) }, area);
      }
      return;
    }
    if (series.kind === "shade") {
      svg("path", { class: "shade", d: shadePath(series, from, to, this.sx, this.sy, width, this.bottom) }, area);
      return;
    }
    const path = linePath(series, from, to, this.sx, this.sy, width, series.kind === "steps");
    svg("path", { class: `line s${series.style}`, d: path }, area);
  }

  // Horizontal lines with a label, and intervals at one x.
  drawMarks(area) {
    for (const mark of this.spec.marks || []) {
      if (mark.interval) {
        const [px, low, high] = [this.sx(mark.x), ...mark.interval.map(this.sy)];
        svg("path", { class: "interval", d: `M${px - 5} ${low}h10M${px} ${low}V${high}M${px - 5} ${high}h10` }, area);
      } else if (this.sy(mark.at) >= 0) {
        const py = this.sy(mark.at).toFixed(1);
        svg("path", { class: "mark", d: `M${MARGIN.left} ${py}H${this.right}` }, area);
        svg("text", { class: "mark-label", x: this.right - 4, y: py - 5, "text-anchor": "end" }, area, mark.label);
      }
    }
  }

  drawCursor() {
    const at = this.group.cursor;
    const px = at === null || !this.sx ? -1 : this.sx(at);
    this.cursorLine?.setAttribute("d", px < MARGIN.left ? "" : `M${px.toFixed(1)} ${MARGIN.top}V${this.bottom}`);
  }

  // What lies at a transformed x: of dots the slowest within a few pixels, or the nearest.
  read(at) {
    const lines = [`${this.spec.x.name} ${this.spec.x.nines ? percentile(at) : three(restore(this.spec.x)(at))} ${this.spec.x.suffix}`];
    for (const series of this.shown) {
      let index = above(series.x, at) - 1;
      if (series.kind === "dots") index = this.slowestNear(series, at);
      if (index < 0 || index >= series.y.length) continue;
      const name = series.numbers ? `${series.label} ${series.numbers[index].toLocaleString("en-US")}` : series.label;
      lines.push(`${name}: ${three(series.y[index])} ${this.spec.y.unit}`);
    }
    return lines;
  }

  slowestNear(series, at) {
    const reach = this.sx.invert(4) - this.sx.invert(0);
    const next = Math.min(above(series.x, at), series.x.length - 1);
    let best = next > 0 && at - series.x[next - 1] < series.x[next] - at ? next - 1 : next;
    for (let i = above(series.x, at - reach); i < series.x.length && series.x[i] <= at + reach; i++) {
      if (series.y[i] > series.y[best]) best = i;
    }
    return best;
  }

  point(at) {
    this.group.point(at);
    tip.show(this.read(at), this.svg, this.sx(at), MARGIN.top);
  }

  listen() {
    const at = (event) => {
      const pixel = event.clientX - this.svg.getBoundingClientRect().left;
      return this.sx.invert(Math.min(Math.max(pixel, MARGIN.left), this.right));
    };
    let begun = null;
    this.svg.addEventListener("pointerdown", (event) => {
      begun = at(event);
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      const now = at(event);
      if (begun !== null) {
        const [low, high] = [begun, now].map(this.sx).sort((a, b) => a - b);
        this.brush.setAttribute("x", low);
        this.brush.setAttribute("width", high - low);
      }
      this.point(now);
    });
    this.svg.addEventListener("pointerup", (event) => {
      const [low, high] = [begun, at(event)].sort((a, b) => a - b);
      begun = null;
      this.brush.setAttribute("width", 0);
      if (this.sx(high) - this.sx(low) > 5) this.group.show(low, high);
    });
    this.svg.addEventListener("pointercancel", () => {
      begun = null;
      this.brush.setAttribute("width", 0);
    });
    this.svg.addEventListener("pointerleave", () => this.leave());
    this.svg.addEventListener("blur", () => this.leave());
    this.svg.addEventListener("dblclick", () => this.group.reset());
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  leave() {
    this.group.point(null);
    tip.hide();
  }

  key(event) {
    const [low, high] = this.group.view;
    const width = high - low;
    const cursor = this.group.cursor ?? (low + high) / 2;
    const zoom = (factor) => this.group.show(cursor - (cursor - low) * factor, cursor + (high - cursor) * factor);
    const step = width / (event.shiftKey ? 10 : 100);
    const actions = {
      ArrowLeft: () => this.point(Math.max(cursor - step, low)),
      ArrowRight: () => this.point(Math.min(cursor + step, high)),
      Home: () => this.point(low),
      End: () => this.point(high),
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      0: () => this.group.reset(),
      Escape: () => this.group.reset(),
    };
    if (event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }
}

// 2 is 99 %.
function percentile(nines) {
  const share = 100 * (1 - 10 ** -nines);
  return share.toFixed(Math.max(0, Math.ceil(nines) - 2 + (nines % 1 ? 1 : 0)));
}
