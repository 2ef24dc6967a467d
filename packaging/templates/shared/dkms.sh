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

# Modules that it does not know of any more, in these folders of a kernel's: its own removal of them was cut off.
remove_left() { # FOLDER...
    for kernel in /lib/modules/*/; do
        found=$(cd "$kernel" 2>/dev/null && find "$@" \( -name 'panicast.ko*' -o -name 'panicast_seal.ko*' \) 2>/dev/null) ||
            true
        for module in $found; do
            rm "$kernel$module"
            rmdir -p "$kernel${module%/*}" 2>/dev/null || true
        done
        [ ! "$found" ] || depmod "$(basename "$kernel")" || true
    done
}
