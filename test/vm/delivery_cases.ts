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

type Kind = Partial<Omit<Case, 'send'>> & {
  readonly send?: Partial<Case['send']>;
};

/** By name. Those of the first list are sent over every way. */
const EVERYWHERE: Readonly<Record<string, Kind>> = {
  'one socket': {},
  'three sockets of one port': { receive: { sockets: 3, spread: 1 } },
  'a filter refuses every second': { receive: { sockets: 1, 'refuse-odd': 1 } },
  IPv6: { send: { v6: true } },
};

const SOMEWHERE: Readonly<Record<string, Kind>> = {
  'three sockets of one port, IPv6': { send: { v6: true }, receive: { sockets: 3, spread: 1 } },
  'three sockets of one group': {
    send: { group: '239.88.0.1' },
    receive: { sockets: 3 },
  },
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
  'nobody listens, but a raw socket': { receive: { sockets: 0, raw: 1, late: 1 } },
  'a socket and a tap': { receive: { sockets: 1, tap: true } },
  'a socket and a raw socket': { receive: { sockets: 1, raw: 1 } },
  'sockets that are read later': { receive: { sockets: 3, spread: 1, late: 1 } },
  'another CPU receives': { rps: true },
  'another CPU receives for three sockets': { rps: true, receive: { sockets: 3, spread: 1 } },
  'another CPU receives large packets': { rps: true, cut: false },
};

/** Over the ways that these are made for. */
const TWO_CPUS: Kind = {
  receive: { sockets: 1, 'refuse-odd': 1 },
  send: { second: { first: SECOND_FIRST } },
};
const PORTS: Kind = { receive: { sockets: 3, port: 9001, 'next-ports': 1 } };

export const LISTS = [1, 2, 8, 64] as const;

/** Each way with several lists, and kinds in turn. */
export function casesOfWays(
  ways: readonly string[],
  count: number,
  lists: readonly number[],
): Case[] {
  const kinds = Object.entries(EVERYWHERE);
  return ways.flatMap((way, w) =>
    lists.map((list, l) => {
      const [name = '', kind = {}] = kinds[(w + l) % kinds.length] ?? [];
      return caseOf(name, kind, [way], list, count);
    }),
  );
}

/** Each kind over each of these ways, and what has a way of its own. */
export function casesOfKinds(ways: readonly string[], count: number): Case[] {
  const cases = [...Object.entries(EVERYWHERE), ...Object.entries(SOMEWHERE)].flatMap(
    ([name, kind]) => ways.map((way) => caseOf(name, kind, [way], 8, count)),
  );
  const add = (name: string, kind: Kind, over: readonly string[], list: number): void => {
    cases.push(caseOf(name, kind, over, list, count));
  };
  for (const list of LISTS) {
    add('three sockets of three ports', PORTS, ['switch'], list);
    add('two CPUs, a filter refuses every second', TWO_CPUS, ['plain', 'macvlan'], list);
  }
  add('large packets to three ports', { ...PORTS, cut: false, rps: true }, ['switch'], 8);
  add('three sockets of one group', SOMEWHERE['three sockets of one group'] ?? {}, ['bridge'], 8);
  return cases;
}

function caseOf(
  name: string,
  kind: Kind,
  ways: readonly string[],
  list: number,
  count: number,
): Case {
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
