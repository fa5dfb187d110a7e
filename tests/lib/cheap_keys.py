"""CA keys of an installation that open at once: for tests that open them many times and ask nothing about what that costs."""
import glob
import os
import subprocess

from installation import ROOT


def cheapen(folder):
    """`folder` as of test_signer.Signer; the passphrase stays."""
    subprocess.run([os.path.join(ROOT, "build", "tests", "tool_cheap_keys"), f"{folder}/etc/ca-passphrase", *sorted(glob.glob(f"{folder}/signer/ca/*.key"))],
                   check=True, timeout=60)
