// A network namespace for the tests of netlink and ethtool, and the addon's calls made inside it.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./children/host_call.mjs', import.meta.url));

interface Answer {
  readonly errno: number;
  readonly bytes: string;
}

export class Netns {
  readonly name: string;

  constructor(label: string) {
    this.name = `rxscope-${label}-${process.pid}`;
    execFileSync('ip', ['netns', 'add', this.name]);
    // Nothing is sent that a test does not send.
    for (const which of ['all', 'default'])
      this.run('sysctl', '-qw', `net.ipv6.conf.${which}.disable_ipv6=1`);
  }

  run(...command: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, ...command], { encoding: 'utf8' });
  }

  /** Many lines for `ip`, at once. */
  batch(lines: readonly string[]): void {
    execFileSync('ip', ['-netns', this.name, '-batch', '-'], { input: lines.join('\n') });
  }

  routeDump(request: Uint8Array): Uint8Array {
    return new Uint8Array(Buffer.from(this.#call('dump', request).bytes, 'base64'));
  }

  readonly ethtool = (device: string, buffer: Uint8Array): number =>
    this.#change('ethtool', device, buffer);

  /** The same from a process that has no capability. */
  readonly unprivilegedEthtool = (device: string, buffer: Uint8Array): number =>
    this.#change('unprivileged', device, buffer);

  close(): void {
    execFileSync('ip', ['netns', 'del', this.name]);
  }

  #change(what: string, device: string, buffer: Uint8Array): number {
    const { errno, bytes } = this.#call(what, buffer, device);
    buffer.set(Buffer.from(bytes, 'base64'));
    return errno;
  }

  #call(what: string, request: Uint8Array, ...rest: string[]): Answer {
    const base64 = Buffer.from(request).toString('base64');
    return JSON.parse(this.run(process.execPath, CHILD, what, base64, ...rest)) as Answer;
  }
}
