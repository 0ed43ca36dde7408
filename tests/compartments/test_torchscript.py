"""Nuclei by a TorchScript file: what it is shown, what it may return, and what is refused by name."""

import math
import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from saliency_stats.compartments import CompartmentParameters, estimate_stains, find_nuclei, nucleus_finder, view_of
from saliency_stats.compartments.torchscript import TorchScriptNuclei, read_torchscript, trial_view
from saliency_stats.compartments.variants import Variant, variations
from saliency_stats.errors import CompartmentError

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
#: Nuclei at least; views have a pixel of 0.5 µm where nothing else is said.
HIGH, WIDE, MPP = 48, 64, 0.5


class Tiles(nn.Module):
    """Labels a third of each tile of 16 px, by the tile's place in the image."""

    def __init__(self, pixel_size: float = 0.5, channels: int = 1) -> None:
        super().__init__()
        self.pixel_size, self.channels = pixel_size, channels

    def forward(self, x: Tensor) -> Tensor:
        y = torch.arange(x.shape[2], device=x.device)[:, None]
        across = torch.arange(x.shape[3], device=x.device)[None]
        inside = (y % 16 < 8) & (across % 16 < 10)
        number = (y // 16) * 100 + across // 16 + 1
        labels = torch.where(inside, number, torch.zeros_like(number)).to(torch.float32)
        # in place, as InstanSeg does
        x.clamp_(-2.0, 3.0)
        cells = labels + 7.0 * torch.ones_like(labels)
        return torch.stack([labels] + [cells] * (self.channels - 1))[None]


class Dark(nn.Module):
    """One label, in as many pieces as there is dark tissue: a map of classes and not of nuclei."""

    def __init__(self) -> None:
        super().__init__()
        self.pixel_size = 0.5

    def forward(self, x: Tensor) -> Tensor:
        return (x[:, :1] < 0.5).to(torch.uint8)


class Answer(nn.Module):
    """Returns what it was made with, whatever it is shown."""

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.pixel_size = 0.5
        self.register_buffer("answer", answer)

    def forward(self, x: Tensor) -> Tensor:  # noqa: ARG002
        return self.answer  # type: ignore[return-value]


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Angry(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[3] > 3:
            raise RuntimeError("only three pixels, please")
        return x


class TwoImages(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Sizeless(nn.Module):
    """Does not say at how many µm per pixel it works."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[:, :1])


class Batch(nn.Module):
    """What it says of an image depends, outside evaluation, on all that it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.pixel_size = 0.5
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        return torch.floor(self.norm(x)[:, :1].clamp(0.0, 1.0) + 0.5)


def content_of(module, **extra):
    buffer = BytesIO()
    torch.jit.save(torch.jit.script(module), buffer, **extra)
    return buffer.getvalue()


def finder_of(module, mpp=None):
    return TorchScriptNuclei(content_of(module), "model.pt", mpp, "cpu")


def view(mpp=MPP, shape=(HIGH, WIDE), seed=0, wanted=0.5):
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 240, (*shape, 3)).astype(np.uint8)
    return view_of(image, mpp, CompartmentParameters(segmentation_mpp=wanted, cells="rule"), estimate_stains([image]))


def refused(module, mpp=None, on=None):
    with pytest.raises(CompartmentError, match=r"model\.pt") as caught:
        finder_of(module, mpp)([on or view()])
    return str(caught.value)


# --- what is found ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
def test_channel_0_holds_the_nuclei_numbered_anew_without_probabilities(channels):
    (found,) = finder_of(Tiles(channels=channels))([view()])
    y, x = np.mgrid[:HIGH, :WIDE]
    expected = np.where((y % 16 < 8) & (x % 16 < 10), y // 16 * 4 + x // 16 + 1, 0)
    np.testing.assert_array_equal(found.instances, expected)
    assert found.instances.dtype == np.int32
    assert len(found.probabilities) == 12
    assert np.isnan([*found.probabilities, found.threshold, found.lowest]).all()


def test_an_image_without_nuclei():
    (found,) = finder_of(Sizeless(), MPP)([view()])
    assert found.instances.shape == (HIGH, WIDE)
    assert not found.instances.any()
    assert found.probabilities.shape == (0,)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64, torch.float16, torch.float64])
def test_whole_numbers_of_every_type_are_labels(dtype):
    answer = torch.zeros((1, 1, HIGH, WIDE), dtype=dtype)
    answer[..., 3:9, 5:8], answer[..., 20:30, 40:50] = 200, 7
    (found,) = finder_of(Answer(answer))([view()])
    assert (found.instances[3:9, 5:8] == 2).all()
    assert (found.instances[20:30, 40:50] == 1).all()
    assert np.count_nonzero(found.instances) == 118


def test_numbers_of_64_bits_are_told_apart():
    answer = torch.zeros((1, 1, HIGH, WIDE), dtype=torch.int64)
    answer[..., :8, :8], answer[..., 10:20, :8] = 2**40, 2**40 + 1
    (found,) = finder_of(Answer(answer))([view()])
    assert (found.instances[0, 0], found.instances[10, 0], found.instances.max()) == (1, 2, 2)


def test_an_image_all_of_one_nucleus():
    (found,) = finder_of(Answer(torch.full((1, 1, HIGH, WIDE), 5)))([view()])
    assert (found.instances == 1).all()


@pytest.mark.parametrize("mpp", [0.25, 1.0])
def test_the_model_sees_its_own_scale_and_labels_come_back_by_the_nearest_pixel(mpp):
    # nothing is enlarged before
    seen = view(mpp, wanted=2.0)
    assert seen.image.shape[:2] == (HIGH, WIDE)
    (found,) = finder_of(Tiles())([seen])
    factor = mpp / 0.5
    y, x = ((np.arange(n) + 0.5) * factor for n in (HIGH, WIDE))
    inside = (y[:, None] % 16 < 8) & (x[None] % 16 < 10)
    np.testing.assert_array_equal(found.instances > 0, inside)
    assert found.instances.max() == math.ceil(HIGH * factor / 16) * math.ceil(WIDE * factor / 16)


@pytest.mark.parametrize(("mpp", "own"), [(0.52, True), (0.48, True), (0.53, False), (0.47, False)])
def test_scanners_of_nearly_its_scale_are_shown_as_they_are(mpp, own):
    class Shape(Tiles):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full_like(x[:, :1], float(x.shape[3]))

    finder = finder_of(Shape())
    finder._model = lambda x: widths.append(x.shape[3]) or torch.zeros_like(x[:, :1])
    widths: list[int] = []
    finder([view(mpp, wanted=2.0)])
    assert widths == [WIDE if own else round(WIDE * mpp / 0.5)]


def test_percentiles_of_the_image_are_0_and_1():
    class Seen:
        def __call__(self, x):
            self.x = x.clone()
            return torch.zeros_like(x[:, :1])

    finder, seen, shown_to = finder_of(Tiles()), Seen(), view()
    finder._model = seen
    finder([shown_to])
    assert seen.x.shape == (1, 3, HIGH, WIDE)
    assert seen.x.dtype == torch.float32
    for channel in range(3):
        values = shown_to.image[..., channel].astype(float)
        low, high = np.percentile(values, (0.1, 99.9))
        np.testing.assert_allclose(seen.x[0, channel].numpy(), (values - low) / (high - low), atol=1e-6)


def test_a_channel_of_one_value_is_0():
    finder, image = finder_of(Tiles()), np.full((HIGH, WIDE, 3), 200, dtype=np.uint8)
    seen = []
    finder._model = lambda x: seen.append(x.clone()) or torch.zeros_like(x[:, :1])
    finder([view_of(image, MPP, CompartmentParameters(), estimate_stains([image]))])
    assert not seen[0].any()


def test_views_are_shown_one_by_one_and_do_not_depend_on_each_other():
    views = [view(seed=seed) for seed in range(3)]
    finder = finder_of(Batch())
    together = finder(views)
    alone = [finder([one])[0] for one in reversed(views)][::-1]
    assert any(found.instances.any() for found in together)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.instances, other.instances)


def test_the_model_is_evaluated_and_not_optimised_on_the_way():
    finder, seen = finder_of(Batch()), []
    assert not finder._model.training

    def model(x):
        seen.append((torch.is_grad_enabled(), torch._C._get_graph_executor_optimize()))
        return torch.zeros_like(x[:, :1])

    finder._model = model
    finder([view()])
    assert seen == [(False, False)]
    assert torch._C._get_graph_executor_optimize()


def test_the_image_of_a_view_is_not_changed():
    shown_to = view()
    before = shown_to.image.copy()
    finder_of(Tiles())([shown_to])
    np.testing.assert_array_equal(shown_to.image, before)


def test_a_pickled_finder_needs_no_file(tmp_path):
    (tmp_path / "m.pt").write_bytes(content_of(Tiles()))
    finder = read_torchscript(tmp_path / "m.pt", None, "cpu")
    sent = pickle.dumps(finder)
    (tmp_path / "m.pt").unlink()
    there = pickle.loads(sent)  # noqa: S301  (our own)
    assert (there.name, there.mpp, there.device) == (str(tmp_path / "m.pt"), 0.5, "cpu")
    np.testing.assert_array_equal(there([view()])[0].instances, finder([view()])[0].instances)


def test_views_without_structure_are_not_asked_about():
    flat = np.full((HIGH, WIDE, 3), 200, dtype=np.uint8)
    empty = view_of(flat, MPP, CompartmentParameters(), estimate_stains([flat]))
    (found,) = find_nuclei([empty], finder_of(Tiles()))
    assert not found.instances.any()


def test_it_goes_with_the_variants_that_need_no_probabilities():
    seen = view()
    (found,) = finder_of(Tiles())([seen])
    usual, grown = variations(seen, found, [Variant("usual"), Variant("more", grow_um=0.5)])
    assert np.count_nonzero(grown.instances) > np.count_nonzero(usual.instances) > 0
    with pytest.raises(CompartmentError, match=r"Variant p .* have no probabilities"):
        variations(seen, found, [Variant("p", probability=0.1)])


# --- µm per pixel ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stated", [0.0, 0, math.nan])
def test_a_file_that_does_not_state_its_scale_needs_it(stated):
    model = Tiles(stated)
    assert finder_of(model, 0.4).mpp == 0.4
    assert "model.pt does not say at how many µm per pixel" in refused(model)
    assert "torchscript:model.pt@0.5" in refused(Sizeless())


def test_both_may_say_the_same():
    assert finder_of(Tiles(0.25), 0.25).mpp == 0.25
    assert finder_of(Tiles(0.25 * 1.0009), 0.25).mpp == 0.25
    assert finder_of(Tiles(0.25)).mpp == 0.25
    assert finder_of(Tiles(1)).mpp == 1.0


def test_a_buffer_may_say_it():
    class Buffered(Tiles):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.channels = 1
            self.register_buffer("pixel_size", torch.tensor([0.25]))

    assert finder_of(Buffered()).mpp == 0.25


def test_two_scales_are_refused():
    message = refused(Tiles(0.25), 0.5)
    assert "the study says 0.5 µm per pixel, the file 0.25 (its pixel_size); leave @0.5 out" in message
    assert "faults" not in message
    assert "the study says 0.25 " in refused(Tiles(0.2503), 0.25)


@pytest.mark.parametrize("mpp", [0.099, 2.01, -0.5, math.inf])
def test_impossible_scales_are_refused(mpp):
    assert f"the study says {mpp:g} µm per pixel; expected 0.1 to 2" in refused(Sizeless(), mpp)
    assert f"the file says {mpp:g} µm per pixel; expected 0.1 to 2" in refused(Tiles(mpp))


@pytest.mark.parametrize("mpp", [0.1, 2.0])
def test_the_limits_are_possible(mpp):
    assert finder_of(Tiles(mpp)).mpp == mpp
    assert finder_of(Sizeless(), mpp).mpp == mpp


def test_all_that_is_wrong_with_scales_is_said():
    message = refused(Tiles(9.0), 5.0)
    assert all(part in message for part in ("3 faults", "the file says 9", "the study says 5 µm per pixel; expected"))
    assert "the study says nan µm per pixel; expected" in refused(Sizeless(), math.nan)


@pytest.mark.parametrize("stated", ["0.5", True, [0.5]])
def test_a_scale_that_is_no_number_is_refused(stated):
    assert f"its pixel_size is {stated!r}; expected µm per pixel" in refused(Tiles(stated), 0.5)


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (torch.zeros(1, HIGH, WIDE), f"returns the shape (1, {HIGH}, {WIDE})"),
        (torch.zeros(1, 3, HIGH, WIDE), f"returns the shape (1, 3, {HIGH}, {WIDE})"),
        (torch.zeros(1, 0, HIGH, WIDE), f"returns the shape (1, 0, {HIGH}, {WIDE})"),
        (torch.zeros(2, 1, HIGH, WIDE), f"returns the shape (2, 1, {HIGH}, {WIDE})"),
        (torch.zeros(1, 1, WIDE, HIGH), f"returns the shape (1, 1, {WIDE}, {HIGH})"),
        (torch.zeros(1, 1, HIGH // 2, WIDE), f"returns the shape (1, 1, {HIGH // 2}, {WIDE})"),
        (torch.zeros(1, 1, HIGH, WIDE, dtype=torch.bool), "returns torch.bool (torch.strided), a mask"),
        (torch.zeros(1, 1, HIGH, WIDE, dtype=torch.complex64), "returns torch.complex64"),
        (torch.zeros(1, 1, HIGH, WIDE).to_sparse(), "torch.sparse_coo"),
        (torch.full((1, 1, HIGH, WIDE), 0.25), f"{HIGH * WIDE:,} labels are no whole numbers, such as 0.25"),
        (torch.full((1, 2, HIGH, WIDE), -1), f"{HIGH * WIDE:,} labels are negative, such as -1"),
        (torch.full((1, 1, HIGH, WIDE), -1.0), f"{HIGH * WIDE:,} labels are negative, such as -1"),
        (torch.full((1, 1, HIGH, WIDE), torch.nan), f"{HIGH * WIDE:,} labels are NaN or infinite, such as nan"),
        (torch.full((1, 1, HIGH, WIDE), torch.inf), f"{HIGH * WIDE:,} labels are NaN or infinite, such as inf"),
        (torch.full((1, 1, HIGH, WIDE), 2050.0).half(), "labels are too large for torch.float16, such as 2050"),
    ],
)
def test_what_is_no_label_image_is_refused(answer, message):
    found = refused(Answer(answer))
    assert message in found
    assert f"expected labels (1, 1 or 2, {HIGH}, {WIDE})" in found
    assert "nuclei in channel 0" in found
    assert "faults" not in found


def test_labels_up_to_where_a_type_counts_are_taken():
    (found,) = finder_of(Answer(torch.full((1, 1, HIGH, WIDE), 2048.0).half()))([view()])
    assert found.instances.max() == 1


def test_the_second_channel_is_not_judged():
    answer = torch.stack([torch.ones(HIGH, WIDE), torch.full((HIGH, WIDE), torch.nan)])[None]
    (found,) = finder_of(Answer(answer))([view()])
    assert (found.instances == 1).all()


def test_all_that_is_wrong_with_an_answer_is_said():
    answer = torch.zeros(1, 3, HIGH, WIDE)
    answer[0, 2, 0, :5] = torch.tensor([torch.nan, -1.5, 0.5, -2.0, 2.0**25])
    message = refused(Answer(answer))
    for part in (
        "5 faults",
        "returns the shape (1, 3,",
        "1 labels are NaN",
        "2 labels are no whole numbers, such as -1.5",
        "1 labels are too large for torch.float32, such as 3.35544e+07",
        "2 labels are negative, such as -1.5",
    ):
        assert part in message


def test_several_tensors_are_refused():
    assert "the model returns a tuple, no tensor" in refused(Pair(), 0.5)


def test_what_a_model_raises_is_handed_on():
    message = refused(Angry(), 0.5)
    assert f"the model stopped at an image of the shape (1, 3, {HIGH}, {WIDE}): builtins.RuntimeError: only three" in (
        message
    )
    assert "Traceback" not in message
    assert "missing value for argument 'y'" in refused(TwoImages(), 0.5)


def test_a_map_of_classes_is_refused():
    seen = trial_view((120, 160), MPP, CompartmentParameters())
    area = np.count_nonzero(seen.image[..., 0] == 90) * MPP**2
    message = refused(Dark(), on=seen)
    assert f"every label is in several pieces, one of them covers {area:.0f} µm² in 12: a map of classes" in message


def test_nuclei_in_pieces_are_no_map_of_classes():
    torn = torch.zeros((1, 1, HIGH, WIDE), dtype=torch.int32)
    torn[..., :20, :40], torn[..., 24:44, :40] = 1, 1
    # 400 µm² are the most that a nucleus has
    (found,) = finder_of(Answer(torn))([view()])
    assert found.instances.max() == 1
    torn[..., 20, :4] = 1
    assert "covers 401 µm² in 2: a map of classes" in refused(Answer(torn))
    # another label in one piece: the model tells nuclei apart
    torn[..., 2:5, 50:54] = 2
    finder_of(Answer(torn))([view()])


def test_what_touches_at_a_corner_is_one_piece():
    corner = torch.zeros((1, 1, HIGH, WIDE), dtype=torch.int32)
    corner[..., :30, :50], corner[..., 30:, 50:] = 1, 1
    (found,) = finder_of(Answer(corner))([view()])
    assert found.instances.max() == 1


# --- files ----------------------------------------------------------------------------------------------


def saved(path, kind):
    if kind == "weights":
        torch.save({"a": torch.zeros(2)}, path)
    elif kind == "safetensors":
        save_file({"a": torch.zeros(2)}, path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/b.txt", "x")
    elif kind == "cut":
        path.write_bytes(content_of(Tiles())[:-200])
    elif kind == "folder":
        path.mkdir()
    elif kind in {"text", "empty"}:
        path.write_text("no program" if kind == "text" else "", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("absent", "m.pt is no file; expected a TorchScript file, as torch.jit.save writes it"),
        ("folder", "m.pt is a folder; expected"),
        ("empty", "m.pt is empty (0 bytes); expected"),
        ("text", "m.pt is no TorchScript archive; expected"),
        ("safetensors", "m.pt is a safetensors file, weights without the program"),
        ("weights", "m.pt is weights of torch.save without a program; expected"),
        ("zip", "m.pt is an archive of something else; expected"),
        ("cut", "m.pt is a damaged archive (File is not a zip file); expected"),
    ],
)
def test_what_is_no_torchscript_file_is_refused(tmp_path, kind, message):
    with pytest.raises(CompartmentError) as caught:
        read_torchscript(saved(tmp_path / "m.pt", kind), 0.5, "cpu")
    assert message in str(caught.value)


def test_a_name_that_no_file_has_is_refused_shortly():
    for name in ("x" * 5_000, "a\0b"):
        with pytest.raises(CompartmentError, match="expected a TorchScript file") as caught:
            nucleus_finder(f"torchscript:{name}")
        assert len(str(caught.value)) < 1_000


def test_a_program_that_torch_cannot_load_is_refused(tmp_path):
    path = tmp_path / "m.pt"
    with zipfile.ZipFile(BytesIO(content_of(Tiles()))) as good, zipfile.ZipFile(path, "w") as bad:
        for name in good.namelist():
            bad.writestr(name, "nonsense" if name.endswith(".py") else good.read(name))
    with pytest.raises(CompartmentError, match=r"m\.pt: torch cannot load this TorchScript file on cpu") as caught:
        read_torchscript(path, 0.5, "cpu")
    assert len(str(caught.value)) < 800


def test_a_device_that_is_not_there_is_named(tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    (tmp_path / "m.pt").write_bytes(content_of(Tiles()))
    with pytest.raises(CompartmentError, match=r"m\.pt: torch cannot load .* on cuda .*another --device"):
        read_torchscript(tmp_path / "m.pt", None, "cuda")


def test_the_trial_shows_discs_8_um_wide():
    seen = trial_view((96, 128), MPP, CompartmentParameters())
    dark = seen.image[..., 0] == 90
    assert seen.image.shape == (96, 128, 3)
    assert seen.mpp == 0.5
    assert seen.structure
    np.testing.assert_array_equal(np.flatnonzero(dark[20]), [*range(13, 28), *range(53, 68), *range(93, 108)])
    # the third row is cut by the border
    np.testing.assert_array_equal(np.flatnonzero(dark[:, 20]), [*range(13, 28), *range(53, 68), *range(93, 96)])
