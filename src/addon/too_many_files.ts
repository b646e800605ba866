// What to do where no file can be opened any more. Apart, because it must be at hand when nothing else
// can be loaded either.

/** By the errno's name. */
export const TOO_MANY_FILES: Readonly<Record<string, string>> = {
  EMFILE:
    'EMFILE: this process may not open as many files as it needs; raise the limit, as with `ulimit -n 1024` (systemd: LimitNOFILE=1024)',
  ENFILE: 'ENFILE: this host has as many files open as it allows; raise fs.file-max',
};
