// Where the package lies. Everything that is compiled lies two folders below it, bundled or not, and finds
// what is not compiled from there: the addon, the programs, the scripts, the dashboards.

export const ROOT = new URL('../../', import.meta.url);
