// SPDX-License-Identifier: Apache-2.0
// bars: the kinds of charts that have bars from the left, with their values beside them; part of `charts`, which says what an axis
// and a series are.
'use strict';

Object.assign(charts, (() => {
  const {figure, scaleOf, tooltip} = charts;

  // Values beside bars: nobody has to look up the axis.
  const values = (show) => ({
    id: 'values',
    afterDatasetsDraw(chart) {
      const {ctx} = chart;
      ctx.save();
      ctx.fillStyle = page.color('ink');
      ctx.font = `12px ${Chart.defaults.font.family}`;
      ctx.textBaseline = 'middle';
      chart.data.datasets.forEach((set, i) => {
        if (!chart.isDatasetVisible(i)) return;
        chart.getDatasetMeta(i).data.forEach((bar, k) => {
          if (set.data[k] === null) ctx.fillText('–', chart.chartArea.left + 5, bar.y);
          else ctx.fillText(show(set.data[k]), bar.x + 5, bar.y);
        });
      });
      ctx.restore();
    },
  });

  // Labels of bars in lines that leave room for the bars on a phone.
  const folded = (text, width) => text.split(' ').reduce((out, word) => {
    const last = out[out.length - 1];
    if (last !== undefined && last.length + word.length < width) out[out.length - 1] = `${last} ${word}`;
    else out.push(word);
    return out;
  }, []);

  /** Bars from the left, their values beside them. Series have a value, or null, for each of `labels`. */
  const bars = (parent, spec) => {
    const {series, labels, axis} = spec;
    figure(parent, spec, {
      block: true,
      height: Math.max(230, labels.length * (series.length * 18 + 22) + 48),
      head: [axis.title, ...series.map((each) => each.name)],
      rows: labels.map((label, k) => [label, ...series.map(({values: all}) => (all[k] === null ? '–' : axis.format(all[k])))]),
      configure: () => ({
        type: 'bar',
        plugins: [values(axis.format)],
        data: {
          labels: labels.map((label) => folded(label, 19)),
          datasets: series.map((each) => ({
            label: each.name,
            data: each.values,
            backgroundColor: page.color(page.seriesColor(each.index).slice(2)),
            borderRadius: 2,
            maxBarThickness: 26,
            categoryPercentage: 0.78,
            barPercentage: 0.92,
          })),
        },
        options: {
          indexAxis: 'y',
          layout: {padding: {right: 64}},
          interaction: {mode: 'index', axis: 'y', intersect: false},
          scales: {
            x: {...scaleOf(axis, true), grid: {color: page.color('line'), borderColor: page.color('line')}},
            y: {grid: {display: false, borderColor: page.color('line')}, ticks: {color: page.color('ink'), autoSkip: false}},
          },
          plugins: {
            legend: {display: false},
            tooltip: tooltip({
              title: (items) => labels[items[0].dataIndex],
              label: (item) => ` ${item.dataset.label}: ${axis.format(item.raw)}`,
            }),
          },
        },
      }),
    });
  };

  // Lines from the least to the most, and beside them the value.
  const spreads = ({rows, axis}) => ({
    id: 'spreads',
    afterDatasetsDraw(chart) {
      const {ctx, scales: {x}} = chart;
      ctx.save();
      ctx.fillStyle = page.color('ink');
      ctx.font = `12px ${Chart.defaults.font.family}`;
      ctx.textBaseline = 'middle';
      chart.data.datasets.forEach((set, i) => {
        if (!chart.isDatasetVisible(i)) return;
        chart.getDatasetMeta(i).data.forEach(({y}, k) => {
          if (set.data[k] === null) return;
          const {value, least = value, most = value} = rows[k];
          const [from, to] = [least, most].map((each) => x.getPixelForValue(each));
          if (to - from >= 2) {
            ctx.beginPath();
            for (const end of [from, to]) {
              ctx.moveTo(end, y - 4);
              ctx.lineTo(end, y + 4);
            }
            ctx.moveTo(from, y);
            ctx.lineTo(to, y);
            for (const [width, color] of [[4, 'paper'], [1.25, 'ink']]) { // seen on bars of any colour
              ctx.lineWidth = width;
              ctx.strokeStyle = page.color(color);
              ctx.stroke();
            }
          }
          ctx.fillText((axis.short ?? axis.format)(value), Math.max(to, x.getPixelForValue(axis.base ?? value)) + 6, y);
        });
      });
      ctx.restore();
    },
  });

  // The next number that makes a good end of an axis.
  const rounded = (value) => {
    const power = 10 ** Math.floor(Math.log10(value));
    return power * [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value * 0.9999);
  };

  /** Things side by side, a bar each: `rows` of {label, index (which of `series` it is one of), value, least, most}, and `series` of
      {name, index}. An axis that has a `base` begins there, and bars go either way. `head` and `cells` make the table wider than that. */
  const ranking = (parent, spec) => {
    const {rows, axis} = spec;
    const series = spec.series.filter(({index}) => rows.some((row) => row.index === index));
    const range = ({value, least, most}) =>
      (least === undefined || least === most ? '' : ` (${axis.format(least)} to ${axis.format(most)})`);
    const ends = rows.flatMap(({value, least = value, most = value}) => [least, most]).filter((each) => !axis.log || each > 0);
    const base = axis.base ?? (axis.log ? 10 ** Math.floor(Math.log10(Math.min(...ends)) - 0.3) : 0);
    const scale = {...axis, min: Math.min(base, axis.base ? 0.8 * Math.min(...ends) : base), max: axis.log ? Math.max(...ends, base * 1.25) : rounded(Math.max(...ends) || 1)};
    figure(parent, {...spec, series}, {
      block: true,
      height: Math.max(170, rows.length * 30 + 62),
      head: spec.head ?? ['', axis.title],
      rows: spec.cells ?? rows.map((row) => [row.label, axis.format(row.value) + range(row)]),
      configure: () => ({
        type: 'bar',
        plugins: [spreads(spec)],
        data: {
          labels: rows.map(({label}) => label),
          datasets: series.map((each) => ({
            label: each.name,
            data: rows.map(({index, value}) => (index === each.index ? [base, Math.max(value, scale.min)] : null)),
            backgroundColor: page.color(page.seriesColor(each.index).slice(2)),
            borderRadius: 2,
            maxBarThickness: 20,
            skipNull: true, // a row has a bar of one series alone
          })),
        },
        options: {
          indexAxis: 'y',
          layout: {padding: {right: 58}},
          interaction: {mode: 'index', axis: 'y', intersect: false},
          scales: {
            x: {...scaleOf(scale, true), grid: {color: page.color('line'), borderColor: page.color('line')}},
            y: {
              grid: {display: false, borderColor: page.color('line')},
              ticks: {
                color: page.color('ink'),
                autoSkip: false,
                font: {lineHeight: 1.1},
                // On a phone in two lines: what is too long for one would lose its beginning.
                callback(_, k) { return this.chart.width < 420 ? rows[k].label.split(/(?=@)/) : rows[k].label; },
              },
            },
          },
          plugins: {
            legend: {display: false},
            tooltip: {
              ...tooltip({
                title: (items) => rows[items[0].dataIndex].label,
                label: (item) => ` ${axis.format(rows[item.dataIndex].value)}${range(rows[item.dataIndex])}`,
              }),
              filter: (item) => item.raw !== null,
            },
          },
        },
      }),
    });
  };

  return {bars, ranking};
})());
