"""Mistakes in counting, metrics, matching, thresholds and distance matching (section 3)."""

from mutations.mutation import of

_EVALUATION = "tests/evaluation"
_METRICS = (f"{_EVALUATION}/test_metrics.py", "tests/parity/test_evaluation_metrics.py")

boundary = of("luss/evaluation/boundary.py", *_METRICS)
counting = of("luss/evaluation/counting.py", *_METRICS)
counts = of("luss/evaluation/counts.py", *_METRICS, f"{_EVALUATION}/test_match_ids.py")
metrics = of("luss/evaluation/metrics.py", *_METRICS)
matching = of(
    "luss/evaluation/matching.py",
    f"{_EVALUATION}/test_match_ids.py",
    f"{_EVALUATION}/test_metrics.py",
    "tests/parity/test_matching.py",
)
dump_masks = of(
    "luss/evaluation/dump_masks.py",
    f"{_EVALUATION}/test_segmentation_metric.py",
    f"{_EVALUATION}/test_dump_masks.py",
)
segmentation_metric = of(
    "luss/evaluation/segmentation_metric.py", f"{_EVALUATION}/test_segmentation_metric.py"
)
seen_images = of("luss/evaluation/seen_images.py", f"{_EVALUATION}/test_segmentation_metric.py")
threshold = of(
    "luss/label_generation/threshold_search.py",
    f"{_EVALUATION}/test_threshold_search.py",
    f"{_EVALUATION}/test_published_constants.py",
    "tests/parity/test_evaluation_threshold.py",
)
otsu = of("luss/label_generation/otsu.py", f"{_EVALUATION}/test_threshold_search.py")
bank = of(
    "luss/evaluation/distance_bank.py",
    f"{_EVALUATION}/test_distance_bank.py",
    f"{_EVALUATION}/test_published_constants.py",
    "tests/parity/test_distance_matching.py",
    "tests/pipeline/protocols/test_distance_matching_stage.py",
)
neighbours = of(
    "luss/evaluation/distance_matching.py",
    f"{_EVALUATION}/test_nearest_neighbours.py",
    f"{_EVALUATION}/test_published_constants.py",
    "tests/parity/test_distance_matching.py",
)
image_knn = of("luss/evaluation/image_knn.py", f"{_EVALUATION}/test_image_knn.py")
ceiling = of(
    "luss/evaluation/ceiling.py",
    f"{_EVALUATION}/test_ceiling.py",
    f"{_EVALUATION}/test_ceiling_is_bilinear.py",
)
foreground_quality = of(
    "luss/evaluation/foreground_quality.py", f"{_EVALUATION}/test_foreground_quality.py"
)
ladder = of("luss/evaluation/ladder.py", f"{_EVALUATION}/test_ladder.py")
matched_miou = of("luss/evaluation/metrics.py", f"{_EVALUATION}/test_ladder.py")
names = of("luss/evaluation/category_names.py", f"{_EVALUATION}/test_category_names.py")
match_source = of(
    "luss/evaluation/match_source.py",
    f"{_EVALUATION}/test_segmentation_metric.py",
    "tests/pipeline/test_named_categories.py",
)
typical_members = of(
    "luss/label_generation/typical_members.py", "tests/label_generation/test_typical_members.py"
)

MUTATIONS = [
    names(
        "targets[index] = 0\n",
        "targets[index] = index\n",
        "Categories that are dropped stay.",
    ),
    names(
        "while chain[-1] in targets:",
        "if chain[-1] in targets:",
        "A category that is merged into a merged one ends half-way.",
    ),
    match_source(
        "match = match[self.joined]",
        "match = match",
        "The match of merged categories is applied to ids before they are merged.",
    ),
    typical_members(
        "np.lexsort((distances, assignments))",
        "np.lexsort((-distances, assignments))",
        "Sheets show the photos that least belong to a category.",
    ),
    boundary(
        "fraction: float = 0.03)",
        "fraction: float = 0.02)",
        "Boundaries are two percent of the diagonal wide.",
    ),
    boundary(
        "max(1, round(fraction * math.hypot(height, width)))",
        "max(1, int(fraction * math.hypot(height, width)))",
        "The width of boundaries is truncated.",
    ),
    boundary(
        "length += step\n",
        "length += step + 1\n",
        "Windows of some widths are too small.",
    ),
    counts(
        "SIZE_LIMITS = (5, 25, 50)",
        "SIZE_LIMITS = (5, 20, 50)",
        "Objects of a fifth to a quarter of the image change their group.",
    ),
    counting(
        "percent = -(-100 * true_area[true_ids] // true_area.sum())",
        "percent = 100 * true_area[true_ids] // true_area.sum()",
        "A little more than five percent counts as five.",
    ),
    counting(
        "1 + np.searchsorted(SIZE_LIMITS, percent)",
        'np.minimum(4, 1 + np.searchsorted(SIZE_LIMITS, percent, side="right"))',
        "Exactly five percent counts as more.",
    ),
    counting(
        "kept = true != IGNORE_ID",
        "kept = true != -1",
        "Ignored pixels are counted.",
    ),
    counting(
        "row = np.where(key & 2, predicted, rows - 1)",
        "row = np.where(key & 1, predicted, rows - 1)",
        "The truth's boundary stands for the prediction's.",
    ),
    counting(
        "return dilate(mixed, boundary_width(*key.shape), border=3)",
        "return dilate(mixed, boundary_width(*key.shape), border=0)",
        "The image's border is no boundary.",
    ),
    counting(
        "(13 * overlap * F_BETA_UNIT) // (3 * true + 10 * predicted)",
        "(13 * overlap * F_BETA_UNIT) // (10 * true + 3 * predicted)",
        "F_beta weighs recall instead of precision.",
    ),
    counting(
        "largest = predicted_area[1:].max(initial=0)",
        "largest = predicted_area.max(initial=0)",
        "'Other' can be an image's largest class.",
    ),
    counting(
        "np.repeat(groups, len(other))])",
        "np.repeat(groups[:1], len(groups) * len(other))])",
        "Pixels of 'other' count in one size group only.",
    ),
    counts(
        "if len(image.top) == 1:",
        "if len(image.top) >= 1:",
        "Of several largest classes the lowest generated id counts, before matching.",
    ),
    counts(
        "self.cooccurrence[np.ix_(image.predicted, image.true)] += 1",
        "self.cooccurrence[np.ix_(image.top, image.true)] += 1",
        "Image-level matching looks at the largest class alone.",
    ),
    counts(
        "self.f_beta += other.f_beta",
        "pass",
        "F_beta of other workers is lost.",
    ),
    counts(
        "rows = np.append(match, classes + 1)",
        "rows = np.append(match, 0)",
        "Pixels in no boundary count as a boundary of 'other'.",
    ),
    metrics(
        "table.sum(axis=1)[:-1], table.sum(axis=0)[:-1]",
        "table[:-1, :-1].sum(axis=1), table[:-1, :-1].sum(axis=0)",
        "Boundary pixels of one side alone are left out.",
    ),
    metrics(
        "intersection / (predicted_area + true_area - intersection + 1e-10)",
        "intersection / (predicted_area + true_area + 1e-10)",
        "The union counts the intersection twice.",
    ),
    metrics(
        "present = classes.true_area[first:] > 0",
        "present = classes.predicted_area[first:] > 0",
        "A size group's mean is over predicted classes.",
    ),
    metrics(
        "per_class_iou(counts, boundary).iou[first:].mean())",
        "per_class_iou(counts, boundary).iou[1:].mean())",
        "mIoU leaves 'other' out.",
    ),
    metrics(
        "counts.f_beta / (F_BETA_UNIT * counts.images)",
        "counts.f_beta / F_BETA_UNIT",
        "F_beta is a sum, not a mean.",
    ),
    metrics(
        "if tops[0] in true)",
        "if set(tops) & set(true))",
        "Any of the largest classes may be right.",
    ),
    metrics(
        "1 + SIZE_GROUPS.index(group)]",
        "SIZE_GROUPS.index(group)]",
        "Each size group shows the one below.",
    ),
    matching(
        "match_ids(counts.cooccurrence[1:, 1:]",
        "match_ids(counts.top[1:, 1:]",
        "Image-level matching looks at the largest class alone.",
    ),
    dump_masks(
        "data = data.to(torch.int32).cpu().numpy()",
        "data = data.to(torch.uint8).cpu().numpy()",
        "Ids from 256 on wrap around.",
    ),
    seen_images(
        "elif identity in self.facts:",
        "elif False:",
        "An image that the sampler repeats is counted twice.",
    ),
    threshold(
        'return np.searchsorted(edges, values, side="right")',
        'return np.searchsorted(edges, values, side="left")',
        "Attention equal to the threshold counts as 'other'.",
    ),
    threshold(
        "tuple(step / 100 for step in range(81))",
        "tuple(step / 100 for step in range(80))",
        "0.80 is not tried.",
    ),
    threshold(
        "tuple(step / 100 for step in range(81))",
        "tuple(step / 100 for step in range(1, 81))",
        "0.00 is not tried.",
    ),
    threshold(
        "miou[k] > miou[best]",
        "miou[k] >= miou[best]",
        "The highest of equal thresholds is taken.",
    ),
    threshold(
        "self.true_area - pixels[0, 0, :, :-1].sum(axis=0)",
        "self.true_area",
        "The union of 'other' is too large.",
    ),
    threshold(
        "match = self.matcher(counts)",
        "match = ImageLevelMatcher()(counts)",
        "The threshold is chosen by another matcher than the labels are evaluated by.",
    ),
    otsu(
        "gap**2, 0.0)",
        "gap, 0.0)",
        "The gap of the means is not squared.",
    ),
    otsu(
        "(below / count.sum()) * (above / count.sum())",
        "(below / count.sum())",
        "The foreground's part has no weight.",
    ),
    otsu(
        "np.bincount(level, values, minlength=len(self.count))",
        "np.bincount(level, level, minlength=len(self.count))",
        "Means are taken of levels, not of attention.",
    ),
    bank(
        "upsampled.flatten(1).T / ids.numel(), labels[kept]",
        "upsampled.flatten(1).T, labels[kept]",
        "A class's vector is a sum, not a mean.",
    ),
    bank(
        "kept = labels != IGNORE_ID",
        "kept = labels > -1",
        "Ignored pixels give a vector.",
    ),
    bank(
        "upsampled = upsample(features[None])[0]",
        "upsampled = F.normalize(upsample(features[None])[0], dim=0)",
        "The bank is made of normalised features.",
    ),
    bank(
        "F.normalize(torch.from_numpy(self.vectors).to(device), dim=1)",
        "torch.from_numpy(self.vectors).to(device)",
        "Vectors of large regions win by their length.",
    ),
    bank(
        "query / lengths[image].view(-1, 1),",
        "query,",
        "Votes weigh products, not cosines.",
    ),
    bank("k: int = 10,", "k: int = 20,", "Twenty neighbours vote."),
    neighbours(
        "similarity.amax(dim=1, keepdim=True)) / temperature).exp()",
        "similarity.amax(dim=1, keepdim=True))).exp()",
        "The temperature of the votes is not used.",
    ),
    neighbours(
        "labels[start : start + batch_size] = highest.to(torch.uint8).argmax(dim=1)",
        "labels[start : start + batch_size] = num_labels - 1 - highest.flip(1).to(torch.uint8)"
        ".argmax(dim=1)",
        "The highest label wins a tie.",
    ),
    neighbours(
        "votes.scatter_add_(1, bank_labels[neighbour], weight)",
        "votes.scatter_(1, bank_labels[neighbour], weight)",
        "One neighbour of each class votes.",
    ),
    image_knn(
        "similarity[rows, rows + start] = -torch.inf",
        "similarity[rows, rows] = -torch.inf",
        "Images of later blocks are their own neighbours.",
    ),
    image_knn(
        "torch.exp(top / temperature)",
        "torch.exp(top)",
        "All neighbours weigh nearly the same.",
    ),
    ceiling(
        'mode="bilinear", align_corners=False)',
        'mode="nearest")',
        "The ceiling is that of blocks.",
    ),
    foreground_quality(
        "below = np.cumsum(other) - other / 2",
        "below = np.cumsum(other)",
        "Equal values count as right in the AUC.",
    ),
    foreground_quality(
        "kept = truth != IGNORE_ID",
        "kept = truth == truth",
        "Ignored pixels are foreground.",
    ),
    foreground_quality(
        "self.auc / self.images_with_auc",
        "self.auc / self.images",
        "Photos without an AUC count as wrong.",
    ),
    foreground_quality(
        "unit.sum(dim=0).square().mean() - count",
        "unit.sum(dim=0).square().mean()",
        "Channels are correlated with themselves.",
    ),
    ladder(
        "reachable = through_grid(truth, grid)",
        "reachable = np.where(truth == IGNORE_ID, 0, truth)",
        "True masks are finer than any label.",
    ),
    ladder(
        "np.where(mask, nearest_ids(reachable), 0)",
        "np.where(mask, reachable, 0)",
        "A found mask that is too large costs nothing.",
    ),
    matched_miou(
        "np.add.at(joined, match, confusion)",
        "joined[match] = confusion",
        "Of categories that are joined the last one counts.",
    ),
]
