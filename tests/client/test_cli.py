import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mercer import kernels as k
from mercer.batch_commands import file_name
from mercer.cli import main
from tests.client.conftest import gaussian

CSV = "a,b,name\n1,2,x\n3,4,y\n5,7,z\n"
NUMBERS = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def shell(url, monkeypatch, capsys):
    """Runs a command; its exit code, output and error output."""
    monkeypatch.setenv("MERCER_URL", url)

    def run(*words):
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_gram_builds_and_saves_a_matrix(shell, csv, tmp_path):
    output = tmp_path / "K.npy"
    code, out, _ = shell("gram", csv, "--columns", "a,b", "--kernel", "gaussian(lengthscale=2)", "-o", output)
    assert code == 0
    assert "3 x 3 float64" in out
    np.testing.assert_allclose(np.load(output), gaussian(NUMBERS, 2.0), rtol=1e-12)


def test_gram_takes_a_priority(shell, csv):
    words = ("--columns", "a,b", "--kernel", "linear()", "--json", "--priority", "high")
    assert json.loads(shell("gram", csv, *words)[1])["priority"] == "high"


def test_measures_come_as_a_file_each_or_stacked_with_their_sizes(shell, tmp_path):
    files = [tmp_path / name for name in ("x.npy", "y.npy", "all.npy")]
    measures = np.array([[0.0], [1.0]]), np.array([[4.0], [6.0], [8.0]])
    for path, array in zip(files, (*measures, np.concatenate(measures)), strict=True):
        np.save(path, array)
    several = shell("sliced-wasserstein-barycenter", *files[:2], "-o", tmp_path / "a.npy")
    stacked = shell("sliced-wasserstein-barycenter", files[2], "--sizes", "2,3", "-o", tmp_path / "b.npy")
    assert (several[0], stacked[0]) == (0, 0)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    assert shell("sliced-wasserstein-barycenter", files[2])[0] == 2


@pytest.mark.parametrize(("time", "expected"), [("10m", 0), ("later", 2)])
def test_gram_takes_a_deadline(shell, csv, time, expected):
    words = ("--columns", "a,b", "--kernel", "linear()", "--json", "--cancel-after", time)
    code, out, _ = shell("gram", csv, *words)
    assert code == expected
    assert code or "expires_at" in json.loads(out)


@pytest.mark.parametrize(("degree", "expected"), [("3", 0), ("4", 2), ("three", 2)])
def test_a_choice_among_numbers_is_a_number(shell, csv, degree, expected, capsys):
    words = ("--columns", "a,b", "--defining-function", "polynomial", "--degree", degree)
    try:
        code, out, _ = shell("generalised-sliced-wasserstein", csv, csv, *words)
    except SystemExit as refused:
        code, out = refused.code, capsys.readouterr().out
    assert (code, "GSW_p = 0" in out) == (expected, expected == 0)


def test_gram_without_an_output_prints_the_matrix(shell, csv):
    code, out, _ = shell("gram", csv, "--columns", "1", "--rows", "0:2", "--kernel", "linear()", "--dtype", "float32")
    assert code == 0
    assert "[ 8. 16.]" in out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--rows", "0:3:2"], NUMBERS[::2] @ NUMBERS[::2].T),
        (["--rows", "2,0"], NUMBERS[[2, 0]] @ NUMBERS[[2, 0]].T),
        (["--diagonal-only"], (NUMBERS**2).sum(1)),
        (["--centre"], (NUMBERS - NUMBERS.mean(0)) @ (NUMBERS - NUMBERS.mean(0)).T),
        (["--columns", "b,a"], NUMBERS @ NUMBERS.T),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_gram_takes_every_option_of_the_spec(shell, csv, tmp_path, options, expected):
    output = tmp_path / "K.npy"
    shell("gram", csv, "--columns", "a,b", "--kernel", "linear()", "-o", output, *options)
    np.testing.assert_allclose(np.load(output), expected, rtol=1e-12, atol=1e-12)


def test_gram_takes_other_points(shell, csv, tmp_path):
    np.save(tmp_path / "y.npy", NUMBERS[:2] + 1)
    output = tmp_path / "K.npy"
    shell("gram", csv, "--y", tmp_path / "y.npy", "--columns", "0,1", "--kernel", "linear()", "-o", output)
    np.testing.assert_allclose(np.load(output), NUMBERS @ (NUMBERS[:2] + 1).T, rtol=1e-12)


def test_gram_draws_a_heat_map(shell, csv, tmp_path):
    pytest.importorskip("matplotlib")
    code, _, _ = shell("gram", csv, "--columns", "a,b", "--kernel", "linear()", "--plot", tmp_path / "K.png")
    assert code == 0
    assert (tmp_path / "K.png").stat().st_size > 1_000


def test_json_is_the_record(shell, csv):
    _, out, _ = shell("gram", csv, "--columns", "a,b", "--kernel", "linear()", "--json")
    job = json.loads(out)
    assert job["state"] == "succeeded"
    _, out, _ = shell("show", job["id"], "--json", "--wait")
    assert json.loads(out)["id"] == job["id"]
    _, out, _ = shell("jobs", "--json", "--limit", 1, "--state", "succeeded")
    assert json.loads(out)[0]["id"] == job["id"]


def test_a_job_is_listed_shown_cancelled_and_saved(shell, csv, tmp_path):
    _, out, _ = shell("gram", csv, "--columns", "a,b", "--kernel", "linear()")
    job_id = out.split(":")[0]
    assert job_id in shell("jobs")[1]
    assert "succeeded" in shell("show", job_id)[1]
    assert shell("cancel", job_id)[1] == f"{job_id} succeeded\n"
    assert shell("result", job_id, "-o", tmp_path / "K.npy")[0] == 0
    np.testing.assert_allclose(np.load(tmp_path / "K.npy"), NUMBERS @ NUMBERS.T, rtol=1e-12)


def test_data_sets_are_uploaded_listed_and_deleted(shell, csv):
    _, out, _ = shell("datasets", "upload", csv, "--json")
    digest = json.loads(out)[0]["digest"]
    assert digest in shell("datasets")[1]
    assert digest not in shell("datasets", "prune", "--older-than-days", "1")[1]
    assert shell("datasets", "delete", digest) == (0, "", "")
    assert digest not in shell("datasets")[1]
    assert shell("datasets", "delete", digest)[0] == 1


def test_kernels_are_printed_without_a_service(capsys):
    assert main(["kernels"]) == 0
    out = capsys.readouterr().out
    assert all(f"{name}(" in out for name in k.FAMILIES)
    assert all(family.formula in out for family in k.FAMILIES.values())
    assert main(["kernels", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(k.FAMILIES)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["gram", "CSV", "--kernel", "gausian()"], 2, "did you mean gaussian?"),
        (["gram", "nowhere.csv", "--kernel", "linear()"], 2, "nowhere.csv: No such file"),
        (["gram", "x.xlsx", "--kernel", "linear()"], 2, ".npy, .csv, .parquet"),
        (["gram", "CSV", "--kernel", "linear()"], 2, "name"),
        (["gram", "CSV", "--columns", "a,c", "--kernel", "linear()"], 2, "c"),
        (["gram", "CSV", "--columns", "a", "--rows", "x:y", "--kernel", "linear()"], 2, "got x:y"),
        (["gram", "CSV", "--columns", "a", "--kernel", "linear()", "-o", "nowhere/K.npy"], 2, "no folder nowhere"),
        (["gram", "CSV", "--columns", "a", "--kernel", "linear()", "-o", "K.csv"], 2, "expected a file named .npy"),
        (["gram", "CSV", "--columns", "a", "--kernel", "linear()", "--y", "CSV", "--centre"], 2, "expected no y"),
        (["show", "job_nobody"], 1, "job_nobody"),
        (["jobs", "--url", "http://127.0.0.1:9"], 3, "http://127.0.0.1:9"),
        (["jobs", "--url", "localhost:8000"], 2, "http://"),
    ],
)
def test_an_error_is_one_clear_line_and_an_exit_code(shell, csv, words, code, message):
    got, out, err = shell(*(str(csv) if word == "CSV" else word for word in words))
    assert (got, out) == (code, "")
    assert err.startswith("mercer: ")
    assert err.count("\n") == 1
    assert message in err


def test_the_module_is_the_command(url):
    run = subprocess.run(
        [sys.executable, "-m", "mercer.cli", "jobs", "--url", url], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_ctrl_c_says_how_to_go_on(client, url, csv, paused_worker):
    before = {job.id for job in client.jobs()}
    words = [sys.executable, "-m", "mercer.cli", "gram", csv, "--columns", "a,b", "--kernel", "linear()", "--url", url]
    with paused_worker():
        run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not (new := {job.id for job in client.jobs()} - before):
            time.sleep(0.05)
        time.sleep(0.2)  # between the reply to its submission and its first wait
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=10)
    (job_id,) = new
    assert run.returncode == 130
    assert err == f"mercer: job {job_id} goes on; `mercer show {job_id} --wait` waits for it\n"


@pytest.fixture
def jobs_file(tmp_path):
    """Three jobs, one of whose names no file system would take."""
    spec = {"kind": "gram", "kernel": {"family": "linear"}, "x": [[1.0], [2.0]]}
    path = tmp_path / "jobs.jsonl"
    path.write_text("\n".join(json.dumps({"custom_id": name, "spec": spec}) for name in ("a", "../b/c", "d")))
    return path


def test_a_batch_is_run_into_a_folder_and_again_goes_on(shell, jobs_file, tmp_path):
    folder = tmp_path / "results"
    code, out, _ = shell("batch", "run", jobs_file, "-o", folder)
    assert (code, "3 in" in out) == (0, True)
    names = {"a.npy", "%2E.%2Fb%2Fc.npy", "d.npy"}
    assert {path.name for path in folder.iterdir()} == names | {"batch.json", "errors.jsonl", "output.jsonl"}
    output = [json.loads(line) for line in (folder / "output.jsonl").read_text().splitlines()]
    assert {line["custom_id"]: line["result"]["shape"] for line in output}["a"] == [2, 2]
    assert output[0]["result"]["facts"]["positive_definite"]
    np.testing.assert_array_equal(np.load(folder / "a.npy"), [[1.0, 2.0], [2.0, 4.0]])
    (folder / "a.npy").unlink()
    again = shell("batch", "run", jobs_file, "-o", folder)
    assert again == (0, out, "")  # the same batch
    assert not (folder / "a.npy").exists(), "what was saved is not fetched again"
    batch = out.split(":")[0]
    assert '"completed"' in shell("batch", "show", batch)[1]
    assert shell("batch", "cancel", batch)[1] == f"{batch} completed\n"
    assert batch in shell("batch", "list", "--limit", "100")[1]


def test_a_folder_of_another_batch_file_is_refused(shell, jobs_file, tmp_path):
    shell("batch", "run", jobs_file, "-o", tmp_path / "results")
    jobs_file.write_text(jobs_file.read_text() + "\n")
    code, _, err = shell("batch", "run", jobs_file, "-o", tmp_path / "results")
    assert (code, "another file" in err) == (2, True)


def test_every_custom_id_has_a_file_name_of_its_own():
    names = [".", "..", "a/b", "a%2Fb", "x" * 64, "\U0001f600" * 64, "\U0001f600" * 63 + "a", "~"]
    assert len({file_name(name) for name in names}) == len(names)
    assert all(len(file_name(name)) < 200 and "/" not in file_name(name) for name in names)


def test_a_reader_that_has_seen_enough_is_no_error():
    command = subprocess.Popen(
        [sys.executable, "-c", "from mercer.cli import main; raise SystemExit(main(['kernels']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    command.stdout.close()
    assert command.stderr.read() == b""
    assert command.wait() == 0
    command.stderr.close()


def test_dead_jobs_are_listed_with_their_reasons_and_queued_again(shell, client, monkeypatch, gram):
    job = client.run(gram()) is not None and client.jobs(limit=1)[0]
    given_up = job.record.model_copy(update={"error": {"detail": "its process was killed 3 times"}})
    monkeypatch.setattr("mercer.client.Client.jobs", lambda *_, **__: [type(job)(job._transport, given_up)])
    code, out, _ = shell("dead", "list")
    assert (code, job.id in out, "killed 3 times" in out) == (0, True, True)
    assert shell("dead", "requeue", "--all")[:2] == (0, "0 jobs are queued again\n")
    code, _, err = shell("dead", "requeue", job.id)
    assert (code, "succeeded" in err) == (1, True)


def test_requeueing_must_say_which(shell):
    with pytest.raises(SystemExit, match="2"):
        shell("dead", "requeue")
