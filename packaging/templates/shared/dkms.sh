# DKMS can neither use nor remove what an installation or a removal that was cut off, or a broken one, left half made. So
# it is asked to remove what it has of any version, and the rest goes without it.
forget_tree() {
    for folder in /var/lib/dkms/panicast/*; do
        if [ -d "$folder" ] && [ ! -L "$folder" ] && [ "${folder##*/}" != original_module ]; then
            dkms remove -m panicast -v "${folder##*/}" --all >/dev/null 2>&1 || true
            rm -rf "$folder"
        fi
    done
    find /var/lib/dkms/panicast -maxdepth 1 -xtype l -delete 2>/dev/null || true
}

# Whether a package brought this file of /lib/modules, which may be /usr/lib/modules.
owned() { # FILE
    { dpkg-query -S "$1" || dpkg-query -S "/usr$1" || rpm -qf "$1"; } >/dev/null 2>&1
}

modules() { # FOLDER [TEST...]
    folder=$1
    shift
    find "$folder" \( -name 'panicast.ko*' -o -name 'panicast_seal.ko*' \) "$@" 2>/dev/null || true
}

drop() { # KERNEL MODULE...
    kernel=$1
    shift
    for module in "$@"; do
        rm "$module"
        (cd "$kernel" && module=${module#"$kernel"} && rmdir -p "${module%/*}" 2>/dev/null) || true
    done
    [ $# = 0 ] || depmod "$(basename "$kernel")" || true
}

# Modules that it does not know of any more, in these folders of a kernel's: its own removal of them was cut off. What
# a package brought is that package's. Links of other kernels to them would be found by depmod for ever.
remove_left() { # FOLDER...
    for kernel in /lib/modules/*/; do
        left=
        for folder in "$@"; do
            for module in $(modules "$kernel$folder"); do
                owned "$module" || left="$left $module"
            done
        done
        # shellcheck disable=SC2086 # A list of words.
        drop "$kernel" $left
    done
    for kernel in /lib/modules/*/; do
        # shellcheck disable=SC2046 # Likewise.
        drop "$kernel" $(modules "${kernel}weak-updates" -xtype l)
    done
}
