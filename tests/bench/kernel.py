"""What processes cost, by the kernel's own accounting: CPU time, memory of one process, memory of a pair as one. Never: wall time."""
import os
import struct

PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_us(pid):
    """User and system time of all threads, to the nanosecond (utime in /proc/PID/stat counts ticks of 10 ms)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        except FileNotFoundError:
            pass  # a thread that has just ended
    return total / 1000


def rollup_kib(pid, field="Pss"):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(field + ":"))


def mappings(pid):
    """(start, end, (device, inode, offset) or None for memory without a file, {field: KiB})."""
    found = []
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            head = line.split()
            if "-" in head[0] and not head[0].endswith(":"):
                start, end = (int(x, 16) for x in head[0].split("-"))
                found.append((start, end, (head[3], head[4], head[2]) if head[4] != "0" else None, {}))
            elif len(head) == 3 and head[2] == "kB":
                found[-1][3][head[0].rstrip(":")] = int(head[1])
    return found


def frames(pid):
    """Numbers of the page frames in memory; needs CAP_SYS_ADMIN, else the kernel shows zeros."""
    seen = set()
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as f:
        for start, end, _, fields in mappings(pid):
            if fields.get("Rss", 0) == 0:
                continue
            f.seek(start // PAGE * 8)
            raw = f.read((end - start) // PAGE * 8)
            for (entry,) in struct.iter_unpack("<Q", raw):
                if entry >> 63 & 1 and entry & (1 << 55) - 1:
                    seen.add(entry & (1 << 55) - 1)
    return seen


def group_kib(pids):
    """Memory of these processes as if they were alone: a page that several of them map counts once, one that strangers map, too, in full.
    From smaps; a file's pages that two of them map count as the larger of the two, which is nearly the union, as they run the same code."""
    own, shared = 0, {}
    for pid in pids:
        here = {}
        for _, _, key, fields in mappings(pid):
            private = fields.get("Private_Clean", 0) + fields.get("Private_Dirty", 0)
            own += private
            here[key] = here.get(key, 0) + fields.get("Rss", 0) - private
        for key, kib in here.items():
            shared[key] = shared.get(key, 0) + kib if key is None else max(shared.get(key, 0), kib)
    return own + sum(shared.values())


def group_exact_kib(pids):
    """The same by page frames, or None where the kernel does not show them."""
    union = set()
    for pid in pids:
        try:
            mine = frames(pid)
        except OSError:
            return None
        if not mine:
            return None
        union |= mine
    return len(union) * PAGE / 1024


def pin(pid, core):
    """A process that stays on one core gives steadier figures; the last core of few."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core % len(cores)]})
