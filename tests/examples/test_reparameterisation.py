import pytest
import torch


@pytest.mark.parametrize(
    ("kernels_hw", "identity", "fused_hw"),
    [
        ([(3, 3), (1, 1)], True, (3, 3)),  # RepViT's token mixer
        ([(3, 3), (1, 3), (3, 1)], False, (3, 3)),  # ACNet
        ([(1, 5), (3, 3)], True, (3, 5)),  # the grid that holds both
    ],
)
@torch.no_grad()
def test_branches_become_one_convolution_that_computes_the_same(kernels_hw, identity, fused_hw, example):
    program = example("reparameterisation")
    torch.manual_seed(0)
    block = program.Branches(6, kernels_hw, identity)
    program.train_norms(block, 6)
    one = block.fused()
    assert one.kernel_size == fused_hw
    x = torch.randn(1, 6, 9, 7)
    assert block(x).abs().max() > 1
    assert (block(x) - one(x)).abs().max() < 5e-6


def test_a_branch_that_is_left_out_shows(example):
    program = example("reparameterisation")
    torch.manual_seed(0)
    block = program.Branches(6, [(3, 3), (3, 1)])
    program.train_norms(block, 6)
    one = block.fused()
    with torch.no_grad():
        block.convolutions[1].weight.zero_()
    assert program.difference_of(block, one, 6) > 0.1


def test_the_program_prints_differences_that_are_rounding(example, capsys):
    example("reparameterisation").main("small")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines][-1] == "the 23 token mixers of 'small', as trained"
    differences = [float(line.split()[-1]) for line in lines]
    assert len(differences) == 4
    assert all(0 < difference < 2e-5 for difference in differences)
