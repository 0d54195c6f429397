// One chart in SVG, and a way to join several on one time axis. It knows
// nothing of the page that it stands in: data in, an element out.
//
//   const c = Tollgate.chart(data, options)   c.node goes into the page
//   Tollgate.join([c, ...], {length, onCursor})
//
// data    {width, bins, series, stages, limits, heat}: bin i of a time axis is
//         [i*width, (i+1)*width) seconds. A series is {name, values} by bin, or
//         {name, points: [[x, y]]}; null is a gap. What is beyond all others
//         is marked above the scale: counts by bin in beyond, or a y of -1.
// options {title, unit, format, height, axis: "time" | "nines", log, stack, length}
//
// All text is put in as text, never as markup.
const Tollgate = (() => {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const LEFT = 58, RIGHT = 10, TOP = 18, BOTTOM = 22, BEYOND = 18;

  function make(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    node.append(...children);
    return node;
  }

  function draw(parent, name, attributes, text) {
    const node = document.createElementNS(NS, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  // Numbers as people write them.

  function digits(v, n) {
    if (v === 0) return "0";
    const size = Math.abs(v);
    if (size >= 1000) return Math.round(v).toString().replace(/\B(?=(\d{3})+$)/g, ",");
    return String(Number(v.toPrecision(n || 3)));
  }
  const format = {
    seconds(v) {
      if (v === 0) return "0";
      if (v < 0.9995e-3) return digits(v * 1e6) + " µs";
      if (v < 0.9995) return digits(v * 1e3) + " ms";
      return digits(v) + " s";
    },
    rate: (v) => v === 0 ? "0" : digits(v) + "/s",
    count: (v) => digits(v),
    share: (v) => v === 0 ? "0" : digits(v * 100) + " %",
    plain: (v) => digits(v),
    quantile: (x) => {
      const share = 100 * (1 - Math.pow(10, -x));
      return "p" + String(Number(share.toFixed(Math.max(0, Math.ceil(x) - 1))));
    },
  };

  // clock writes a moment of a run so long.
  function clock(t, length) {
    const two = (n) => String(n).padStart(2, "0");
    const s = Math.floor(t + 1e-9), fraction = t - s;
    if (length <= 90) return String(fraction > 0.005 ? Number(t.toFixed(1)) : s) + " s";
    const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
    return h > 0 || length >= 5400 ? h + ":" + two(m) + ":" + two(s % 60) : m + ":" + two(s % 60);
  }

  // tickClock writes a tick of a time axis, in the unit of its steps.
  function tickClock(t, step, to) {
    if (t === 0) return "0";
    if (to <= 90) return digits(t) + " s";
    const h = Math.floor(t / 3600), m = Math.round((t - h * 3600) / 60);
    if (step >= 3600) return h + " h";
    if (step < 60) return clock(t, to);
    if (to <= 5400) return Math.round(t / 60) + " min";
    if (h === 0) return m + " min";
    return m === 0 ? h + " h" : h + " h " + m;
  }

  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

  function timeTicks(from, to, most) {
    let step = steps.find((s) => (to - from) / s <= most) || Math.ceil((to - from) / most / 86400) * 86400;
    if (to - from <= 3) step = [0.1, 0.2, 0.5, 1].find((s) => (to - from) / s <= most) || 1;
    const out = [];
    for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9; i++) out.push(i * step);
    return { step, at: out };
  }

  // niceStep is 1, 2 or 5 times a power of ten, so that at most so many fit.
  function niceStep(range, most) {
    const raw = range / most, power = Math.pow(10, Math.floor(Math.log10(raw)));
    return ([1, 2, 5].find((f) => f * power >= raw * 0.999) || 10) * power;
  }

  function logTicks(low, high, most) {
    const out = [];
    const decades = Math.log10(high / low);
    const factors = decades > most ? [1] : decades > 2.2 ? [1, 3] : decades > 1.1 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
    for (let e = Math.floor(Math.log10(low)) ; e <= Math.ceil(Math.log10(high)); e++)
      for (const f of factors) {
        const v = f * Math.pow(10, e);
        if (v >= low * 0.999 && v <= high * 1.001) out.push(Number(v.toPrecision(3)));
      }
    return out;
  }

  const styles = { area: "line", line: "line", thin: "line thin", dash: "line dash", dots: "line dots" };

  function chart(data, options) {
    const o = Object.assign({ height: 190, axis: "time", format: format.plain, log: false, length: 1 }, options);
    const timed = o.axis === "time";
    const series = [];
    const limitsOf = () => data.limits || [];
    let view = [0, o.length], cursor = null, hover = null, width = 0, plot = null, off = new Set(), api;

    const keys = make("div", { class: "keys" });
    const unit = make("span", { class: "unit" });
    const title = make("span", { class: "title" }, o.title + " ", unit);
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("class", "plot");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("role", "application");
    svg.setAttribute("aria-label", o.title + ". Arrow keys move the crosshair" + (timed ? ", plus and minus zoom, Escape resets" : "") + ".");
    const node = make("figure", { class: "chart" }, make("figcaption", {}, title, keys), svg);

    // key is a button of the legend: what the line looks like, its name, its value.
    function key(s, i) {
      const sample = document.createElementNS(NS, "svg");
      sample.setAttribute("class", "plot-key s" + s.tone);
      sample.setAttribute("viewBox", "0 0 22 8");
      sample.setAttribute("aria-hidden", "true");
      const holder = draw(sample, "g", { class: "plot" });
      if (o.stack) draw(holder, "path", { class: "bars", d: "M6 -1h10v10h-10z" });
      else draw(holder, "path", { class: styles[s.style] || "line", d: "M1 4h20" });
      const value = make("output", {});
      const button = make("button", { type: "button", class: "key", "aria-pressed": "true" }, sample, make("span", {}, s.name), value);
      button.addEventListener("click", () => {
        if (off.has(s.name)) off.delete(s.name); else off.add(s.name);
        button.setAttribute("aria-pressed", String(!off.has(s.name)));
        render();
      });
      button.setAttribute("aria-pressed", String(!off.has(s.name)));
      s.output = value;
      return button;
    }

    function set(next) {
      data = next;
      series.length = 0;
      keys.replaceChildren();
      (data.series || []).forEach((s, i) => {
        const one = Object.assign({ style: "line", tone: i % 7, format: o.format }, s);
        series.push(one);
        keys.append(key(one, i));
      });
      if (data.heat) {
        heatOutput = make("output", { class: "unit" });
        const ramp = document.createElementNS(NS, "svg");
        ramp.setAttribute("class", "ramp");
        ramp.setAttribute("viewBox", "0 0 84 10");
        ramp.setAttribute("aria-hidden", "true");
        for (let i = 1; i <= 7; i++) draw(ramp, "rect", { class: "b" + i, x: 12 * (i - 1), y: 0, width: 12, height: 10 });
        const most = data.heat.cells.reduce((m, c) => Math.max(m, c[2]), 1);
        keys.append(heatOutput, make("span", { class: "scale" }, "1", ramp, digits(most) + " requests"));
      }
      if (width) render();
    }
    let heatOutput = null;

    const visible = () => series.filter((s) => !off.has(s.name));
    const centre = (i) => (i + 0.5) * data.width;
    const range = () => [Math.max(0, Math.floor(view[0] / data.width) - 1), Math.min(data.bins, Math.ceil(view[1] / data.width) + 1)];
    const inView = (x) => x >= view[0] - 1e-9 && x <= view[1] + 1e-9;

    // each visits the points of a series in the view: x, y.
    function each(s, f) {
      if (s.points) {
        for (const [x, y] of s.points) f(x, y);
        return;
      }
      const [from, to] = range();
      for (let i = from; i < to; i++) f(centre(i), s.values[i], i);
    }

    const isBeyond = (s, y, i) => s.points ? y < 0 : !!s.beyond && s.beyond[i] > 0;

    // domain finds the y axis: what is seen, and limits that are not far off it.
    function domain() {
      let low = Infinity, high = 0, beyond = false;
      for (const s of visible())
        each(s, (x, y, i) => {
          if (isBeyond(s, y, i)) beyond = beyond || inView(x);
          if (y === null || y === undefined || y < 0) return;
          if (!s.points && !inView(x)) return;
          if (o.stack) y = stacked(s, i)[1];
          high = Math.max(high, y);
          if (y > 0) low = Math.min(low, y);
        });
      const far = [];
      for (const l of shownLimits()) {
        if (high === 0 || (o.log ? l.value <= high * 10 : l.value <= high * 2.5)) {
          high = Math.max(high, l.value * 1.04);
          low = Math.min(low, l.value);
        } else if (!far.includes(l.label)) far.push(l.label);
      }
      if (o.floor) high = Math.max(high, o.floor);
      if (high === 0) high = 1;
      if (!isFinite(low)) low = high / 10;
      if (o.log) {
        low = Math.pow(10, Math.floor(Math.log10(low * 0.98) * 5) / 5);
        high = Math.pow(10, Math.ceil(Math.log10(high * 1.02) * 5) / 5);
        if (high / low < 3) { low /= 1.5; high *= 1.5; }
      }
      return { low: o.log ? low : 0, high: o.log ? high : high * 1.06, beyond, far };
    }

    function shownLimits() {
      return limitsOf().filter((l) => l.to >= view[0] && l.from <= view[1]);
    }

    function render() {
      const W = Math.max(260, Math.round(width)), H = o.height + TOP + BOTTOM;
      svg.setAttribute("viewBox", "0 0 " + W + " " + H);
      svg.replaceChildren();
      const x0 = LEFT, x1 = W - RIGHT, y1 = TOP + o.height;
      let y0 = TOP;
      const X = (v) => x0 + (x1 - x0) * (v - view[0]) / (view[1] - view[0]);
      const inside = (v) => Math.min(Math.max(X(v), x0), x1);
      const clip = "clip" + (chart.count = (chart.count || 0) + 1);
      const defs = draw(svg, "defs", {});
      draw(draw(defs, "clipPath", { id: clip }), "rect", { x: x0, y: TOP - 1, width: x1 - x0, height: o.height + 2 });
      if (timed) stages(X, inside, y1);

      let Y, ticks, d;
      if (data.heat) {
        const h = data.heat, some = h.failed.some((n) => n > 0);
        if (some) y0 += 26;
        const top = h.low + h.bands * h.step;
        Y = (v) => y1 - (y1 - y0) * (Math.log10(v) - h.low) / (top - h.low || 1);
        ticks = h.bands ? logTicks(Math.pow(10, h.low), Math.pow(10, top), 6) : [];
        d = { low: Math.pow(10, h.low), high: Math.pow(10, top), far: [] };
      } else {
        d = domain();
        if (d.beyond) y0 += BEYOND;
        if (o.log) {
          const size = Math.log(d.high / d.low);
          Y = (v) => y1 - (y1 - y0) * Math.log(Math.max(v, d.low) / d.low) / size;
          ticks = logTicks(d.low, d.high, o.height / 24);
        } else {
          Y = (v) => y1 - (y1 - y0) * v / d.high;
          ticks = [];
          const step = niceStep(d.high, Math.max(2, Math.floor(o.height / 32)));
          for (let i = 0; i * step <= d.high * 1.001; i++) ticks.push(Number((i * step).toPrecision(6)));
          if (ticks.length < 2 && d.high > 0) { // a low chart: one round number beside 0
            const power = Math.pow(10, Math.floor(Math.log10(d.high)));
            ticks.push([5, 2, 1].find((f) => f * power <= d.high * 1.001) * power);
          }
        }
      }
      unit.textContent = (o.unit || "") + (d.far.length ? (o.unit ? " · " : "") + d.far.join(", ") + " is above the scale" : "");

      let last = Infinity;
      for (const t of ticks) {
        const y = Y(t);
        if (y < y0 - 1 || y > y1 + 1) continue;
        draw(svg, "path", { class: t === 0 ? "base" : "grid", d: "M" + x0 + " " + y.toFixed(1) + "H" + x1 });
        if (last - y < 13) continue;
        draw(svg, "text", { x: x0 - 7, y: (y + 4).toFixed(1), "text-anchor": "end" }, o.format(t));
        last = y;
      }
      if (d.beyond) draw(svg, "text", { x: x0 - 7, y: TOP + 10, "text-anchor": "end" }, "∞");
      draw(svg, "path", { class: "base", d: "M" + x0 + " " + y1 + "H" + x1 });

      const marks = timed ? timeTicks(view[0], view[1], Math.max(2, Math.floor((x1 - x0) / 62)))
        : { at: [0, 0.30103, 1, 2, 3, 4, 5, 6, 7].filter((v) => v <= view[1] + 1e-9) };
      for (const t of marks.at) {
        const x = X(t);
        draw(svg, "path", { class: "base", d: "M" + x.toFixed(1) + " " + y1 + "v4" });
        const text = timed ? tickClock(t, marks.step, view[1]) : t < 0.2 ? "0 %" : t < 0.5 ? "50 %" : String(Number((100 * (1 - Math.pow(10, -t))).toFixed(Math.max(0, t - 2)))) + " %";
        const half = text.length * 3.2;
        const anchor = x + half > W ? "end" : "middle";
        draw(svg, "text", { x: (anchor === "end" ? Math.min(x + half / 2, W - 1) : x).toFixed(1), y: y1 + 16, "text-anchor": anchor }, text);
      }

      const inner = draw(svg, "g", { "clip-path": "url(#" + clip + ")" });
      if (data.heat) cells(inner, X, y0, y1);
      // Areas lie below lines, and what the legend names first lies on top.
      const below = (s) => s.style === "area" ? 0 : 1;
      for (const s of visible().reverse().sort((a, b) => below(a) - below(b)))
        if (o.stack) bars(inner, s, X, Y); else path(inner, s, X, Y, y1);
      if (d.beyond) visible().forEach((s, row) => beyondAll(inner, s, row, X));
      limits(X, inside, Y, x0, x1, y0);
      plot = { W, H, x0, x1, y0, y1, X, Y, over: draw(svg, "g", {}), clip };
      overlay();
    }

    function stages(X, inside, y1) {
      const names = new Map();
      for (const s of data.stages || []) {
        if (s.to < view[0] || s.from > view[1]) continue;
        const a = inside(s.from), b = inside(s.to);
        if (s.judged) draw(svg, "rect", { class: "judged", x: a.toFixed(1), y: TOP, width: Math.max(0, b - a).toFixed(1), height: y1 - TOP });
        if (s.from > view[0]) draw(svg, "path", { class: "edge", d: "M" + a.toFixed(1) + " " + TOP + "V" + y1 });
        const n = names.get(s.name);
        // A stage is named on its hold, or where it has none on all of it.
        if (!n || s.kind === "hold" && n.kind !== "hold") names.set(s.name, { kind: s.kind, a, b });
        else if (n.kind === s.kind) n.b = b;
      }
      let end = -Infinity;
      for (const [name, n] of names) {
        const room = Math.floor((n.b - n.a) / 6);
        let text = name;
        if (name.length > room) {
          if (room < 4) continue;
          text = name.slice(0, room - 1) + "…";
        }
        if (n.a < end) continue;
        const label = draw(svg, "text", { class: "stage-name", x: (n.a + 3).toFixed(1), y: TOP - 6 }, text);
        end = n.a + 3 + text.length * 6;
        if (text !== name) draw(label, "title", {}, name);
      }
    }

    // stacked is where a series begins and ends in bin i, on those below it.
    function stacked(s, i) {
      let low = 0;
      for (const below of visible()) {
        if (below === s) break;
        low += below.values[i] || 0;
      }
      return [low, low + (s.values[i] || 0)];
    }

    function bars(parent, s, X, Y) {
      let d = "", points = 0;
      each(s, (x, y, i) => {
        if (y === null || y === undefined) return;
        points++;
        if (y === 0) return;
        const [low, high] = stacked(s, i), a = X(i * data.width), b = Math.max(X((i + 1) * data.width) - 0.5, a + 1);
        d += "M" + a.toFixed(1) + " " + Y(low).toFixed(1) + "V" + Y(high).toFixed(1) + "H" + b.toFixed(1) + "V" + Y(low).toFixed(1) + "z";
      });
      draw(parent, "path", { class: "bars s" + s.tone, d, "data-name": s.name, "data-points": points });
    }

    // beyondAll marks where a series has no finite value, in a row of its own.
    function beyondAll(parent, s, row, X) {
      let d = "";
      const y = TOP + 3 + 4 * Math.min(row, 3);
      each(s, (x, v, i) => {
        if (!isBeyond(s, v, i)) return;
        const half = s.points ? 0.025 : data.width / 2;
        d += "M" + X(x - half).toFixed(1) + " " + y + "H" + Math.max(X(x + half), X(x - half) + 1.5).toFixed(1);
      });
      if (d) draw(parent, "path", { class: "beyond s" + s.tone, d });
    }

    function path(parent, s, X, Y, y1) {
      let d = "", fill = "", pen = false, points = 0, start = 0;
      each(s, (x, y, i) => {
        if (y === null || y === undefined || y < 0) {
          if (isBeyond(s, y, i)) points++;
          if (pen && s.style === "area") fill += "V" + y1 + "H" + start.toFixed(1) + "z";
          pen = false;
          return;
        }
        const cx = X(x), cy = Y(y);
        points++;
        const at = cx.toFixed(1) + " " + cy.toFixed(1);
        if (!pen) { d += "M" + at + "h0"; fill += "M" + cx.toFixed(1) + " " + y1 + "L" + at; start = cx; }
        else { d += "L" + at; fill += "L" + at; }
        pen = true;
      });
      if (s.style === "area") {
        if (pen) fill += "V" + y1 + "H" + start.toFixed(1) + "z";
        draw(parent, "path", { class: "fill s" + s.tone, d: fill });
      }
      draw(parent, "path", { class: (styles[s.style] || "line") + " s" + s.tone, d, "data-name": s.name, "data-points": points });
    }

    function limits(X, inside, Y, x0, x1, y0) {
      const named = new Set(), boxes = [];
      for (const l of shownLimits()) {
        const y = Y(l.value);
        if (y < y0 - 1) continue;
        const a = inside(l.from), b = inside(l.to), mark = l.failed ? " broken" : "";
        draw(svg, "path", { class: "limit" + mark, d: "M" + a.toFixed(1) + " " + y.toFixed(1) + "H" + b.toFixed(1), "data-label": l.label });
        const size = l.label.length * 6.2;
        if (named.has(l.label) || size > b - a + 30) continue;
        const spots = [[b - 4, y - 4, "end"], [a + 4, y - 4, "start"], [b - 4, y + 12, "end"], [a + 4, y + 12, "start"]];
        for (const [x, ty, anchor] of spots) {
          const left = anchor === "end" ? x - size : x, box = [left, ty - 10, left + size, ty + 2];
          if (ty < 10 || left < x0 - 2 || left + size > x1 + 2 || boxes.some((o) => box[0] < o[2] && o[0] < box[2] && box[1] < o[3] && o[1] < box[3])) continue;
          boxes.push(box);
          named.add(l.label);
          draw(svg, "text", { class: "limit-name" + mark, x: x.toFixed(1), y: ty.toFixed(1), "text-anchor": anchor }, l.label);
          break;
        }
      }
    }

    const level = (n, most) => most <= 1 ? 5 : 1 + Math.min(6, Math.floor(6.999 * Math.log(n) / Math.log(most)));

    function cells(parent, X, y0, y1) {
      const h = data.heat, high = h.bands ? (y1 - y0) / h.bands : 0;
      const most = h.cells.reduce((m, c) => Math.max(m, c[2]), 1), paths = ["", "", "", "", "", "", "", ""];
      for (const [column, band, n] of h.cells) {
        const a = X(column * h.width), b = X((column + 1) * h.width);
        if (b < LEFT || a > plotRight()) continue;
        paths[level(n, most)] += "M" + a.toFixed(2) + " " + (y1 - (band + 1) * high).toFixed(2) + "H" + b.toFixed(2) + "v" + high.toFixed(2) + "H" + a.toFixed(2) + "z";
      }
      paths.forEach((d, i) => { if (d) draw(parent, "path", { class: "b" + i, d, "shape-rendering": "crispEdges" }); });
      parent.setAttribute("data-points", h.cells.length);
      const worst = Math.max(...h.failed, 0);
      if (worst > 0) {
        let d = "";
        h.failed.forEach((n, i) => {
          if (n === 0) return;
          const size = 3 + 11 * n / worst;
          d += "M" + X(i * h.width).toFixed(2) + " " + (TOP + 16).toFixed(2) + "H" + Math.max(X((i + 1) * h.width), X(i * h.width) + 1).toFixed(2) + "v" + (-size).toFixed(2) + "H" + X(i * h.width).toFixed(2) + "z";
        });
        draw(parent, "path", { class: "bf", d, "shape-rendering": "crispEdges", "data-name": "failed" });
        draw(svg, "text", { x: LEFT - 7, y: TOP + 13, "text-anchor": "end" }, "failed");
      }
    }
    const plotRight = () => Math.max(260, Math.round(width)) - RIGHT;

    // valueAt is what a series is at the cursor: [x, y], or null.
    function valueAt(s) {
      if (cursor === null) return null;
      if (s.points) {
        if (!timed) {
          let best = null;
          for (const p of s.points) if (!best || Math.abs(p[0] - cursor) < Math.abs(best[0] - cursor)) best = p;
          return best && Math.abs(best[0] - cursor) < 0.06 ? best : null;
        }
        for (let i = 1; i < s.points.length; i++) {
          const [a, b] = [s.points[i - 1], s.points[i]];
          if (cursor >= a[0] && cursor <= b[0] && b[0] > a[0]) return [cursor, a[1] + (b[1] - a[1]) * (cursor - a[0]) / (b[0] - a[0])];
        }
        return null;
      }
      const i = Math.floor(cursor / data.width);
      const y = s.values[i];
      return (y === null || y === undefined) && !isBeyond(s, y, i) ? null : [centre(i), y, i];
    }

    function stageAt(t) {
      const s = (data.stages || []).find((s) => t >= s.from && t < s.to);
      return s ? s.name + (s.kind === "move" ? " (ramp)" : s.kind === "drain" ? " (drain)" : "") : "";
    }

    // overlay draws what moves with the cursor, and tells the values.
    function overlay() {
      if (!plot) return;
      const { over, X, Y, x0, x1, y0, y1 } = plot;
      over.replaceChildren();
      const shown = cursor !== null && inView(cursor);
      for (const s of series) {
        const at = shown && !off.has(s.name) ? valueAt(s) : null;
        const finite = at && at[1] !== null && at[1] !== undefined && at[1] >= 0;
        const words = at ? [finite ? s.format(at[1]) : "", isBeyond(s, at[1], at[2]) ? "∞" : ""].filter((w) => w) : [];
        s.output.textContent = words.length ? words.join(", ") : shown && !off.has(s.name) ? "–" : "";
        if (finite && !o.stack) draw(over, "circle", { class: "dot s" + s.tone, cx: X(at[0]).toFixed(1), cy: Y(at[1]).toFixed(1), r: 3.5 });
      }
      if (data.heat) heatValue(over, shown);
      if (!shown) return;
      const x = X(cursor);
      const line = draw(over, "path", { class: "cursor", d: "M" + x.toFixed(1) + " " + TOP + "V" + y1 });
      over.prepend(line);
      const text = timed ? moment() : format.quantile(cursor), size = text.length * 6.4 + 10;
      const left = Math.min(Math.max(x - size / 2, x0 - 20), x1 + RIGHT - size);
      draw(over, "rect", { class: "cursor-box", x: left.toFixed(1), y: y1 + 4, width: size.toFixed(1), height: 17, rx: 3 });
      draw(over, "text", { class: "cursor-text", x: (left + size / 2).toFixed(1), y: y1 + 16, "text-anchor": "middle" }, text);
    }

    function moment() {
      const at = Math.floor(cursor / data.width) * data.width, stage = stageAt(cursor);
      return clock(at, o.length) + (stage ? " · " + (stage.length > 24 ? stage.slice(0, 23) + "…" : stage) : "");
    }

    function heatValue(over, shown) {
      const h = data.heat;
      if (!shown) { heatOutput.textContent = ""; return; }
      const column = Math.floor(cursor / h.width), mine = h.cells.filter((c) => c[0] === column);
      const total = mine.reduce((n, c) => n + c[2], 0);
      const edge = (band) => format.seconds(Number(Math.pow(10, h.low + band * h.step).toPrecision(2)));
      let text = digits(total) + " ok";
      let cell = mine.reduce((m, c) => !m || c[2] > m[2] ? c : m, null), most = "most at ";
      if (hover !== null && plot.y1 > plot.y0) {
        const band = Math.floor((plot.y1 - hover) / (plot.y1 - plot.y0) * h.bands);
        cell = mine.find((c) => c[1] === band) || (band >= 0 && band < h.bands ? [column, band, 0] : null);
        most = cell ? digits(cell[2]) + " at " : "";
      }
      if (cell) {
        const [low, high] = [edge(cell[1]), edge(cell[1] + 1)], unit = high.replace(/^[\d.,]+/, "");
        text += ", " + most + (low.endsWith(unit) ? low.slice(0, low.length - unit.length) : low) + "–" + high;
        const tall = (plot.y1 - plot.y0) / h.bands;
        draw(over, "rect", { class: "hover", x: plot.X(column * h.width).toFixed(1), y: (plot.y1 - (cell[1] + 1) * tall).toFixed(1), width: Math.max(1, plot.X((column + 1) * h.width) - plot.X(column * h.width)).toFixed(1), height: tall.toFixed(1) });
      }
      if (h.failed[column]) text += ", " + digits(h.failed[column]) + " failed";
      heatOutput.textContent = text;
    }

    // said is the values at the cursor in words.
    function said() {
      if (cursor === null) return "";
      const values = visible().map((s) => s.name + " " + s.output.textContent);
      if (data.heat) values.push(heatOutput.textContent);
      return o.title + ", " + (timed ? moment() : format.quantile(cursor)) + ": " + values.join(", ");
    }

    api = {
      node, svg, said, set, timed,
      draw(w) { width = w || node.clientWidth; render(); },
      setView(from, to) { view = [from, to]; if (width) render(); },
      setCursor(t, y) { cursor = t; hover = y === undefined ? null : y; overlay(); },
      setLog(on) { o.log = on; if (width) render(); },
      at(clientX) { // the axis' value under a pointer
        const box = svg.getBoundingClientRect(), x = (clientX - box.left) * plot.W / box.width;
        const part = (x - plot.x0) / (plot.x1 - plot.x0);
        return view[0] + Math.min(Math.max(part, 0), 1) * (view[1] - view[0]);
      },
      height(clientY) { const box = svg.getBoundingClientRect(); return (clientY - box.top) * plot.H / box.height; },
      brush(from, to) {
        if (!plot) return;
        plot.over.querySelectorAll(".brush").forEach((b) => b.remove());
        if (from === null) return;
        const a = plot.X(Math.min(from, to)), b = plot.X(Math.max(from, to));
        draw(plot.over, "rect", { class: "brush", x: a.toFixed(1), y: TOP, width: Math.max(1, b - a).toFixed(1), height: plot.y1 - TOP });
      },
      get width() { return data.width; },
    };
    set(data);
    if (!timed) alone(api, o);
    return api;
  }

  // alone gives a chart that shares its axis with no other a crosshair.
  function alone(c, o) {
    let at = null;
    const move = (v) => { at = Math.min(Math.max(Math.round(v * 20) / 20, 0), o.length); c.setCursor(at); };
    c.setView(0, o.length);
    c.svg.addEventListener("pointermove", (e) => move(c.at(e.clientX)));
    c.svg.addEventListener("pointerleave", () => c.setCursor(null));
    c.svg.addEventListener("keydown", (e) => {
      const by = { ArrowLeft: -0.05, ArrowRight: 0.05 }[e.key];
      if (by) { move((at === null ? o.length / 2 : at) + by); if (o.onSaid) o.onSaid(c.said()); e.preventDefault(); }
      if (e.key === "Escape") { at = null; c.setCursor(null); }
    });
  }

  // join puts charts over time in step: one crosshair, one zoom.
  function join(charts, o) {
    const width = charts[0].width, least = Math.min(o.length, Math.max(2, 4 * width));
    let view = [0, o.length], cursor = null, drag = null;

    function show(from, to) {
      const size = Math.min(Math.max(to - from, least), o.length);
      from = Math.min(Math.max(from, 0), o.length - size);
      view = [from, from + size];
      for (const c of charts) c.setView(view[0], view[1]);
      if (o.onView) o.onView(view, view[1] - view[0] < o.length - 1e-9);
    }
    function point(t, by, y) {
      cursor = t === null ? null : Math.min(Math.max((Math.floor(t / width + 1e-9) + 0.5) * width, width / 2), Math.max(width / 2, Math.min((Math.ceil(o.length / width) - 0.5) * width, o.length)));
      for (const c of charts) c.setCursor(cursor, c === by ? y : undefined);
    }
    function zoom(factor) {
      const middle = cursor !== null && cursor > view[0] && cursor < view[1] ? cursor : (view[0] + view[1]) / 2;
      const size = (view[1] - view[0]) * factor, share = (middle - view[0]) / (view[1] - view[0]);
      show(middle - size * share, middle + size * (1 - share));
    }
    function step(n, c) {
      const from = cursor === null ? view[0] + (n > 0 ? -width / 2 : width / 2) : cursor;
      point(from + n * width);
      const size = view[1] - view[0];
      if (cursor > view[1]) show(cursor - size * 0.9, cursor + size * 0.1);
      else if (cursor < view[0]) show(cursor - size * 0.1, cursor + size * 0.9);
      if (o.onSaid) o.onSaid(c.said());
    }
    function reset() { point(null); show(0, o.length); }

    for (const c of charts) {
      c.svg.addEventListener("pointerdown", (e) => {
        if (e.pointerType === "mouse" && e.button === 0) {
          drag = { from: c.at(e.clientX), x: e.clientX };
          c.svg.setPointerCapture(e.pointerId);
        }
        point(c.at(e.clientX), c, c.height(e.clientY));
      });
      c.svg.addEventListener("pointermove", (e) => {
        const t = c.at(e.clientX);
        point(t, c, c.height(e.clientY));
        if (drag && Math.abs(e.clientX - drag.x) > 4) for (const other of charts) other.brush(drag.from, t);
      });
      c.svg.addEventListener("pointerup", (e) => {
        if (!drag) return;
        const from = drag.from, to = c.at(e.clientX), far = Math.abs(e.clientX - drag.x) > 4;
        drag = null;
        for (const other of charts) other.brush(null);
        if (far) show(Math.min(from, to), Math.max(from, to));
      });
      c.svg.addEventListener("pointercancel", () => { drag = null; for (const other of charts) other.brush(null); });
      c.svg.addEventListener("pointerleave", (e) => { if (!drag && e.pointerType === "mouse") point(null); });
      c.svg.addEventListener("dblclick", reset);
      c.svg.addEventListener("keydown", (e) => {
        if (e.ctrlKey || e.metaKey || e.altKey) return;
        const page = Math.max(1, Math.round((view[1] - view[0]) / width / 10));
        switch (e.key) {
          case "ArrowLeft": step(e.shiftKey ? -page : -1, c); break;
          case "ArrowRight": step(e.shiftKey ? page : 1, c); break;
          case "Home": point(view[0] + width / 2); break;
          case "End": point(view[1] - width / 2); break;
          case "+": case "=": zoom(0.5); break;
          case "-": case "_": zoom(2); break;
          case "Escape": reset(); break;
          default: return;
        }
        e.preventDefault();
      });
    }
    return { show, zoom, reset, point };
  }

  return { chart, join, format, make, clock };
})();
