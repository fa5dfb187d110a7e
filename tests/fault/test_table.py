"""The table of faults that hosts and controller must survive: what happens, how it is shown, what must hold behind it.

Each row is a scenario with real processes (rows_*.py), or names the test that shows it, or says why it cannot be shown here. Scenarios run beside each
other in a few processes, each with its own mounts; the rows that need nothing special share one host. Python 3, run as root.

    python3 tests/fault/test_table.py --list           the table, for people
    python3 tests/fault/test_table.py --run F07 F12    these rows, with their logs"""
import ast
import collections
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "lib"), HERE, os.path.join(ROOT, "tests", "system")]

import mounts  # noqa: E402
import pytest  # noqa: E402
import rows_disk as disk  # noqa: E402
import rows_paths as paths  # noqa: E402
import rows_process as process  # noqa: E402
import rows_service as service  # noqa: E402
import rows_whole as whole  # noqa: E402
from scene import FAULTS, Scene, Shared, calm, shared_host  # noqa: E402

WORKERS = 3
ROW_SECONDS = 700 if os.environ.get("VCC_LONG") != "1" else 3000
KEEPER = "I1 I2 I3 I6 I7"
ERROR = KEEPER + " I8"
ALONE, TOGETHER = False, True  # a host of its own, or the shared one

# What has to be there: every fault that hosts, network, controller, store, clock and signer must survive, and every threat to them.
WANTED = [f"F{n:02d}" for n in range(1, 82)] + [f"T{n}" for n in range(1, 27)]

Row = collections.namedtuple("Row", "id fault how holds shared", defaults=("", ALONE))
TABLE = [
    Row("F01", "killed between key and certificate", process.killed_before_the_certificate, KEEPER, TOGETHER),
    Row("F01", "killed at points of a swap: in each scene a part of them, with --long all", "tests/fault/test_keeper_kills.py::test_keeper_is_killed_at_every_point"),
    Row("F02", "killed behind the flip, before the reload", process.killed_behind_the_flip, KEEPER, TOGETHER),
    Row("F03", "killed on the way back", process.killed_on_the_way_back, ERROR, TOGETHER),
    Row("F04", "disk full while a generation is written", disk.full_while_staging_files, ERROR),
    Row("F04", "disk full while the key is made", disk.full_while_making_the_key, ERROR),
    Row("F04", "disk full below the journal", disk.full_journal, ERROR),
    Row("F04", "disk full during a repair", disk.full_during_a_repair, ERROR),
    Row("F04", "disk full, seen from the controller", whole.no_attempt_is_lost, "I1 I2 I3 I4 I5 I6 I7 I8"),
    Row("F04", "no space at points of a swap: in each scene a part of them, with --long all", "tests/fault/test_keeper_errors.py::test_error_at_every_point"),
    Row("F05", "no inodes left, bytes free", disk.no_inodes, ERROR),
    Row("F06", "targets read-only", disk.read_only_targets, ERROR),
    Row("F06", "the keeper's own folder read-only", disk.read_only_keeper, ERROR),
    Row("F06", "a folder that not even root may change", disk.immutable_target_folder, ERROR),
    Row("F06", "a copy in a folder that is out of reach", disk.unwritable_copy, ERROR),
    Row("F07", "fsync fails with EIO, each in turn", disk.fsync_fails, ERROR),
    Row("F08", "short writes, EINTR storms", disk.short_writes_and_interrupts, KEEPER),
    Row("F09", "power cut at points of a swap", disk.power_cut, KEEPER),
    Row("F09", "power cut at any moment of a swap", disk.power_cut_at_any_moment, KEEPER),
    Row("F09", "power cut after a restart that found the rename done", disk.power_cut_after_a_restart, KEEPER),
    Row("F09", "the cut itself: without syncs all is lost", disk.power_cut_without_syncs, "I2"),
    Row("F10", "keeper, targets and copies on three file systems", disk.on_three_file_systems, KEEPER),
    Row("F10", "target folder on an overlay", disk.on_an_overlay, KEEPER),
    Row("F10", "a copy is a mount point", disk.refused_when_read, ERROR),
    Row("F11", "umask, setgid folder, default ACL", disk.folders_that_give_rights, KEEPER),
    Row("F11", "somebody is given the key by an ACL", disk.an_acl_is_a_change, KEEPER),
    Row("F12", "links, pipes, devices in the place of what is made", paths.planted_before, KEEPER, TOGETHER),
    Row("F12", "the parent is a link, or writable by others", paths.parent_is_a_link, ERROR),
    Row("F12", "a folder or link in the place of current", "tests/system/test_keeper_care.py::test_the_link_itself_is_put_back"),
    Row("F13", "more events than the kernel keeps", paths.more_events_than_the_kernel_keeps, KEEPER),
    Row("F13", "no watches left", "tests/system/test_keeper_care.py::test_no_watches_left_is_degraded_not_blind"),
    Row("F14", "a second writer every 100 ms", "tests/system/test_tamper.py::test_a_second_writer_does_not_make_a_loop"),
    Row("F14", "a change behind a second writer", "tests/system/test_tamper.py::test_nobody_hides_behind_a_second_writer"),
    Row("F15", "a second keeper; the lock of a killed one", process.second_keeper, ERROR, TOGETHER),
    Row("F16", "a hook that hangs and ignores TERM", service.hook_hangs, ERROR, TOGETHER),
    Row("F17", "a hook's child holds the output", service.hook_leaves_a_child, KEEPER, TOGETHER),
    Row("F18", "exit 0, the old one still served", service.hook_says_yes_and_does_nothing, ERROR, TOGETHER),
    Row("F19", "exit 1, the new one served", service.hook_says_no_and_did_it, KEEPER, TOGETHER),
    Row("F20", "the reload kills the service", service.reload_kills_the_service, ERROR, TOGETHER),
    Row("F21", "the service was down before", service.service_was_down, ERROR, TOGETHER),
    Row("F22", "another virtual host answers", service.another_virtual_host, ERROR, TOGETHER),
    Row("F23", "one worker keeps the old certificate", "tests/system/test_python.py::test_a_worker_that_stays_on_the_old_certificate_is_seen"),
    Row("F24", "the service's user cannot read the key", service.key_that_the_service_cannot_read, ERROR, TOGETHER),
    Row("F25", "third of five places fails", service.group_of_five, ERROR),
    Row("F25", "all forward, by setting", "tests/system/test_keeper_groups.py::test_forward_by_setting_keeps_the_new_one_everywhere"),
    Row("F26", "the old pair has expired", service.the_old_pair_has_expired, ERROR, TOGETHER),
    Row("F26", "the old pair was revoked", "tests/system/test_keeper_crl.py::test_nobody_goes_back_to_a_revoked_pair"),
    Row("F27", "process file of somebody else", service.pidfile_of_somebody_else, ERROR, TOGETHER),
    Row("F28", "state cut, emptied, one bit flipped", process.damaged_state, ERROR, TOGETHER),
    Row("F28", "the journal is lost", "tests/system/test_keeper_wrong.py::test_lost_journal_is_told"),
    Row("F29", "allocation N fails", process.no_memory, KEEPER),
    Row("F29", "each allocation and call of commands and of --check fails", "tests/fault/test_calls_fail.py::test_commands"),
    Row("F29", "each of them while an installation is made", "tests/fault/test_calls_fail.py::test_init_is_done_again"),
    Row("F30", "no descriptors left", process.no_descriptors, ERROR, TOGETHER),
    Row("F31", "the kernel's generator is not seeded", process.no_entropy, KEEPER),
    Row("F32", "another build takes over in the middle", process.replaced_in_the_middle, KEEPER, TOGETHER),
    Row("F33", "identity expired in a long outage", "tests/fault/test_return.py::test_back_by_itself_with_its_work"),
    Row("F33", "the same with a clock that is years off", "tests/fault/test_return.py::test_with_a_clock_that_is_years_off"),
    Row("F34", "two hosts with one identity", "tests/fault/test_clones.py::test_a_copied_host_is_seen_and_stays_out"),
    Row("F34", "receipts of two hosts with one sequence", "tests/fault/test_clones.py::test_receipts_of_two_hosts_with_one_sequence"),
    Row("F35", "evicted: back by an invite", "tests/fault/test_return.py::test_evicted_stays_out_until_it_is_invited"),
    Row("F35", "banned: told once, asks no more", "tests/fault/test_return.py::test_banned_is_final"),
    Row("F36", "the link is cut between order and acknowledgement", "tests/fault/test_link_cuts.py::test_an_order_is_applied_once_wherever_the_link_is_cut"),
    Row("F37", "the link is cut behind the swap, before the result", "tests/fault/test_link.py::test_results_wait_while_the_controller_is_away"),
    Row("F38", "messages twice, out of order, from the past", "tests/system/test_captured.py::test_frames_of_the_past_move_nothing"),
    Row("F38", "receipts twice and out of order", "tests/system/test_controller.py::test_receipts_are_taken_in_sequence_and_once"),
    Row("F39", "the peer is gone, the connection is not", "tests/fault/test_link.py::test_a_half_dead_connection_is_noticed"),
    Row("F39", "nothing comes from the gateway", "tests/fault/test_link.py::test_a_dead_gateway_is_noticed_by_the_agent_alone"),
    Row("F40", "a byte a second", "tests/hostile/test_gateway_hostile.py::test_one_byte_a_second_inside_a_message"),
    Row("F40", "a peer that does not read", "tests/hostile/test_gateway_hostile.py::test_agent_that_does_not_read_loses_its_connection"),
    Row("F41", "large packets are swallowed", "tests/fault/test_link_mtu.py::test_a_hole_below_a_standing_connection"),
    Row("F42", "names that fail or lie", "tests/fault/test_link.py::test_names_that_fail_or_lie"),
    Row("F43", "what stands between drops idle connections", "tests/fault/test_link.py::test_an_idle_link_is_never_silent_for_a_minute"),
    Row("F44", "refused after the handshake looked done", "tests/fault/test_link.py::test_a_refused_identity_is_never_called_connected"),
    Row("F45", "the whole fleet comes back at once", "tests/fault/test_fleet_faults.py::test_the_whole_fleet_comes_back_at_once"),
    Row("F46", "clock off by an hour, a day, ten years", "tests/fault/test_clocks.py::test_a_clock_that_jumps_to_a_wrong_time"),
    Row("F47", "the clock jumps during a wait", "tests/fault/test_clocks.py::test_a_jump_during_a_wait_makes_it_neither_longer_nor_shorter"),
    Row("F47", "the clock jumps in the middle of a swap", "tests/fault/test_clocks.py::test_a_jump_in_the_middle_of_a_swap"),
    Row("F48", "suspended for three days", "tests/fault/test_clocks.py::test_a_host_that_slept"),
    Row("F49", "the controller's clock goes back by two hours", "tests/fault/test_controller_world.py::test_the_clock_goes_back"),
    Row("F50", "2038, 2050, 9999 in the form that each needs", "tests/unit/test_der.c::times_survive"),
    Row("F50", "certificates that end then", "tests/unit/test_tbs.c::times"),
    Row("F52", "call N of SQLite fails: full, busy, I/O, read-only", "tests/store/test_store_sqlite.c::test_every_failing_call_is_survived"),
    Row("F52", "a commit of each kind is refused once", "tests/fault/test_controller_kills.py::test_store_refuses_once"),
    Row("F53", "a lost -shm file, a shortened log", "tests/store/test_store_crash.c::test_lost_shm_and_truncated_log"),
    Row("F53", "a torn page", "tests/store/test_store_crash.c::test_torn_page_is_refused"),
    Row("F54", "one connection writes and checkpoints", "tests/store/test_store_sqlite.c::test_one_connection_writes_and_checkpoints"),
    Row("F54", "a second controller on the same database", "tests/system/test_config.py::test_a_second_controller_is_refused"),
    Row("F55", "a sink of the audit trail hangs",
        "cannot: the trail is rows of the database and has no other sink; whoever wants it elsewhere reads it (`vccctl audit export`, `event tail`) and holds up nothing"),
    Row("F56", "the disk of the database is full", "tests/fault/test_controller_world.py::test_the_disk_of_the_database_is_full"),
    Row("F57", "the signer dies between request and answer", "tests/system/test_signer.py::test_killed_between_request_and_answer"),
    Row("F57", "the same under a controller that waits", "tests/fault/test_controller_kills.py::test_kill_signer"),
    Row("F57", "the same in the middle of an emergency", "tests/fault/test_emergency_kills.py::test_killed_in_an_emergency"),
    Row("F58", "another passphrase", "tests/system/test_signer.py::test_wrong_passphrase_does_not_start"),
    Row("F58", "a key of another certificate", "tests/system/test_signer.py::test_key_of_another_certificate_does_not_start"),
    Row("F59", "the token with the CA key is locked or gone", "tests/system/test_hsm.py::test_a_token_that_goes_and_comes_back"),
    Row("F60", "a fan-out stopped at 37 %", "tests/fault/test_emergency_kills.py::test_stopped_at_37_per_cent"),
    Row("F60", "nothing twice, nothing unknown, nothing unaudited", "tests/fault/test_emergency_kills.py::test_nothing_is_unknown_or_unaudited"),
    Row("F61", "a wave with broken hooks", "tests/system/test_waves.py::test_five_per_cent_broken_touch_the_canary_and_one_wave"),
    Row("F61", "a canary that fails", "tests/system/test_waves.py::test_a_canary_that_fails_halts_it"),
    Row("F62", "an order that always kills its agent", "tests/fault/test_fleet_faults.py::test_an_order_that_always_kills_its_agent"),
    Row("F63", "much became due while it was down", "tests/fault/test_controller_world.py::test_much_became_due_while_it_was_down"),
    Row("F53", "torn pages after a crash", "tests/fault/test_recovery.py::test_a_damaged_database"),
    Row("F53", "a log that was cut", "tests/fault/test_recovery.py::test_a_cut_log_ends_at_a_whole_change"),
    Row("F53", "a lost -shm", "tests/fault/test_recovery.py::test_a_lost_index_is_made_anew"),
    Row("F64", "the disk is gone: backup, signer's copy, and what hosts hold", "tests/fault/test_recovery.py::test_a_lost_disk"),
    Row("F64", "an older database: nothing taken away comes back", "tests/system/test_restore.py::test_nothing_that_was_taken_away_comes_back"),
    Row("F64", "a restore killed at each of its points", "tests/fault/test_restore_kills.py::test_the_old_or_the_new_one"),
    Row("F65", "killed at each migration", "tests/fault/test_schema_kills.py::test_old_or_new_never_between"),
    Row("F66", "a newer database", "tests/fault/test_schema_kills.py::test_newer_one_is_refused_and_not_touched"),
    Row("F51", "the controller is killed at each point of an issue", "tests/fault/test_controller_kills.py::test_kill_controller"),
    Row("F67", "a list that is not renewed", "tests/system/test_crl.py::test_a_list_that_is_not_renewed_is_told"),
    Row("F67", "OCSP answers without the signer", "tests/system/test_ocsp.py::test_it_outlives_a_restart_without_the_signer"),
    Row("F68", "a leaf that would outlive its CA", "tests/system/test_code_signing.py::test_it_does_not_outlive_its_ca"),
    Row("F69", "a successor issues nothing before it may", "tests/system/test_rollover.py::test_one_person_asks_and_another_agrees"),
    Row("F69", "a host that has not told holds the end up", "tests/system/test_rollover.py::test_a_host_that_is_away_holds_the_end_up_and_nothing_else"),
    Row("F70", "a new CA where the clock is behind", "tests/fault/test_clocks.py::test_a_new_ca_where_the_clock_is_behind"),
    Row("F71", "a CA is revoked while certificates live", "tests/system/test_ca.py::test_one_person_cannot_revoke_a_ca_and_force_is_asked_for"),
    Row("F72", "a serial that is taken is refused by the store", "tests/store/test_store_verb.c::test_serial_is_unique"),
    Row("F73", "a selector that matches everything", "tests/system/test_bulk.py::test_a_selection_of_everything_needs_a_second_person"),
    Row("F74", "an edit that would end all renewals", "tests/system/test_policy_edit.py::test_no_edit_ends_renewals_unless_forced"),
    Row("F75", "an agent is removed while its certificates live", "tests/system/test_rights.py::test_an_agent_is_removed_after_it_was_evicted"),
    Row("F76", "a receiver hangs or answers 500", "tests/system/test_notify.py::test_a_failing_receiver_is_tried_again_with_the_same_id_and_holds_up_nothing"),
    Row("F76", "what is given up is seen", "tests/system/test_notify.py::test_what_is_given_up_is_seen"),
    Row("F77", "everybody asks how it goes", "tests/fault/test_fleet_faults.py::test_everybody_asks_how_it_goes"),
    Row("F78", "requests without end for one that fails", "tests/fault/test_fleet_faults.py::test_requests_without_end_for_one_that_fails"),
    Row("F79", "the controller has no memory, or is killed for it", "tests/fault/test_fleet_faults.py::test_the_controller_has_no_memory"),
    Row("F80", "a wrong configuration", "tests/system/test_config.py::test_wrong_configuration"),
    Row("F81", "the connection rides on an identity that has ended", "tests/system/test_identity.py::test_an_identity_ends_the_connection_that_rides_on_it"),
    Row("F81", "the gateway cuts it itself", "tests/system/test_gateway.py::test_connection_ends_with_its_certificate"),
    Row("T1", "one token, 64 hosts at once", "tests/system/test_controller.py::test_one_winner_of_64"),
    Row("T1", "the token is nowhere else", "tests/fault/test_join.py::test_the_token_is_nowhere_but_where_it_was_given"),
    Row("T2", "names of others in a request", "tests/hostile/test_csr.py::test_only_the_key_of_a_liar_is_used"),
    Row("T3", "a banned host is cut at once and for good", "tests/system/test_controller.py::test_ban_cuts_and_is_final"),
    Row("T3", "no session to resume", "tests/hostile/test_gateway_hostile.py::test_no_session_ticket_is_given"),
    Row("T4", "every route as every role", "tests/system/test_rights.py::test_every_route_as_every_role"),
    Row("T5", "an order of another agent", "tests/system/test_controller.py::test_order_of_another_agent_is_out_of_reach"),
    Row("T5", "what was signed once, again", "tests/system/test_captured.py::test_frames_of_the_past_move_nothing"),
    Row("T6", "frames that would grow", "tests/hostile/test_wire_bombs.c::hundred_thousand_mutations_within_8_mib"),
    Row("T6", "the same against the gateway", "tests/hostile/test_gateway_hostile.py::test_hostile_frames_leave_nothing_behind"),
    Row("T7", "websocket frames that are not as they must be", "tests/hostile/test_gateway_hostile.py::test_bad_frame_ends_the_connection"),
    Row("T7", "an upgrade without end", "tests/hostile/test_gateway_hostile.py::test_upgrade_has_a_size_limit"),
    Row("T8", "hostile HTTP and JSON", "tests/hostile/test_http_hostile.py::test_nothing_is_smuggled"),
    Row("T12", "a CA key that does not fit its certificate", "tests/system/test_signer.py::test_key_of_another_certificate_does_not_start"),
    Row("T12", "ten times the rate", "tests/unit/test_sign_serve.c::rate_is_capped"),
    Row("T13", "history written anew", "tests/system/test_audit.py::test_rewritten_history_is_told_by_signer_and_host"),
    Row("T14", "secrets that are sent by mistake", "tests/system/test_contract.py::test_secrets_that_are_sent_stand_in_no_log"),
    Row("T15", "a channel into the house", "tests/system/test_notify.py::test_no_way_into_the_house"),
    Row("T15", "addresses that are not public", "tests/unit/test_address_guard.c::test_only_public_ones"),
    Row("T16", "a page of another origin", "tests/web/test_web_session.py::test_a_page_of_another_origin_changes_nothing"),
    Row("T16", "a hostile page in an administrator's browser", "tests/web/test_acts.py::test_a_hostile_page_can_do_nothing"),
    Row("T17", "guessed tokens", "tests/system/test_login_limit.py::test_guesses_end_and_others_go_on"),
    Row("T17", "a session that was ended", "tests/web/test_web_session.py::test_what_ends_it_ends_it_at_once"),
    Row("T18", "names that normalise to power", "tests/system/test_rights.py::test_names_that_normalise_to_power"),
    Row("T19", "keys that cost much", "tests/hostile/test_csr.py::test_nothing_is_computed_with_large_keys"),
    Row("T20", "requests that are odd, but parsable", "tests/hostile/test_csr.py::test_what_is_no_request_is_refused"),
    Row("T21", "fields changed behind the signature", "tests/system/test_controller.py::test_forged_receipt_proves_nothing"),
    Row("T21", "bytes that say something else than the facts", "tests/unit/test_lint.c::bytes_and_facts_must_agree"),
    Row("T25", "a host denies what it reported", "tests/system/test_audit.py::test_what_a_host_said_is_proved_by_its_own_signature"),
    Row("T9", "what the controller says reaches no command", service.nothing_reaches_a_command, ERROR, TOGETHER),
    Row("T10", "parts of the path change while it swaps", paths.parts_of_the_path_change, "I2 I3 I6 I7"),
    Row("T11", "no core, no reader, no key outside", process.no_core_of_a_key, KEEPER, TOGETHER),
    Row("T11", "no private key byte in any frame, log, database", "tests/system/test_secrets.py::test_no_private_key_leaves_its_folder"),
    Row("T24", "a backup that was changed", "tests/system/test_restore.py::test_a_file_copied_by_hand_or_rewritten_is_refused"),
    Row("T24", "an old database put back by hand", "tests/system/test_restore.py::test_an_old_database_put_back_by_hand_is_noticed"),
    Row("T22", "all keys of the servers, another name", "tests/system/test_keeper_wrong.py::test_wrong_answer_is_refused_before_anything_is_written"),
    Row("T22", "all keys of the servers, another root", "tests/system/test_keeper_wrong.py::test_foreign_bundle_is_refused"),
    Row("T22", "fewer signatures than the bundle asks for", "tests/unit/test_trust.c::next_bundle"),
    Row("T26", "two builds in different folders are equal", "tests/system/test_packages.py::test_two_builds_in_different_folders_are_equal"),
    Row("T26", "every library is in the list of parts", "tests/system/test_packages.py::test_bill_of_materials_names_every_library"),
    Row("T26", "packages are signed by whoever gives them on", "cannot: the key is not in this tree; the modules of the dashboard are pinned by hash"),
    Row("T23", "no deletion, no mass renewal by a wrong clock", "tests/fault/test_clocks.py::test_a_clock_that_jumps_to_a_wrong_time"),
]


def key(row):
    """The row's name, as pytest and a shell take it: "F04-disk-full-below-the-journal"."""
    return "-".join([row.id, *re.findall(r"[A-Za-z0-9]+", row.fault)])


def is_scenario(row):
    return callable(row.how)


SCENARIOS = {key(row): row for row in TABLE if is_scenario(row)}


# ---- running rows ----

def run_row(row, shared):
    """None, or what went wrong."""
    scene = Scene(row.holds, shared)
    wrong = None
    try:
        wrong = run_scene(row, scene, shared)
    finally:
        wrong = closed(scene.close, wrong)
    return wrong


def closed(close, wrong):
    """What ends also says what a sanitizer saw."""
    try:
        close()
    except AssertionError:
        return f"{wrong or ''}\n{traceback.format_exc()}"
    return wrong


def run_scene(row, scene, shared):
    try:
        row.how(scene)
        if row.shared:
            calm(shared.host)
        scene.end()
        return None
    except BaseException as e:
        if isinstance(e, (KeyboardInterrupt, SystemExit)):
            raise
        host = scene.made[0] if scene.made else shared.host
        log = host.log("keeper")[-3000:] if host and "keeper" in host.processes else ""
        return closed(shared.drop, f"{traceback.format_exc()}\n{log}")


def work(keys):
    """The child's part: one line of JSON for each row."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what programs say does not get between
    shared = Shared(shared_host)
    try:
        for k in keys:
            begun = time.monotonic()
            wrong = run_row(SCENARIOS[k], shared)
            if k == keys[-1]:
                wrong = closed(shared.drop, wrong)
            print(json.dumps({"key": k, "wrong": wrong, "seconds": time.monotonic() - begun}), file=out, flush=True)
    finally:
        shared.drop()


def lists(keys):
    """The rows of the shared host one after the other, the others in turn."""
    together = [k for k in keys if SCENARIOS[k].shared]
    alone = [k for k in keys if not SCENARIOS[k].shared]
    parts = [together, *(alone[i::WORKERS - 1] for i in range(WORKERS - 1))]
    return [p for p in parts if p]


def ports(n, of):
    first, last = map(int, os.environ.get("VCC_PORTS", "20000-31999").split("-"))
    step = (last - first + 1) // of
    return f"{first + n * step}-{first + (n + 1) * step - 1}"


class Workers:
    """Processes that run the rows; `result(key)` waits for one."""

    def __init__(self, keys):
        self.results, self.ended, self.lock, self.children = {}, set(), threading.Condition(), []
        for n, part in enumerate(lists(keys)):
            said = tempfile.TemporaryFile("w+")
            child = subprocess.Popen(["/usr/bin/python3", os.path.abspath(__file__), "--work", *part], stdout=subprocess.PIPE, stderr=said, text=True,
                                     env=dict(os.environ, VCC_PORTS=ports(n, WORKERS)))
            self.children.append((child, said))
            threading.Thread(target=self.read, args=(child, said, part), daemon=True).start()

    def read(self, child, said, part):
        for line in child.stdout:
            result = json.loads(line)
            with self.lock:
                self.results[result["key"]] = result
                self.lock.notify_all()
        child.wait()
        said.seek(0)
        tail = said.read()[-3000:]
        with self.lock:
            for k in part:
                self.results.setdefault(k, {"key": k, "wrong": f"its process ended ({child.returncode})\n{tail}", "seconds": 0})
            self.lock.notify_all()

    def result(self, k):
        with self.lock:
            assert self.lock.wait_for(lambda: k in self.results, ROW_SECONDS), f"{k}: not within {ROW_SECONDS} s"
            return self.results[k]

    def end(self):
        for child, said in self.children:
            if child.poll() is None:
                child.terminate()
                child.wait(60)
            child.stdout.close()


@pytest.fixture(scope="module")
def workers(request):
    if not os.path.exists(os.path.join(FAULTS, "vcc-keeper")):
        pytest.skip("make faults has not been run")
    if mounts.cannot():
        pytest.skip(mounts.cannot())
    chosen = [i.callspec.params["row"] for i in request.session.items if getattr(i, "callspec", None) and "row" in i.callspec.params]
    w = Workers([k for k in chosen if k in SCENARIOS])
    yield w
    w.end()


@pytest.mark.parametrize("row", list(SCENARIOS))
def test_row(workers, row):
    result = workers.result(row)
    assert result["wrong"] is None, f"{row}: after {result['seconds']:.0f} s\n{result['wrong']}"


# ---- the table itself ----

def test_every_row_is_there():
    assert sorted({row.id for row in TABLE}) == sorted(WANTED)
    assert len({key(row) for row in TABLE}) == len(TABLE), "each row once"


def names_of(path):
    with open(os.path.join(ROOT, path)) as f:
        if path.endswith(".c"):
            return set(re.findall(r"^static void (\w+)\(void \*\*state\)$", f.read(), re.M))
        return {n.name for n in ast.walk(ast.parse(f.read())) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}


@pytest.mark.parametrize("row", [r for r in TABLE if not is_scenario(r)], ids=key)
def test_named_tests_exist(row):
    if row.how.startswith(("cannot: ", "not automated yet: ")):
        assert len(row.how) > 40, "a reason is a sentence"
        return
    path, _, name = row.how.partition("::")
    assert name in names_of(path), f"{row.how} is not there"


def test_scenarios_name_what_must_hold():
    for row in SCENARIOS.values():
        assert row.holds.split() and set(row.holds.split()) <= {f"I{n}" for n in range(1, 9)}, row


def show():
    for row in TABLE:
        how = f"{row.how.__module__}.{row.how.__name__}" if is_scenario(row) else row.how
        print(f"{row.id:<4} {row.fault:<52} {row.holds or '-':<18} {how}")


def main():
    if sys.argv[1:] == ["--list"]:
        show()
    elif sys.argv[1:2] == ["--work"]:
        work(sys.argv[2:])
    elif sys.argv[1:2] == ["--run"]:
        shared, bad = Shared(shared_host), 0
        try:
            for k, row in SCENARIOS.items():
                if row.id in sys.argv[2:]:
                    wrong = run_row(row, shared)
                    bad += wrong is not None
                    print(f"{k}: {wrong or 'as it must be'}")
        finally:
            shared.drop()
        sys.exit(bad != 0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
