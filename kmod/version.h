/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_VERSION_H
#define PANICAST_VERSION_H

#define PANICAST_VERSION "0.1.0"

#endif
