// The catalogue of probes. Adding a probe adds one file beside this one and one line here.

import { irqToSoftirq } from './irq_to_softirq.ts';
import type { Probe } from './probe.ts';
import { receiveToSocket } from './receive_to_socket.ts';
import { softirqToSocket } from './softirq_to_socket.ts';

/** In the order of a packet's way. */
export const PROBES: readonly Probe[] = [irqToSoftirq, softirqToSocket, receiveToSocket];
