"""The row about renewals in time: years of a simulated installation with faults at stated rates. No clock of this machine plays a part."""
from signing import tool


def success_rate(table, renewals):
    """Controller core, store and agent cores are the real ones; clock, network, disks and services are simulated (tests/lib/sim_*.c)."""
    r = tool("bench_success", str(renewals))[0]
    r.pop("id")
    goal = 99.99
    table.add("success-rate", r.pop("percent"), "%", 99.9, ">= 99.99 %", r["in_time"] >= goal / 100 * r["renewals"] and r["errors"] == 0, **r,
              template="100 days, renewed a third before the end, emergency threshold 7 days before it; no approval after five renewals",
              value_is="renewals proved before the emergency threshold of what they replace, of all that came to it; nobody orders, repeats, approves or cancels "
                       "anything. Whoever mends a host, its disk, service, clock or link does so within the stated times; causes: the longest fault that "
                       "went on at the threshold, or else how far the order had come",
              floor_is="what was asked for")
