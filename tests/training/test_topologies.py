"""The networks of Tables 6 and 7: sizes, parameters, and what the convex ones promise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import splinegraph as sg
from splinegraph.errors import ShapeError, SplineGraphError
from splinegraph.nn import ConvexConv2d, ConvexLinear
from splinegraph.training.topologies import TOPOLOGIES, topology
from splinegraph.training.topologies.catalogue import LEAST
from splinegraph.training.topologies.resnet import Block

BASES = tuple(LEAST)


def parameters(name: str, **sizes: int) -> int:
    return sum(p.numel() for p in topology(name, **sizes).parameters())


def _conv(before: int, after: int, kernel: int) -> int:
    return after * (before * kernel**2 + 1)


def _resnet(count: int, width: int) -> int:
    """Count the parameters by hand: n blocks, a wider one, n, a wider one, n - 1, and a linear layer."""
    found = _conv(1, width, 3)
    for blocks in (count, count):
        found += blocks * _conv(width, width, 3) + _conv(width, 2 * width, 3) + _conv(width, 2 * width, 1)
        width *= 2
    return found + (count - 1) * _conv(width, width, 3) + width * 10 + 10


@pytest.mark.parametrize(("pooling", "convex"), [*itertools.product(("mean", "max", "strided"), ("", "-convex"))])
def test_parameters_are_those_that_the_paper_prints(pooling: str, convex: str) -> None:
    assert parameters(f"small-cnn-{pooling}{convex}", size=8) == 131_512
    assert parameters(f"large-cnn-{pooling}{convex}", size=12) == 1_368_120
    assert parameters(f"resnet3-16-{pooling}{convex}", size=8) == _resnet(3, 16)


def test_parameters_on_cifar10_and_of_residual_networks() -> None:
    assert parameters("large-cnn-mean", size=32, channels=3) == 1_369_848
    assert parameters("resnet2-32-mean") == _resnet(2, 32)
    assert parameters("resnet5-16-max") == _resnet(5, 16)


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_images_become_logits_at_the_smallest_size_and_others(name: str) -> None:
    base = name.removesuffix("-convex").rpartition("-")[0]
    net = topology(name, size=LEAST[base], channels=2, classes=3).eval()
    for height, width in ((LEAST[base], LEAST[base]), (LEAST[base] + 1, LEAST[base] + 4)):
        y = net(torch.randn(2, 2, height, width))
        assert y.shape == (2, 3)
        assert y.isfinite().all()


@pytest.mark.parametrize("base", BASES)
def test_smaller_images_are_refused_as_they_must_be(base: str) -> None:
    least = LEAST[base]
    with pytest.raises(ShapeError, match=f"needs {least}x{least} or more"):
        topology(f"{base}-max", size=(least + 5, least - 1))
    with pytest.raises(RuntimeError, match=r"[Kk]ernel|too small|output size"):
        topology(f"{base}-max", size=least)(torch.zeros(1, 1, least - 1, least - 1))


def test_small_cnn_has_the_image_sizes_of_table_6() -> None:
    sizes: list[int] = []
    net = topology("small-cnn-max")
    x = torch.zeros(1, 1, 28, 28)
    for module in net:
        x = module(x)
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            sizes.append(x.shape[-1])
    assert sizes == [32, 16, 14, 16, 8, 6, 6]


@pytest.mark.parametrize(("name", "pool"), [("mean", F.avg_pool2d), ("max", F.max_pool2d)])
def test_blocks_of_residual_networks_are_equation_44(name: str, pool: Callable[..., torch.Tensor]) -> None:
    """One convolution and a leaky rectifier, beside the identity or a 1x1 convolution; then pooling."""
    net = topology(f"resnet3-16-{name}")
    blocks = [module for module in net if isinstance(module, Block)]
    widths = [block.inner[0].weight.shape[0] for block in blocks]
    assert widths == [16, 16, 16, 32, 32, 32, 32, 64, 64, 64]
    z = torch.randn(2, 16, 8, 8)
    same, wider = blocks[0], blocks[3]
    torch.testing.assert_close(same(z), F.leaky_relu(same.inner[0](z), 0.01) + z)
    whole = F.leaky_relu(wider.inner[0](z), 0.01) + wider.outer(z)
    torch.testing.assert_close(wider(z), pool(whole, 2))


def test_strided_networks_have_strides_where_others_pool() -> None:
    modules = list(topology("small-cnn-strided").modules())
    assert not any(isinstance(m, nn.AvgPool2d | nn.MaxPool2d) for m in modules)
    assert [m.stride[0] for m in modules if isinstance(m, nn.Conv2d)] == [2, 1, 2, 1, 1]


def test_weights_start_as_in_lasagne() -> None:
    net = topology("small-cnn-mean")
    conv = net[3]
    assert isinstance(conv, nn.Conv2d)
    bound = math.sqrt(6 / (9 * (32 + 64)))
    assert bound * 0.99 < float(conv.weight.detach().abs().max()) <= bound
    assert not conv.bias.any()


@pytest.mark.parametrize("name", ["small-cnn-mean", "resnet2-32-strided", "small-cnn-max-convex"])
def test_traces_to_the_same_function(name: str) -> None:
    net = topology(name, size=8, classes=3).double().eval()
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    graph = sg.trace(net, x[:1])
    torch.testing.assert_close(graph(x), net(x), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["large-cnn-mean", "resnet5-16-max"])
def test_larger_ones_trace_to_the_same_function(name: str) -> None:
    net = topology(name, size=14).double().eval()
    x = torch.randn(2, 1, 14, 14, dtype=torch.float64)
    torch.testing.assert_close(sg.trace(net, x[:1])(x), net(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["small-cnn-max-convex", "resnet2-32-mean-convex"])
def test_logits_of_convex_networks_are_proved_convex(name: str) -> None:
    net = topology(name, size=8, classes=2).double().eval()
    graph = sg.trace(net, torch.zeros(1, 1, 8, 8, dtype=torch.float64))
    assert [verdict.status.value for verdict in sg.convexity(graph)] == ["convex"] * 2


@pytest.mark.parametrize("pooling", ["mean", "max", "strided"])
def test_chords_lie_above_convex_logits_and_not_above_free_ones(pooling: str) -> None:
    for name, convex in ((f"resnet2-32-{pooling}-convex", True), (f"resnet2-32-{pooling}", False)):
        net = topology(name, size=8).double().eval()
        x, y = torch.randn(2, 100, 1, 8, 8, dtype=torch.float64)
        above = (net(x) + net(y)) / 2 - net((x + y) / 2)
        assert bool((above >= -1e-9).all()) == convex


@pytest.mark.parametrize("base", ["small-cnn", "resnet3-16"])
def test_convex_networks_leave_only_the_first_convolution_free(base: str) -> None:
    layers = [m for m in topology(f"{base}-mean-convex", size=8).modules() if hasattr(m, "weight")]
    assert isinstance(layers[0], nn.Conv2d)
    assert all(isinstance(layer, ConvexConv2d | ConvexLinear) for layer in layers[1:])


@pytest.mark.parametrize("name", ["small-cnn-mean-convex", "resnet5-16-max-convex"])
def test_logits_of_new_convex_networks_depend_on_the_image(name: str) -> None:
    """As much between images as within: nonnegative weights would average all differences away."""
    net = topology(name, size=8).eval()
    images = F.interpolate(torch.randn(64, 1, 4, 4), size=(8, 8), mode="bilinear")
    images = images - images.mean((1, 2, 3), keepdim=True)
    with torch.no_grad():
        spread = net(images / images.abs().amax((1, 2, 3), keepdim=True)).std(0)
    assert bool((spread > 0.3).all())
    assert bool((spread < 3).all())


def test_bad_arguments_say_what_to_do() -> None:
    with pytest.raises(SplineGraphError, match="did you mean small-cnn-mean"):
        topology("small-cnn-men")
    with pytest.raises(SplineGraphError, match=r"give one of small-cnn, .* -strided"):
        topology("vgg")
    with pytest.raises(SplineGraphError, match="from 0 to 1"):
        topology("small-cnn-mean", slope=-0.5)
    with pytest.raises(ShapeError, match="classes 0"):
        topology("small-cnn-mean", classes=0)
    with pytest.raises(ShapeError, match="height"):
        topology("small-cnn-mean", size=(True, 28))
