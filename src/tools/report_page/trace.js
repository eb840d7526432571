// SPDX-License-Identifier: Apache-2.0
// trace: the page of `catena-trace analyze`. Its data is what --json writes, with a `label` for each trace.
'use strict';

(() => {
  const most = 6; // as many colours as can be told apart
  const all = page.data.traces;
  const traces = all.slice(0, most);
  const alone = traces.length === 1;
  const few = traces.length <= 3; // a second line for each trace is still readable

  const bold = (text) => `**${text}**`;
  const share = (value) => bold(format.percent(value));
  const count = (value) => bold(format.count(value));
  const blocks = (value) => bold(format.some(value, 'block'));
  const points = (value) => bold(`${format.number(value, 1)} points`);
  const duration = (ms) => bold(format.duration(ms));
  const chance = ({p}) => (p < 0.0001 ? 'p < 0.0001' : `p = ${format.number(p, 3)}`);

  // Something of each trace; of sentences a shorter one where several traces are compared, if there is one.
  const series = (of) => traces.map((t, index) => ({name: t.label, index, ...of(t, index)}));
  const say = (text, brief = text) => series((t) => ({text: (alone ? text : brief)(t)}));
  const card = (label, of, note = '') => ({label, note, entries: series(of)});

  const shares = {format: format.percent, min: 0, max: 1, ticks: [0, 0.25, 0.5, 0.75, 1]};
  const numbers = {format: format.count, short: format.short, log: true};

  // The bounded cache whose size is nearest to so many percent.
  const cacheNear = (t, percent) => {
    const off = (cache) => Math.abs(Math.log(cache.percent / percent));
    return t.lru_caches.reduce((best, each) => (off(each) < off(best) ? each : best));
  };
  const sized = (cache) => `${format.percent(cache.percent / 100)} of the unique blocks`;

  const cards = () => page.cards([
    card('Requests', (t) => ({
      value: format.count(t.requests),
      note: `${format.short(t.tokens)} tokens in ${format.duration(t.span_ms)}`,
    })),
    card('Unique blocks', (t) => ({
      value: format.count(t.unique_blocks),
      note: `of ${format.count(t.blocks)}; ${format.some(t.block_tokens, 'token')} each`,
    })),
    card('Found, if nothing is forgotten', (t) => ({value: format.percent(t.unbounded_cache.hit_ratio)}),
      'share of the blocks looked up'),
    card('Found by a smaller LRU cache', (t) => ({value: format.percent(cacheNear(t, 10).leaf_first.hit_ratio)}),
      `with room for ${sized(cacheNear(traces[0], 10))}`),
    card('Requests cached by more than half', (t) => ({value: format.percent(t.unbounded_cache.requests_over_half)}),
      'if nothing is forgotten'),
    card('Typical time to the next use',
      ({reuse: {time_ms: times}}) => ({value: times.count > 0 ? format.duration(times.p50) : 'never'}),
      'median, of blocks used again'),
    card('Uses of the hottest 1 %', (t) => ({
      value: format.percent(t.skew.hottest_1_percent),
      note: `${format.percent(t.skew.blocks_used_once)} of the blocks are used once`,
    })),
    card('Do ids stand for prefixes?', ({chains}) => (chains.violations === 0
      ? {value: 'always', verdict: 'good', note: `${format.count(chains.unique_ids)} ids, no violation`}
      : {value: 'not always', verdict: 'bad', note: `${format.some(chains.violations, 'violation')}`})),
  ]);

  const caches = () => {
    const to = page.section('Caches', 'What can a cache find?',
      'A request hits with its leading blocks that are cached. A bounded cache drops the blocks that were not used for ' +
      'the longest time (LRU). The blocks of a prompt can be used from the leaf or from the root on.');
    const lost = (cache) => 100 * (cache.leaf_first.hit_ratio - cache.root_first.hit_ratio);
    const worst = (t) => t.lru_caches.reduce((a, b) => (lost(b) > lost(a) ? b : a));
    const possible = (t) => t.unbounded_cache.hit_ratio;
    const enough = (t) => curve(t, (c) => c.leaf_first.hit_ratio).find(([, hits]) => hits >= 0.9 * possible(t));
    const holes = (t) => Math.max(...t.lru_caches.map((cache) => cache.root_first.requests_with_holes));
    const curve = (t, of) => t.lru_caches.map((c) => [c.percent, of(c)]).sort(([a], [b]) => a - b);
    const sizes = [...new Set(traces.flatMap((t) => t.lru_caches.map((c) => c.percent)))].sort((a, b) => a - b);
    const x = {title: 'cache size, % of the unique blocks', tip: 'Cache size', log: true,
               format: (percent) => format.percent(percent / 100), short: (percent) => format.short(percent)};
    if (sizes.length <= 9) x.ticks = sizes;

    charts.lines(to, {
      title: 'Hit ratio by cache size',
      wide: true,
      x,
      y: {title: 'share of the blocks found', format: format.percent, min: 0},
      styles: few && !alone ? {solid: 'leaf first', dashed: 'root first'} : {},
      series: [
        ...series((t) => ({name: alone ? 'LRU, leaf first' : t.label, points: curve(t, (c) => c.leaf_first.hit_ratio)})),
        ...(few ? series((t, i) => ({name: alone ? 'LRU, root first' : t.label, style: 'dashed',
                                     index: alone ? 1 : i, points: curve(t, (c) => c.root_first.hit_ratio)})) : []),
        ...(alone ? [{name: 'nothing is forgotten', index: 2, style: 'dotted', marks: false,
                      points: sizes.map((percent) => [percent, possible(traces[0])])}] : []),
      ],
      says: say((t) => {
        const ten = cacheNear(t, 10);
        const nine = enough(t);
        const gap = worst(t);
        return [
          `Room for ${sized(ten)} finds ${share(ten.leaf_first.hit_ratio)} of what is looked up, unlimited room ${share(possible(t))}.`,
          nine ? `For nine tenths of that, ${share(nine[0] / 100)} will do.` : '',
          lost(gap) < 0.1 ? 'It hardly matters whether the blocks of a prompt are used from the root or from the leaf on.'
            : `Using the blocks of a prompt from the root on costs up to ${points(lost(gap))} (at ` +
              `${format.percent(gap.percent / 100)}), because then its beginning is dropped first.`,
        ].join(' ');
      }, (t) => {
        const ten = cacheNear(t, 10);
        const nine = enough(t);
        return `${share(ten.leaf_first.hit_ratio)} with room for ${sized(ten)}` +
          (nine ? `, nine tenths of what is possible with ${share(nine[0] / 100)}` : '') +
          `; root first costs up to ${points(lost(worst(t)))}.`;
      }),
    });
    charts.bars(to, {
      title: 'How much of a request is cached, if nothing is forgotten?',
      labels: ['anything', 'more than half', 'more than nine tenths', 'the whole prompt'],
      axis: {...shares, title: 'share of the requests'},
      series: series(({unbounded_cache: cache}) => ({values: [cache.requests_with_hits, cache.requests_over_half,
                                                              cache.requests_over_nine_tenths, cache.requests_hit_whole]})),
      says: say(({unbounded_cache: cache}) =>
        `${share(cache.requests_with_hits)} of the requests find something, ${share(cache.requests_over_half)} more than half of ` +
        `their blocks. Who finds something finds ${blocks(cache.hits_of_requests.p50)} (median).`,
      (t) => `who finds something finds ${blocks(t.unbounded_cache.hits_of_requests.p50)} (median).`),
    });
    charts.lines(to, {
      title: 'Requests that find more than half, by cache size',
      x,
      y: {title: 'share of the requests', format: format.percent, min: 0},
      series: series((t) => ({points: curve(t, (c) => c.leaf_first.requests_over_half)})),
      says: say((t) =>
        `LRU, leaf first: ${share(cacheNear(t, 10).leaf_first.requests_over_half)} with room for ${sized(cacheNear(t, 10))}. ` +
        `Used from the root on, up to ${share(holes(t))} of the requests meet a hole: blocks that are cached, but behind one ` +
        'that is not, and so in vain.',
      (t) => `used from the root on, up to ${share(holes(t))} meet a hole: cached blocks behind one that is not.`),
    });
  };

  const cumulative = (histogram) => {
    const total = histogram.reduce((sum, bucket) => sum + bucket.count, 0);
    let sum = 0;
    return histogram.map((bucket) => [Math.max(1, bucket.to), (sum += bucket.count) / Math.max(1, total)]).slice(1);
  };

  const reuse = () => {
    const never = 'No block is used twice.';
    const to = page.section('Reuse', 'When do blocks come back?',
      'The distance between two uses of a block is how many other blocks are used in between: an LRU cache with room for ' +
      'more blocks than that still has it.');
    charts.histogram(to, {
      title: 'Distance to the next use',
      x: {...numbers, title: 'different blocks in between', tip: 'Blocks in between'},
      y: {title: 'share of the reuses'},
      series: series((t) => ({histogram: t.reuse.distance_blocks.histogram})),
      says: say(({reuse: {distance_blocks: d}, unique_blocks: unique}) => (d.count === 0 ? never
        : `Half of the ${format.count(d.count)} reuses come after at most ${blocks(d.p50)}, nine tenths after at most ` +
          `${blocks(d.p90)} (${format.percent(d.p90 / unique)} of all).`),
      ({reuse: {distance_blocks: d}}) => (d.count === 0 ? never
        : `median ${blocks(d.p50)}, nine tenths at most ${count(d.p90)}.`)),
    });

    const curves = series((t) => ({points: cumulative(t.reuse.time_ms.histogram)}));
    const every = curves.flatMap((each) => each.points);
    const latest = Math.max(1, ...every.map(([x]) => x));
    const rising = Math.min(latest, ...every.filter(([, y]) => y >= 0.02).map(([x]) => x));
    const begin = latest > 1e4 ? Math.min(Math.max(rising, 200), 1e4) / 2 : 1; // what comes at once needs no room
    const second = 1000;
    const hour = 3600 * second;
    charts.lines(to, {
      title: 'Time to the next use',
      x: {title: 'time since the last use, at most', tip: 'Within', format: format.duration, log: true, min: begin,
          ticks: [1, 10, 100, second, 10 * second, 60 * second, 600 * second, hour, 6 * hour, 24 * hour, 168 * hour]},
      y: {...shares, title: 'share of the reuses'},
      series: curves.map((each) => ({...each, points: each.points.filter(([x]) => x >= begin)})),
      says: say(({reuse: {time_ms: times, within}}) => {
        const share_within = (ms) => share(within.find((each) => each.ms === ms)?.share ?? 0);
        return times.count === 0 ? never
          : `${share_within(60 * second)} of the reuses come within a minute, ${share_within(600 * second)} within ten minutes; ` +
            `half of them within ${duration(times.p50)}.`;
      }, ({reuse: {time_ms: times}}) => (times.count === 0 ? never
        : `half within ${duration(times.p50)}, nine tenths within ${duration(times.p90)}.`)),
    });
  };

  const shape = () => {
    const to = page.section('Shape', 'What shape do the prompts have?',
      'Prompts that begin alike share blocks. Together they are a trie: it branches where prompts go on differently, and ' +
      'between branches are runs, which can be stored as one piece.');
    charts.histogram(to, {
      title: 'Length of a request',
      x: {...numbers, title: 'blocks of a request', tip: 'Blocks'},
      y: {title: 'share of the requests'},
      series: series((t) => ({histogram: t.blocks_of_requests.histogram})),
      says: say(({blocks_of_requests: d}) =>
        `The median request has ${blocks(d.p50)}, one in ten at least ${count(d.p90)}, the longest ${count(d.max)}.`,
      ({blocks_of_requests: d}) => `median ${blocks(d.p50)}, longest ${count(d.max)}.`),
    });
    charts.histogram(to, {
      title: 'Length of runs without a branch',
      x: {...numbers, title: 'blocks of a run', tip: 'Blocks'},
      y: {title: 'share of the runs'},
      series: series((t) => ({histogram: t.trie.run_length.histogram})),
      says: say(({trie}) => `${share(trie.blocks_in_runs_of_8)} of the blocks lie in runs of at least 8; the run of a block has ` +
        `${bold(format.number(trie.run_length_of_a_block, 1))} blocks on average.`,
      ({trie}) => `${share(trie.blocks_in_runs_of_8)} of the blocks lie in runs of at least 8.`),
    });
    charts.histogram(to, {
      title: 'Where the trie branches: successors of branching blocks',
      counts: true,
      x: {...numbers, title: 'different successors of a block', tip: 'Successors'},
      y: {title: 'blocks', short: format.short},
      series: series((t) => ({histogram: t.trie.fan_out.histogram})),
      says: say(({trie}) => (trie.branching === 0 ? 'Nothing branches.'
        : `${count(trie.branching)} of ${format.count(trie.blocks)} blocks branch. The widest has ${count(trie.largest_fan_out)} ` +
          `successors and is number ${count(trie.depth_of_largest_fan_out)} of its prompts.`),
      ({trie}) => `${count(trie.branching)} of ${format.count(trie.blocks)} branch, the widest into ${count(trie.largest_fan_out)}.`),
    });
    charts.histogram(to, {
      title: 'Depth of blocks',
      x: {...numbers, title: 'place in the prompt, from 1', tip: 'Place'},
      y: {title: 'share of the unique blocks'},
      series: series((t) => ({histogram: t.trie.depth.histogram})),
      says: say(({trie}) => (trie.first_blocks === 1 ? `All prompts begin with ${bold('the same block')}; `
        : `Prompts begin with ${bold(`${format.count(trie.first_blocks)} different blocks`)}; `) +
        `the median block is number ${count(trie.depth.p50)} of its prompt.`,
      ({trie}) => `${bold(format.some(trie.first_blocks, 'first block'))}, median place ${count(trie.depth.p50)}.`),
    });
  };

  const order = () => {
    const to = page.section('Order', 'Is there order in the ids?',
      'Ids that follow each other in a prompt may be consecutive numbers. The runs test of Wald and Wolfowitz asks whether ' +
      'an order could be chance (p above 0.05).' + (traces.every((t) => t.chains.numbered_by_first_use)
        ? ' The ids are numbers of first use: their order says how much of a prompt was new at once, not where data lay.' : ''));
    charts.bars(to, {
      title: 'Sequential ids',
      labels: ['ids that are the one before plus 1', 'the same, mean of the requests'],
      axis: {...shares, title: 'share'},
      series: series((t) => ({values: [t.order.sequential, t.order.sequential_of_a_request]})),
      says: say((t) => `${share(t.order.sequential)} of the ids in prompts are the one before plus 1.`,
        (t) => `${share(t.order.sequential)} of the ids.`),
    });
    const passed = (tests, tested, random) => (tests[tested] > 0 ? tests[random] : null);
    const both = (tests) => [passed(tests, 'requests_tested', 'random'),
                             passed(tests, 'requests_with_enough', 'random_of_those_with_enough')];
    charts.bars(to, {
      title: 'Requests whose order could be chance',
      labels: ['their ids', 'ids, where there are enough to tell', 'starts of sequences', 'starts, where there are enough to tell'],
      axis: {...shares, title: 'share of the requests tested'},
      series: series(({order: {runs_test: tests}}) =>
        ({values: [...both(tests.ids_of_each_request), ...both(tests.stretch_starts_of_each_request)]})),
      says: say(({order: {runs_test: {hits_of_accesses: hits}}}) => (!hits ? 'All accesses are of one kind: nothing to test.'
        : `Over the whole trace, blocks used before and new ones ${hits.runs < hits.expected ? 'come in stretches' : 'alternate'}: ` +
          `${count(hits.runs)} runs, where chance would make ${bold(format.number(hits.expected))} (${chance(hits)}).`),
      ({order: {runs_test: {hits_of_accesses: hits}}}) => (!hits ? 'nothing to test.'
        : `${count(hits.runs)} runs of blocks used before or new; by chance ${bold(format.number(hits.expected))} (${chance(hits)}).`)),
    });
  };

  // Sum of 1 / rank^s over n ranks: the first exactly, the rest by the integral of the curve.
  const harmonic = (n, s) => {
    const exact = Math.min(n, 2000);
    let sum = 0;
    for (let rank = 1; rank <= exact; ++rank) sum += rank ** -s;
    if (n === exact) return sum;
    const [from, to] = [exact + 0.5, n + 0.5];
    return sum + (Math.abs(s - 1) < 1e-9 ? Math.log(to / from) : (to ** (1 - s) - from ** (1 - s)) / (1 - s));
  };
  const fitted = (t) => {
    const {exponent} = t.skew.zipf;
    const scale = t.blocks / harmonic(t.unique_blocks, exponent);
    return t.skew.uses_by_rank.map(({rank}) => [rank, scale * rank ** -exponent]);
  };

  const skew = () => {
    const to = page.section('Skew', 'How unevenly are blocks used?', 'Blocks in the order of their use counts, the hottest first.');
    const fits = series((t, i) => ({
      name: alone ? 'Zipf’s law, fitted' : t.label,
      style: 'dashed',
      marks: false,
      index: alone ? 1 : i,
      points: t.skew.zipf ? fitted(t) : [],
    })).filter((each) => few && each.points.length > 0);
    const largest = Math.max(...traces.map((t) => t.skew.hottest_block_uses));
    charts.lines(to, {
      title: 'Uses by rank',
      aligned: alone,
      x: {...numbers, title: 'rank of the block', tip: 'Rank'},
      y: {title: 'uses', format: (value) => format.number(value, value < 10 && !Number.isInteger(value) ? 1 : 0),
          short: format.short, log: true, min: 0.5, max: largest * 1.5, smallestTick: 1},
      styles: few && !alone ? {dashed: 'Zipf’s law, fitted'} : {},
      series: [...series((t) => ({points: t.skew.uses_by_rank.map(({rank, uses}) => [rank, uses])})), ...fits],
      says: say(({skew: {hottest_block_uses: hottest, zipf}}) => `The hottest block is used ${bold(format.some(hottest, 'time'))}.` +
        (zipf ? ` The best fit of Zipf’s law has the exponent ${bold(format.number(zipf.exponent, 2))} and is off by up to ` +
          `${share(zipf.distance)} of the uses${zipf.distance > 0.05 ? ': no good model of them' : ''}.` : ''),
      ({skew: {zipf}}) => (zipf
        ? `Zipf’s exponent ${bold(format.number(zipf.exponent, 2))}, off by up to ${share(zipf.distance)} of the uses.`
        : 'too few blocks for a fit.')),
    });
    charts.bars(to, {
      title: 'Where the uses go',
      labels: ['uses of the hottest block', 'of the hottest 1 %', 'of the hottest 10 %', 'blocks that are used once'],
      axis: {...shares, title: 'share of all uses; the last of all blocks'},
      series: series(({skew: s}) => ({values: [s.hottest_block, s.hottest_1_percent, s.hottest_10_percent, s.blocks_used_once]})),
      says: say(({skew: s}) => `The hottest 1 % of the blocks get ${share(s.hottest_1_percent)} of the uses. ` +
        `${share(s.blocks_used_once)} of the blocks are used once: caching them was in vain.`,
      ({skew: s}) => `${share(s.blocks_used_once)} of the blocks were cached in vain.`),
    });
  };

  const soundness = () => page.section('Soundness', alone ? 'Is the trace sound?' : 'Are the traces sound?',
    'An id has to stand for one prefix, whatever request it is in. Where it does not, what is cached for one prompt would be ' +
    'wrong for another.',
    say(({chains, skipped_lines: skipped, requests_left_out: left, reuse: {requests_back_in_time: back}}) => [
      chains.violations === 0 ? `All ${count(chains.unique_ids)} ids always stand for the same prefix.`
        : `${bold(format.some(chains.violations, 'use'))} of ${format.some(chains.ids_violated, 'id')} come after another prefix than at ` +
          `first, the earliest in line ${format.count(chains.first_violation.line)}; they count as blocks of their own.`,
      skipped > 0 ? `Left out, because they are no request: ${bold(format.some(skipped, 'line'))}.` : '',
      left > 0 ? `Left out, because they have no full block: ${bold(format.some(left, 'request'))}.` : '',
      back > 0 ? `Earlier than a request before them: ${bold(format.some(back, 'request'))}.` : '',
    ].join(' ')));

  if (all.length > most) document.querySelector('.subtitle').append(` The page shows the first ${most} of ${all.length} traces.`);
  cards();
  caches();
  reuse();
  shape();
  order();
  skew();
  soundness();
  page.done(charts.check);
})();
