/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_IRQ_H
#define PANICAST_IRQ_H

#include <linux/netdevice.h>

#include "iface.h"

bool pc_irq_handled(struct net_device *dev);
bool pc_irq_threaded(struct net_device *dev);
bool pc_irq_disabled(struct net_device *dev);
bool pc_irq_crashed(struct net_device *dev, enum pc_slot slot);
void pc_irq_handle(struct net_device *dev);

#endif
