# Whether this is the root of a booted machine: in a chroot or a container the modules in sight are the host's.
booted() {
    [ -d /run/systemd/system ] && ! ischroot && ! systemd-detect-virt --quiet --container
}
