// SPDX-License-Identifier: Apache-2.0
// compare: the page of `catena-bench compare`. Its data is what --json writes; what was not measured or simulated is left out.
'use strict';

(() => {
  const {data} = page;
  const {systems, rounds, simulated} = data;
  const least = (list, of) => list.reduce((best, each) => (best === undefined || of(each) < of(best) ? each : best), undefined);
  const most = (list, of) => least(list, (each) => -of(each));
  const bold = (text) => `**${text}**`;
  const unbroken = (text) => text.replaceAll(' ', '\u00a0'); // no unit alone on a line
  const digits = (value) => unbroken(format.short(Number(value.toPrecision(3))));
  const us = (value) => unbroken(value >= 1000 ? format.duration(value / 1000) : `${digits(value)} µs`);
  const bytes = (value) => unbroken(value >= 1000 ? `${digits(value)}B` : `${digits(value)} B`);
  const ofTime = (value) => `${bold(value < 1 ? format.percent(value) : times(value))}`;
  const times = (value) => unbroken(`${digits(value)} ×`);
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  // Of one alone it is a sentence, of several what follows their names.
  const sayAll = (list) => (list.length === 1 ? list.map((each) => ({...each, text: capital(each.text)})) : list);

  // --- who is shown ---

  const groups = [
    {name: 'catena, runs of blocks', index: 0, has: (way) => way.startsWith('extents/')},
    {name: 'Redis', index: 1, has: (way) => way.startsWith('redis-')},
    {name: 'catena, one entry a block', index: 2, has: (way) => way.includes('/')},
    {name: 'hash map of one process', index: 5, has: () => true},
  ];
  const groupOf = ({way}) => groups.find(({has}) => has(way));
  const speed = (s) => s.requests_per_second.median;
  const sorted = (list) => [...list].sort((a, b) => speed(b) - speed(a));
  const [runs, redis, entries, maps] = groups.map((group) => sorted(systems.filter((s) => groupOf(s) === group)));
  const against = systems.find((s) => s.name === data.against);
  // Memory that others can reach is what Redis is compared with; memory of the process itself only if there is no other.
  const shared = (list) => list.find((s) => s.reached === 'shm') ?? list[0];
  const via = (reached) => redis.find((s) => s.reached === reached);

  // The fastest of each sort, with colours of their own; and of each way, whatever index is under it, the fastest.
  const few = [[shared(runs), 0], [via('unix'), 1], [shared(entries), 2], [via('tcp'), 3], [maps[0], 5], [against, 4]]
    .filter(([s], i, all) => s && all.findIndex(([other]) => other === s) === i)
    .map(([s, index]) => ({...s, index}));
  const kind = ({way}) => way.split('/')[0];
  const kinds = sorted([...new Set(systems.map(kind))].map((name) => {
    const same = sorted(systems.filter((s) => kind(s) === name));
    return same.find((s) => s.reached === 'unix') ?? shared(same);
  }));
  const hero = shared(runs) ?? shared(entries) ?? sorted(systems)[0];
  const rival = against && against !== hero ? against : [...redis, ...maps].find((s) => s !== hero);

  const rowsOf = (list, of) => list.map((s) => {
    const value = of(s);
    return {label: s.name, index: groupOf(s).index, ...(typeof value === 'number' ? {value} : {value: value.median, ...spread(value)})};
  });
  const spread = (value) => (rounds > 1 ? {least: value.least, most: value.most} : {});
  const range = (value, show) => (rounds > 1 ? ` (${show(value.least)} to ${show(value.most)})` : '');
  const rate = {title: 'requests a second', format: (value) => format.count(Math.round(value)), short: digits, log: true};

  // --- what is simulated ---

  const scaled = simulated?.rows ?? [];
  const distinct = (of) => [...new Set(scaled.map(of))];
  const [ways, nodes, clients] = [distinct((r) => r.way), distinct((r) => r.nodes), distinct((r) => r.clients)];
  nodes.sort((a, b) => a - b);
  clients.sort((a, b) => a - b);
  const on = (count, way) => scaled.filter((r) => r.nodes === count && r.way === way).sort((a, b) => a.clients - b.clients);
  const busiest = (row) => most(Object.entries(row.utilisation), ([, share]) => share);
  const limited = (row) => busiest(row)[1] >= simulated.saturated_from;
  const onNodes = (count) => format.some(count, 'memory node');
  const best = most(scaled, (r) => r.requests_per_second);

  const tableOf = (title, head, rows) =>
    page.make('figure', {className: 'wide'}, page.make('h3', {}, title), page.table(head, rows));

  const cards = () => {
    const list = [];
    const add = (label, value, note, verdict) => list.push({label, note, entries: [{value, verdict}]});
    const beside = (of) => (rival ? `${rival.name}: ${of(rival)}` : '');
    const both = (label, of) => add(label, of(hero), beside(of));
    if (hero) {
      add('Requests a second, one client', digits(speed(hero)), hero.name);
      if (against && hero !== against) {
        const {requests_per_second: faster} = hero.times;
        add(`Times as fast as ${against.name}`, times(faster.median), `requests a second${range(faster, digits)}`,
          faster.least > 1 ? 'good' : faster.most < 1 ? 'bad' : '');
      }
      both('99 of 100 matches take at most', (s) => us(s.match_us.p99.median));
      if (redis.length > 0) both('Server processor a request', (s) => us(s.server_us_per_request.median));
      both('Round trips a match', (s) => digits(s.round_trips_per_match));
      both('Memory to list a block', (s) => bytes(s.bytes_per_block));
    }
    if (best) {
      add('Requests a second, many clients', digits(best.requests_per_second),
        `simulated: ${best.way}, ${format.some(best.clients, 'client')}, ${onNodes(best.nodes)}`);
    }
    if (systems.length > 1) {
      add('Do all find the same?', data.same_hits ? 'yes' : 'no',
        data.same_hits ? `the same blocks for every request, all ${systems.length}` : 'what differs cannot be compared',
        data.same_hits ? 'good' : 'bad');
    }
    if (data.stopped_early) add('Stopped early', 'not all', 'what was not finished is left out', 'bad');
    if (list.length > 0) page.cards(list);
  };

  const fast = () => {
    const shown = sorted(few);
    const unsteady = Math.max(...few.map(({requests_per_second: r}) => r.most / r.least));
    const to = page.section('Speed', 'Who serves more?',
      'One client sends request after request: it looks for the longest cached prefix of a prompt (match), then lists what was ' +
      `missing (publish). Shown: the fastest of each sort${systems.length > few.length ? `; all ${systems.length} are below` : ''}.`,
      unsteady > 1.5 ? `Rounds differ by up to ${bold(times(unsteady))}: something else ran on this machine, or its processors slept in ` +
        'between. Ratios are taken within a round; measure again before you quote figures.' : []);
    const top = shown[0];
    charts.ranking(to, {
      title: 'Requests a second',
      axis: rate,
      rows: rowsOf(shown, (s) => s.requests_per_second),
      series: groups,
      says: `${bold(top.name)} serves ${bold(rate.format(speed(top)))} requests a second` +
        `${hero !== undefined && top.name !== hero.name ? `, ${bold(hero.name)} ${bold(rate.format(speed(hero)))}` : ''}` +
        `${rival && rival.name !== top.name ? `; ${rival.name} ${bold(rate.format(speed(rival)))}` : ''}.` +
        (rounds > 1 ? ` Lines: from the slowest of ${rounds} rounds to the fastest; bars end at the median.` : ''),
    });
    const others = shown.filter((s) => s.name !== against?.name);
    if (!against || others.length === 0) return;
    const compared = others.find((s) => s.name === hero.name) ?? others[0];
    const {requests_per_second: more, match_p99: match, request_p99: request} = compared.times;
    charts.ranking(to, {
      title: `Times as fast as ${against.name}`,
      axis: {title: 'times the requests a second', format: times, short: digits, log: true, base: 1},
      rows: rowsOf(others, (s) => s.times.requests_per_second),
      series: groups,
      says: `${bold(compared.name)} serves ${bold(times(more.median))} as many requests${range(more, digits)}. Its slowest one in 100 matches ` +
        `take ${ofTime(match.median)} of the time, its slowest requests ${ofTime(request.median)} (p99). Bars to the left of 1 are slower.`,
    });
  };

  const latency = () => {
    const asked = redis.find((s) => s === against) ?? redis[0];
    const share = asked ? asked.server_us_per_request.median / asked.request_us.mean.median : 0;
    const waits = share > 0 && share < 0.5;
    const to = page.section('Latency', 'How long does one take?',
      'At 90 on the axis a line is as high as 90 of 100 took at most; from 90 to 99 and on to 99.9 it gets ten times rarer. All rounds ' +
      'together, also those that something disturbed.',
      waits ? `A request of ${asked.name} takes ${bold(us(asked.request_us.mean.median))} on average, and its server computes for ` +
        `${bold(us(asked.server_us_per_request.median))} of them (${format.percent(share)}): the rest is mostly waking one process ` +
        'after the other, which depends on the machine more than on Redis.' : []);
    const rarer = (percent) => -Math.log10(1 - percent / 100);
    const x = {title: 'of 100, so many at most so long', tip: 'Of 100', format: (at) => digits(100 * (1 - 10 ** -at)),
               ticks: [1, 50, 90, 99, 99.9].map(rarer), min: 0, max: rarer(99.9)};
    const curve = (title, column) => {
      const points = (s) => s.curve.map((point) => [point[0], Math.max(point[column], 0.01)]); // clocks may say 0
      const all = few.flatMap((s) => points(s).map(([, time]) => time));
      charts.lines(to, {
        title,
        x,
        y: {title: 'time', format: us, log: true, min: 0.7 * Math.min(...all), max: 1.4 * Math.max(...all)},
        series: few.map((s) => ({name: s.name, index: s.index, points: points(s).map(([percent, time]) => [rarer(percent), time])})),
        says: sayAll(few.map((s) => {
          const at = new Map(points(s));
          return {name: s.name, index: s.index, text: at.size === 0 ? 'nothing was asked.'
            : `half within ${bold(us(at.get(50)))}, 99 of 100 within ${bold(us(at.get(99)))}.`};
        })),
      });
    };
    curve('A match', 1);
    curve('A request: match and publish', 2);
  };

  const cost = () => {
    const to = page.section('Cost', 'What does it cost?',
      'Of each way to ask the fastest. Round trips and bytes are the same on every machine; on a network each round trip takes its time too.');
    const chart = (title, unit, of, says) => charts.ranking(to, {
      title,
      axis: {title: unit, format: digits},
      rows: rowsOf(kinds, of),
      series: groups,
      says,
    });
    const twoOf = (of, show) => (rival ? `${bold(show(of(hero)))} with ${hero.name}, ${bold(show(of(rival)))} with ${rival.name}`
      : `${bold(show(of(hero)))} with ${hero.name}`);
    const tripsOf = (s) => s.round_trips_per_match;
    const chatty = most(kinds, tripsOf);
    chart('Round trips a match', 'round trips', tripsOf, `${twoOf(tripsOf, digits)}` + (tripsOf(chatty) > 2
      ? `; ${chatty.name} needs ${bold(digits(tripsOf(chatty)))}, and over a network each of them is waited for.` : '.'));
    chart('Bytes moved a request', 'bytes, both ways', (s) => s.bytes_per_request, `${twoOf((s) => s.bytes_per_request, bytes)}: as the ` +
      'protocol has them, without headers of the network.');
    const server = (s) => s.server_us_per_request.median;
    const busy = redis.filter((s) => server(s) > 0);
    if (busy.length > 0) { // else nothing computes but the client
      const quickest = least(busy, server);
      chart('Processor time of the server a request', 'µs', (s) => s.server_us_per_request, `${twoOf(server, us)}. A server of ` +
        `${quickest.name} ends at ${bold(digits(1e6 / server(quickest)))} requests a second, however many clients there are.`);
    }
    chart('Memory to list a block', 'bytes', (s) => s.bytes_per_block, `${twoOf((s) => s.bytes_per_block, bytes)}; hash and place of a ` +
      'block are 24 of them.');
  };

  const series = (of) => ways.map((way, index) => ({name: way, index, ...of(way)})).slice(0, 6);
  const scale = () => {
    const {network} = simulated;
    const gbit = (network.memory_node.bytes_per_second * 8) / 1e9;
    const to = page.section('Scale', 'What do many clients get?',
      `Simulated in virtual time: ${network.preset}, ${digits(gbit)} Gbit/s a NIC, ${digits(network.propagation_ns)} ns one way, ` +
      `${digits(network.atomics_per_second)} atomics a second on each memory node. Nothing here depends on this machine.`);
    const x = {title: 'clients', format: format.count, log: true, ticks: clients,
               min: clients.length > 1 ? clients[0] : clients[0] / 2, max: clients.length > 1 ? clients[clients.length - 1] : 2 * clients[0]};
    const ends = nodes.length > 3 ? [nodes[0], nodes[Math.floor(nodes.length / 2)], nodes[nodes.length - 1]] : nodes;
    const rates = scaled.map((r) => r.requests_per_second);
    for (const count of ends) { // the same axis for all, so that they can be compared
      charts.lines(to, {
        title: `Requests a second, ${onNodes(count)}`,
        x,
        y: {...rate, min: 0.8 * Math.min(...rates), max: 1.25 * Math.max(...rates)},
        series: series((way) => ({points: on(count, way).map((r) => [r.clients, r.requests_per_second])})),
        says: sayAll(series((way) => {
          const rows = on(count, way);
          const peak = most(rows, (r) => r.requests_per_second);
          const from = rows.find(limited);
          return {text: !peak ? 'not finished.' : `up to ${bold(digits(peak.requests_per_second))} with ` +
            `${format.some(peak.clients, 'client')}, ` + (from ? `limited by ${bold(busiest(from)[0])} from ` +
              `${format.some(from.clients, 'client')} on.` : 'nothing saturates.')};
        })),
      });
    }
    charts.lines(to, {
      title: `99 of 100 matches within, ${onNodes(nodes[0])}`,
      x,
      y: {title: 'time', format: us, log: true},
      series: series((way) => ({points: on(nodes[0], way).map((r) => [r.clients, r.match_us.p99])})),
      says: sayAll(series((way) => {
        const rows = on(nodes[0], way);
        return {text: rows.length === 0 ? 'not finished.' : `${bold(us(rows[0].match_us.p99))} with ` +
          `${format.some(rows[0].clients, 'client')}${rows.length === 1 ? '' :
            `, ${bold(us(rows.at(-1).match_us.p99))} with ${rows.at(-1).clients}`}.`};
      })),
    });
    const parts = Object.keys(scaled[0].utilisation);
    for (const count of nodes.length > 2 ? [nodes[0], nodes.at(-1)] : [nodes[0]]) { // many nodes may have another limit
      const last = (way) => on(count, way).at(-1);
      charts.bars(to, {
        title: `How busy is what? ${capital(format.some(clients.at(-1), 'client'))}, ${onNodes(count)}`,
        labels: parts,
        axis: {title: 'share of the time', format: format.percent, min: 0, max: 1, ticks: [0, 0.25, 0.5, 0.75, 1]},
        series: series((way) => ({values: parts.map((part) => last(way)?.utilisation[part] ?? null)})),
        says: sayAll(series((way) => {
          if (!last(way)) return {text: 'not finished.'};
          const [part, share] = busiest(last(way));
          return {text: `busiest: ${bold(part)}, ${format.percent(share)}.`};
        })),
      });
    }
    to.append(tableOf('All simulated figures',
      ['way', 'memory nodes', 'clients', 'requests/s', 'blocks/s', 'match p50', 'match p99', 'publish p99', 'round trips a match',
       'a publish', 'limited by'],
      scaled.map((r) => [r.way, String(r.nodes), String(r.clients), rate.format(r.requests_per_second), rate.format(r.blocks_per_second),
                         us(r.match_us.p50), us(r.match_us.p99), us(r.publish_us.p99), format.number(r.round_trips_per_match, 2),
                         format.number(r.round_trips_per_publish, 2), r.saturates])));
  };

  const everything = () => {
    const to = page.section('All', 'All of them',
      'catena: extents/INDEX stores runs of blocks, batched/, galloping/, binary/ and sequential/INDEX one entry a block. @shm is shared ' +
      'memory that another process holds, @local memory of the client. Redis: a key a block, on a unix socket or on loopback (@tcp).');
    const all = sorted(systems);
    const median = (value, show) => show(value.median) + range(value, show);
    const head = ['', 'requests/s', ...(against ? [`times ${against.name}`] : []), 'matched blocks/s', 'match p50', 'p99', 'p99.9',
                  'request p50', 'p99', 'p99.9', 'round trips a match', 'a publish', 'bytes a request', 'server a request', 'bytes a block',
                  'client remembers'];
    const cells = all.map((s) => [
      s.name, median(s.requests_per_second, rate.format), ...(against ? [median(s.times.requests_per_second, digits)] : []),
      rate.format(s.matched_blocks_per_second.median),
      ...[s.match_us, s.request_us].flatMap((of) => ['p50', 'p99', 'p99.9'].map((p) => us(of[p].median))),
      format.number(s.round_trips_per_match, 2), format.number(s.round_trips_per_publish, 2), format.number(s.bytes_per_request),
      us(s.server_us_per_request.median), format.number(s.bytes_per_block, 1), bytes(s.client_bytes)]);
    if (all.length === few.length) { // the chart would be the first one again
      to.append(tableOf('All measured figures', head, cells));
      return;
    }
    charts.ranking(to, {
      title: 'Requests a second',
      wide: true,
      axis: rate,
      rows: rowsOf(all, (s) => s.requests_per_second),
      series: groups,
      says: `From ${bold(rate.format(speed(all[all.length - 1])))} (${all[all.length - 1].name}) to ${bold(rate.format(speed(all[0])))} ` +
        `(${all[0].name}). The numbers below have all that was measured.`,
      head,
      cells,
    });
  };

  const where = () => {
    const {machine: m, trace: t} = data;
    const facts = [
      ['Machine', `${m.processor}, ${format.some(m.processors, 'processor')}, ${format.number(m.memory_bytes / 2 ** 30, 1)} GiB, ${m.kernel}`],
      ['Program', `catena-bench ${data.version}, commit ${data.commit}, ${m.compiler}`],
      data.redis ? ['Redis', `${data.redis}, without persistence`] : null,
      ['Trace', `${t.name}: ${format.some(t.requests, 'request')}, the first ${format.count(t.warm_up_requests)} of them fill the stores; ` +
        `${format.count(t.unique_blocks)} different blocks of ${format.some(t.block_tokens, 'token')}` +
        `${t.skipped_lines > 0 ? `; ${format.some(t.skipped_lines, 'line')} left out, because they are no request` : ''}`],
      rounds > 0 ? ['Rounds', `${rounds}: every system serves the trace once a round, in turns` +
        `${rounds > 1 ? '; figures are medians' : ''}`] : null,
    ];
    page.section('Where', 'What was measured where?', 'Times belong to this machine; counts of round trips and bytes do not.').before(
      ...facts.filter((each) => each !== null).map(([name, text]) =>
        page.make('p', {}, page.make('span', {className: 'who'}, `${name}: `), text)));
  };

  cards();
  if (systems.length > 0) {
    fast();
    latency();
    cost();
  }
  if (scaled.length > 0) scale();
  if (systems.length > 0) everything();
  where();
  page.done(charts.check);
})();
