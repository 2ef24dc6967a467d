/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PANICAST_PARAMS_H
#define PANICAST_PARAMS_H

#include "config.h"

int pc_params_put_in_force(struct pc_config *edited);

#endif
