// Functions by address: from files of the form of /proc/kallsyms, and from the kernel's own.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { SymbolTable } from '../../src/host/symbol_table.ts';
import { Symbols } from '../../src/host/symbols.ts';

/** Modelled on a kernel with a module (unsorted, as modules are), a BPF program and data. */
const KALLSYMS = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000000 T startup_64
ffffffff81a00100 t udp_queue_rcv_one_skb
ffffffff81a00400 T kfree_skb_reason
ffffffff81a00500 t tcp_v4_rcv.cold
ffffffff81a00540 t __udp4_lib_rcv.isra.0
ffffffff81a00600 W weak_function
ffffffff82000000 D some_data
ffffffffc0a02000 t ovs_dp_process_packet\t[openvswitch]
ffffffffc0a01000 t ovs_flow_free\t[openvswitch]
ffffffffc0a04000 d ovs_data\t[openvswitch]
ffffffffc0b00000 t bpf_prog_6deef7357e7b4530_filter\t[bpf]
`;

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

describe('a table', () => {
  test.each([
    [0xffffffff81a00100n, 'udp_queue_rcv_one_skb'],
    [0xffffffff81a003ffn, 'udp_queue_rcv_one_skb'],
    [0xffffffff81a00400n, 'kfree_skb_reason'],
    [0xffffffff81a00501n, 'tcp_v4_rcv'],
    [0xffffffff81a00541n, '__udp4_lib_rcv'],
    [0xffffffff81a00601n, 'weak_function'],
    [0xffffffffc0a01004n, 'ovs_flow_free'],
    [0xffffffffc0a02004n, 'ovs_dp_process_packet'],
    [0xffffffffc0b00001n, 'bpf_prog_6deef7357e7b4530_filter'],
    // Of two names the first; no function: below all, at data, between modules, beyond all.
    [0xffffffff81000002n, '_stext'],
    [0xffffffff80000000n, undefined],
    [0xffffffff82000004n, undefined],
    [0xffffffffc0a80000n, undefined],
    [0xffffffffffffffffn, undefined],
    [0n, undefined],
    [0x30n, undefined],
  ])('0x%x lies in %s', (address, name) => {
    const table = tableOf(KALLSYMS);
    expect(table.at(address)?.name).toBe(name);
    expect(table.atLow(Number(address & 0xffffffffn))?.name).toBe(name);
  });

  test('the bytes may be cut anywhere', () => {
    for (const size of [1, 7, 64]) {
      const table = new SymbolTable();
      for (let at = 0; at < KALLSYMS.length; at += size)
        table.add(Buffer.from(KALLSYMS.slice(at, at + size)));
      table.finish();
      expect(table.size).toBe(10);
      expect(table.at(0xffffffffc0a01004n)).toEqual({ name: 'ovs_flow_free', inModule: true });
      expect(table.at(0xffffffff81a00501n)).toEqual({ name: 'tcp_v4_rcv', inModule: false });
    }
  });

  test('lower halves that mean two functions mean none', () => {
    const table = tableOf('ffff800081000000 t in_kernel\nffff800181000000 t in_module\n');
    expect(table.at(0xffff800181000001n)?.name).toBe('in_module');
    expect(table.at(0xffff800081000001n)?.name).toBe('in_kernel');
    expect(table.atLow(0x81000001)).toBeUndefined();
  });

  test('lines of another form are passed over', () => {
    const table = tableOf('\nxyz t broken\nffffffff81000000 T\nffffffff81000000\n 1 t\nnonsense');
    expect(table.size).toBe(0);
    expect(table.at(0xffffffff81000000n)).toBeUndefined();
  });
});

describe('the file', () => {
  test('is opened at once and read when the first name is asked for', () => {
    const proc = procOf(KALLSYMS);
    const symbols = new Symbols(proc);
    rmSync(join(proc, 'kallsyms'));
    expect(symbols.functions).toBe(0);
    expect(symbols.nameOf(0xffffffff81a00100n)).toBe('udp_queue_rcv_one_skb');
    expect(symbols.functions).toBe(10);
    symbols.close();
    symbols.close();
    expect(symbols.nameOfLow(0x81a00100)).toBe('udp_queue_rcv_one_skb');
    expect(symbols.nameOf(1n)).toBeUndefined();
  });

  test('is read again once other modules are loaded, and not before', () => {
    const proc = procOf(KALLSYMS, 'openvswitch 163840 0 - Live 0x0000000000000000\n');
    let nowMs = 0;
    const symbols = new Symbols(proc, () => nowMs);
    // One in nobody's code, one that a function of another module stood a little below.
    const [far, near] = [0xffffffffc0c00010n, 0xffffffffc0a08010n];
    const names = () => [symbols.nameOf(far), symbols.nameOf(near)];
    expect(names()).toEqual([undefined, 'ovs_dp_process_packet']);
    const more = 'ffffffffc0c00000 t sctp_rcv\t[sctp]\nffffffffc0a08000 t sctp_init\t[sctp]\n';
    writeFileSync(join(proc, 'kallsyms'), KALLSYMS + more);
    // How often a module is in use changes all the time, and says nothing.
    writeFileSync(join(proc, 'modules'), 'openvswitch 163840 7 - Live 0x0000000000000000\n');
    nowMs += 1000;
    expect(names()).toEqual([undefined, 'ovs_dp_process_packet']);
    writeFileSync(join(proc, 'modules'), 'sctp 434176 0 - Live 0x0000000000000000\n');
    nowMs += 999;
    expect(names()).toEqual([undefined, 'ovs_dp_process_packet']);
    nowMs += 1;
    expect(names()).toEqual(['sctp_rcv', 'sctp_init']);
    symbols.close();
  });

  test("names of the kernel's own code need no second look", () => {
    const proc = procOf(KALLSYMS, '');
    const symbols = new Symbols(proc);
    symbols.read();
    rmSync(join(proc, 'modules'));
    rmSync(join(proc, 'kallsyms'));
    expect(symbols.functions).toBe(10);
    expect(symbols.nameOf(0xffffffff81a00100n)).toBe('udp_queue_rcv_one_skb');
    symbols.close();
  });

  test('that shows zeros, or is missing, gives nothing a name', () => {
    const hidden = new Symbols(procOf(KALLSYMS.replace(/^\w+/gm, '0000000000000000')));
    expect(hidden.nameOf(0xffffffff81a00100n)).toBeUndefined();
    expect(hidden.nameOf(0n)).toBeUndefined();
    expect(hidden.functions).toBe(0);
    hidden.close();
    const missing = new Symbols(join(tmpdir(), 'no such folder'));
    expect(missing.nameOfLow(0x81a00100)).toBeUndefined();
    missing.close();
  });
});

describe("this machine's kernel", () => {
  test('every 997th of its functions is found by its address, whole and lower half', () => {
    const symbols = new Symbols();
    // Programs of other processes come and go: they are left out of what is compared.
    const lines = readFileSync('/proc/kallsyms', 'latin1').split('\n');
    const own = lines.filter((line) => !line.endsWith('[bpf]'));
    const rows = functionsOf(own.join('\n'));
    expect(rows.length).toBeGreaterThan(10_000);
    expect(symbols.nameOf(0n)).toBeUndefined();
    const known = rows.filter(([address]) => address > 0n).length;
    expect(symbols.functions).toBeGreaterThanOrEqual(known);
    expect(symbols.functions).toBeLessThanOrEqual(known + 2 * (lines.length - own.length) + 1_000);
    const byAddress = new Map([...rows].reverse());
    for (const [address, name] of rows.filter((_, at) => at % 997 === 0)) {
      const first = byAddress.get(address) ?? name;
      const expected = first.replace(/(?<=.)\..*/, '');
      expect(symbols.nameOf(address)).toBe(expected);
      expect(symbols.nameOfLow(Number(address & 0xffffffffn))).toBe(expected);
    }
    symbols.close();
  });

  test('names are still read after all capabilities are dropped', () => {
    const [address, name] = kernelFunction();
    const script = `
      import { loadAddon } from ${built('addon/addon')};
      import { Symbols } from ${built('host/symbols')};
      const early = new Symbols();
      loadAddon().dropCapabilities(new Uint8Array());
      const late = new Symbols();
      console.log(early.nameOf(${address}n), late.nameOf(${address}n));`;
    expect(execFileSync(...nodeOf(script), { encoding: 'utf8' })).toBe(
      `${name} ${hiddenFromUsers() ? undefined : name}\n`,
    );
  });

  test('an unprivileged user who may not see addresses gets no names and no failure', () => {
    const [address, name] = kernelFunction();
    const script = `
      import { Symbols } from ${built('host/symbols')};
      const symbols = new Symbols();
      console.log(symbols.nameOf(${address}n));`;
    const user = ['--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all'];
    const [node, words] = nodeOf(script);
    const printed = execFileSync('setpriv', [...user, node, ...words], { encoding: 'utf8' });
    expect(printed).toBe(`${hiddenFromUsers() ? undefined : name}\n`);
  });
});

/** One whose name is its alone. */
function kernelFunction(): [bigint, string] {
  const rows = functionsOf(readFileSync('/proc/kallsyms', 'latin1'));
  const row = rows.find(([, name]) => name === 'netif_receive_skb');
  if (row === undefined) throw new Error('/proc/kallsyms has no netif_receive_skb');
  return row;
}

/** kallsyms_show_value in kernel/kallsyms.c. A test that needs root expects no kptr_restrict of 2. */
function hiddenFromUsers(): boolean {
  const sysctl = (name: string) => Number(readFileSync(`/proc/sys/kernel/${name}`, 'utf8'));
  return sysctl('kptr_restrict') > 0 || sysctl('perf_event_paranoid') > 1;
}

function built(module: string): string {
  return JSON.stringify(new URL(`../../dist/${module}.js`, import.meta.url).href);
}

function nodeOf(script: string): [string, string[]] {
  return [process.execPath, ['--input-type=module', '-e', script]];
}

function functionsOf(text: string): [bigint, string][] {
  return [...text.matchAll(/^([0-9a-f]+) [tTwW] (\S+)/gm)].map(([, address, name = '']) => [
    BigInt(`0x${address}`),
    name,
  ]);
}

function tableOf(text: string): SymbolTable {
  const table = new SymbolTable();
  table.add(Buffer.from(text));
  table.finish();
  return table;
}

function procOf(kallsyms: string, modules = ''): string {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-symbols-'));
  folders.push(folder);
  writeFileSync(join(folder, 'kallsyms'), kallsyms);
  writeFileSync(join(folder, 'modules'), modules);
  return folder;
}
