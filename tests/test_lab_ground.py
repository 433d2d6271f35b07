"""What of the lab needs no virtual machine: the commands of a README, the mirror, the table, the packages."""

import subprocess
from pathlib import Path

import pytest

from tests.lab import mirror, readme, table
from tests.lab.debs import member
from tests.lab.table import Result
from tests.lab.workshop import contacts_win, module_of_its_own

DOCUMENT = """# House

## A window

Words.

```
sudo make install   # KIOSK=1 too

sudo nano /etc/x
```

### Deeper

```sh
deeper
```

## A county

```
county
```
"""


def test_commands_are_read_as_they_stand_up_to_the_next_heading_of_that_rank() -> None:
    first, deeper = readme.blocks(DOCUMENT, "A window")
    assert readme.commands(first) == ["sudo make install   # KIOSK=1 too", "sudo nano /etc/x"]
    assert readme.commands(deeper) == ["deeper"]
    assert readme.blocks(DOCUMENT, "A county") == ["county\n"]


def test_a_heading_that_went_away_is_no_empty_list_of_commands() -> None:
    with pytest.raises(LookupError):
        readme.blocks(DOCUMENT, "A village")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list", "# old\ndeb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm main contrib\n"),
        (
            "sources.list",
            "deb-src http://other.test/debian bookworm main\ndeb http://mirror.test/debian bookworm main\n",
        ),
        (
            "sources.list.d/debian.sources",
            "Types: deb\n# a note\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n"
            "Components: main\n non-free-firmware\n\nTypes: deb\nURIs: http://mirror.test/security\n"
            "Suites: bookworm-security\nComponents: main\n",
        ),
        (
            "sources.list.d/debian.sources",
            "Enabled: no\nTypes: deb\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n\n"
            "Types: deb deb-src\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n",
        ),
    ],
)
def test_the_mirror_is_the_one_that_apt_uses_in_either_dialect(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    assert mirror.debian(tmp_path, "bookworm") == "http://mirror.test/debian"


def test_a_machine_without_debians_archive_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.test/other stable-other main\n")
    with pytest.raises(LookupError):
        mirror.debian(tmp_path, "bookworm")


def test_the_table_lines_up_and_reads_alike_in_a_readme() -> None:
    results = [Result("grades", True, 61.4, "5 of 5"), Result("disk-full", False, 9, "屏幕 | 没有说")]
    assert table.plain(results)[1:] == ["grades     passed  61 s  5 of 5", "disk-full  FAILED  9 s   屏幕 | 没有说"]
    assert table.markdown(results)[-1] == "| disk-full | FAILED | 9 s | 屏幕 ¦ 没有说 |"


def test_a_package_of_ours_is_one_that_debians_tools_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: little\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x\n"
    )
    (tree / "file").write_text("odd")
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(tmp_path / "a.deb")], check=True)
    from tests.lab.debs import uncompressed

    (tmp_path / "plain").mkdir()
    plain = uncompressed(tmp_path / "a.deb", tmp_path / "plain")
    listed = subprocess.run(["dpkg-deb", "--contents", str(plain)], capture_output=True, text=True, check=True).stdout
    assert "./file" in listed
    assert b"data.tar  " in plain.read_bytes()
    assert len(member("odd", b"123")) == 60 + 4


def test_gpio_sims_contacts_win_over_its_pulls_or_the_build_ends() -> None:
    source = (
        "case PIN_CONFIG_BIAS_PULL_UP:\n\t\treturn gpio_sim_apply_pull(chip, offset, 1);\n"
        "case PIN_CONFIG_BIAS_PULL_DOWN:\n\t\treturn gpio_sim_apply_pull(chip, offset, 0);\n"
    )
    assert contacts_win(source).count("return 0;") == 2
    with pytest.raises(LookupError):
        contacts_win("nothing of the kind")


def test_irq_sim_in_a_module_uses_only_what_the_kernel_exports() -> None:
    source = "EXPORT_SYMBOL_GPL(irq_domain_create_sim);\ndesc = irq_to_desc(irqnum);\n"
    assert module_of_its_own(source).strip() == "desc = irq_data_to_desc(irq_get_irq_data(irqnum));"
