"""Rows for Fourier transforms and complex values: see `calls`. Targets are those of both tables."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.tracers.rows import POSITIVE, Row, aten, row


def _spectral(x: Tensor, w: Tensor) -> Tensor:
    """Return a Fourier layer: the lowest frequencies are mixed, the others cut off."""
    spectrum = torch.fft.rfft(x, norm="ortho")
    kept = torch.zeros_like(spectrum)
    kept[:, :, :3] = torch.einsum("bik,iok->bok", spectrum[:, :, :3], torch.view_as_complex(w))
    return torch.fft.irfft(kept, n=x.shape[-1], norm="ortho")


def _moved(x: Tensor) -> Tensor:
    """Return a complex value after many moves, as real numbers."""
    z = torch.complex(x, 2 * x)  # (B, 4, 6)
    z = torch.cat([z.transpose(1, 2), z.permute(0, 2, 1)], 1).unsqueeze(1).squeeze(1).clone()
    z = z.view(-1, 12, 4).reshape(-1, 4, 12)[:, :, 1:9].flip(2).roll(1, 2)
    z = torch.stack([z, z], 1).select(1, 0).unflatten(1, (2, 2)).flatten(1, 2).contiguous()
    first, second = z.chunk(2, 1)
    return torch.view_as_real(z[:, :2] + first - second)


def _more(x: Tensor) -> Tensor:
    """Return what the calls that `_moved` leaves out do."""
    z = torch.view_as_complex(x.unflatten(-1, (3, 2)))  # (B, 4, 3)
    z = z.narrow(1, 0, 2).movedim(1, 2).expand(-1, 3, 2).repeat(1, 1, 2)
    z = torch.nn.functional.pad(z, (0, 2)) + z.sum(1, keepdim=True).mean(2, keepdim=True)
    a, b = z.split(3, 2)
    c, d = z.split([2, 4], 2)
    z = torch.cat([a.index_select(2, torch.tensor([0, 2])), b[:, :, [1, 0]], c, d.cumsum(1)], 2)
    z = sum(z.unfold(2, 4, 2).unbind(2))
    z = z.clone()
    z[:, :1] = 2 * z[:, 1:2]
    z[:, 2] = -z[:, 0]
    z = aten.constant_pad_nd(z, [1, 0])
    return torch.view_as_real(aten.alias(aten._unsafe_view(z, [z.shape[0], z.shape[1] * z.shape[2]])))


def _offset(z: Tensor) -> Tensor:
    return torch.view_as_real(z + z.new_zeros(3) + torch.ones_like(z) * 2 - z.new_ones(3))


_SAME = """view reshape flatten.using_ints unflatten.int squeeze.dim unsqueeze permute transpose.int slice.Tensor
    select.int flip roll cat stack add.Tensor sub.Tensor clone contiguous chunk complex view_as_real"""
_MORE = """view_as_complex expand repeat pad sum.dim_IntList mean.dim split.Tensor
    split_with_sizes index_select index.Tensor cumsum unfold unbind.int slice_scatter select_scatter neg
    constant_pad_nd alias _unsafe_view"""

COMPLEX_ROWS: list[Row] = [
    row("_fft_r2c view_as_real", lambda x: torch.view_as_real(torch.fft.rfft(x))),
    row("_fft_r2c real", lambda x: torch.fft.rfft2(x, s=(5, 4)).real, (4, 6)),
    row("_fft_r2c imag", lambda x: torch.fft.fft(x).imag),
    row("_to_copy _fft_c2c real", lambda x: torch.fft.fftn(aten._to_copy(x, dtype=torch.complex64), dim=(1, 2)).real,
        (4, 6), jacobian=lambda x: torch.fft.fftn(x, dim=(1, 2)).real),
    row("_fft_r2c _fft_c2r", lambda x: torch.fft.irfft2(torch.fft.rfft2(x)) * 2, (4, 6)),
    row("_fft_c2r", lambda x: torch.fft.irfft(torch.fft.rfft(x), n=9)),
    row("_fft_c2c real", lambda x: torch.fft.ifft(torch.fft.fft(x) * (1 + 2j), norm="ortho").real, jacobian=lambda x: (
        torch.fft.ifft(torch.fft.fft(x) * (1 + 2j), norm="ortho").real)),
    row("abs", lambda x: torch.fft.rfft(x).abs()),
    row("einsum copy zeros_like", _spectral, (3, 8), constants=((3, 3, 3, 2),)),
    row(_SAME, _moved, (4, 6)),
    row(_MORE, _more, (4, 6)),
    row("detach", lambda x: torch.complex(x, 2 * x).detach().imag * x, jacobian=lambda x: 2 * x * x),
    row("narrow movedim.int", lambda x: torch.complex(x, 2 * x).narrow(1, 0, 2).movedim(1, 2).imag, (4, 3)),
    row("mul.Tensor view_as_complex", lambda x, w: torch.view_as_real(
        torch.view_as_complex(x) * torch.view_as_complex(w)), (3, 2), constants=((3, 2),)),
    row("mul.Tensor", lambda x, y: (torch.complex(x, y) * torch.complex(y, x)).imag, (3,), (3,)),
    row("mul.Scalar", lambda x: aten.mul.Scalar(torch.complex(x, 2 * x), 2.0).imag),
    row("matmul", lambda x, w: (torch.complex(x, 2 * x) @ torch.complex(w, -w)).real, (2, 3), constants=((3, 4),)),
    row("mm", lambda x, w: aten.mm(torch.complex(x, 2 * x), torch.complex(w, -w)).real, (3,), constants=((3, 4),)),
    row("bmm", lambda x, y: aten.bmm(torch.complex(x, 2 * x), torch.complex(y, -y)).imag, (2, 3), (3, 4)),
    row("polar", lambda x, w: torch.polar(x, w).imag, (3,), constants=((3,),), **POSITIVE),
    row("polar", lambda x, y: torch.polar(x.abs(), y).real, (3,), (3,)),
    row("new_zeros ones_like new_ones", lambda x: _offset(torch.complex(x, 2 * x)), (3,)),
    row("full_like new_full", lambda x: (torch.full_like(z := torch.complex(x, 2 * x), 2.0) + z.new_full((3,), 3.0) - z
        ).imag, (3,)),
    row("div.Tensor", lambda x, w: (torch.complex(x, 2 * x) / w).imag, (3,), constants=((3,),)),
    row("div.Scalar _conj resolve_conj",
        lambda x: aten.div.Scalar(torch.complex(x, 2 * x), 4.0).conj().resolve_conj().imag),
    row("conj_physical", lambda x: aten.conj_physical(torch.complex(x, 2 * x)).imag),
    row("_conj_physical", lambda x: aten._conj_physical(torch.complex(x, 2 * x)).imag),
    row("conj", lambda x: aten.conj(torch.complex(x, 2 * x)).imag),
    row("to.dtype", lambda x: (torch.complex(x, 2 * x).to(torch.complex128) * 1j).real),
    row("to.dtype_layout", lambda x: aten.to.dtype_layout(x, dtype=torch.complex128).real * x),
    row("squeeze squeeze.dims resolve_neg", lambda x: aten.resolve_neg(
        torch.complex(x, x).squeeze((1, 3)).unsqueeze(1).squeeze()).imag, (1, 4, 1)),
    # without a lowering over pairs
    row("complex", lambda x, y: torch.view_as_real(torch.complex(x, y).exp()), (3,), (3,), opaque="exp of a complex"),
]  # fmt: skip
