// What a capture has counted between two readings: a capture that stays open serves several
// measurements, because attaching takes seconds in a guest. Pure.

/** A reading of what `after` counts more than `before`. Pending packets are those of `after`. */
export function since(before, after) {
  const less = (rows, earlier, key) =>
    rows
      .map((row) =>
        subtract(
          row,
          earlier.find((one) => key(one) === key(row)),
        ),
      )
      .filter((row) => row.packets !== 0 && row.histogram?.counts.some((n) => n > 0) !== false);
  return {
    ...after,
    latencies: less(after.latencies, before.latencies, (row) =>
      [row.probe, row.device, row.protocol, row.irq, row.vector, row.cpu].join(),
    ),
    received: less(after.received, before.received, (row) => row.device),
    drops: less(after.drops, before.drops, (row) => [row.reason, row.device].join()),
    transmitDrops: after.transmitDrops - before.transmitDrops,
    polls: after.polls.map((row) => subtractPolls(row, before.polls)),
    unmatched: Object.fromEntries(
      Object.entries(after.unmatched).map(([probe, causes]) => [
        probe,
        Object.fromEntries(
          Object.entries(causes).map(([cause, n]) => [cause, n - before.unmatched[probe][cause]]),
        ),
      ]),
    ),
    deliveriesWithoutStart: after.deliveriesWithoutStart - before.deliveriesWithoutStart,
    events: Object.fromEntries(
      Object.entries(after.events).map(([probe, { sent, lost }]) => [
        probe,
        { sent: sent - before.events[probe].sent, lost: lost - before.events[probe].lost },
      ]),
    ),
  };
}

function subtractPolls(row, before) {
  const earlier = before.find(({ device }) => device === row.device);
  if (earlier === undefined) return row;
  return {
    ...row,
    polls: row.polls.map((n, i) => n - earlier.polls[i]),
    packets: row.packets - earlier.packets,
    exhausted: row.exhausted - earlier.exhausted,
  };
}

function subtract(row, earlier) {
  if (earlier === undefined) return row;
  if (row.histogram === undefined) return { ...row, packets: row.packets - earlier.packets };
  const { counts, sumNs, overBudget } = row.histogram;
  return {
    ...row,
    histogram: {
      counts: counts.map((n, i) => n - earlier.histogram.counts[i]),
      sumNs: sumNs - earlier.histogram.sumNs,
      overBudget: overBudget - earlier.histogram.overBudget,
    },
  };
}
