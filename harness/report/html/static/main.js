// Draws every chart of the page from the data that it carries, again when its width changes, and for paper.

const PAPER_WIDTH = 690;

// What lies under the cursor, beside a point of a chart; it stays there when the page scrolls.
const tip = {
  box: document.getElementById("tip"),
  show(lines, element, x, y) {
    this.box.replaceChildren(...lines.map((line, i) => html(i ? "span" : "b", {}, null, line)));
    this.box.hidden = false;
    this.at = { element, x, y };
    this.place();
  },
  place() {
    if (this.box.hidden) return;
    const { left, top } = this.at.element.getBoundingClientRect();
    const { width, height } = this.box.getBoundingClientRect();
    const right = left + this.at.x + 14;
    const fits = right + width < document.documentElement.clientWidth;
    this.box.style.left = `${fits ? right : Math.max(right - width - 28, 4)}px`;
    this.box.style.top = `${top + this.at.y - height / 2}px`;
  },
  hide() {
    this.box.hidden = true;
  },
};

const groups = new Map();
const groupOf = (name) => {
  if (!groups.has(name)) groups.set(name, new Group());
  return groups.get(name);
};

const specs = JSON.parse(document.getElementById("charts").textContent);
const charts = specs.map((spec) => {
  const host = document.getElementById(spec.id);
  return spec.rows ? new Rows(host, spec) : new Plot(host, spec, groupOf(spec.group));
});
const drawAll = (width) => charts.forEach((chart) => chart.draw(width));
drawAll();

let drawn = document.documentElement.clientWidth;
let waiting = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(() => {
    if (document.documentElement.clientWidth === drawn) return;
    drawn = document.documentElement.clientWidth;
    drawAll();
  });
});

window.addEventListener("beforeprint", () => {
  document.querySelectorAll("details").forEach((details) => {
    details.dataset.open = details.open;
    details.open = true;
  });
  charts.forEach((chart) => chart.draw(chart.host.closest(".multiples") ? PAPER_WIDTH / 2 - 16 : PAPER_WIDTH));
});
window.addEventListener("afterprint", () => {
  document.querySelectorAll("details").forEach((details) => {
    details.open = details.dataset.open === "true";
  });
  drawAll();
});
document.addEventListener("keydown", (event) => event.key === "Escape" && tip.hide());
document.addEventListener("scroll", () => tip.place(), { passive: true });
