/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_NETDEV_H
#define PANICAST_NETDEV_H

void pc_netdev_config_changed(void);
void pc_netdev_restock(void);
int pc_netdev_init(void);
void pc_netdev_exit(void);

#endif
