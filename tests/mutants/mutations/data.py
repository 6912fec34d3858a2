"""Mistakes in photos, masks, crops, colours and the order of samples."""

from mutations.mutation import of

_DATASETS = "tests/datasets"
_TRANSFORMS = f"{_DATASETS}/transforms"
_PREPROCESSORS = "tests/models/data_preprocessors"

photometric = of(
    "luss/models/data_preprocessors/photometric.py",
    f"{_PREPROCESSORS}/test_photometric.py",
    f"{_PREPROCESSORS}/test_jitter_draws.py",
)
view_preprocessor = of(
    "luss/models/data_preprocessors/view_preprocessor.py",
    f"{_PREPROCESSORS}/test_view_preprocessor.py",
)
seg_preprocessor = of(
    "luss/models/data_preprocessors/segmentation_preprocessor.py",
    f"{_PREPROCESSORS}/test_segmentation_preprocessor.py",
)
rectangle = of(
    "luss/datasets/transforms/crop_rectangle.py",
    f"{_TRANSFORMS}/test_crop_rectangle.py",
    f"{_TRANSFORMS}/test_crop_tries.py",
    "tests/parity/test_crop_params.py",
)
multi_crop = of(
    "luss/datasets/transforms/multi_crop.py",
    f"{_TRANSFORMS}/test_multi_crop.py",
    "tests/structures/test_geometry.py",
)
resizing = of("luss/datasets/transforms/resizing.py", f"{_TRANSFORMS}/test_resizing.py")
flipping = of(
    "luss/datasets/transforms/flipping.py",
    _TRANSFORMS,
    "tests/configs/test_finetuning_crops.py",
)
loading = of("luss/datasets/transforms/loading.py", _TRANSFORMS)
packing = of("luss/datasets/transforms/packing.py", _TRANSFORMS, f"{_DATASETS}/test_imagenet_s.py")
sampler = of(
    "luss/datasets/samplers.py", f"{_DATASETS}/test_samplers.py", "tests/engine/test_resume.py"
)
reproducible = of("luss/datasets/reproducible.py", f"{_DATASETS}/test_reproducible.py")
masks = of(
    "luss/datasets/mask_codec.py",
    f"{_DATASETS}/test_mask_codec.py",
    f"{_DATASETS}/test_ignore_id.py",
    f"{_DATASETS}/test_mask_tally.py",
)
description = of("luss/datasets/description.py", f"{_DATASETS}/test_description.py")
voc_folder = of("luss/datasets/voc_folder.py", f"{_DATASETS}/test_voc_folder.py")
image_mask_folder = of(
    "luss/datasets/image_mask_folder.py", f"{_DATASETS}/test_image_mask_folder.py"
)
sampler_wrapper = of("luss/datasets/sampler_wrapper.py", f"{_DATASETS}/test_sampler_wrapper.py")
dataset_wrapper = of("luss/datasets/dataset_wrapper.py", f"{_DATASETS}/test_dataset_wrapper.py")
mask_tally = of("luss/datasets/mask_tally.py", f"{_DATASETS}/test_mask_tally.py")
photo_check = of("luss/datasets/photo_check.py", f"{_DATASETS}/test_photo_check.py")
imagenet_s = of(
    "luss/datasets/imagenet_s.py",
    f"{_DATASETS}/test_imagenet_s.py",
    f"{_DATASETS}/test_mask_tally.py",
)

MUTATIONS = [
    photometric(
        "(0.299 * red).add_(green, alpha=0.587)",
        "(0.299 * blue).add_(green, alpha=0.587)",
        "The luma weighs blue as red.",
    ),
    photometric(
        "mean = grayscale(images).mean(dim=(2, 3), keepdim=True)",
        "mean = grayscale(images).mean(dim=(0, 2, 3), keepdim=True)",
        "Contrast moves images away from the mean of the batch.",
    ),
    photometric(
        ".add_(start).add_(6 * turns[:, 0])",
        ".add_(start).sub_(6 * turns[:, 0])",
        "Hue turns the other way.",
    ),
    photometric(
        "torch.rand(len(images), device=images.device) < self.probability",
        "torch.rand(len(images), device=images.device) > self.probability",
        "The probability of each change is one minus what is configured.",
    ),
    photometric(
        "return torch.empty(len(like), 1, 1, 1, device=like.device).uniform_(low, high)",
        "return torch.empty(1, device=like.device).uniform_(low, high).repeat(len(like))"
        ".view(-1, 1, 1, 1)",
        "All images of a batch draw the same amount.",
    ),
    photometric(
        "amount = _uniform(images, max(0.0, 1 - strength), 1 + strength)",
        "amount = _uniform(images, max(0.0, 1 - strength), 1)",
        "Images only become darker and paler.",
    ),
    photometric(
        "amount = _uniform(images, -self.hue, self.hue)",
        "amount = _uniform(images, 0, self.hue)",
        "Hue turns one way only.",
    ),
    photometric(
        "for index in torch.randperm(4).tolist():",
        "for index in range(4):",
        "Colour is always changed in the same order.",
    ),
    photometric(
        "torch.softmax(-0.5 * (offsets / sigma) ** 2, dim=1)",
        "torch.softmax(-1.0 * (offsets / sigma) ** 2, dim=1)",
        "The blur has another radius.",
    ),
    photometric(
        "self.reach = math.ceil(3 * radius[1])",
        "self.reach = math.ceil(radius[1])",
        "The blur's kernel is cut off.",
    ),
    photometric(
        '[self.reach] * 4, mode="replicate"',
        '[self.reach] * 4, mode="constant"',
        "Blurred images have a black border.",
    ),
    photometric(
        "torch.where(images >= self.threshold, 1 - images, images)",
        "torch.where(images > self.threshold, 1 - images, images)",
        "Values at the threshold are not inverted.",
    ),
    view_preprocessor(
        "return (images - self.mean) / self.std",
        "return images / self.std - self.mean",
        "Views are normalised the wrong way round.",
    ),
    view_preprocessor("images = images / 255", "images = images / 256", "White is not 1."),
    view_preprocessor(
        "self.augmentations[view if self.per_view else 0]",
        "self.augmentations[0]",
        "All views get the first view's augmentations.",
    ),
    view_preprocessor(
        "if training:\n            for transform",
        "if True:\n            for transform",
        "Embeddings are made of augmented images.",
    ),
    seg_preprocessor(
        "if training and len(self.augmentations):",
        "if len(self.augmentations):",
        "Images are augmented when they are predicted.",
    ),
    seg_preprocessor(
        '"inputs": list(255 * images)}', '"inputs": list(images)}', "Augmented images are black."
    ),
    rectangle(
        "crop_width = round(math.sqrt(area * aspect))",
        "crop_width = int(math.sqrt(area * aspect))",
        "Widths of crops are truncated.",
    ),
    rectangle(
        "aspect = math.exp(random.uniform(*log_ratio))",
        "aspect = random.uniform(*ratio)",
        "The aspect ratio is not uniform in its logarithm.",
    ),
    rectangle(
        "top = random.randint(0, height - crop_height)\n"
        "            left = random.randint(0, width - crop_width)",
        "left = random.randint(0, width - crop_width)\n"
        "            top = random.randint(0, height - crop_height)",
        "Left is drawn before top.",
    ),
    rectangle("_TRIES = 10", "_TRIES = 9", "A rectangle that does not fit is given up too early."),
    rectangle(
        "crop_width = max(1, min(width, round(height * ratio[1])))",
        "crop_width = max(1, min(width, round(height * ratio[0])))",
        "The crop of last resort of a wide photo has the narrowest ratio.",
    ),
    multi_crop(
        "flipped = random.random() < self.flip_probability",
        "flipped = random.random() > self.flip_probability",
        "Views that should be plain are mirrored.",
    ),
    multi_crop(
        "views.append(view[:, ::-1] if flipped else view)",
        "views.append(view[::-1] if flipped else view)",
        "Views are turned upside down.",
    ),
    multi_crop(
        "geometry.append((left, top, w, h, flipped, width, height))",
        "geometry.append((left, top, h, w, flipped, width, height))",
        "Width and height of the rectangle change places.",
    ),
    multi_crop(
        "resize((size, size), Image.Resampling.BILINEAR)",
        "resize((size, size), Image.Resampling.BICUBIC)",
        "Views are resized bicubically.",
    ),
    multi_crop(
        "resize(image[top : top + h, left : left + w], spec.size)",
        "resize(image[top : top + w, left : left + h], spec.size)",
        "Another part of the photo is cut out than is noted.",
    ),
    multi_crop(
        "draw_crop_rectangle(width, height, spec.scale, self.ratio)",
        "draw_crop_rectangle(width, height, self.specs[0].scale, self.ratio)",
        "Small crops have the area of large ones.",
    ),
    resizing(
        "resize((width, height), Image.Resampling.NEAREST)",
        "resize((width, height), Image.Resampling.BILINEAR)",
        "Ids of masks are mixed.",
    ),
    resizing(
        "int(size * long / short)",
        "round(size * long / short)",
        "The long side is rounded.",
    ),
    resizing(
        'if self.resize_mask and "gt_seg_map" in results:',
        'if "gt_seg_map" in results:',
        "Truth is resized before it is compared.",
    ),
    resizing(
        'resize_mask(results["gt_seg_map"][window], self.size, self.size)',
        'resize_mask(results["gt_seg_map"], self.size, self.size)',
        "Masks are not cropped with their images.",
    ),
    resizing(
        "image.shape[1], image.shape[0], self.scale, self.ratio",
        "image.shape[0], image.shape[1], self.scale, self.ratio",
        "Width and height of the photo change places.",
    ),
    resizing(
        'interpolation="bilinear", backend="pillow"',
        'interpolation="bilinear", backend="cv2"',
        "Images are shrunk without antialiasing.",
    ),
    flipping("prob: float = 0.5", "prob: float = 0.0", "Fine-tuning never mirrors."),
    flipping(
        'direction: str = "horizontal"',
        'direction: str = "vertical"',
        "Fine-tuning turns photos upside down.",
    ),
    loading(
        'num_classes = self.num_classes or results.get("num_mask_classes")',
        "num_classes = self.num_classes or 65535",
        "Ids that no class has are trained on.",
    ),
    packing(
        'image = np.ascontiguousarray(results["img"].transpose(2, 0, 1))',
        'image = np.ascontiguousarray(results["img"][..., ::-1].transpose(2, 0, 1))',
        "Red and blue change places.",
    ),
    sampler(
        "torch.Generator().manual_seed(self.seed + self.epoch)",
        "torch.Generator().manual_seed(self.seed)",
        "All epochs have one order.",
    ),
    sampler(
        "return iter((indices + self.epoch * length).tolist())",
        "return iter(indices.tolist())",
        "All epochs draw the same augmentation.",
    ),
    sampler(
        "positions = torch.arange(start, self.num_samples) * self.world_size + self.rank",
        "positions = torch.arange(start, self.num_samples) * self.world_size",
        "All ranks see the same photos.",
    ),
    sampler(
        "self.start = 0\n        # Positions",
        "# Positions",
        "Epochs after a resumed one are cut short.",
    ),
    reproducible(
        "seeded(self.seed, epoch, index)",
        "seeded(self.seed, index)",
        "Augmentation repeats in each epoch.",
    ),
    reproducible(
        "seeded(self.seed, epoch, index)",
        "seeded(epoch, index)",
        "The seed of the data set changes nothing.",
    ),
    reproducible(
        "random.seed(words[:4].tobytes())",
        "pass",
        "Python's random is not seeded, from which crops are drawn.",
    ),
    masks(
        "return _join(pixels[..., 2], pixels[..., 1])",
        "return _join(pixels[..., 1], pixels[..., 2])",
        "Red and green of a mask change places.",
    ),
    masks(
        "ids[ids == _IGNORED_INDEX] = IGNORE_ID",
        "pass",
        "255 is a class in masks with a palette.",
    ),
    masks("IGNORE_ID = 1000", "IGNORE_ID = 255", "Class 255 is ignored, and 1000 is a class."),
    masks(
        "rgb[..., 1] = ids >> 8",
        "rgb[..., 2] = ids >> 8",
        "Ids from 256 on are written to blue.",
    ),
    imagenet_s(
        "ids = {name: index for index, name in enumerate(self.categories, 1)}",
        "ids = {name: index for index, name in enumerate(self.categories)}",
        "The first class is 'other'.",
    ),
    masks(
        "ids[ids != IGNORE_ID] += shift",
        "ids += shift",
        "Ignored pixels are shifted to an id that no class has.",
    ),
    mask_tally(
        "if not held[category]:",
        "if not held.any():",
        "Class folders in another order than the ids pass for sound.",
    ),
    mask_tally(
        "absent = (np.flatnonzero(self.with_class[1:] == 0) + 1).tolist()",
        "absent = (np.flatnonzero(self.with_class[1:-1] == 0) + 1).tolist()",
        "The last class may occur in no mask without a word.",
    ),
    photo_check(
        "if 2 * len(dim) <= len(self.brightest):",
        "if True:",
        "Photos of 12 bits are read as 16 grey levels without a word.",
    ),
    imagenet_s(
        "check_shift(mask_id_shift) if mask_root is None else 0",
        "check_shift(mask_id_shift)",
        "Generated labels are shifted as true masks are.",
    ),
    imagenet_s(
        'masks = Path(self.mask_root or f"{folder}-segmentation")',
        'masks = Path(f"{folder}-segmentation")',
        "Pseudo labels are passed over for true masks.",
    ),
    sampler_wrapper(
        "yield (again * _REPEAT + epoch) * count + index",
        "yield epoch * count + index",
        "An image drawn twice in an epoch is augmented alike.",
    ),
    sampler_wrapper(
        "set_states(states)",
        "pass",
        "Samplers that draw as they go repeat their first block.",
    ),
    dataset_wrapper(
        "leaf.seeds_itself = False",
        "pass",
        "Data sets within a wrapper give the same crops in each epoch.",
    ),
    dataset_wrapper(
        'item["category"] = int(label) + 1',
        'item["category"] = int(label)',
        "The first class of other libraries is 'other'.",
    ),
    voc_folder(
        'has_mask = self.split != "train" and',
        "has_mask = True and",
        "True masks are read in training without labels.",
    ),
    image_mask_folder(
        'if self.split == "train":',
        "if True:",
        "Photos without a mask are measured.",
    ),
    description(
        'for split in ("validation", "test") if split in self.masked',
        'for split in ("test", "validation") if split in self.masked',
        "Test comes before validation.",
    ),
]
