# Removes a unit's link and the note of it. deb-systemd-helper writes neither to the disk at once: after a power cut
# its own list of links may be empty, and its purge then leaves them.
forget_link() {
    rm -f "/etc/systemd/system/$1" "/var/lib/systemd/deb-systemd-helper-enabled/$1"
}
