// Scales, ticks and numbers. A scale maps a transformed value (its logarithm on a logarithmic axis) to a pixel.

const linear = (d0, d1, r0, r1) => {
  const slope = (r1 - r0) / (d1 - d0 || 1);
  const scale = (value) => r0 + (value - d0) * slope;
  scale.invert = (pixel) => d0 + (pixel - r0) / slope;
  return scale;
};

const transform = (axis) => (axis.log ? (value) => Math.log10(Math.max(value, axis.least)) : (value) => value);
const restore = (axis) => (axis.log ? (value) => 10 ** value : (value) => value);

// Ticks as [transformed value, text] within [t0, t1], about `count` of them.
function ticks(axis, t0, t1, count) {
  if (axis.ticks) return axis.ticks.filter(([at]) => at >= t0 - 1e-9 && at <= t1 + 1e-9);
  if (axis.log && t1 - t0 > 0.8) return decades(t0, t1, count);
  const [low, high] = [restore(axis)(t0), restore(axis)(t1)];
  const step = Math.max(niceStep((high - low) / Math.max(count, 1)), axis.whole ? 1 : 0);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) {
    found.push([transform(axis)(k * step), plain(k * step, step)]);
  }
  return found.length > (axis.whole ? 1 : 2) || count > 8 ? found : ticks(axis, t0, t1, count + 1);
}

function decades(t0, t1, count) {
  const every = Math.max(1, Math.ceil((t1 - t0) / Math.max(count, 1)));
  const within = t1 - t0 > count / 2 ? [1] : [1, 2, 5];
  const found = [];
  for (let k = Math.floor(t0); k <= t1 + 1e-9; k++) {
    for (const factor of k % every === 0 ? within : []) {
      const at = k + Math.log10(factor);
      if (at >= t0 - 1e-9 && at <= t1 + 1e-9) found.push([at, plain(factor * 10 ** k, 10 ** k)]);
    }
  }
  return found;
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return power * [1, 2, 5, 10].find((m) => m * power >= rough * 0.999999);
}

function plain(value, step) {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return (value + 0).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// Three digits, as the tables have them.
function three(value) {
  const size = Math.abs(value);
  if (size < 0.0005) return "0";
  const digits = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.995 ? 2 : 3;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// float32, little endian, base64.
function floats(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new Float32Array(bytes.buffer);
}

// The first index whose value is above `limit`; values ascend.
function above(values, limit) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

function svg(name, attributes = {}, parent = null, text = null) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

function html(name, attributes = {}, parent = null, text = null) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}
