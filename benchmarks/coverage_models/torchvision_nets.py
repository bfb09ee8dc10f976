"""torchvision: every classification family in a small variant, segmentation, video."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks.coverage_models.entry import Built, Entry, table, wrapped

__all__ = ["ENTRIES"]


def _classifier(name: str, size: int = 64, **settings: Any) -> Built:
    import torchvision

    model = torchvision.models.get_model(name, weights=None, num_classes=10, **settings)
    return model, (torch.randn(2, 3, size, size),)


def _auxiliary(name: str, size: int) -> Built:
    return _classifier(name, size, init_weights=False)


def _sized(name: str, size: int) -> Built:
    return _classifier(name, size, image_size=size)


def _segmenter(name: str, size: int = 64) -> Built:
    import torchvision

    model = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=3)
    return wrapped(model, lambda m, x: m(x)["out"]), (torch.randn(2, 3, size, size),)


def _video(name: str, frames: int = 4, size: int = 32) -> Built:
    import torchvision

    model = torchvision.models.get_model(name, weights=None, num_classes=5)
    return model, (torch.randn(1, 3, frames, size, size),)


def _backbone(name: str) -> Built:
    import torchvision

    model = torchvision.models.detection.backbone_utils.resnet_fpn_backbone(backbone_name=name, weights=None)
    return wrapped(model, lambda m, x: list(m(x).values())), (torch.randn(1, 3, 64, 64),)


ENTRIES: tuple[Entry, ...] = (
    *table("torchvision", _classifier, (
        ("alexnet", True), ("vgg11", True, 32), ("vgg11_bn", True, 32), ("resnet18", True), ("resnet50", True),
        ("resnext50_32x4d", True), ("wide_resnet50_2", True), ("densenet121", True), ("squeezenet1_1", True),
        ("shufflenet_v2_x0_5", True), ("mobilenet_v2", True), ("mobilenet_v3_small", False), ("mnasnet0_5", True),
        ("regnet_x_400mf", True), ("regnet_y_400mf", False), ("efficientnet_b0", False),
        ("efficientnet_v2_s", False), ("convnext_tiny", False), ("swin_t", False), ("swin_v2_t", False),
    ), "torchvision"),
    *table("torchvision", _auxiliary, (("googlenet", True, 64), ("inception_v3", True, 96)), "torchvision"),
    *table("torchvision", _sized, (("vit_b_32", False, 64),), "torchvision"),
    *table("torchvision", lambda name: _classifier(name, 224), (("maxvit_t", False),), "torchvision"),
    *table("torchvision", _segmenter, (
        ("fcn_resnet50", True), ("deeplabv3_mobilenet_v3_large", False), ("deeplabv3_resnet50", True),
        ("lraspp_mobilenet_v3_large", False),
    ), "torchvision"),
    *table("torchvision", _video, (("r3d_18", True), ("mc3_18", True), ("r2plus1d_18", True)), "torchvision"),
    Entry("torchvision/resnet18_fpn", lambda: _backbone("resnet18"), True, ("torchvision",)),
)  # fmt: skip
