// Copies what rxscope's host readers read on this machine into a folder, as {proc,sys} trees with the
// links of sysfs kept: how the captured ones of fixtures/machines were made. Needs nothing but Node, so
// that it can run anywhere; pack_machine.ts makes a text of the folder.
//
//   node test/host/capture_machine.mjs FOLDER
//
// Takes no addresses, serial numbers or names of the machine.

import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

const [target] = process.argv.slice(2);
if (target === undefined) throw new Error('usage: capture_machine.mjs FOLDER');

const NET = ['ifindex', 'flags', 'mtu', 'operstate', 'type', 'dev_port', 'phys_port_name'];
const NAPI = ['threaded', 'napi_defer_hard_irqs', 'gro_flush_timeout'];
const QUEUE = ['rps_cpus', 'rps_flow_cnt', 'xps_cpus', 'tx_timeout'];
const SETTINGS = ['rps_sock_flow_entries', 'netdev_budget', 'netdev_budget_usecs', 'dev_weight'];
SETTINGS.push('netdev_max_backlog', 'busy_poll', 'busy_read');

for (const file of ['interrupts', 'softirqs', 'stat']) file_(`/proc/${file}`);
for (const file of ['softnet_stat', 'snmp', 'snmp6', 'netstat']) file_(`/proc/self/net/${file}`);
for (const file of SETTINGS) file_(`/proc/sys/net/core/${file}`);
for (const file of ['possible', 'present', 'online', 'offline']) {
  file_(`/sys/devices/system/cpu/${file}`);
}
for (const node of list('/sys/devices/system/node')) {
  if (/^node\d+$/.test(node)) file_(`/sys/devices/system/node/${node}/cpulist`);
}
const irqs = new Set();
for (const name of list('/sys/class/net')) device(name);
for (const irq of irqs) {
  for (const file of ['smp_affinity_list', 'effective_affinity_list']) {
    file_(`/proc/irq/${irq}/${file}`);
  }
}

function device(name) {
  const link = `/sys/class/net/${name}`;
  if (!copyLink(link)) {
    file_(link);
    return;
  }
  const net = realpathSync(link);
  for (const file of [...NET, ...NAPI]) file_(join(net, file));
  for (const queue of list(join(net, 'queues'))) {
    for (const file of QUEUE) file_(join(net, 'queues', queue, file));
  }
  if (!copyLink(join(net, 'device'))) return;
  const hardware = realpathSync(join(net, 'device'));
  for (const folder of [hardware, dirname(hardware)]) {
    for (const file of ['numa_node', 'irq']) file_(join(folder, file));
    const vectors = list(join(folder, 'msi_irqs'));
    for (const irq of vectors) file_(join(folder, 'msi_irqs', irq));
    for (const irq of [...vectors, ...lineOf(folder)]) irqs.add(irq);
  }
  for (const way of ['driver', 'subsystem']) {
    if (!copyLink(join(hardware, way))) continue;
    // What the link leads to is there, if empty.
    mkdirSync(`${target}${realpathSync(join(hardware, way))}`, { recursive: true });
  }
}

function lineOf(folder) {
  try {
    const line = readFileSync(join(folder, 'irq'), 'utf8').trim();
    return line === '0' ? [] : [line];
  } catch {
    return [];
  }
}

/** False when it is no link. */
function copyLink(path) {
  try {
    const to = readlinkSync(path);
    mkdirSync(dirname(`${target}${path}`), { recursive: true });
    symlinkSync(to, `${target}${path}`);
    return true;
  } catch {
    return false;
  }
}

/** A file that cannot be read here is not there in the copy either. */
function file_(path) {
  let text;
  try {
    text = readFileSync(path);
  } catch {
    return;
  }
  mkdirSync(dirname(`${target}${path}`), { recursive: true });
  writeFileSync(`${target}${path}`, text);
}

function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
