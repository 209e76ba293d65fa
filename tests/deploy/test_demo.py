"""`make demo`."""

import signal
import subprocess
import sys

import numpy as np
import psutil

from deploy import demo


def children():
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_it_builds_the_matrix_of_the_digits_and_leaves_nothing_running(tmp_path, capsys):
    before = children()
    demo.run(tmp_path / "demo")
    gram = np.load(tmp_path / "demo" / "gram.npy")
    assert gram.shape == (1797, 1797)
    assert (tmp_path / "demo" / "gram.png").stat().st_size > 10_000
    assert "largest relative difference" in capsys.readouterr().out
    assert children() <= before


def test_ctrl_c_ends_everything_it_started():
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "deploy", "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for line in process.stdout:
        if line.startswith("start Valkey"):
            break
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "Traceback" not in output
    assert family, "nothing was started: this test proved nothing"
    assert not psutil.wait_procs(family, timeout=1.0)[1]
