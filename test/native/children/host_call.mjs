// One call of the addon's routeDump or ethtool, for tests that make it in another network namespace
// (ip netns exec) or without any privilege. Bytes go in and out as base64.
// Usage: host_call.mjs dump|ethtool|unprivileged REQUEST [DEVICE]

import { addon, tell } from './common.mjs';

const [what, request, device] = process.argv.slice(2);
const buffer = new Uint8Array(Buffer.from(request, 'base64'));
if (what === 'dump') {
  tell({ bytes: Buffer.from(addon.routeDump(buffer)).toString('base64') });
} else {
  if (what === 'unprivileged') addon.dropCapabilities(new Uint8Array(0));
  const errno = addon.ethtool(device, buffer);
  tell({ errno, bytes: Buffer.from(buffer).toString('base64') });
}
