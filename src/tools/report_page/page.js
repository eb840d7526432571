// SPDX-License-Identifier: Apache-2.0
// page: what a report consists of besides its charts: the data, headings, cards, sentences, tables, light and dark.
// A page's own script calls these from top to bottom and ends with page.done().
//
// For tests the root element carries what happened: data-charts, data-errors, data-overflow (pixels by which the page is
// wider than its window), and if the fragment has the word "check", data-drawn (charts with pixels in a series' colour).
// Fragments: #dark and #light choose the theme, #check asks for that check; #dark,check is both.
'use strict';

const page = (() => {
  const root = document.documentElement;
  const words = new Set(location.hash.slice(1).split(','));
  const redraws = []; // functions that draw with the colours of now

  let errors = 0;
  const failed = () => { root.dataset.errors = String(++errors); };
  root.dataset.errors = '0';
  addEventListener('error', failed, true);
  addEventListener('unhandledrejection', failed);
  addEventListener('securitypolicyviolation', failed);
  const complain = console.error;
  console.error = (...what) => { failed(); complain.apply(console, what); };

  const data = JSON.parse(document.getElementById('data').textContent);
  const main = document.getElementById('page');

  /** An element with text or elements in it. */
  const make = (tag, properties = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside.filter((each) => each !== null && each !== undefined));
    return element;
  };

  /** A sentence in which **words** are bold. Text stays text: names of files cannot become markup. */
  const sentence = (text) =>
    text.split('**').map((part, i) => (i % 2 === 1 ? make('strong', {}, part) : document.createTextNode(part)));

  const color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const seriesColor = (index) => `--series-${(index % 6) + 1}`;
  const dot = (index) => {
    const mark = make('span', {className: 'dot'});
    mark.style.background = `var(${seriesColor(index)})`;
    mark.setAttribute('aria-hidden', 'true');
    return mark;
  };

  // One finding is a sentence; those of several things compared have their names and colours.
  const findings = (all) => {
    if (typeof all === 'string') return [make('p', {}, ...sentence(all))];
    if (all.length === 1) return [make('p', {}, ...sentence(all[0].text))];
    return all.map(({name, index, text}) =>
      make('p', {}, dot(index), make('span', {className: 'who'}, `${name}: `), ...sentence(text)));
  };

  /** The key figures. `list`: {label, note, entries: [{name, index, value, note, verdict}]}; verdict: "good", "bad". */
  const cards = (list) => {
    const several = list.some((card) => card.entries.length > 1);
    const noteOf = (text) => (text ? make('div', {className: 'note'}, text) : null);
    const entryOf = (entry) => make('div', {className: 'entry'},
      several ? make('div', {className: 'who'}, dot(entry.index), entry.name) : null,
      make('div', {className: `value ${entry.verdict ?? ''}`}, entry.value), noteOf(entry.note));
    main.append(make('ul', {className: several ? 'cards several' : 'cards'}, ...list.map((card) =>
      make('li', {className: 'card'},
        make('div', {className: 'label'}, card.label), ...card.entries.map(entryOf), noteOf(card.note)))));
  };

  /** A question with its charts; returns where they go. `brief` is its word in the contents. */
  const section = (brief, title, lead, said = []) => {
    const id = `s${main.querySelectorAll('section').length + 1}`;
    const charts = make('div', {className: 'charts'});
    main.append(make('section', {id}, make('h2', {}, title), make('p', {className: 'lead'}, lead),
      ...(said.length > 0 ? [make('div', {className: 'finding'}, ...findings(said))] : []), charts));
    document.getElementById('contents').append(make('a', {href: `#${id}`}, brief));
    return charts;
  };

  /** A table behind a word that opens it. */
  const table = (head, rows) => {
    const cells = (tag, row) => make('tr', {}, ...row.map((cell) => make(tag, {}, cell)));
    const box = make('div', {className: 'table', tabIndex: 0}, make('table', {},
      make('thead', {}, cells('th', head)), make('tbody', {}, ...rows.map((row) => cells('td', row)))));
    return make('details', {}, make('summary', {}, 'Numbers'), box);
  };

  const measure = () => {
    root.dataset.overflow = String(Math.max(0, root.scrollWidth - root.clientWidth));
    root.dataset.width = String(innerWidth);
  };

  const redraw = () => { for (const each of redraws) each(); measure(); };
  const show = (theme) => {
    root.dataset.theme = theme;
    const button = document.getElementById('theme');
    button.textContent = theme === 'dark' ? 'Light' : 'Dark';
    button.setAttribute('aria-label', `Show the page ${theme === 'dark' ? 'light' : 'dark'}`);
    button.hidden = false;
    redraw();
  };

  const dark = matchMedia('(prefers-color-scheme: dark)');
  const preferred = () => (dark.matches ? 'dark' : 'light');
  let chosen = words.has('dark') ? 'dark' : words.has('light') ? 'light' : null;
  root.dataset.theme = chosen ?? preferred();

  document.getElementById('theme').addEventListener('click', () => {
    chosen = root.dataset.theme === 'dark' ? 'light' : 'dark';
    show(chosen);
  });
  dark.addEventListener('change', () => { if (chosen === null) show(preferred()); });
  addEventListener('beforeprint', () => show('light')); // paper is white
  addEventListener('afterprint', () => show(chosen ?? preferred()));
  addEventListener('resize', measure);

  /** Ends the page: draws its charts. `check` is called if a test asks for it, and says how many were really drawn. */
  const done = (check) => {
    show(root.dataset.theme);
    document.getElementById('footer').append(make('p', {}, `Charts: Chart.js ${Chart.version}, MIT licence.`));
    root.dataset.charts = String(redraws.length);
    if (words.has('check')) root.dataset.drawn = String(check());
    root.dataset.done = 'yes';
  };

  return {data, make, sentence, findings, color, seriesColor, cards, section, table, redraws, done};
})();
