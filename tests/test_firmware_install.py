"""`make install` puts each thing where it belongs, can be run again, and never writes over what was edited there.

The Python packages are left out (PIP=true): they need the package index. The program runs from where it was installed,
by the venv made there, with the packages of the interpreter that runs these tests.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

ROOT = Path(__file__).parent.parent
CONFIG_TXT = "dtparam=audio=on\n\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n"
CMDLINE = "console=serial0,115200 console=tty1 root=PARTUUID=12345678-02 rootfstype=ext4 rootwait\n"

WINDOW_FILES = {
    "usr/local/bin/appliance",
    "etc/appliance/window.toml",
    "etc/appliance/kiosk.conf",
    "etc/systemd/system/appliance.service",
    "etc/systemd/system/appliance-kiosk.service",
    "etc/systemd/journald.conf.d/60-appliance.conf",
    "etc/systemd/system.conf.d/60-appliance-watchdog.conf",
    "etc/sysusers.d/appliance.conf",
    "etc/tmpfiles.d/appliance.conf",
    "etc/modules-load.d/appliance.conf",
    "etc/udev/rules.d/99-appliance.rules",
    "etc/sysctl.d/60-appliance.conf",
    "boot/firmware/appliance.txt",
    "boot/firmware/config.txt",
    "boot/firmware/cmdline.txt",
}
COUNTY_FILES = {
    "usr/local/bin/appliance",
    "etc/appliance/county.toml",
    "etc/systemd/system/appliance-county.service",
    "etc/systemd/system/mosquitto.service.d/appliance.conf",
    "etc/sysusers.d/appliance-county.conf",
    "etc/tmpfiles.d/appliance-county.conf",
    "etc/mosquitto/appliance.acl",
    "etc/mosquitto/conf.d/10-appliance.conf",
    "etc/mosquitto/conf.d/20-appliance-passwords.conf.off",
    "etc/nginx/sites-available/appliance-county",
}


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A mounted card of a Raspberry Pi, as far as we touch it."""
    boot = tmp_path / "card/boot/firmware"
    boot.mkdir(parents=True)
    (boot / "config.txt").write_text(CONFIG_TXT)
    (boot / "cmdline.txt").write_text(CMDLINE)
    return tmp_path / "card"


def install(card: Path, target: str = "install") -> str:
    """What `make` says; it must succeed."""
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"DESTDIR={card}", "PIP=true", f"SYSTEM_PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def laid_down(card: Path) -> set[str]:
    """Every file outside /opt/appliance, by its place on the card."""
    files = {str(path.relative_to(card)) for path in card.rglob("*") if path.is_file()}
    return {file for file in files if not file.startswith("opt/")}


def snapshot(card: Path) -> dict[str, tuple[int, bytes]]:
    """Rights and bytes of every file, without what Python compiled."""
    files = (path for path in card.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(card)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) for path in files}


def test_a_window_is_put_where_it_belongs(card: Path) -> None:
    install(card)
    assert laid_down(card) == WINDOW_FILES
    for command in ("usr/local/bin/appliance", "opt/appliance/venv/bin/python"):
        assert os.access(card / command, os.X_OK), command
    # It may hold a telephone number, and names a password file: not for everybody's eyes.
    assert stat.S_IMODE((card / "etc/appliance/window.toml").stat().st_mode) == 0o640
    assert (card / "opt/appliance/web/shared").is_dir()
    assert not list((card / "opt/appliance/appliance").rglob("*.part"))


def test_a_county_is_put_where_it_belongs_and_beside_a_window(card: Path) -> None:
    install(card, "install-county")
    assert laid_down(card) - {"boot/firmware/config.txt", "boot/firmware/cmdline.txt"} == COUNTY_FILES
    install(card)
    assert laid_down(card) == COUNTY_FILES | WINDOW_FILES


def test_it_can_be_run_twice_and_changes_nothing(card: Path) -> None:
    for target in ("install", "install-county"):
        install(card, target)
    first = snapshot(card)
    for target in ("install", "install-county"):
        assert install(card, target) == ""
    assert snapshot(card) == first


def test_the_firmware_s_own_files_are_added_to_once(card: Path) -> None:
    install(card)
    install(card)
    assert (card / "boot/firmware/config.txt").read_text() == CONFIG_TXT + "\n[all]\ninclude appliance.txt\n"
    cmdline = (card / "boot/firmware/cmdline.txt").read_text()
    # One line: the firmware reads no second one.
    assert cmdline == CMDLINE.rstrip("\n") + " cgroup_enable=memory panic=10\n"


def test_a_machine_that_is_no_pi_is_left_without_a_boot_folder(tmp_path: Path) -> None:
    said = install(tmp_path / "root")
    assert said == "没有 /boot/firmware/config.txt，这不是树莓派，跳过启动设置。\n"
    assert not (tmp_path / "root/boot").exists()


def test_what_was_edited_is_left_alone(card: Path) -> None:
    install(card)
    for name in ("etc/appliance/window.toml", "etc/systemd/system/appliance.service"):
        edited = card / name
        edited.write_text(edited.read_text() + "# 本站改过\n")
        # Nothing new has come: nothing is said and nothing lies beside it.
        assert install(card) == ""
        assert edited.read_text().endswith("# 本站改过\n")
        assert not edited.with_name(edited.name + ".new").exists()


def test_what_is_new_goes_beside_what_was_edited(card: Path, tmp_path: Path) -> None:
    """The next version of a file: an unedited one is renewed, an edited one is not."""
    install(card)
    settings, service = card / "etc/appliance/window.toml", card / "etc/systemd/system/appliance.service"
    settings.write_text("# 全部改过\n")
    newer = tmp_path / "newer"
    for source, target in (("firmware_config/window.toml", settings), ("systemd/appliance.service", service)):
        newer.write_text((ROOT / source).read_text(encoding="utf-8") + "# 新版本\n", encoding="utf-8")
        said = subprocess.run(
            [ROOT / "firmware_config/place", "640", newer, f"/{target.relative_to(card)}"],
            env={"DESTDIR": str(card), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        if target == settings:
            assert said == (
                "/etc/appliance/window.toml 已在本机改过，没有动它；"
                "新的一份放在 /etc/appliance/window.toml.new，请对照。\n"
            )
        else:
            assert said == ""
    assert settings.read_text() == "# 全部改过\n"
    assert settings.with_name("window.toml.new").read_text().endswith("# 新版本\n")
    assert service.read_text().endswith("# 新版本\n")


def test_the_acl_follows_the_county_s_code(card: Path) -> None:
    install(card, "install-county")
    settings, acl = card / "etc/appliance/county.toml", card / "etc/mosquitto/appliance.acl"
    assert "430602/%u/presence" in acl.read_text()
    settings.write_text(settings.read_text().replace('code = "430602"', 'code = "110105"'))
    assert install(card, "install-county") == ""
    assert "430602" not in acl.read_text()
    assert "\npattern write windows/v1/110105/%u/presence\n" in acl.read_text()


def test_a_county_without_a_code_gets_no_acl(card: Path) -> None:
    install(card, "install-county")
    settings = card / "etc/appliance/county.toml"
    settings.write_text(settings.read_text().replace('code = "430602"', 'code = "?"'))
    done = subprocess.run(
        [ROOT / "firmware_config/install", "county", "files"],
        env={"DESTDIR": str(card), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "/etc/appliance/county.toml 的 [county] code 不是六位代码，没有写出权限表。\n"


def test_the_installed_program_runs_from_its_own_place(card: Path, tmp_path: Path) -> None:
    """Isolated (-I), from another folder, so that nothing of the source tree can stand in for what was installed."""
    install(card)
    python = card / "opt/appliance/venv/bin/python"
    site = next(card.glob("opt/appliance/venv/lib/python3*/site-packages"))
    (site / "packages.pth").write_text(f"{Path(msgspec.__file__).parent.parent}\n")
    where = subprocess.run(
        [python, "-I", "-c", "import appliance.settings; print(appliance.__file__, appliance.settings.__cached__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert all(Path(place).is_relative_to(card / "opt/appliance/appliance") for place in where)
    # Compiled at the installation: the service cannot write there.
    assert Path(where[1]).is_file()
    settings = card / "etc/appliance/window.toml"
    load = "import sys; from appliance.settings import load_window; load_window(sys.argv[1])"
    subprocess.run([python, "-I", "-c", load, settings], cwd=tmp_path, check=True)


def test_a_venv_whose_python_is_gone_is_made_anew(card: Path) -> None:
    install(card)
    python = card / "opt/appliance/venv/bin/python"
    python.unlink()
    install(card)
    subprocess.run([python, "-I", "-c", "import appliance"], check=True)


def test_every_shipped_file_is_installed() -> None:
    """A new file in firmware_config or systemd that no list names would lie there in vain."""
    script = (ROOT / "firmware_config/install").read_text(encoding="utf-8")
    not_for_the_machine = {"README.md", "install", "install.mk", "place"}
    for folder in ("firmware_config", "systemd"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.name not in not_for_the_machine:
                assert re.search(rf"\b{re.escape(str(path.relative_to(ROOT)))}\b", script), path


def test_the_scripts_are_sound() -> None:
    """Each parses as plain sh: a Pi's /bin/sh is dash."""
    scripts = ["install", "place", "os/appliance", "county/certificates"]
    dash = shutil.which("dash") or "/bin/sh"
    for script in scripts:
        subprocess.run([dash, "-n", ROOT / "firmware_config" / script], check=True)
        assert os.access(ROOT / "firmware_config" / script, os.X_OK)
