# Unloads the module with its package, unless another package that brings it takes this one's place.
unload() { # PACKAGE PRERM'S ARGUMENTS...
    package=$1
    shift
    [ "$1${2:-}" = remove ] || return 0
    if booted && [ -d /sys/module/panicast ] && ! modprobe -r panicast panicast_seal; then
        echo "$package: the module could not be unloaded; it stays until the next boot" >&2
    fi
}
