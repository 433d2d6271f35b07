"""What the guest is made of: a Debian trixie with the few things that a Pi has before anybody installs our program."""

SUITE = "trixie"
HOST_PACKAGES = (
    "qemu-system-x86",  # the machine
    "qemu-utils",  # its disks
    "mmdebstrap",  # the guest's Debian
    "e2fsprogs",  # its file system
    "dpkg-dev",  # the index of its packages
    "debian-archive-keyring",
    "mosquitto",  # the county's broker outside the machine whose power is cut
)
KERNEL = "linux-image-amd64"

# What Raspberry Pi OS has, with its browser, and a kernel. Not what `make install` installs besides: that it has to do
# itself, and a browser with all that it needs would take it ten minutes in here.
BASE = (
    *(KERNEL, "initramfs-tools", "lz4", "zstd", "systemd", "systemd-sysv", "udev", "kmod", "dbus", "login"),
    *("passwd", "libpam-systemd", "iproute2", "procps", "util-linux", "python3", "make", "sudo", "curl", "tzdata"),
    *("ca-certificates", "less", "sqlite3", "chromium"),
)
# What our installers and the README ask apt for. It lies in the guest as a repository on its own disk, since the guest
# has no network: `apt-get install` is run as shipped.
OFFERED = (
    *("python3-venv", "fonts-noto-cjk", "fonts-hanazono", "sway", "seatd"),
    *("mosquitto", "openssl", "nginx-light"),
)
# Where the kernel module and lgpio are built.
WORKSHOP = (
    *("linux-headers-amd64", "linux-source", "make", "gcc", "libc6-dev", "kmod", "xz-utils"),
    *("python3-dev", "python3-pip", "python3-setuptools", "python3-wheel", "swig", "dpkg-dev"),
)
# Debian has no lgpio in trixie's main archive, Raspberry Pi OS has: this is its source.
LGPIO = "0.2.2.0"
LGPIO_SHA256 = "11372e653b200f76a0b3ef8a23a0735c85ec678a9f8550b9893151ed0f863fff"
GUEST_PYTHON = "3.13"
DISK = "8G"
