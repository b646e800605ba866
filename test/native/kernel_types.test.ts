// Enums from the running kernel's BTF, against bpftool's reading of the same bytes.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Addon, type KernelEnum, loadAddon } from '../../src/addon/addon.ts';
import { failureOf } from './fixture.ts';

test.each([
  // All of those that drop reasons need, and ones with negative and 64-bit values.
  'drop_reason',
  'hrtimer_restart',
  'tcp_ca_state',
  'pageflags',
  'nf_ip_hook_priorities',
  'bpf_',
])('enums with %s in their name are those that bpftool tells', (part) => {
  const { enums, unreadModules } = loadAddon().kernelEnums(part);
  const expected = vmlinuxEnums().filter(({ name }) => name.includes(part));
  expect(expected.length).toBeGreaterThan(0);
  // What modules add comes behind.
  expect(enums.slice(0, expected.length)).toEqual(expected);
  expect(unreadModules).toEqual([]);
});

test('some of them have negative values, and some need 64 bits', () => {
  const { enums } = loadAddon().kernelEnums('');
  const values = enums.flatMap(({ values }) => values.map(([, value]) => value));
  expect(values.some((value) => value < 0)).toBe(true);
  expect(values.some((value) => value > 0xffffffff)).toBe(true);
  expect(enums.filter(({ name }) => name === 'skb_drop_reason_subsys')).toHaveLength(1);
});

test('a name that no enum has yields nothing', () => {
  expect(loadAddon().kernelEnums('no enum is called so').enums).toEqual([]);
});

test('anything but a string is refused', () => {
  const failure = failureOf(() => loadAddon().kernelEnums(7 as unknown as string));
  expect(failure).toMatchObject({ code: 'EINVAL', operation: 'types' });
  expect(failure.message).toContain('its argument part must be a string');
});

test("modules' enums come behind the kernel's, and a module whose BTF is of no use is told", () => {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-btf-'));
  try {
    const kernel = readFileSync('/sys/kernel/btf/vmlinux');
    writeFileSync(join(folder, 'vmlinux'), kernel);
    writeFileSync(
      join(folder, 'tunnel'),
      moduleBtf(kernel, 'tunnel_drop_reason', 'TUNNEL_DROP_KEY'),
    );
    writeFileSync(join(folder, 'broken'), 'nothing of the kind');
    const { enums, unreadModules } = withBtfFolder(folder) as ReturnType<Addon['kernelEnums']>;
    const own = vmlinuxEnums().filter(({ name }) => name.includes('drop_reason'));
    const added = { name: 'tunnel_drop_reason', values: [['TUNNEL_DROP_KEY', 0x40001]] };
    expect(enums).toEqual([...own, added]);
    expect(unreadModules).toEqual(['broken']);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('where the kernel has no BTF, the failure says so', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rxscope-btf-'));
  try {
    expect(withBtfFolder(folder)).toEqual({
      code: 'ENOENT',
      errno: 2,
      operation: 'types',
      message:
        "cannot read the kernel's types: ENOENT (it has no BTF that can be read: built without CONFIG_DEBUG_INFO_BTF?)",
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** What the addon tells in a mount namespace where `folder` is /sys/kernel/btf, or how it fails. */
function withBtfFolder(folder: string): unknown {
  const addon = JSON.stringify(new URL('../../dist/addon/addon.js', import.meta.url).href);
  const script = `
    import { loadAddon } from ${addon};
    let told;
    try {
      told = loadAddon().kernelEnums('drop_reason');
    } catch ({ code, errno, operation, message }) {
      told = { code, errno, operation, message };
    }
    console.log(JSON.stringify(told));`;
  const mount = 'mount --bind "$0" /sys/kernel/btf && exec "$@"';
  const node = [process.execPath, '--input-type=module', '-e', script];
  const command = ['-m', 'sh', '-c', mount, folder, ...node];
  return JSON.parse(execFileSync('unshare', command, { encoding: 'utf8' }));
}

/** One enum of one value, 0x40001, as a module's BTF: its strings go on where the kernel's end. */
function moduleBtf(kernel: Buffer, name: string, value: string): Buffer {
  // struct btf_header of include/uapi/linux/btf.h: str_len is its last member, at 20.
  const stringsBefore = kernel.readUInt32LE(20);
  // A module's own strings do not begin with the empty one: the kernel's do.
  const strings = Buffer.from(`${name}\0${value}\0`);
  const kindEnum = 6;
  // struct btf_type: name, kind and number of values, size; then struct btf_enum: name, value.
  const type = [stringsBefore, (kindEnum << 24) | 1, 4];
  const types = new Uint32Array([...type, stringsBefore + name.length + 1, 0x40001]);
  const header = Buffer.alloc(24);
  header.writeUInt16LE(0xeb9f, 0);
  header.writeUInt8(1, 2);
  for (const [at, number] of [24, 0, types.byteLength, types.byteLength, strings.length].entries())
    header.writeUInt32LE(number, 4 + at * 4);
  return Buffer.concat([header, Buffer.from(types.buffer), strings]);
}

interface BtfType {
  readonly kind: string;
  readonly name: string;
  readonly values?: readonly { readonly name: string; readonly val: number }[];
}

function vmlinuxEnums(): KernelEnum[] {
  const args = ['-j', 'btf', 'dump', 'file', '/sys/kernel/btf/vmlinux'];
  const json = execFileSync('bpftool', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  const { types } = JSON.parse(unsigned(json)) as { types: BtfType[] };
  return types
    .filter(({ kind, values }) => /^ENUM(64)?$/.test(kind) && (values ?? []).length > 0)
    .map(({ name, values = [] }) => ({ name, values: values.map((one) => [one.name, one.val]) }));
}

/** bpftool's JSON has unsigned values of 32 bits, from 2^31 on, as if they had 64 and were negative. */
function unsigned(json: string): string {
  return json.replace(
    /("size":4,"vlen":\d+,"values":\[)([^\]]*)/g,
    (_, before: string, values: string) =>
      before +
      values.replace(/:(\d{20})/g, (_, value: string) => `:${BigInt.asUintN(32, BigInt(value))}`),
  );
}
