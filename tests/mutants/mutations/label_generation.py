"""Mistakes in k-means and pseudo labels (section 4.3)."""

from mutations.mutation import of

_LABELS = "tests/label_generation"

kmeans = of(
    "luss/label_generation/kmeans.py",
    f"{_LABELS}/test_kmeans_backends.py",
    f"{_LABELS}/test_hard_cases.py",
    "tests/parity/test_kmeans.py",
)
torch_kmeans = of(
    "luss/label_generation/torch_kmeans.py",
    f"{_LABELS}/test_kmeans_backends.py",
    f"{_LABELS}/test_hard_cases.py",
    "tests/parity/test_kmeans.py",
)
sharded_kmeans = of("luss/label_generation/torch_kmeans.py", f"{_LABELS}/test_kmeans_sharded.py")
faiss_kmeans = of(
    "luss/label_generation/faiss_kmeans.py",
    f"{_LABELS}/test_kmeans_backends.py",
    f"{_LABELS}/test_hard_cases.py",
    "tests/parity/test_kmeans.py",
)
pseudo_labels = of(
    "luss/label_generation/pseudo_labels.py",
    f"{_LABELS}/test_pseudo_labels.py",
    "tests/parity/test_pixel_attention.py",
)
quality = of("luss/label_generation/clustering_quality.py", f"{_LABELS}/test_clustering_quality.py")
image_labels = of("luss/label_generation/pseudo_labels.py", f"{_LABELS}/test_other_levels.py")
embedders = of("luss/label_generation/embedders.py", f"{_LABELS}/test_other_levels.py")
cluster_of_images = of(
    "luss/label_generation/clustering_quality.py", f"{_LABELS}/test_other_levels.py"
)
_FOREGROUND = f"{_LABELS}/foreground"
_SOURCES = "tests/pipeline/test_foreground_sources.py"
pamr = of("luss/label_generation/foreground/pamr.py", _FOREGROUND)
region_contrast = of("luss/label_generation/foreground/region_contrast.py", _FOREGROUND)
grabcut = of("luss/label_generation/foreground/grabcut.py", _FOREGROUND)
feature_cut = of("luss/label_generation/foreground/feature_cut.py", _FOREGROUND)
normalising = of("luss/label_generation/foreground/normalising.py", _FOREGROUND)
combinations = of("luss/label_generation/foreground/combinations.py", _FOREGROUND)
photo = of("luss/label_generation/foreground/photo.py", _FOREGROUND)
rules = of("luss/label_generation/threshold_rules.py", _SOURCES)
maps = of("luss/engine/loops/foreground_maps.py", _SOURCES)
streaming = of("luss/engine/loops/streaming_loop.py", _SOURCES)
loop = of("luss/engine/loops/label_generation_loop.py", _SOURCES, "tests/pipeline/test_doors.py")

MUTATIONS = [
    image_labels(
        "torch.addmm(half_squares, vectors, centroids.T, alpha=-1).argmin(dim=1) + 1",
        "(vectors @ centroids.T).argmax(dim=1) + 1",
        "An image's category is that of the largest product, not of its cluster.",
    ),
    embedders(
        "deepest_map(model, images).flatten(2).transpose(1, 2)",
        "deepest_map(model, images).flatten(2).transpose(1, 2).flip(1)",
        "Pixels are in reversed order.",
    ),
    cluster_of_images(
        "mode(clusters, axis=1).mode",
        "mode(clusters, axis=1).count",
        "An image's cluster is the number of its pixels there.",
    ),
    pamr(
        "return torch.softmax(-apart.mean(dim=0, keepdim=True), dim=1)",
        "return torch.softmax(-apart.mean(dim=0, keepdim=True) * 0, dim=1)",
        "Neighbours of any colour count alike.",
    ),
    pamr(
        "for _ in range(iterations):",
        "for _ in range(1):",
        "Values are averaged once.",
    ),
    pamr(
        "centres = channels.expand(-1, len(dilations), -1, -1)",
        "centres = channels",
        "The pixel itself counts once in the deviation, however many dilations there are.",
    ),
    region_contrast(
        "saliency = (weights * contrast).sum(axis=1)",
        "saliency = (weights * contrast).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)",
        "Contrasts of regions are averaged, not summed.",
    ),
    grabcut(
        "(order >= min(likely_foreground, highest))",
        "(order >= likely_foreground)",
        "A map whose foreground is large and of one value has no foreground to start from.",
    ),
    feature_cut(
        "vectors[:, np.argmin(values)]",
        "vectors[:, np.argmax(values)]",
        "The cut is the eigenvector that is the same everywhere.",
    ),
    feature_cut(
        "features = np.asarray(features, np.float64) - features.mean(axis=0)",
        "features = np.asarray(features, np.float64)",
        "Features are compared with what all of them share.",
    ),
    feature_cut(
        "if (frame > 0).mean() > 0.5:",
        "if (frame > 0).mean() < 0.5:",
        "The background becomes the foreground.",
    ),
    feature_cut(
        "finer[:, :, rows::factor, columns::factor] = extract(shifted)",
        "finer[:, :, columns::factor, rows::factor] = extract(shifted)",
        "Shifted features are put together in the wrong order.",
    ),
    normalising(
        "return ((np.cumsum(counts) - counts / 2) / total).astype(np.float32)",
        "return (np.cumsum(counts) / total).astype(np.float32)",
        "Ranks over the set are not those within it.",
    ),
    combinations(
        "size = max((values.shape for values in maps), key=np.prod)",
        "size = maps[0].shape",
        "A coarse map makes all coarse that follow it.",
    ),
    photo(
        "scale = _LONGEST_SIDE / max(height, width)",
        "scale = _LONGEST_SIDE / min(height, width)",
        "Wide photos are not reduced.",
    ),
    rules(
        'if self.over == "set":\n            return chosen.value',
        'if self.over == "set":\n            return chosen.value\n        return 0.5',
        "Each image has the same threshold.",
    ),
    maps(
        "if not folder.is_whole(split, loader.dataset.get_data_info(index)",
        "if True or not folder.is_whole(split, loader.dataset.get_data_info(index)",
        "Maps that are whole are made again.",
    ),
    maps(
        "yield image_id, self.table[self.raw.read_levels(split, image_id)]",
        "yield image_id, self.raw.read_levels(split, image_id) / np.float32(65535)",
        "Maps are not scaled over the set.",
    ),
    maps(
        "return self._fill(self.final, raw | scale, names, self._from_raw)",
        "return self._fill(self.final, raw, names[:1], self._from_raw)",
        "The photos of validation have no maps.",
    ),
    streaming(
        'self.runner.call_hook("before_test_epoch")',
        "pass",
        "Hooks are not told where a pass begins.",
    ),
    loop(
        'embeddings = ensure("embeddings.npy", trained | photos | read, self._embed)',
        'embeddings = ensure("embeddings.npy", photos | read, self._embed)',
        "Embeddings of another checkpoint are used again.",
    ),
    kmeans(
        "yield place, F.normalize(block.to(device, torch.float32), dim=1)",
        "yield place, block.to(device, torch.float32)",
        "Embeddings are clustered without being normalised.",
    ),
    kmeans(
        "half_squares = centroids.square().sum(dim=1) / 2",
        "half_squares = centroids.square().sum(dim=1) * 0",
        "Images go to the centroid of the largest product, not to the nearest.",
    ),
    kmeans(
        "squares = block.square().sum(dim=1) + 2 * best",
        "squares = block.square().sum(dim=1) + best",
        "Distances to centroids are wrong.",
    ),
    torch_kmeans(
        "best = int(objectives.argmin())",
        "best = int(objectives.argmax())",
        "The worst restart is kept.",
    ),
    torch_kmeans(
        "for _ in range(self.iterations):",
        "for _ in range(self.iterations - 1):",
        "One iteration of k-means is missing.",
    ),
    torch_kmeans(
        "means = (sums / counts.clamp_min(1)[..., None]).float()",
        "means = (sums / sums.norm(dim=2, keepdim=True).clamp_min(1e-12)).float()",
        "Centroids are normalised.",
    ),
    torch_kmeans(
        "generator = torch.Generator().manual_seed(self.seed)",
        "generator = torch.Generator().manual_seed(0)",
        "The seed changes nothing.",
    ),
    torch_kmeans(
        "half_squares = flat.square().sum(dim=1) / 2",
        "half_squares = flat.square().sum(dim=1)",
        "Long centroids lose their images.",
    ),
    torch_kmeans(
        "if (counts == 0).any():",
        "if False:",
        "Empty clusters stay empty.",
    ),
    torch_kmeans(
        "centroids[restart, donors] = copied * (1 - _SPLIT * sign)",
        "centroids[restart, donors] = copied * (1 + _SPLIT * sign)",
        "Both halves of a split cluster are the same.",
    ),
    torch_kmeans(
        "sums += one_hot.T @ block",
        "sums += one_hot.T @ block / len(block)",
        "On a GPU sums are means of blocks.",
    ),
    sharded_kmeans(
        "shard.add_over_ranks(counts, objectives, *([sums] if update else []))",
        "shard.add_over_ranks(counts, objectives)",
        "Each rank's centroids are those of its own images.",
    ),
    faiss_kmeans("spherical=False,", "spherical=True,", "Centroids are normalised."),
    faiss_kmeans("nredo=self.restarts,", "nredo=1,", "There are no restarts."),
    faiss_kmeans("seed=self.seed,\n", "seed=0,\n", "The seed changes nothing."),
    faiss_kmeans(
        "max_points_per_centroid=len(points),",
        "max_points_per_centroid=256,",
        "faiss clusters a sample of the images.",
    ),
    faiss_kmeans(
        'for place, block in normalised_blocks(features, _BLOCK_ROWS, "cpu"):',
        "for place, block in ((slice(0, len(features)), features),):",
        "Embeddings are clustered without being normalised.",
    ),
    pseudo_labels(
        "directions = F.normalize(centroids.to(features.device).float(), dim=1)",
        "directions = centroids.to(features.device).float()",
        "Long centroids win more pixels.",
    ),
    pseudo_labels(
        "return ids.masked_fill(attention < threshold, 0)",
        "return ids.masked_fill(attention <= threshold, 0)",
        "Attention equal to the threshold becomes 'other'.",
    ),
    pseudo_labels(
        'size=size, mode="bilinear", align_corners=False',
        'size=size, mode="nearest"',
        "Attention is up-sampled to the nearest.",
    ),
    pseudo_labels(
        "ids = nearest_resize_ids(nearest_category(features, centroids), size)",
        "ids = upsampled_argmax(F.conv2d(features.float(), F.normalize(centroids.float(), dim=1)"
        "[:, :, None, None]), size) + 1",
        "Categories are found at full size, not at four times the feature map's.",
    ),
    pseudo_labels(
        "upsampled_argmax(scores, (SCALE * height, SCALE * width)) + 1",
        "upsampled_argmax(scores, (height, width)) + 1",
        "Categories are found at the feature map's size.",
    ),
    quality(
        "return float(np.clip(2 * (entropies - _entropy(joint.ravel())) / entropies, 0, 1))",
        "return float(np.clip((entropies - _entropy(joint.ravel())) / entropies, 0, 1))",
        "NMI is divided by the sum of the entropies, not by their mean.",
    ),
    quality(
        "linear_sum_assignment(counts, maximize=True)",
        "linear_sum_assignment(counts)",
        "The worst naming of clusters is taken.",
    ),
]
