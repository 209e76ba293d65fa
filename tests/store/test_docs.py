"""The page of data sets is run: what it shows works."""

import re
import shutil
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "03-datasets.md"


def run_python(block, names):
    exec(compile(block, PAGE.name, "exec"), names)


def run_shell(block, names):
    if all(map(shutil.which, ("curl", "sha256sum", "cmp"))):
        done = subprocess.run(["sh", "-euc", block], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_page_of_data_sets_runs_from_top_to_bottom(tmp_path, monkeypatch, local_service):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MERCER_URL", local_service.url)
    names = {}
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    for language, block in blocks:
        (run_python if language == "python" else run_shell)(block, names)
    assert {language for language, _ in blocks} == {"python", "sh"}
