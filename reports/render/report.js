"use strict";
// Draws the report's charts from the JSON in #data. Colours come from the style sheet, so that
// light, dark and print need nothing here but a redraw.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const charts = [];
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (arm) => css("--d" + (arm.design % 6));
  const dash = (arm) => (arm.engine === "sim" ? [7, 4] : undefined);
  const engineName = (engine) => (engine === "live" ? "live" : "simulated");
  const label = (arm) => data.designs[arm.design] + ", " + engineName(arm.engine);
  const metricNames = {
    delivery_latency: "Delivery", catch_up_latency: "Catch-up", recovery_latency: "Recovery",
    ack_latency: "Acknowledgement", connect_time: "Connect",
  };
  let metric = "delivery_latency";

  // --- numbers as people read them
  const digits = (v) => (v >= 100 ? Math.round(v).toLocaleString("en-US") : String(+v.toPrecision(3)));
  const ms = (v) => v == null ? "–" : v >= 1000 ? digits(v / 1000) + " s"
    : v >= 1 ? digits(v) + " ms" : digits(v * 1000) + " µs";
  const short = (v) => v == null ? "–" : v >= 1e6 ? digits(v / 1e6) + " M"
    : v >= 1e4 ? digits(v / 1e3) + " k" : digits(v);
  const percentile = (x) => x == null ? "–" : "p" + +(100 * (1 - 1 / x)).toPrecision(7);

  const axis = (extra) => ({
    stroke: css("--soft"), font: "12px " + getComputedStyle(document.body).fontFamily,
    grid: { stroke: css("--rule"), width: 1 }, ticks: { stroke: css("--rule"), width: 1, size: 4 },
    ...extra,
  });
  const decades = (u, i, min, max) => {
    const out = [];
    for (let p = Math.floor(Math.log10(min)); p <= Math.ceil(Math.log10(max)); ++p) {
      for (const m of max / min > 300 ? [1] : [1, 3]) {
        const v = m * 10 ** p;
        if (v >= min && v <= max) out.push(v);
      }
    }
    return out;
  };
  // Bounds of a logarithmic axis: whole thirds of decades round the values, none of them at 0.
  const logRange = (u, min, max) => {
    if (min == null || max == null || max <= 0) return [0.1, 10];
    const low = Math.max(min, max / 1e5, 1e-4);
    return [10 ** (Math.floor(Math.log10(low) * 2) / 2), 10 ** (Math.ceil(Math.log10(max * 1.05) * 2) / 2)];
  };

  const line = (arm, value) => ({
    label: label(arm), stroke: colour(arm), width: 2, dash: dash(arm), points: { show: false },
    value: (u, v) => value(v), spanGaps: false,
  });

  const add = (options, values, parent) => charts.push(new uPlot(options, values, parent));

  // --- latency against percentile
  function drawPercentiles() {
    const host = document.getElementById("percentiles");
    if (!host) return;
    const arms = data.arms.filter((arm) => arm.curves[metric]);
    let last = 0;
    for (const arm of arms) {
      arm.curves[metric].forEach((v, i) => { if (v != null) last = Math.max(last, i); });
    }
    const first = data.positions.findIndex((v) => v >= 1.3);  // the fastest quarter decides nothing
    const x = data.positions.slice(first, last + 1);
    const end = x.length ? x[x.length - 1] : 10;
    add({
      width: host.clientWidth, height: 380, cursor: { y: false }, padding: [null, 34, null, null],
      scales: { x: { time: false, distr: 3, range: [x[0] || 1, end] }, y: { distr: 3, range: logRange } },
      axes: [
        axis({ splits: () => [2, 10, 100, 1e3, 1e4, 1e5, 1e6].filter((v) => v <= end * 1.001),
               filter: (u, splits) => splits, values: (u, splits) => splits.map(percentile) }),
        axis({ splits: decades, filter: (u, splits) => splits, size: 72,
               values: (u, splits) => splits.map(ms) }),
      ],
      series: [{ label: "percentile", value: (u, v) => percentile(v) }, ...arms.map((arm) => line(arm, ms))],
    }, [x, ...arms.map((arm) => arm.curves[metric].slice(first, last + 1))], host);
  }

  // --- one quantity over time, for the designs of one engine
  function shadeMarked(u, arms) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = css("--faint");
    ctx.globalAlpha = 0.18;
    for (const arm of arms) {
      arm.series.marked.forEach((marked, i) => {
        if (!marked) return;
        const t = arm.series.t[i];
        const from = u.valToPos(i > 0 ? arm.series.t[i - 1] : 0, "x", true);
        ctx.fillRect(from, bbox.top, u.valToPos(t, "x", true) - from, bbox.height);
      });
    }
    ctx.restore();
  }
  function drawFaults(u, marks, named) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = css("--bad");
    ctx.setLineDash([4, 4]);
    ctx.lineWidth = devicePixelRatio;
    ctx.font = 12 * devicePixelRatio + "px " + getComputedStyle(document.body).fontFamily;
    for (const mark of marks) {
      const x = Math.round(u.valToPos(mark.t, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (!named) continue;
      const last = bbox.left + bbox.width - ctx.measureText(mark.what).width;
      const start = Math.max(bbox.left, Math.min(x + 4 * devicePixelRatio, last));
      ctx.fillText(mark.what, start, bbox.top - 6 * devicePixelRatio);
    }
    ctx.restore();
  }
  const panels = [
    { key: "p99_ms", name: "Delivery latency, p99", format: ms, log: true },
    { key: "connected", name: "Clients connected", format: short },
    { key: "deliveries", name: "Deliveries a second", format: short },
    { key: "cpu", name: "Server CPU", unit: "% of its cores", format: (v) => v == null ? "–" : digits(v) + " %" },
    { key: "lag", name: "Fan-out lag", unit: "records whose queue entries are not applied yet", format: short },
  ];
  function drawPanel(host, panel, arms, sync, named) {
    const box = document.createElement("div");
    box.className = "panel";
    const title = document.createElement("h3");
    title.textContent = panel.name + " ";
    if (panel.unit) title.append(Object.assign(document.createElement("small"), { textContent: panel.unit }));
    const figure = document.createElement("figure");
    figure.className = "chart";
    figure.setAttribute("role", "img");
    figure.setAttribute("aria-label", panel.name + " over time, " + engineName(arms[0].engine));
    box.append(title, figure);
    host.append(box);
    const tables = arms.map((arm) => [
      arm.series.t,
      arm.series[panel.key].map((v) => (panel.log && v <= 0 ? null : v)),
    ]);
    const joined = tables.length > 1 ? uPlot.join(tables) : tables[0];
    add({
      width: figure.clientWidth, height: 190 + (named ? 10 : 0), padding: [named ? 22 : 12, null, null, null], cursor: { y: false, sync: { key: sync } },
      scales: {
        x: { time: false },
        y: panel.log ? { distr: 3, range: logRange }
          : { range: (u, min, max) => [0, max > 0 ? max * 1.1 : 1] },
      },
      axes: [
        axis({ values: (u, splits) => splits.map((v) => v + " s"), size: 32, space: 60 }),
        axis({ size: 66, values: (u, splits) => splits.map(panel.format),
               ...(panel.log ? { splits: decades, filter: (u, splits) => splits } : {}) }),
      ],
      series: [{ label: "at", value: (u, v) => (v == null ? "–" : v + " s") },
               ...arms.map((arm) => ({ ...line(arm, panel.format), label: data.designs[arm.design] }))],
      hooks: {
        drawClear: [(u) => shadeMarked(u, arms)],
        draw: [(u) => drawFaults(u, arms[0].marks, named)],
      },
    }, joined, figure);
  }
  function drawSeries() {
    const host = document.getElementById("series");
    if (!host) return;
    const columns = [];  // all of them stand before the first chart measures its width
    for (const engine of ["live", "sim"]) {
      const arms = data.arms.filter((arm) => arm.engine === engine && arm.series.t.length > 1);
      if (!arms.length) continue;
      const column = document.createElement("div");
      const title = document.createElement("p");
      title.className = "column-title";
      title.textContent = arms[0].heading;
      column.append(title);
      host.append(column);
      columns.push({ column, arms, engine });
    }
    for (const { column, arms, engine } of columns) {
      panels.forEach((panel, i) => {
        // a panel without values in one engine keeps its place beside the other's
        const any = data.arms.some((arm) => arm.series[panel.key].some((v) => v > 0));
        if (any) drawPanel(column, panel, arms, engine, i === 0);
      });
    }
  }

  // --- legends and the choice of metric
  function drawLegends() {
    for (const legend of document.querySelectorAll("[data-legend]")) {
      legend.replaceChildren(...data.arms.map((arm) => {
        const item = document.createElement("span");
        item.innerHTML = '<svg width="30" height="8" aria-hidden="true"><line x1="1" y1="4" x2="29" y2="4" '
          + 'stroke="' + colour(arm) + '" stroke-width="2.5"'
          + (dash(arm) ? ' stroke-dasharray="7 4"' : "") + "/></svg>";
        item.append(label(arm));
        return item;
      }));
    }
  }
  function drawChoice() {
    const host = document.getElementById("metric-choice");
    const known = Object.keys(metricNames).filter((m) => data.arms.some((arm) => arm.curves[m]));
    if (!host || known.length < 2) return;
    host.replaceChildren(...known.map((m) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = metricNames[m];
      button.setAttribute("aria-pressed", String(m === metric));
      button.addEventListener("click", () => { metric = m; redraw(); });
      return button;
    }));
  }

  function redraw() {
    while (charts.length) charts.pop().destroy();
    document.getElementById("series")?.replaceChildren();
    drawLegends();
    drawChoice();
    drawPercentiles();
    drawSeries();
  }
  redraw();
  let width = innerWidth;
  let pending = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(pending);
    pending = setTimeout(redraw, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // Ink on paper, whatever the screen shows.
  addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper");
    for (const details of document.querySelectorAll("details")) details.open = true;
    redraw();
  });
  addEventListener("afterprint", () => { document.documentElement.classList.remove("paper"); redraw(); });
})();
