// What deliveries.test.ts has sent: kinds of traffic, times the ways into a host, times the number of
// packets that come in one list. A table and how its rows are chosen; no logic of a test.

/** One case; deliveries_guest.mjs and its numbered.cc take it as it is. */
export interface Case {
  readonly kind: string;
  /** By names of ways.mjs. With two, a sender on each of two CPUs. */
  readonly ways: readonly string[];
  /** Packets that the receiver's driver hands over together. */
  readonly list: number;
  /** Of each sender. */
  readonly count: number;
  /** Whether the sender cuts up what it sends together, or hands over large packets. */
  readonly cut: boolean;
  readonly send: {
    /** Datagrams of one call. */
    readonly list: number;
    readonly size: number;
    readonly gapUs?: number;
    readonly v6?: boolean;
    readonly group?: string;
    readonly second?: Readonly<Record<string, number>>;
  };
  /** Absent: nobody listens. */
  readonly receive?: {
    readonly sockets: number;
    readonly port?: number;
    readonly tap?: boolean;
    readonly [option: string]: number | boolean | undefined;
  };
  /** Another CPU than the sender's receives. */
  readonly rps?: boolean;
  readonly dnat?: boolean;
}

/** Of a datagram, so that a packet's length tells how many it holds. */
export const SIZE = 77;
/** The numbers of the second sender begin here. */
export const SECOND_FIRST = 1_000_000;

type Kind = Partial<Omit<Case, 'send'>> & { readonly send?: Partial<Case['send']> };

/** By name. Those of the first list are sent over every way. */
const EVERYWHERE: Readonly<Record<string, Kind>> = {
  'one socket': {},
  'three sockets of one port': { receive: { sockets: 3, spread: 1 } },
  'a filter refuses every second': { receive: { sockets: 1, 'refuse-odd': 1 } },
  IPv6: { send: { v6: true } },
};

const SOMEWHERE: Readonly<Record<string, Kind>> = {
  'three sockets of one port, IPv6': { send: { v6: true }, receive: { sockets: 3, spread: 1 } },
  'three sockets of one group': { send: { group: '239.88.0.1' }, receive: { sockets: 3 } },
  'large packets to a plain socket': { cut: false },
  'large packets to a plain socket, IPv6': { cut: false, send: { v6: true } },
  'large packets to a socket that takes them': { cut: false, receive: { sockets: 1, gro: 1 } },
  'merged packets to a socket that takes them': { receive: { sockets: 1, gro: 1 } },
  'a port that is redirected': { dnat: true, receive: { sockets: 1, port: 9007 } },
  'a port that is redirected, IPv6': {
    dnat: true,
    send: { v6: true },
    receive: { sockets: 1, port: 9007 },
  },
  'nobody listens': { receive: { sockets: 0 } },
  'nobody listens, but a tap': { receive: { sockets: 0, tap: true } },
  'nobody listens, but a raw socket': { receive: { sockets: 0, raw: 1 } },
  'a socket and a tap': { receive: { sockets: 1, tap: true } },
  'a socket and a raw socket': { receive: { sockets: 1, raw: 1 } },
  'another CPU receives': { rps: true },
  'another CPU receives for three sockets': { rps: true, receive: { sockets: 3, spread: 1 } },
  'another CPU receives large packets': { rps: true, cut: false },
};

export const LISTS = [1, 2, 8, 64] as const;

/** Every kind over a plain pair, some over the others, and what only some ways can carry. */
export function casesOver(ways: readonly string[], count: number): Case[] {
  const cases: Case[] = [];
  const everywhere = Object.keys(EVERYWHERE);
  const all = { ...EVERYWHERE, ...SOMEWHERE };
  // Each way with each length, kinds in turn.
  for (const [w, way] of ways.entries()) {
    for (const [l, list] of LISTS.entries()) {
      const kind = everywhere[(w + l) % everywhere.length] ?? '';
      cases.push(caseOf(kind, EVERYWHERE[kind], [way], list, count));
    }
  }
  for (const [name, kind] of Object.entries(all)) {
    cases.push(caseOf(name, kind, ['plain'], 8, count));
    if (kind.rps !== true) cases.push(caseOf(name, kind, ['macvlan'], 8, count));
  }
  for (const name of ['large packets to a plain socket', 'a port that is redirected'])
    cases.push(caseOf(name, SOMEWHERE[name], ['plain'], 64, count));
  cases.push(
    caseOf(
      'three sockets of one group',
      SOMEWHERE['three sockets of one group'],
      ['bridge'],
      8,
      count,
    ),
  );
  for (const list of LISTS) {
    const ports: Kind = { receive: { sockets: 3, port: 9001, 'next-ports': 1 } };
    cases.push(caseOf('three sockets of three ports', ports, ['switch'], list, count));
    const two: Kind = {
      receive: { sockets: 1, 'refuse-odd': 1 },
      send: { second: { first: SECOND_FIRST } },
    };
    cases.push(
      caseOf('two CPUs, a filter refuses every second', two, ['plain', 'macvlan'], list, count),
    );
  }
  return cases;
}

function caseOf(name: string, kind: Kind = {}, ways: string[], list: number, count: number): Case {
  const { send, ...others } = kind;
  const receive = others.receive ?? { sockets: 1 };
  return {
    kind: name,
    ways,
    list,
    count,
    cut: true,
    receive,
    ...others,
    // Several lists in one softirq, which takes up to 64 packets from a device.
    send: { list: Math.min(64, 3 * list), size: SIZE, ...send },
  };
}
