// Ways into a host: veth pairs between two network namespaces, each with other devices at its receiving
// end. A pair's sender cuts up what is to be several packets and hands them over together, and its
// receiver passes them on in lists, as drivers of network cards do. Plain JavaScript.
//
//   namespace …-a                                       namespace …-b
//   a3  10.88.3.1/24, fd88:3::1/64  ────veth────  b3 [─ d3]  10.88.3.2/24, fd88:3::2/64

import { execFileSync } from 'node:child_process';

export const SENDER_NAMESPACE = `rxscope-${process.pid}-a`;
export const RECEIVER_NAMESPACE = `rxscope-${process.pid}-b`;

/** The device of a way: lines for `ip -batch` in both namespaces, beside the pair `a` and `b`. */
const WAYS = {
  plain: () => ({}),
  macvlan: ({ b, d, mac }) => ({
    device: d,
    receiver: [`link add ${d} link ${b} address ${mac(3)} type macvlan mode bridge`],
  }),
  ipvlan_l2: ({ b, d }) => ({
    device: d,
    receiver: [`link add ${d} link ${b} type ipvlan mode l2`],
  }),
  ipvlan_l3: ({ b, d }) => ({
    device: d,
    receiver: [`link add ${d} link ${b} type ipvlan mode l3`],
  }),
  bridge: ({ b, d, mac }) => ({
    device: d,
    receivedAnew: true,
    receiver: [
      `link add ${d} address ${mac(3)} type bridge mcast_snooping 0`,
      `link set ${b} master ${d}`,
    ],
  }),
  vlan: ({ a, b, d }) => vlan(a, b, d, '802.1Q', 5),
  // The tag is a part of the packet's data, as a card without offload leaves it.
  vlan_in_band: ({ a, b, d }) => ({ ...vlan(a, b, d, '802.1Q', 5), inBand: true, headerBytes: 4 }),
  // Two tags, of which the outer one is taken off by the device.
  qinq: ({ a, b, d }) => {
    const outer = vlan(a, b, `${d}o`, '802.1ad', 7);
    const inner = vlan(outer.sendingDevice, `${d}o`, d, '802.1Q', 5);
    return {
      ...inner,
      headerBytes: 4,
      sender: [...outer.sender, ...inner.sender],
      receiver: [...outer.receiver, ...inner.receiver],
      between: [outer.sendingDevice, outer.device],
    };
  },
  bond: ({ b, d, mac }) => ({
    device: d,
    receiver: [
      `link add ${d} type bond mode active-backup miimon 100`,
      `link set ${b} down`,
      `link set ${b} master ${d}`,
      `link set ${d} address ${mac(3)}`,
    ],
  }),
  // Without a mode, which only teamd sets, it receives what its port does.
  team: ({ b, d, mac }) => ({
    device: d,
    receiver: [
      `link add ${d} address ${mac(3)} type team`,
      `link set ${b} down`,
      `link set ${b} master ${d}`,
    ],
  }),
  vrf: ({ b, d, i }) => ({
    device: b,
    socketDevice: d,
    receiver: [`link add ${d} type vrf table ${1000 + i}`, `link set ${b} master ${d}`],
  }),
  vxlan: ({ a, b, d, i }) => ({
    device: d,
    sendingDevice: `${a}x`,
    receivedAnew: true,
    underlay: true,
    sender: [
      `link add ${a}x type vxlan id 9 local 10.89.${i}.1 remote 10.89.${i}.2 dev ${a} dstport 4789`,
    ],
    receiver: [
      `link add ${d} type vxlan id 9 local 10.89.${i}.2 remote 10.89.${i}.1 dev ${b} dstport 4789`,
    ],
  }),
  // Behind a bridge of the sender's, which spreads what comes together over several ports.
  switch: ({ a, i }) => ({
    sendingDevice: `p${i}`,
    spreads: `q${i}`,
    sender: [
      `link add p${i} type veth peer name q${i}`,
      `link add s${i} type bridge mcast_snooping 0`,
      `link set q${i} master s${i}`,
      `link set ${a} master s${i}`,
      `link set q${i} up`,
      `link set s${i} up`,
    ],
  }),
};

function vlan(a, b, d, protocol, id) {
  return {
    device: d,
    sendingDevice: `${a}v`,
    sender: [`link add ${a}v link ${a} type vlan proto ${protocol} id ${id}`],
    receiver: [`link add ${d} link ${b} type vlan proto ${protocol} id ${id}`],
  };
}

/** Makes the namespaces and, for each name of a way, a pair. close() takes all down. */
export class Ways {
  #ways = new Map();

  constructor(names) {
    execFileSync('ip', ['netns', 'add', SENDER_NAMESPACE]);
    try {
      execFileSync('ip', ['netns', 'add', RECEIVER_NAMESPACE]);
      const plans = names.map((name, i) => planOf(name, i + 1));
      // Few processes for all pairs: in a guest each one takes long.
      configure(SENDER_NAMESPACE, ['link set lo up', ...plans.flatMap(({ sender }) => sender)]);
      configure(RECEIVER_NAMESPACE, [
        'link set lo up',
        ...plans.flatMap(({ receiver }) => receiver),
      ]);
      const [senders, receivers] = [links(SENDER_NAMESPACE), links(RECEIVER_NAMESPACE)];
      const ways = plans.map(({ way }) => way);
      for (const way of ways) {
        way.ifindex = receivers.get(way.device).ifindex;
        way.lowerIfindex = receivers.get(way.lower).ifindex;
        this.#ways.set(way.name, way);
      }
      configure(
        SENDER_NAMESPACE,
        ways.flatMap((way) =>
          addresses(way, way.sendingDevice, 1, receivers.get(way.device).address),
        ),
      );
      configure(
        RECEIVER_NAMESPACE,
        ways.flatMap((way) =>
          addresses(way, way.device, 2, senders.get(way.sendingDevice).address),
        ),
      );
      inNamespace(
        SENDER_NAMESPACE,
        'sh',
        '-ec',
        plans.flatMap(({ offloads }) => offloads).join('\n'),
      );
      // With GRO a pair's receiver has a NAPI, whose packets come in lists.
      const gro = ways.map(({ lower }) => `ethtool -K ${lower} gro on`);
      inNamespace(RECEIVER_NAMESPACE, 'sh', '-ec', gro.join('\n'));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get(name) {
    const way = this.#ways.get(name);
    if (way === undefined) throw new Error(`no way ${name}`);
    return way;
  }

  close() {
    for (const namespace of [SENDER_NAMESPACE, RECEIVER_NAMESPACE]) {
      try {
        execFileSync('ip', ['netns', 'del', namespace], { stdio: 'ignore' });
      } catch {
        // It was never made.
      }
    }
  }
}

/** The n-th way, and what both namespaces and ethtool are to be told for it. */
function planOf(name, i) {
  const [a, b, d] = [`a${i}`, `b${i}`, `d${i}`];
  const mac = (host) => `02:00:00:88:${i.toString(16).padStart(2, '0')}:0${host}`;
  const special = WAYS[name]({ a, b, d, i, mac });
  const { device = b, sendingDevice = a, between = [], socketDevice, spreads } = special;
  const up = (devices) => [...new Set(devices)].map((one) => `link set ${one} up`);
  const underlay = (host, one) =>
    special.underlay
      ? [
          `addr add 10.89.${i}.${host}/24 dev ${one}`,
          `neigh replace 10.89.${i}.${3 - host} lladdr ${mac(3 - host)} dev ${one} nud permanent`,
        ]
      : [];
  const peer = `peer name ${b} address ${mac(2)} netns ${RECEIVER_NAMESPACE}`;
  const way = {
    name,
    i,
    device,
    lower: b,
    sendingDevice,
    sendingDevices: [...new Set([a, sendingDevice])],
    socketDevice,
    headerBytes: special.headerBytes ?? 0,
    // Where packets can be given to the other CPU.
    rps: spreads ? [SENDER_NAMESPACE, spreads] : [RECEIVER_NAMESPACE, b],
    receivedAnew: special.receivedAnew ?? false,
    address: `10.88.${i}.2`,
    address6: `fd88:${i}::2`,
  };
  return {
    way,
    sender: [
      `link add ${a} address ${mac(1)} type veth ${peer}`,
      ...(special.sender ?? []),
      ...up([a, ...between.slice(0, 1), sendingDevice]),
      ...underlay(1, a),
    ],
    receiver: [
      ...(special.receiver ?? []),
      ...up([b, ...between.slice(1), device, ...(socketDevice ? [socketDevice] : [])]),
      ...underlay(2, b),
    ],
    offloads: [
      ...(special.inBand ? [`ethtool -K ${a} txvlan off`] : []),
      // A sender that never hands over large packets of TCP is what the receiver's NAPI asks for.
      ...way.sendingDevices.map((one) => `ethtool -K ${one} tso off`),
      cuttingUp(way, true),
    ],
  };
}

/** Whether the sender cuts up what is to be several packets, or leaves that to the receiver. */
export function cutUp(way, does) {
  inNamespace(SENDER_NAMESPACE, 'sh', '-ec', cuttingUp(way, does));
}

function cuttingUp({ sendingDevices }, does) {
  return sendingDevices
    .map((one) => `ethtool -K ${one} tx-udp-segmentation ${does ? 'off' : 'on'}`)
    .join('\n');
}

function addresses({ i }, device, host, peerMac) {
  const peer = 3 - host;
  return [
    `addr add 10.88.${i}.${host}/24 dev ${device}`,
    `addr add fd88:${i}::${host}/64 dev ${device} nodad`,
    // Neighbours are known: nothing is asked among the packets that a test counts.
    ...[`10.88.${i}.${peer}`, `fd88:${i}::${peer}`].map(
      (address) => `neigh replace ${address} lladdr ${peerMac} dev ${device} nud permanent`,
    ),
  ];
}

export function inNamespace(namespace, command, ...args) {
  return execFileSync('ip', ['netns', 'exec', namespace, command, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function configure(namespace, lines) {
  const input = lines.join('\n');
  try {
    execFileSync('ip', ['-n', namespace, '-batch', '-'], {
      input,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
  } catch (error) {
    throw new Error(`ip refused some of:\n${input}\n${error.stderr}`);
  }
}

/** By name, with the addresses that the kernel gave. */
function links(namespace) {
  const text = execFileSync('ip', ['-n', namespace, '-json', 'link'], { encoding: 'utf8' });
  return new Map(JSON.parse(text).map((link) => [link.ifname, link]));
}
