"""A PKCS#11 token in software (SoftHSM) below one folder, as a stand-in for the device that CA keys are made in."""
import os
import subprocess

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
LABEL, PIN = "vcc-ca", "493817"


class SoftToken:
    def __init__(self, folder):
        self.dir, self.objects, self.pin_file = folder, f"{folder}/tokens", f"{folder}/pin"
        os.makedirs(self.objects, mode=0o700)
        with open(f"{folder}/softhsm2.conf", "w") as f:
            f.write(f"directories.tokendir = {self.objects}\nobjectstore.backend = file\nlog.level = ERROR\n")
        self.env = {"SOFTHSM2_CONF": f"{folder}/softhsm2.conf"}
        self.run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "902117")
        self.give_pin(PIN)

    def run(self, *words):
        return subprocess.run(words, check=True, capture_output=True, text=True, env=dict(os.environ, **self.env), timeout=60).stdout

    def tool(self, *words):
        return self.run("pkcs11-tool", "--module", MODULE, "--token-label", LABEL, "--login", "--pin", PIN, *words)

    def give_pin(self, pin):
        with open(os.open(self.pin_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(pin + "\n")

    def settings(self):
        """[pkcs11] of signer.conf."""
        return {"module": MODULE, "token": LABEL, "pin_file": self.pin_file, "folders": self.dir}

    def take_away(self):
        os.rename(self.objects, f"{self.dir}/away")

    def bring_back(self):
        os.rename(f"{self.dir}/away", self.objects)
