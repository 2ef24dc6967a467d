#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the image: load panicast before udev loads drivers. It waits for the random pool, and the boot
# does not wait for it.
modprobe -q panicast &
