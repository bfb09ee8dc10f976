"""Two processes that share each batch end where one process does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from splinegraph.errors import SplineGraphError
from splinegraph.training.engine.processes import Processes, join
from splinegraph.training.engine.trainer import Trainer
from tests.training.engine_runs import settings, small_net, stripes

CHOSEN = {"epochs": 2, "precision": "float64", "checkpoint_every": 3, "average": 0.9, "preset": "balanced"}

SCRIPT = f"""
import sys
import torch
torch.set_num_threads(1)
from splinegraph.training.engine.trainer import Trainer
from tests.training.engine_runs import interrupt_at, settings, small_net, stripes
chosen = settings(**{CHOSEN!r})
torch.manual_seed(1)
part = Trainer(small_net(), stripes(), chosen, sys.argv[1], progress=interrupt_at(4)).fit()
assert (part.complete, part.step) == (False, 4)  # Ctrl-C in the first process stops both
rest = Trainer(small_net(), stripes(), chosen, sys.argv[1], resume=True)  # other weights: the checkpoint's count
assert rest.fit().complete
if rest.processes.first:
    torch.save(rest.run.model.state_dict(), sys.argv[1] + "/weights.pt")
torch.distributed.destroy_process_group()
"""


def start(rank: int, port: int, *arguments: str) -> subprocess.Popen[str]:
    """Start a process with the environment that torchrun gives it."""
    more = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    environment |= {name: str(value) for name, value in more.items()}
    return subprocess.Popen([sys.executable, *arguments], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_processes_are_one(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    both = [start(rank, port, str(script), str(tmp_path / "out")) for rank in range(2)]
    torch.manual_seed(1)
    alone = small_net()
    whole = Trainer(alone, stripes(), settings(**CHOSEN)).fit()
    for process in both:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    found = torch.load(tmp_path / "out" / "weights.pt", weights_only=True)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6)
    rows = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == len(whole.curve)  # one process writes


def test_shares() -> None:
    both = [Processes(rank, 2, torch.device("cpu")) for rank in range(2)]
    rows = torch.arange(6)
    assert [p.share(rows).tolist() for p in both] == [[0, 2, 4], [1, 3, 5]]
    both[0].check(labelled_batch=6)
    with pytest.raises(SplineGraphError, match=r"labelled_batch of 5 rows for 2 processes.*give a multiple of 2, such"):
        both[0].check(labelled_batch=5)


def test_one_process_needs_no_group() -> None:
    alone = join("cpu")
    assert (alone.rank, alone.count, alone.any(True), alone.gathered(3)) == (0, 1, True, [3])
    assert torch.equal(alone.share(torch.arange(3)), torch.arange(3))
