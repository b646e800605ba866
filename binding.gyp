# The native addon: build/Release/rxscope.node, linked against the system's libbpf.so.1.
# The run path lets a prebuilt copy find libbpf, and libbpf its libelf, in the folder beside it:
# an old-style one (DT_RPATH), because DT_RUNPATH would not be searched for libbpf's own needs.
{
  'targets': [
    {
      'target_name': 'rxscope',
      'sources': [
        'native/addon.cc',
        'native/arguments.cc',
        'native/bpf_object.cc',
        'native/bpf_object_wrap.cc',
        'native/capabilities.cc',
        'native/error.cc',
        'native/ethtool.cc',
        'native/event_reader.cc',
        'native/kernel_types.cc',
        'native/layout.cc',
        'native/log_tail.cc',
        'native/mapping.cc',
        'native/route_netlink.cc',
        'native/service_notify.cc',
      ],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': [
        'NAPI_VERSION=9',
        'NODE_ADDON_API_CPP_EXCEPTIONS_ALL',
        # A worker that is being terminated can no longer throw: let it end instead of aborting.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'cflags': ['-Wall', '-Wextra', '-fvisibility=hidden'],
      'cflags_cc': ['-std=c++20', '-fvisibility-inlines-hidden'],
      'cflags_cc!': ['-fno-exceptions', '-fno-rtti', '-std=gnu++17', '-std=gnu++20'],
      'libraries': ['-lbpf'],
      'ldflags': [
        "-Wl,-rpath,'$$ORIGIN'",
        '-Wl,--disable-new-dtags',
        # libbpf keeps a pointer to our log callback: the addon must outlive the worker that
        # loaded it.
        '-Wl,-z,nodelete',
      ],
    },
  ],
}
