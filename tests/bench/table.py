"""The rows that scripts/bench measures: one table of at most 80 columns, one JSON file. Never: a pass or fail."""
import json
import os
import platform


def number(x):
    if x is None:
        return "-"
    return f"{x:.0f}" if abs(x) >= 1000 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


class Table:
    FORMAT = "{:<19} {:>7} {:<5} {:>7} {:>5}  {:<25} {}"

    def __init__(self):
        self.rows, self.begun = [], False

    def add(self, ident, value, unit, floor, goal, met, **details):
        """`goal` in words; `details` say how the value and its floor came about."""
        ratio = value / floor if floor else None
        self.rows.append({"id": ident, "value": round(value, 3), "unit": unit, "floor": None if floor is None else round(floor, 3),
                          "ratio": None if ratio is None else round(ratio, 3), "goal": goal, "met": bool(met), "details": details})
        if not self.begun:
            print(self.FORMAT.format("id", "value", "unit", "floor", "ratio", "goal", "met"))
            self.begun = True
        print(self.FORMAT.format(ident, number(value), unit, number(floor), number(ratio), goal, "yes" if met else "no"), flush=True)

    def write(self, path):
        with open(path, "w") as f:
            json.dump({"machine": machine(), "rows": self.rows}, f, indent=2)
            f.write("\n")


def machine():
    model, memory = platform.machine(), 0
    with open("/proc/cpuinfo") as f:
        model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), model)
    with open("/proc/meminfo") as f:
        memory = next(int(x.split()[1]) for x in f if x.startswith("MemTotal:"))
    return {"cpu": model, "cores": os.cpu_count(), "memory_mib": memory // 1024, "kernel": platform.release(), "load": round(os.getloadavg()[0], 2)}
