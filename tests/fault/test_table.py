import os, sys
import pytest
import rows_disk as disk
from scene import Scene, Shared
import test_keeper_kills as kills

KEEPER = "I1 I2 I3 I6 I7"
TABLE = [
    ("F04", "staging", disk.full_while_staging_files, KEEPER + " I8"),
    ("F04", "key", disk.full_while_making_the_key, KEEPER + " I8"),
    ("F04", "journal", disk.full_journal, KEEPER + " I8"),
    ("F04", "repair", disk.full_during_a_repair, KEEPER + " I8"),
    ("F05", "inodes", disk.no_inodes, KEEPER + " I8"),
    ("F06", "ro targets", disk.read_only_targets, KEEPER + " I8"),
    ("F06", "ro keeper", disk.read_only_keeper, KEEPER + " I8"),
    ("F06", "immutable", disk.immutable_target_folder, KEEPER + " I8"),
    ("F07", "fsync", disk.fsync_fails, KEEPER + " I8"),
    ("F08", "short", disk.short_writes_and_interrupts, KEEPER),
    ("F09", "power", disk.power_cut, KEEPER),
    ("F09", "power self", disk.power_cut_without_syncs, "I2"),
    ("F10", "three", disk.on_three_file_systems, KEEPER),
    ("F10", "overlay", disk.on_an_overlay, KEEPER),
    ("F10", "mount", disk.refused_when_read, KEEPER + " I8"),
    ("F11", "rights", disk.folders_that_give_rights, KEEPER),
    ("F11", "acl", disk.an_acl_is_a_change, KEEPER),
]

@pytest.mark.parametrize("row", TABLE, ids=lambda r: f"{r[0]}-{r[1]}".replace(" ", "_"))
def test_row(row):
    scene = Scene(row[3])
    try:
        row[2](scene)
        scene.end()
    finally:
        scene.close()
