{% include "dkms.sh" %}

# What is half made would fail these scripts for ever.
forget() {
    forget_tree
    rmdir /var/lib/dkms/panicast 2>/dev/null || true
    remove_left updates/dkms
}
