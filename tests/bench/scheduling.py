"""Rows about the scheduler: what a tick costs among a million certificates that are not due."""
from signing import tool


def scheduler(table, folder, quick):
    """The due query and the decision about each row, by the controller's own code on a SQLite file; orders themselves are other rows."""
    many, few = (100000, 10000) if quick else (1000000, 10000)
    rows = {r["id"]: r for r in tool("bench_schedule", folder, str(many))}
    small = {r["id"]: r for r in tool("bench_schedule", folder, str(few))}
    none, hundred, look_up = (rows[i]["value"] / 1000 for i in ("tick-none", "tick-100", "look-up"))
    table.add("scheduler-1m", none, "ms", look_up, "<= 1 ms none due, 5 ms 100", none <= 1 and hundred <= 5, tick_100_ms=hundred, certificates=many,
              p99_none_ms=rows["tick-none"]["p99"] / 1000, p99_100_ms=rows["tick-100"]["p99"] / 1000,
              with_10000={i: small[i]["value"] / 1000 for i in ("tick-none", "tick-100")}, fill_seconds=rows["fill"]["value"],
              value_is="median of 200 ticks with nothing due: due query, then the decision about each row; tick_100_ms the same with 100 due",
              floor_is="one certificate by its key in the same file")
