// What the parts of kernel_guest.mjs share: a veth pair between two network namespaces, the traffic
// program, programs that hold a CPU. Plain JavaScript, like all that runs in a guest.
//
//   namespace rxv-<pid>                      this namespace
//   sender  vx 10.78.0.1/24  ────veth────  vy 10.78.0.2/24  receiver

import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { loadAddon } from '../../dist/addon/addon.js';

export const RECEIVER = '10.78.0.2';
export const DEVICE = 'vy';
export const SENDING_DEVICE = 'vx';
export const SENDER_NAMESPACE = `rxv-${process.pid}`;

/** Makes the pair, runs `during` with its receiving end's ifindex, takes the pair down. */
export async function withVeth(during) {
  const inside = ['-n', SENDER_NAMESPACE];
  ip('netns', 'add', SENDER_NAMESPACE);
  try {
    ip(
      'link',
      'add',
      DEVICE,
      'type',
      'veth',
      'peer',
      'name',
      SENDING_DEVICE,
      'netns',
      SENDER_NAMESPACE,
    );
    for (const [at, device, host, peer] of [
      [[], DEVICE, 2, 1],
      [inside, SENDING_DEVICE, 1, 2],
    ]) {
      ip(...at, 'link', 'set', device, 'address', mac(host), 'addrgenmode', 'none');
      ip(...at, 'addr', 'add', `10.78.0.${host}/24`, 'dev', device);
      ip(...at, 'link', 'set', device, 'up');
      // Neighbours are known: no ARP among the packets that a test counts.
      const to = ['lladdr', mac(peer), 'dev', device, 'nud', 'permanent'];
      ip(...at, 'neigh', 'replace', `10.78.0.${peer}`, ...to);
    }
    return await during(Number(readFileSync(`/sys/class/net/${DEVICE}/ifindex`, 'utf8')));
  } finally {
    ip('netns', 'del', SENDER_NAMESPACE);
  }
}

/** Sends `count` messages through the pair; resolves to what the receiver got of them. */
export async function throughVeth(
  program,
  protocol,
  port,
  count,
  { send = {}, receive = {}, address = RECEIVER } = {},
) {
  const words = (options) => Object.entries(options).map(([name, value]) => `${name}=${value}`);
  const receiver = spawn(
    program,
    ['receive', protocol, address, `${port}`, `${count}`, ...words(receive)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines = createInterface(receiver.stdout);
  let last = '';
  lines.on('line', (line) => {
    last = line;
  });
  const closed = once(lines, 'close');
  await once(lines, 'line');
  const to = [protocol, address, `${port}`, `${count}`, ...words(send)];
  await promisify(execFile)('ip', ['netns', 'exec', SENDER_NAMESPACE, program, 'send', ...to]);
  await closed;
  return JSON.parse(last);
}

/** Attaches one program of hold.bpf.c with these constants; close() ends it. */
export function holdWith(path, program, constants) {
  const object = loadAddon().openObject(path);
  for (const { name } of object.programs()) object.setAutoload(name, name === program);
  for (const [name, value] of Object.entries(constants)) {
    const isLong = name === 'hold_ns';
    const words = isLong ? BigUint64Array.of(BigInt(value)) : Uint32Array.of(value);
    object.setConst(name, new Uint8Array(words.buffer));
  }
  object.load();
  object.attach(program);
  return object;
}

/** A counter of /proc/net/snmp or netstat, such as `Udp: RcvbufErrors`. */
export function counter(protocol, name) {
  const file = protocol === 'TcpExt' ? '/proc/net/netstat' : '/proc/net/snmp';
  const [names = [], values = []] = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${protocol}:`))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf(name)]);
}

export function ip(...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function mac(host) {
  return `02:00:00:00:78:0${host}`;
}
