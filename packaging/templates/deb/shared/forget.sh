# DKMS can neither use nor remove what an installation or a removal that was cut off left half made, and would fail
# these scripts for ever. So it is asked to remove what it has of any version, and the rest goes without it.
forget() {
    for folder in /var/lib/dkms/panicast/*; do
        if [ -d "$folder" ] && [ ! -L "$folder" ] && [ "${folder##*/}" != original_module ]; then
            dkms remove -m panicast -v "${folder##*/}" --all >/dev/null 2>&1 || true
            rm -rf "$folder"
        fi
    done
    find /var/lib/dkms/panicast -maxdepth 1 -xtype l -delete 2>/dev/null || true
    rmdir /var/lib/dkms/panicast 2>/dev/null || true
    for module in /lib/modules/*/updates/dkms/panicast.ko* /lib/modules/*/updates/dkms/panicast_seal.ko*; do
        [ -e "$module" ] || continue
        folder=${module%/*}
        kernel=${folder#/lib/modules/}
        rm "$module"
        rmdir -p "$folder" 2>/dev/null || true
        depmod "${kernel%%/*}" || true
    done
}
