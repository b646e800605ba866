/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which slot an interrupt has on this CPU. Two contexts may claim one: a handler and a softirq that it
 * interrupted; then one interrupt's first observation goes by the other's name.
 */
#ifndef RXSCOPE_IRQ_SLOT_H
#define RXSCOPE_IRQ_SLOT_H

#include "observe.h"

/* The slot of an interrupt in this CPU's table; claimed on first use. */
static __always_inline __u32 irq_slot(struct cpu_state *s, __u32 irq)
{
	__u32 key = irq + 1, free = IRQ_OVERFLOW;

	for (int i = 0; i < WINDOW; i++) {
		__u32 place = (irq + i) & (IRQS - 1);

		if (s->irq_keys[place] == key)
			return IRQ_FIRST + place;
		if (!s->irq_keys[place] && free == IRQ_OVERFLOW)
			free = IRQ_FIRST + place;
	}
	if (free != IRQ_OVERFLOW)
		s->irq_keys[(free - IRQ_FIRST) & (IRQS - 1)] = key;
	return free;
}

#endif
