"use strict";
(function () {
  const PAPER_WIDTH_PX = 660;
  const NARROW_PX = 700;
  const AXIS_PX = 58;
  const CONFIG = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]
  };
  const charts = Array.from(document.querySelectorAll("[data-figure]"));
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function look(onPaper) {
    const style = getComputedStyle(document.documentElement);
    const ink = onPaper ? "#171a1f" : style.getPropertyValue("--ink").trim();
    const edge = onPaper ? "#d8dce2" : style.getPropertyValue("--edge").trim();
    const surface = onPaper ? "#ffffff" : style.getPropertyValue("--surface").trim();
    return {
      "font.color": ink, "font.family": getComputedStyle(document.body).fontFamily, "font.size": 12,
      "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)",
      "xaxis.gridcolor": edge, "yaxis.gridcolor": edge, "xaxis.zerolinecolor": edge, "yaxis.zerolinecolor": edge,
      "xaxis.linecolor": edge, "yaxis.linecolor": edge,
      "hoverlabel.bgcolor": surface, "hoverlabel.bordercolor": edge, "hoverlabel.font.color": ink
    };
  }

  function assign(layout, path, value) {
    let place = layout;
    path.slice(0, -1).forEach(function (part) { place = place[part] = place[part] || {}; });
    place[path[path.length - 1]] = value;
  }

  function drawn() {
    return charts.filter(function (chart) { return chart.dataset.drawn; });
  }

  function figureOf(chart) {
    return JSON.parse(document.getElementById(chart.dataset.figure).textContent);
  }

  function draw(chart) {
    const figure = figureOf(chart);
    // On a phone a drag must scroll the page; where there is room it zooms.
    figure.layout.dragmode = window.innerWidth < NARROW_PX ? false : "zoom";
    figure.layout.modebar = {bgcolor: "rgba(0,0,0,0)", color: "#7b8794", activecolor: "#2f7fd6"};
    Object.entries(look(false)).forEach(function (entry) { assign(figure.layout, entry[0].split("."), entry[1]); });
    return Plotly.newPlot(chart, figure.data, figure.layout, CONFIG)
      .then(function () { return makeRoom(chart); })
      .then(function () { chart.dataset.drawn = "true"; });
  }

  // The legend stands under the axis, whatever number of rows it needs at this width; the plot keeps its height.
  function makeRoom(chart) {
    const legend = chart.querySelector(".legend");
    const rows = legend ? Math.ceil(legend.getBBox().height) : 0;
    chart.style.height = Number(chart.dataset.height) + rows + "px";
    return Plotly.relayout(chart, {"margin.b": AXIS_PX + rows, autosize: true});
  }

  let waiting = 0;
  window.addEventListener("resize", function () {
    clearTimeout(waiting);
    waiting = setTimeout(function () { drawn().forEach(makeRoom); }, 150);
  });

  function restyle(onPaper) {
    const change = look(onPaper);
    if (onPaper) { change.width = PAPER_WIDTH_PX; } else { change.width = null; change.autosize = true; }
    drawn().forEach(function (chart) { Plotly.relayout(chart, change); });
  }

  // One of several views: the traces whose meta is the choice are shown.
  document.querySelectorAll("[data-choices]").forEach(function (group) {
    group.addEventListener("change", function (event) {
      const chart = document.getElementById(group.dataset.choices);
      const shown = figureOf(chart).data.map(function (trace) { return trace.meta === event.target.value; });
      if (chart.dataset.drawn) { Plotly.restyle(chart, {visible: shown}); }
    });
  });

  // Zoom about the middle and move by a quarter, of both axes: what a drag does, for the keyboard.
  const MOVES = {
    "in": [0.5, 0, 0], "out": [2, 0, 0], "left": [1, -0.25, 0], "right": [1, 0.25, 0], "up": [1, 0, 0.25], "down": [1, 0, -0.25]
  };

  function moved(range, factor, share) {
    const width = range[1] - range[0], middle = (range[0] + range[1]) / 2 + share * width;
    return [middle - factor * width / 2, middle + factor * width / 2];
  }

  document.querySelectorAll("[data-zoom]").forEach(function (group) {
    group.addEventListener("click", function (event) {
      const chart = document.getElementById(group.dataset.zoom), move = event.target.value;
      if (!move || !chart.dataset.drawn) { return; }
      const whole = move === "all", layout = whole ? figureOf(chart).layout : chart.layout;
      const [factor, across, up] = whole ? [1, 0, 0] : MOVES[move];
      Plotly.relayout(chart, {
        "xaxis.range": moved(layout.xaxis.range, factor, across), "yaxis.range": moved(layout.yaxis.range, factor, up)
      });
    });
  });

  function wanted(form) {
    const kinds = Array.from(form.querySelectorAll("[name=kind]:checked")).map(function (box) { return box.value; });
    const least = Number(form.elements.least.value) / 100;
    return function (kind, mark) {
      const [rung, fits, accuracy] = mark;
      return kinds.includes(kind) && (fits || !form.elements.fits.checked)
        && (!form.elements.rung.value || rung === form.elements.rung.value)
        && (accuracy === null ? !least : accuracy >= least);
    };
  }

  // Marks that the filter of the trials refuses are taken out; zoom and the other traces stay.
  function filter(form) {
    const isWanted = wanted(form);
    const shown = new Set(), all = new Set();
    document.querySelectorAll("[id^=" + form.dataset.filter + "-frontier][data-figure]").forEach(function (chart) {
      const data = figureOf(chart).data.map(function (trace) {
        if (!trace.meta) { return trace; }
        const kept = trace.customdata.map(function (mark) { return isWanted(trace.meta, mark); });
        trace.customdata.forEach(function (mark, place) {
          if (mark.length > 3) { all.add(mark[3]); if (kept[place]) { shown.add(mark[3]); } }
        });
        const part = {};
        ["x", "y", "hovertext", "customdata"].forEach(function (name) {
          part[name] = trace[name].filter(function (_, place) { return kept[place]; });
        });
        return Object.assign({}, trace, part);
      });
      if (chart.dataset.drawn) { Plotly.react(chart, data, chart.layout, CONFIG); }
    });
    document.querySelectorAll("[data-rows-of=" + form.dataset.filter + "] tbody tr").forEach(function (row) {
      const trial = Number(row.cells[0].textContent);
      row.hidden = all.has(trial) && !shown.has(trial);
    });
    form.querySelector("output").textContent = shown.size + " of " + all.size + " trials shown";
  }

  document.querySelectorAll("[data-filter]").forEach(function (form) {
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    form.addEventListener("input", function () { filter(form); });
    form.addEventListener("reset", function () { setTimeout(filter, 0, form); });
  });

  let opened = [];
  window.addEventListener("beforeprint", function () {
    // The table of a chart stays folded: the chart itself is printed.
    opened = Array.from(document.querySelectorAll("details:not([open])")).filter(function (item) {
      return !item.closest("figure");
    });
    opened.forEach(function (item) { item.open = true; });
    restyle(true);
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (item) { item.open = false; });
    restyle(false);
  });
  dark.addEventListener("change", function () { restyle(false); });

  // plotly.js is stored packed, a third of its size; a browser without DecompressionStream has the tables.
  function unpack() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), function (c) { return c.charCodeAt(0); });
    return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  if (!window.DecompressionStream) {
    document.getElementById("too-old").hidden = false;
  } else if (charts.length) {
    unpack().then(function (source) {
      const script = document.createElement("script");
      script.textContent = source;
      document.head.append(script);
      charts.forEach(draw);
    }).catch(function (problem) {
      document.getElementById("too-old").hidden = false;
      throw problem;
    });
  }
})();
