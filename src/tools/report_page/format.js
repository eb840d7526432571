// SPDX-License-Identifier: Apache-2.0
// format: numbers as people read them. `count` and `percent` are exact or nearly so, for sentences and tables; `short` is
// for axes.
'use strict';

const format = (() => {
  const grouped = (digits) =>
    new Intl.NumberFormat('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits});
  const steps = [grouped(0), grouped(1), grouped(2), grouped(3)];
  const scales = [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']];
  const units = [[86400e3, 'd'], [3600e3, 'h'], [60e3, 'min'], [1e3, 's'], [1, 'ms']];

  // Three digits that count, without zeros at the end.
  const digits = (value) => String(Number(value.toPrecision(3)));

  const number = (value, decimals = 0) => steps[decimals].format(value);

  /** 182,790; of numbers that are not whole, one decimal. */
  const count = (value) => number(value, Number.isInteger(value) ? 0 : 1);

  /** 1.5 k, 12 M. */
  const short = (value) => {
    for (const [size, name] of scales) {
      if (Math.abs(value) >= size) return `${digits(value / size)} ${name}`;
    }
    return digits(value);
  };

  /** A share, 0 to 1: 27.9 %. What is not nothing does not look like nothing, nor what is not all like all. */
  const percent = (share) => {
    const shown = (100 * share).toFixed(1);
    if (share > 0 && shown === '0.0') return share < 0.00001 ? '< 0.001 %' : `${Number((100 * share).toPrecision(1))} %`;
    if (share < 1 && shown === '100.0') return '> 99.9 %';
    return `${shown.replace(/\.0$/, '')} %`;
  };

  /** Milliseconds: 250 ms, 1.5 s, 10 min, 3 h. */
  const duration = (ms) => {
    for (const [size, name] of units) {
      if (ms >= size) return `${digits(ms / size)} ${name}`;
    }
    return `${digits(ms)} ms`;
  };

  /** "one block", "3 blocks". */
  const some = (value, one, many = `${one}s`) => (value === 1 ? `one ${one}` : `${count(value)} ${many}`);

  return {count, number, short, percent, duration, some};
})();
