// What is drawn of a series between two indices: at most a few points a pixel, and never without its extremes.

// Points one by one, or, where they are denser than the pixels, a stroke from the smallest to the largest of each column.
function dotsPath(series, from, to, sx, sy, width) {
  const parts = [];
  if (to - from <= 3 * width) {
    for (let i = from; i < to; i++) parts.push(`M${sx(series.x[i]).toFixed(1)} ${sy(series.y[i]).toFixed(1)}h0`);
    return { path: parts.join(""), dense: false };
  }
  for (const column of columns(series, from, to, sx)) {
    parts.push(`M${column.pixel + 0.5} ${sy(column.low).toFixed(1)}V${(sy(column.high) - 0.5).toFixed(1)}`);
  }
  return { path: parts.join(""), dense: true };
}

// The points at or above a threshold, one for each cell of 2 by 2 pixels.
function slowPath(series, from, to, sx, sy, threshold) {
  const cells = new Set();
  const parts = [];
  for (let i = from; i < to; i++) {
    if (series.y[i] < threshold) continue;
    const [px, py] = [sx(series.x[i]), sy(series.y[i])];
    const cell = Math.round(px / 2) * 65536 + Math.round(py / 2);
    if (cells.has(cell)) continue;
    cells.add(cell);
    parts.push(`M${px.toFixed(1)} ${py.toFixed(1)}h0`);
  }
  return parts.join("");
}

// A line, or steps whose value holds from its x on.
function linePath(series, from, to, sx, sy, width, steps) {
  if (to <= from) return "";
  const parts = [];
  if (to - from <= 3 * width) {
    for (let i = from; i < to; i++) {
      const [px, py] = [sx(series.x[i]).toFixed(1), sy(series.y[i]).toFixed(1)];
      parts.push(i === from ? `M${px} ${py}` : steps ? `H${px}V${py}` : `L${px} ${py}`);
    }
    return parts.join("");
  }
  for (const c of columns(series, from, to, sx)) {
    const [low, high, last] = [sy(c.low).toFixed(1), sy(c.high).toFixed(1), sy(c.last).toFixed(1)];
    parts.push(parts.length ? `H${c.pixel}` : `M${c.pixel} ${last}`, `V${low}V${high}V${last}`);
  }
  return parts.join("");
}

// The area below steps: where they are denser than the pixels, below the largest of each column.
function shadePath(series, from, to, sx, sy, width, base) {
  if (to <= from) return "";
  let path = linePath(series, from, to, sx, sy, width, true);
  if (to - from > 3 * width) {
    path = [...columns(series, from, to, sx)].map((c, i) => `${i ? "H" : "M"}${c.pixel}${i ? "V" : " "}${sy(c.high).toFixed(1)}`).join("");
  }
  return `${path}V${base}H${sx(series.x[from]).toFixed(1)}Z`;
}

// Bars between edges: series.x has one entry more than series.y.
function barsPath(series, sx, sy, base) {
  const parts = [];
  for (let i = 0; i < series.y.length; i++) {
    if (!series.y[i]) continue;
    const [x0, x1, top] = [sx(series.x[i]), sx(series.x[i + 1]), sy(series.y[i])];
    parts.push(`M${(x0 + 0.5).toFixed(1)} ${base}V${Math.min(top, base - 1).toFixed(1)}H${(x1 - 0.5).toFixed(1)}V${base}Z`);
  }
  return parts.join("");
}

function* columns(series, from, to, sx) {
  let column = null;
  for (let i = from; i < to; i++) {
    const pixel = Math.round(sx(series.x[i]));
    const value = series.y[i];
    if (column && column.pixel === pixel) {
      column.low = Math.min(column.low, value);
      column.high = Math.max(column.high, value);
      column.last = value;
    } else {
      if (column) yield column;
      column = { pixel, low: value, high: value, last: value };
    }
  }
  if (column) yield column;
}
