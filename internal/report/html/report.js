// Puts the charts into report.html, and makes its table sortable.
(() => {
  "use strict";
  const { chart, join, format, make, clock } = Tollgate;
  const byId = (id) => document.getElementById(id);

  theme();
  sorting();
  charts();
  document.documentElement.setAttribute("data-ready", "true");

  function theme() {
    const button = byId("theme"), root = document.documentElement;
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
    const label = () => {
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", "Switch to " + (isDark() ? "light" : "dark") + " colours");
    };
    button.hidden = false;
    button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
    dark.addEventListener("change", label);
    label();
  }

  function sorting() {
    const table = byId("rows");
    if (!table) return;
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains("s")) return;
      const button = make("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort"), text = column === 0;
        const up = before ? before === "descending" : text;
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        for (const group of ["work", "setup"]) {
          const bodies = [...table.tBodies].filter((b) => b.classList.contains(group));
          const of = (b) => text ? b.rows[0].cells[0].textContent : Number(b.rows[0].cells[column].dataset.sort);
          bodies.sort((a, b) => {
            const [x, y] = [of(a), of(b)], order = text ? x.localeCompare(y, "en") : x - y;
            return up ? order : -order;
          });
          const setup = [...table.tBodies].find((b) => b.classList.contains("setup"));
          for (const b of bodies) group === "work" && setup ? table.insertBefore(b, setup) : table.append(b);
        }
      });
    });
  }

  function charts() {
    const source = byId("data");
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const plots = byId("plots"), said = byId("said"), tools = byId("tools");
    const onSaid = (text) => { said.textContent = text; };
    const base = { width: data.width, bins: data.bins, stages: data.stages };
    const options = (more) => Object.assign({ length: data.elapsed, onSaid }, more);
    const some = (values) => values.some((v) => v !== null && v !== 0);
    let row = 0;

    const rateOf = (r) => {
      const line = data.lines[r], series = [];
      const late = some(line.not_issued);
      if (r === 0 && data.arrivals.length) series.push({ name: "planned arrivals", points: data.arrivals, style: "dots", tone: 6 });
      if (late) series.push({ name: "planned", values: line.rate.map((v, i) => v === null ? null : v + line.not_issued[i]), style: "dash", tone: 6 });
      series.push({ name: "requests", values: line.rate, style: "area", tone: 0 });
      series.push({ name: "failed", values: line.failed, style: "line", tone: 1 });
      if (late) series.push({ name: "not sent", values: line.not_issued, style: "thin", tone: 3 });
      return Object.assign({}, base, { series });
    };
    const latencyOf = (r) => {
      const line = data.lines[r];
      return Object.assign({}, base, {
        series: [
          { name: "p50", values: line.p50, beyond: line.beyond.p50, style: "line", tone: 2 },
          { name: "p95", values: line.p95, beyond: line.beyond.p95, style: "line", tone: 0 },
          { name: "p99", values: line.p99, beyond: line.beyond.p99, style: "thin", tone: 1 },
        ],
        limits: data.limits.filter((l) => l.lines.includes(r)),
      });
    };
    const curveOf = (r) => Object.assign({}, base, {
      series: data.lines[r].curve.map((c, i) => ({ name: c.name, points: c.x.map((x, k) => [x, c.y[k]]), style: i ? "dash" : "line", tone: i ? 3 : 0 })),
    });

    const joined = [];
    const place = (c) => { plots.append(c.node); joined.push(c); return c; };
    const rate = place(chart(rateOf(0), options({ title: "Requests", unit: "per second", format: format.rate, height: 170 })));
    if (data.users.length) {
      const series = data.users.map((u, i) => ({ name: u.name, values: u.values, tone: i % 6, style: i % 3 === 1 ? "dash" : "line" }));
      if (data.users.length > 1) series.unshift({ name: "all", values: data.users[0].values.map((_, i) => data.users.reduce((n, u) => n === null || u.values[i] === null ? null : n + u.values[i], 0)), style: "area", tone: 6 });
      if (data.level.length) series.push({ name: "planned", points: data.level, style: "dots", tone: 6 });
      place(chart(Object.assign({}, base, { series }), options({ title: "Active users", unit: "", format: format.count, height: 110 })));
    }
    const all = data.lines[0].p99.filter((v) => v > 0), middle = data.lines[0].p50.filter((v) => v > 0);
    const wide = all.length > 0 && middle.length > 0 && Math.max(...all) > 25 * Math.min(...middle);
    const latency = place(chart(latencyOf(0), options({ title: "Response time", unit: "", format: format.seconds, height: 210, log: wide })));
    if (data.heat.cells.length) place(chart(Object.assign({}, base, { heat: data.heat, series: [] }), options({ title: "Response times of all requests", unit: "", format: format.seconds, height: 210 })));
    if (data.failing.length) {
      place(chart(Object.assign({}, base, { series: data.failing.map((f, i) => ({ name: f.name, values: f.values, tone: (i + 1) % 7 })) }),
        options({ title: "Failures", unit: "per second", format: format.rate, height: 110, stack: true })));
    } else plots.append(make("p", { class: "none" }, "No request failed."));
    for (const p of data.probes)
      place(chart(Object.assign({}, base, { series: [{ name: "value", values: p.values, tone: 3 }] }), options({ title: p.name, unit: p.counter ? "probe, rise per second" : "probe", format: format.plain, height: 90 })));
    const health = Object.fromEntries(data.health.map((h) => [h.name, h.values]));
    if (health.cpu && health.cpu.some((v) => v !== null)) {
      const series = [{ name: "processors", values: health.cpu, tone: 0, style: "area" }];
      if (some(health.steal)) series.push({ name: "taken by neighbours", values: health.steal, tone: 1, style: "dash" });
      if (some(health.throttled)) series.push({ name: "held back by quota", values: health.throttled, tone: 3, style: "thin" });
      place(chart(Object.assign({}, base, { series }), options({ title: "Generator: busy", unit: "share of its processors", format: format.share, height: 80, floor: 1 })));
    }
    if (health["lag p99"] && health["lag p99"].some((v) => v !== null)) {
      const series = [{ name: "lag p99", values: health["lag p99"], tone: 0 }];
      if (some(health["gc pause"])) series.push({ name: "longest GC pause", values: health["gc pause"], tone: 3, style: "dash" });
      place(chart(Object.assign({}, base, { series }), options({ title: "Generator: late", unit: "its own delay", format: format.seconds, height: 80 })));
    }
    const nines = Math.max(1, ...data.lines[0].curve.map((c) => c.x[c.x.length - 1] || 0));
    let curve = null;
    if (data.lines[0].curve.some((c) => c.x.length > 1)) {
      const ys = data.lines[0].curve.flatMap((c) => c.y).filter((v) => v > 0);
      curve = chart(curveOf(0), options({ title: "Percentiles of the whole run", unit: "share of requests that took at most so long", format: format.seconds, height: 190, axis: "nines", length: nines, log: Math.max(...ys) > 25 * Math.min(...ys) }));
      plots.append(curve.node);
    }

    // The tools above the charts.
    const button = (text, label, click) => {
      const b = make("button", { type: "button", class: "button", "aria-label": label }, text);
      b.addEventListener("click", click);
      tools.append(b);
      return b;
    };
    if (data.lines.length > 2) {
      const select = make("select", { class: "button", id: "row", "aria-label": "Requests to show" });
      data.lines.forEach((l, i) => select.append(make("option", { value: String(i) }, l.name)));
      select.addEventListener("change", () => {
        row = Number(select.value);
        rate.set(rateOf(row));
        latency.set(latencyOf(row));
        if (curve) curve.set(curveOf(row));
      });
      tools.append(select);
    }
    const log = button("Log scale", "Logarithmic scale of response times", () => {
      const on = log.getAttribute("aria-pressed") !== "true";
      log.setAttribute("aria-pressed", String(on));
      latency.setLog(on);
    });
    log.setAttribute("aria-pressed", String(wide));
    const out = button("−", "Zoom out", () => group.zoom(2));
    button("+", "Zoom in", () => group.zoom(0.5));
    const reset = button("Reset", "Show the whole run", () => group.reset());
    tools.hidden = false;

    const bins = byId("bins");
    const describe = (view, zoomed) => {
      const wide = data.width >= 60 ? format.count(data.width / 60) + " min" : data.width + " s";
      bins.replaceChildren((zoomed ? clock(view[0], data.elapsed) + " to " + clock(view[1], data.elapsed) + ". " : "") +
        (data.width > 1 ? "Each point is " + wide + ": rates are means, p50 is the median second, p95 and p99 are the worst second. " : "Each point is a second. ") +
        "Shaded: judged. ", make("span", { class: "hint" }, "Drag to zoom; arrow keys move the crosshair."));
      reset.disabled = out.disabled = !zoomed;
    };
    const group = join(joined, { length: data.elapsed, onSaid, onView: describe });
    describe([0, data.elapsed], false);

    let drawn = 0;
    const size = () => {
      const w = plots.clientWidth;
      if (w === drawn || w === 0) return;
      drawn = w;
      for (const c of joined) c.draw(w);
      if (curve) curve.draw(w);
    };
    size();
    new ResizeObserver(size).observe(plots);
  }
})();
