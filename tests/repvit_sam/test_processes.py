import os
from concurrent.futures import ProcessPoolExecutor

import torch

from repvit_sam.processes import fresh_processes

state = "as imported"


def state_and_product():
    return os.getpid(), state, float((torch.ones(300, 300) @ torch.ones(300, 300)).sum())


def test_a_fresh_process_computes_and_knows_nothing_of_this_one():
    global state
    state = "changed"
    torch.ones(300, 300) @ torch.ones(300, 300)  # this process has threads now
    with ProcessPoolExecutor(1, fresh_processes()) as pool:
        process, its_state, total = pool.submit(state_and_product).result()
    assert process != os.getpid()
    assert its_state == "as imported"
    assert total == 300**3
