// Makes links of every kind, sends a few datagrams, and prints what NETLINK_ROUTE, `ip` and the
// drivers tell of them: the contents of fixtures/links_* and driver_statistics.json. For a guest
// whose network nobody needs (it changes links and sysctls), in the project's folder:
//   test/vm/guest.sh -q "-netdev user,id=a -device e1000e,netdev=a …" 6.1 -- node test/host/capture_links.mjs

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const addon = createRequire(import.meta.url)('node-gyp-build')(ROOT);

const FIELDS = [
  'ifindex',
  'ifname',
  'flags',
  'mtu',
  'master',
  'link',
  'link_index',
  'link_netnsid',
].concat(['operstate', 'num_tx_queues', 'num_rx_queues', 'parentbus', 'parentdev', 'stats64']);

/** What fails is told and left out: a kernel may lack a driver, or a kind of link. */
function sh(command) {
  try {
    return execFileSync('bash', ['-c', command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    process.stderr.write(`${command}: ${error.stderr}`);
    return '';
  }
}

const datagrams = (count, address) =>
  `bash -c "for n in {1..${count}}; do echo x >/dev/udp/${address}/9; done"`;

for (const command of [
  'for m in e1000 e1000e vmxnet3 virtio_net 8139cp; do modprobe $m; done',
  'sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1',
  'ip netns add other',
  'ip link add va mtu 1400 type veth peer name vb',
  'ip link add va.7 link va type vlan id 7',
  'ip link add br0 type bridge',
  'ip link set vb master br0',
  'ip link add bond0 type bond mode active-backup',
  'ip link add d0 type dummy',
  'ip link set d0 master bond0',
  'ip link add vrf0 type vrf table 10',
  'ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 address 02:00:00:00:00:02 netns other',
  'for d in /sys/class/net/*/; do ip link set $(basename $d) up; done',
  'ip netns exec other ip link set v1 up',
  'ip addr add 10.9.0.1/24 dev v0',
  'ip netns exec other ip addr add 10.9.0.2/24 dev v1',
  'ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev v0 nud permanent',
  'ip netns exec other ip neigh replace 10.9.0.1 lladdr 02:00:00:00:00:01 dev v1 nud permanent',
  // A neighbour that v1 believes to be behind it: v0 sees frames that are not for it.
  'ip netns exec other ip neigh replace 10.9.0.77 lladdr 02:00:00:00:00:77 dev v1 nud permanent',
  `ip netns exec other ${datagrams(7, '10.9.0.1')}`,
  `ip netns exec other ${datagrams(3, '10.9.0.77')}`,
  datagrams(5, '10.9.0.2'),
  datagrams(1, '127.0.0.1'),
])
  sh(command);

function dump() {
  const request = Buffer.alloc(32);
  request.writeUInt32LE(32, 0);
  request.writeUInt16LE(18, 4);
  request.writeUInt16LE(0x301, 6);
  return Buffer.from(addon.routeDump(request)).toString('base64');
}

/** The driver's name, and those of its statistics. */
function statisticsOf(device) {
  const info = Buffer.alloc(196);
  info.writeUInt32LE(0x03, 0);
  if (addon.ethtool(device, info) !== 0) return undefined;
  const driver = textAt(info, 4);
  const count = info.readUInt32LE(180);
  const names = Buffer.alloc(12 + 32 * count);
  names.writeUInt32LE(0x1b, 0);
  names.writeUInt32LE(1, 4);
  if (count === 0 || addon.ethtool(device, names) !== 0) return undefined;
  return { driver, names: Array.from({ length: count }, (_, n) => textAt(names, 12 + 32 * n)) };
}

function textAt(bytes, at) {
  const text = bytes.toString('latin1', at, at + 32);
  return text.includes('\0') ? text.slice(0, text.indexOf('\0')) : text;
}

/** What `ip` says, less what is not compared, such as a bridge's timers. */
function told() {
  return JSON.parse(sh('ip -s -s -d -j link show')).map((link) => ({
    ...Object.fromEntries(FIELDS.flatMap((field) => (field in link ? [[field, link[field]]] : []))),
    ...(link.linkinfo?.info_kind && { linkinfo: { info_kind: link.linkinfo.info_kind } }),
  }));
}

// Cards take a moment until they have a carrier: until nothing changes around the dump.
let ip;
let base64;
do {
  sh('sleep 3');
  ip = told();
  base64 = dump();
} while (JSON.stringify(told()) !== JSON.stringify(ip));

const drivers = {};
for (const { ifname } of ip) {
  const told = statisticsOf(ifname);
  if (told) drivers[told.driver] = told.names;
}
process.stdout.write(`${JSON.stringify({ kernel: release(), base64, ip, drivers })}\n`);
