// Named sets of budgets, every number in this one table. A profile changes nothing but budgets,
// and a budget that the configuration states wins. A probe that a profile does not list keeps
// the default of its own. The figures that the reasons cite are typical ones, not laws.

export const PROFILE_NAMES = ['hft', 'gaming', 'voip', 'web'] as const;
export type ProfileName = (typeof PROFILE_NAMES)[number];

/** Budgets by probe id, in nanoseconds. */
export const PROFILE_BUDGETS_NS: Readonly<Record<ProfileName, Readonly<Record<string, number>>>> = {
  // High-frequency trading bears less than 10 µs one way, 3 to 5 µs of it in the kernel.
  hft: {
    // A tuned host delivers the interrupt in 1 µs and starts the softirq within 10 µs; what
    // takes twice that was held up by something: interrupts off, a power state, another task.
    irq_to_softirq: 20_000,
    // 10 to 50 µs is the whole way of a packet on a well-tuned host.
    softirq_to_socket: 50_000,
    // The protocol layers take 2 to 10 µs, the socket queue at most 10.
    receive_to_socket: 20_000,
    // A softirq starts within 10 µs, a backlog and a woken reader take no longer: twice the worst of that
    // and the whole way of a packet at most.
    softirq_raise_to_entry: 50_000,
    backlog_wait: 50_000,
    wakeup_to_run: 50_000,
    // A spinning reader is there at once; one that sleeps takes as long as it takes to wake.
    socket_to_read: 100_000,
    // A poll takes 1 to 20 µs; what holds the CPU for longer delays everything behind it.
    napi_poll: 100_000,
    hardirq_duration: 20_000,
    softirq_duration: 500_000,
  },
  // A game bears less than 20 ms, 5 to 10 ms of it in the server.
  gaming: {
    // A hundredth of the server's 5 ms for each of the two stages that are not waiting in a batch.
    irq_to_softirq: 50_000,
    // A twentieth of the server's 5 ms.
    softirq_to_socket: 250_000,
    // 50 µs is also the upper end of what the protocol layers usually take.
    receive_to_socket: 50_000,
    // A twentieth of the server's 5 ms for what waits, a fifth for the reader.
    softirq_raise_to_entry: 250_000,
    backlog_wait: 250_000,
    wakeup_to_run: 250_000,
    socket_to_read: 1_000_000,
    napi_poll: 500_000,
    hardirq_duration: 50_000,
    // What a NET_RX run may take by default where a tick is 1 ms: two ticks (netdev_budget_usecs).
    softirq_duration: 2_000_000,
  },
  // A call bears less than 100 ms, 5 to 10 ms of it in a host's stack, and 30 ms of jitter.
  voip: {
    // A twentieth of the 5 ms in the stack, and beyond the 100 µs that a busy CPU explains.
    irq_to_softirq: 250_000,
    // A fifth of the 5 ms in the stack; GRO alone may hold a packet for about 1 ms.
    softirq_to_socket: 1_000_000,
    // As for irq_to_softirq; lock contention explains 10 to 100 µs.
    receive_to_socket: 250_000,
    // A fifth of the 5 ms in the stack for what waits, all of it for the reader.
    softirq_raise_to_entry: 1_000_000,
    backlog_wait: 1_000_000,
    wakeup_to_run: 1_000_000,
    socket_to_read: 5_000_000,
    napi_poll: 2_000_000,
    hardirq_duration: 100_000,
    softirq_duration: 5_000_000,
  },
  // A web page feels instant below 200 ms.
  web: {
    // Five times what a busy CPU explains (100 µs): only starvation takes longer.
    irq_to_softirq: 500_000,
    // After a spent budget the rest of a batch waits up to netdev_budget_usecs: 2 ms.
    softirq_to_socket: 2_000_000,
    // Five times what lock contention explains (100 µs).
    receive_to_socket: 500_000,
    // After a spent budget the rest of a batch waits up to 2 ms, and so may what is behind it.
    softirq_raise_to_entry: 2_000_000,
    backlog_wait: 2_000_000,
    wakeup_to_run: 2_000_000,
    // A tenth of what still feels instant.
    socket_to_read: 20_000_000,
    napi_poll: 2_000_000,
    hardirq_duration: 250_000,
    softirq_duration: 10_000_000,
  },
};
