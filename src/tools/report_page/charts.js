// SPDX-License-Identifier: Apache-2.0
// charts: the kinds of charts that reports have, drawn by Chart.js. Each is a figure with a title, a legend if there is
// something to tell apart, a sentence that says what is to be seen, and its numbers as a table. Those with bars are in bars.js.
//
// An axis: {title, format (for sentences and tables), short (for ticks; format if there is none), log, ticks, min, max}.
// A series: {name, index (of its colour), style ("solid", "dashed" or "dotted"), marks (false: no marks at its points)} and its
// points [[x, y], ...] or values.
// Series of one colour belong together: the legend has the first one's name, and `styles` says what dashes mean.
'use strict';

const charts = (() => {
  const drawn = new Map(); // canvas -> its chart and the colours of its series
  const dashes = {solid: [], dashed: [7, 5], dotted: [2, 4]};
  const shapes = ['circle', 'rectRot', 'triangle', 'rect', 'star', 'crossRot'];

  const powers = (min, max) => {
    const lowest = Math.floor(Math.log10(min));
    const decades = Math.log10(max / min);
    const steps = decades < 2 ? [1, 2, 5] : [1];
    const out = [];
    for (let power = lowest; power <= Math.log10(max); power += decades > 8 ? 2 : 1) {
      for (const step of steps) out.push(step * 10 ** power);
    }
    return out.filter((value) => value >= min * 0.999 && value <= max * 1.001);
  };

  const scaleOf = (axis, horizontal) => {
    const label = axis.short ?? axis.format;
    const out = {
      type: axis.log ? 'logarithmic' : 'linear',
      min: axis.min,
      max: axis.max,
      title: {display: Boolean(axis.title), text: axis.title, color: page.color('quiet')},
      grid: {color: page.color('line'), borderColor: page.color('line'), display: !horizontal, drawTicks: horizontal},
      ticks: {
        color: page.color('quiet'),
        padding: 7,
        maxRotation: 0,
        autoSkipPadding: 10,
        maxTicksLimit: 9,
        callback: (value) => label(value),
      },
    };
    if (axis.ticks || axis.log) {
      out.afterBuildTicks = (scale) => {
        const wanted = axis.ticks ?? powers(Math.max(scale.min, axis.smallestTick ?? 0), scale.max);
        scale.ticks = wanted.filter((value) => value >= scale.min && value <= scale.max).map((value) => ({value}));
      };
    } else {
      out.beginAtZero = true;
    }
    return out;
  };

  const tooltip = (callbacks) => ({
    backgroundColor: page.color('ink'),
    titleColor: page.color('paper'),
    bodyColor: page.color('paper'),
    padding: 8,
    boxPadding: 4,
    usePointStyle: true,
    itemSort: (a, b) => b.parsed.y - a.parsed.y || a.datasetIndex - b.datasetIndex, // as the lines lie
    callbacks,
  });

  const swatch = (style, index) => {
    const mark = page.make('span', {className: `swatch ${style}`});
    mark.style.color = index === undefined ? 'var(--quiet)' : `var(${page.seriesColor(index)})`;
    return mark;
  };

  // A button for each colour; it hides and shows all series of that colour. `styles` explains dashes: {dashed: "fitted"}.
  const legend = ({series, styles = {}}, block) => {
    const named = series.filter((each, i) => series.findIndex(({index}) => index === each.index) === i);
    const button = (each) => {
      const out = page.make('button', {type: 'button', title: 'Show or hide'},
        swatch(block ? 'block' : each.style ?? 'solid', each.index), each.name);
      out.setAttribute('aria-pressed', 'true');
      out.addEventListener('click', () => {
        const {chart} = drawn.get(out.closest('figure').querySelector('canvas'));
        const hidden = out.getAttribute('aria-pressed') === 'true';
        out.setAttribute('aria-pressed', String(!hidden));
        series.forEach((other, i) => {
          if (other.index !== each.index) return;
          other.hidden = hidden;
          chart.setDatasetVisibility(i, !hidden);
        });
        chart.update();
      });
      return out;
    };
    return page.make('ul', {className: 'legend'}, ...named.map((each) => page.make('li', {}, button(each))),
      ...Object.entries(styles).map(([style, meaning]) => page.make('li', {className: 'style'}, swatch(style), meaning)));
  };

  // The figure around a chart. `configure` is called for each drawing, because colours change with the theme.
  const figure = (parent, spec, {configure, head, rows, block = false, height = null}) => {
    const canvas = page.make('canvas');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${spec.title}: chart; its numbers are in the table below`);
    const plot = page.make('div', {className: 'plot'}, canvas);
    if (height) plot.style.height = `${height}px`;
    parent.append(page.make('figure', {className: spec.wide ? 'wide' : ''}, page.make('h3', {}, spec.title),
      spec.series.length > 1 ? legend(spec, block) : null, plot,
      page.make('figcaption', {}, ...page.findings(spec.says)), page.table(head, rows)));
    page.redraws.push(() => {
      drawn.get(canvas)?.chart.destroy();
      Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
      const config = configure();
      config.options = {animation: false, responsive: true, maintainAspectRatio: false, ...config.options};
      config.data.datasets.forEach((each, i) => { each.hidden = Boolean(spec.series[i].hidden); });
      const colors = spec.series.map((each) => page.color(page.seriesColor(each.index).slice(2)));
      drawn.set(canvas, {chart: new Chart(canvas, config), colors});
    });
  };

  // With what its dashes mean: a legend shows that apart, tables and tooltips do not.
  const fullName = ({styles = {}}, each) => {
    const meaning = styles[each.style ?? 'solid'];
    return meaning ? `${each.name}, ${meaning}` : each.name;
  };

  const lineSet = (spec, each, points) => {
    const color = page.color(page.seriesColor(each.index).slice(2));
    return {
      label: fullName(spec, each),
      data: points.map(([x, y]) => ({x, y})),
      borderColor: color,
      backgroundColor: color,
      borderDash: dashes[each.style ?? 'solid'],
      borderWidth: 2.25,
      order: each.style === 'dashed' ? 0 : 1, // on top, so that the line under it is seen in its gaps
      pointStyle: shapes[each.index % shapes.length],
      pointRadius: each.marks === false || points.length > 24 ? 0 : 3.5,
      pointHoverRadius: 6,
      clip: 4,
    };
  };

  const nearest = {mode: 'index', axis: 'x', intersect: false};

  /** Lines over a common x. */
  const lines = (parent, spec) => {
    const xs = [...new Set(spec.series.flatMap((each) => each.points.map(([x]) => x)))].sort((a, b) => a - b);
    const at = spec.series.map((each) => new Map(each.points));
    figure(parent, spec, {
      head: [spec.x.title, ...spec.series.map((each) => fullName(spec, each))],
      rows: xs.map((x) => [spec.x.format(x), ...at.map((y) => (y.has(x) ? spec.y.format(y.get(x)) : '–'))]),
      configure: () => ({
        type: 'line',
        data: {datasets: spec.series.map((each) => lineSet(spec, each, each.points))},
        options: {
          interaction: spec.aligned === false ? {mode: 'nearest', axis: 'x', intersect: false} : nearest,
          scales: {x: scaleOf(spec.x, true), y: scaleOf(spec.y, false)},
          plugins: {
            legend: {display: false},
            tooltip: tooltip({
              title: (items) => `${spec.x.tip ?? spec.x.title}: ${spec.x.format(items[0].parsed.x)}`,
              label: (item) => ` ${item.dataset.label}: ${spec.y.format(item.parsed.y)}`,
            }),
          },
        },
      }),
    });
  };

  /** Buckets that double, {from, to, count}, as outlines over a logarithmic axis; shares of all, or counts. */
  const histogram = (parent, spec) => {
    const longest = Math.max(...spec.series.map((each) => each.histogram.length));
    const lengths = Array.from({length: longest}, (_, i) => i);
    const used = lengths.filter((i) => spec.series.some((each) => (each.histogram[i]?.count ?? 0) > 0));
    const first = used[0] ?? 0;
    const totals = spec.series.map((each) => each.histogram.reduce((sum, bucket) => sum + bucket.count, 0));
    const none = spec.counts ? 0.5 : 0; // logarithms have no zero
    const value = (i, k) => {
      const counted = spec.series[i].histogram[k]?.count ?? 0;
      return spec.counts ? counted : counted / Math.max(1, totals[i]);
    };
    const bounds = (k) => (k === 0 ? [0, 0] : [2 ** (k - 1), 2 ** k - 1]);
    const named = (k) => {
      const [from, to] = bounds(k).map(spec.x.format);
      return from === to ? from : `${from} to ${to}`;
    };
    const y = {title: spec.y.title, format: spec.counts ? format.count : format.percent, short: spec.y.short,
               log: Boolean(spec.counts), min: spec.counts ? 0.5 : 0, smallestTick: 1};
    const x = {...spec.x, log: true, min: 2 ** (first - 1), max: 2 ** (Math.max(longest, 1) - 1)};
    if (longest - first <= 13) { // few enough for ticks at their bounds; else powers of ten
      const every = Math.ceil((longest - first) / 7);
      x.ticks = lengths.filter((k) => k >= Math.max(first, 1) && (k - Math.max(first, 1)) % every === 0).map((k) => 2 ** (k - 1));
      x.short = spec.x.format;
    }
    if (first === 0) {
      const label = x.short ?? x.format;
      x.ticks = [2 ** -0.5, ...(x.ticks ?? powers(1, x.max))];
      x.short = (tick) => (tick < 1 ? '0' : label(tick));
    }
    // A point in the middle of each bucket: steps half-way between them are the bounds. One more on either side is zero.
    const points = (i) => Array.from({length: longest - first + 2}, (_, n) => first + n - 1).map((k) => {
      const inside = k >= first && k < longest;
      return [2 ** (k - 0.5), inside ? Math.max(none, value(i, k)) : none];
    });
    figure(parent, spec, {
      head: [spec.x.title, ...spec.series.map((each) => each.name)],
      rows: lengths.slice(first).map((k) => [named(k), ...spec.series.map((_, i) => y.format(value(i, k)))]),
      configure: () => ({
        type: 'line',
        data: {datasets: spec.series.map((each, i) => {
          const set = lineSet(spec, each, points(i));
          return {...set, stepped: 'middle', pointRadius: 0, fill: 'start', clip: 0,
                  backgroundColor: `${set.borderColor}${spec.series.length > 1 ? '1c' : '48'}`};
        })},
        options: {
          interaction: nearest,
          scales: {x: scaleOf(x, true), y: scaleOf(y, false)},
          plugins: {
            legend: {display: false},
            tooltip: tooltip({
              title: (items) => `${spec.x.tip ?? spec.x.title}: ${named(first + items[0].dataIndex - 1)}`,
              label: (item) => ` ${item.dataset.label}: ${y.format(value(item.datasetIndex, first + item.dataIndex - 1))}`,
            }),
          },
        },
      }),
    });
  };

  // Pixels in the colour of a series: an empty chart has none of them.
  const hasSeries = ({canvas}, colors) => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    const wanted = colors.map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
    let found = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] < 200) continue;
      if (wanted.some((rgb) => rgb.every((part, i) => Math.abs(part - data[at + i]) < 20))) ++found;
    }
    return found >= 40;
  };

  /** For tests: of how many charts something of the data is to be seen. */
  const check = () => [...drawn.values()].filter(({chart, colors}) => hasSeries(chart, colors)).length;

  return {lines, histogram, check, figure, scaleOf, tooltip};
})();
