"""Mistakes in objectives, heads, trainers and segmentors: the method itself (section 4)."""

from mutations.mutation import of

_OBJECTIVES = "tests/models/objectives"
_PARITY = "tests/parity"

batch_norms = of("luss/engine/batch_norms.py", "tests/models/algorithms/test_batch_norms.py")
sinkhorn = of(
    "luss/models/objectives/sinkhorn.py",
    f"{_OBJECTIVES}/test_sinkhorn.py",
    f"{_PARITY}/test_sinkhorn.py",
    "tests/models/pretrainers/test_two_processes.py",
)
clustering = of(
    "luss/models/objectives/clustering.py",
    f"{_OBJECTIVES}/test_clustering.py",
    f"{_OBJECTIVES}/test_settings_are_used.py",
    f"{_PARITY}/test_clustering_and_d2s.py",
    f"{_PARITY}/test_pretrain_step.py",
)
clustering_of_ranks = of(
    "luss/models/objectives/clustering.py", "tests/models/pretrainers/test_two_processes.py"
)
d2s = of(
    "luss/models/objectives/d2s.py",
    f"{_OBJECTIVES}/test_d2s.py",
    f"{_OBJECTIVES}/test_settings_are_used.py",
    f"{_PARITY}/test_clustering_and_d2s.py",
    f"{_PARITY}/test_pretrain_step.py",
)
pixel_alignment = of(
    "luss/models/objectives/pixel_alignment.py",
    f"{_OBJECTIVES}/test_p2p.py",
    f"{_OBJECTIVES}/test_settings_are_used.py",
    f"{_PARITY}/test_p2p.py",
)
p2p = of(
    "luss/models/objectives/p2p.py",
    f"{_OBJECTIVES}/test_p2p.py",
    f"{_OBJECTIVES}/test_settings_are_used.py",
    f"{_PARITY}/test_p2p.py",
)
contrastive_p2p = of(
    "luss/models/objectives/contrastive_p2p.py", f"{_OBJECTIVES}/test_contrastive_p2p.py"
)
clustering_p2p = of(
    "luss/models/objectives/clustering_p2p.py", f"{_OBJECTIVES}/test_clustering_p2p.py"
)
of_overlapping = of(
    "luss/models/objectives/pixel_alignment.py",
    f"{_OBJECTIVES}/test_contrastive_p2p.py",
    f"{_OBJECTIVES}/test_clustering_p2p.py",
)
_BACKBONES = "tests/models/backbones"
feature_maps = of("luss/models/backbones/feature_maps.py", f"{_BACKBONES}/test_feature_maps.py")
transformer = of(
    "luss/models/backbones/vision_transformer.py", f"{_BACKBONES}/test_vision_transformer.py"
)
weight_files = of("luss/models/backbones/weights.py", f"{_BACKBONES}/test_weights.py")
layouts = of("luss/models/backbones/layouts.py", f"{_BACKBONES}/test_weights.py")
registry = of("luss/registry.py", "tests/test_registry.py")
cam = of("luss/models/segmentors/cam.py", "tests/models/segmentors/test_image_level.py")
image_level = of(
    "luss/models/segmentors/image_level_head.py", "tests/models/segmentors/test_image_level.py"
)
pixpro = of(
    "luss/models/objectives/pixpro.py",
    f"{_OBJECTIVES}/test_pixpro.py",
    f"{_PARITY}/test_pixpro.py",
)
momentum_encoder = of(
    "luss/models/objectives/momentum_encoder.py",
    f"{_OBJECTIVES}/test_momentum_encoder.py",
    f"{_OBJECTIVES}/test_pixpro.py",
    f"{_PARITY}/test_pixpro.py",
)
propagation = of(
    "luss/models/heads/pixel_propagation.py",
    "tests/models/heads/test_pixel_propagation.py",
    f"{_PARITY}/test_pixpro.py",
)
attention = of(
    "luss/models/heads/pixel_attention.py",
    "tests/models/heads",
    f"{_PARITY}/test_pixel_attention.py",
)
projector = of(
    "luss/models/heads/projector.py",
    "tests/models",
    f"{_PARITY}/test_p2p.py",
    f"{_PARITY}/test_pretrain_step.py",
)
pretrainer = of(
    "luss/models/pretrainers/pass_pretrainer.py",
    "tests/models/pretrainers/test_pass_pretrainer.py",
    f"{_PARITY}/test_pretrain_step.py",
)
attention_trainer = of(
    "luss/models/pretrainers/pixel_attention_trainer.py",
    "tests/models/pretrainers/test_pixel_attention_trainer.py",
)
segmentation_head = of(
    "luss/models/segmentors/pass_head.py",
    "tests/models/segmentors",
    f"{_PARITY}/test_finetune_loss.py",
)
segmentor = of(
    "luss/models/segmentors/pass_segmentor.py",
    "tests/models/segmentors",
    f"{_PARITY}/test_finetune_loss.py",
)
argmax = of("luss/models/segmentors/upsampled_argmax.py", "tests/models/segmentors")
views = of("luss/structures/view_features.py", "tests/structures", "tests/models/pretrainers")
teacher = of(
    "luss/models/objectives/foreground_teacher.py", f"{_OBJECTIVES}/test_foreground_teacher.py"
)
contrast = of(
    "luss/models/objectives/foreground_contrast.py",
    f"{_OBJECTIVES}/test_foreground_contrast.py",
)
disentangler = of("luss/models/heads/disentangler.py", "tests/models/heads/test_disentangler.py")
c2am = of("luss/models/pretrainers/c2am.py", "tests/models/pretrainers/test_c2am.py")
geometry = of(
    "luss/structures/geometry.py",
    "tests/structures",
    f"{_PARITY}/test_overlap_grids.py",
    f"{_OBJECTIVES}/test_p2p.py",
)
beit = of(
    "luss/models/backbones/beit.py",
    f"{_BACKBONES}/test_beit.py",
    f"{_BACKBONES}/test_vision_transformer.py",
)
arguments = of("luss/models/unknown_arguments.py", "tests/models/test_unknown_arguments.py")

MUTATIONS = [
    batch_norms(
        "return any(hasattr(module, _SHUFFLE) for module in modules)",
        "return hasattr(next(modules), _SHUFFLE)",
        "Batch norms of methods derived from MoCo are synchronised.",
    ),
    sinkhorn(
        "logs = scores.float() / epsilon",
        "logs = scores / epsilon",
        "Codes are made in half precision.",
    ),
    sinkhorn(
        "for _ in range(iterations):",
        "for _ in range(iterations - 1):",
        "One alternation of Sinkhorn-Knopp is missing.",
    ),
    sinkhorn(
        "logs -= _over_ranks(logs.logsumexp(dim=0, keepdim=True)) + math.log(num_prototypes)",
        "logs -= logs.logsumexp(dim=0, keepdim=True) + math.log(num_prototypes)",
        "Each rank balances its prototypes alone.",
    ),
    sinkhorn(
        "logs -= logs.logsumexp(dim=1, keepdim=True) + math.log(total_rows)",
        "logs -= logs.logsumexp(dim=1, keepdim=True) + math.log(rows)",
        "Rows are scaled by this rank's rows, not by those of all.",
    ),
    clustering(
        "F.log_softmax(scores.float() / temperature, dim=-1)",
        "F.log_softmax(scores / temperature, dim=-1)",
        "The cross entropy is taken in half precision.",
    ),
    clustering(
        "losses.masked_fill(own, 0).sum() / (assigning * (views - 1))",
        "losses.sum() / (assigning * (views - 1))",
        "A crop's codes supervise the crop itself.",
    ),
    clustering(
        "losses.masked_fill(own, 0).sum() / (assigning * (views - 1))",
        "losses.masked_fill(own, 0).sum() / (assigning * views)",
        "The loss is divided by one view too many.",
    ),
    clustering(
        "epoch >= self.queue_start_epoch",
        "epoch > self.queue_start_epoch",
        "The queue starts an epoch late.",
    ),
    clustering(
        "update < self.frozen_prototype_iters",
        "update <= self.frozen_prototype_iters",
        "Prototypes are frozen for one iteration more.",
    ),
    clustering(
        "self.prototypes.weight.grad = None",
        "self.prototypes.weight.grad.zero_()",
        "Weight decay and momentum move the frozen prototypes.",
    ),
    clustering(
        "self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))",
        "self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=0))",
        "Columns of the prototypes, not rows, get unit length.",
    ),
    clustering(
        "return F.normalize(single(self.projector(pooled)), dim=1)",
        "return self.projector(pooled)",
        "Embeddings are not of unit length.",
    ),
    clustering(
        "if self.training:\n            self.normalize_prototypes()",
        "if not self.training:\n            self.normalize_prototypes()",
        "Prototypes are normalised in evaluation, not before a step.",
    ),
    clustering(
        "codes, self.prototypes.weight.detach(), self.epsilon",
        "codes, self.prototypes.weight, self.epsilon",
        "D2S sends gradients into the prototypes.",
    ),
    clustering(
        "rows = torch.cat([queued[crop], rows])",
        "rows = torch.cat([queued[0], rows])",
        "The second crop uses the first crop's queue.",
    ),
    clustering(
        "sinkhorn(scores, self.epsilon, self.sinkhorn_iterations)[-batch_size:]",
        "sinkhorn(scores, self.epsilon, self.sinkhorn_iterations)[:batch_size]",
        "The queue's codes supervise the batch.",
    ),
    clustering(
        "sinkhorn(scores, self.epsilon, self.sinkhorn_iterations)[-batch_size:]",
        "sinkhorn(scores, iterations=self.sinkhorn_iterations)[-batch_size:]",
        "The configured epsilon is not used.",
    ),
    clustering(
        "if self.queue_active:\n            self._push",
        "if False:\n            self._push",
        "The queue is never filled.",
    ),
    clustering(
        "if not self.queue_active or self._filled_rows < length:",
        "if not self.queue_active:",
        "A queue of zeros takes part before it is full.",
    ),
    clustering(
        "return self.queue_length // global_batch * global_batch",
        "return self.queue_length",
        "The queue is not a multiple of the batch.",
    ),
    clustering(
        "kept = self.queue[:, : length - newest.shape[1]].clone()",
        "kept = self.queue[:, newest.shape[1] : length].clone()",
        "The queue keeps its oldest rows and forgets the newer ones.",
    ),
    clustering(
        "self._filled_rows = int(filled.max()) + 1 if len(filled) else 0",
        "self._filled_rows = int(filled.max()) if len(filled) else 0",
        "A resumed queue counts as not full.",
    ),
    clustering(
        "with torch.autocast(embeddings.device.type, enabled=False):",
        "with torch.autocast(embeddings.device.type, enabled=True):",
        "Scores of the codes are in half precision.",
    ),
    clustering_of_ranks(
        "self.queue[:, :length].chunk(get_world_size(), dim=1)[get_rank()]",
        "self.queue[:, :length].chunk(get_world_size(), dim=1)[0]",
        "All ranks use the first rank's share of the queue.",
    ),
    clustering_of_ranks(
        "newest = torch.cat(all_gather(embeddings.contiguous()), dim=1)",
        "newest = embeddings.contiguous()",
        "Each rank's queue holds its own embeddings alone.",
    ),
    d2s(
        "supervised = shallow_scores if same_view else shallow_scores.flip(0)",
        "supervised = shallow_scores",
        "A crop's codes supervise its own shallow features.",
    ),
    d2s(
        "pooled = self.pixel_projector(features).mean(dim=(2, 3))",
        "pooled = self.pixel_projector(features).amax(dim=(2, 3))",
        "Shallow features are pooled by the maximum.",
    ),
    d2s(
        "return F.normalize(single(self.projector(pooled)), dim=1)",
        "return self.projector(pooled)",
        "Shallow embeddings are not of unit length.",
    ),
    d2s(
        "temperature: float = 0.1,",
        "temperature: float = 0.07,",
        "D2S has another temperature than the clustering.",
    ),
    d2s(
        "PixelProjector(in_channels, hidden_channels, in_channels)",
        "PixelProjector(in_channels, hidden_channels, in_channels, 2)",
        "M_K has two layers instead of three.",
    ),
    d2s(
        'if self.codes_from == "same":',
        'if self.codes_from != "same":',
        "Same-stage and deep-to-shallow supervision change places.",
    ),
    d2s(
        "project_pixels=stage < _DEEPEST",
        "project_pixels=stage <= _DEEPEST",
        "The deepest stage has an M_K.",
    ),
    contrastive_p2p(
        "F.log_softmax(scores, dim=2) + F.log_softmax(scores, dim=1)",
        "2 * F.log_softmax(scores, dim=2)",
        "Pixels of the second view look for none of the first.",
    ),
    contrastive_p2p(
        "found.diagonal(dim1=1, dim2=2).mean(dim=1)",
        "found.mean(dim=(1, 2))",
        "All pixels of the other view are counterparts.",
    ),
    clustering_p2p(
        "soft_cross_entropy(scores.flip(0), codes, temperature)",
        "soft_cross_entropy(scores, codes, temperature)",
        "Pixels predict their own codes.",
    ),
    clustering_p2p(
        "pixels = pixels * overlaps.repeat(2)[:, None, None]",
        "pixels = pixels * 1",
        "Places that both views lack take part in balancing the codes.",
    ),
    of_overlapping(
        "(losses * overlaps).sum()",
        "losses.sum()",
        "Photos whose views do not overlap count.",
    ),
    cam(
        "amax(dim=1, keepdim=True).relu()",
        "amax(dim=1, keepdim=True).abs()",
        "What speaks against a category activates it.",
    ),
    cam(
        "logits[:, 1:].float()",
        "logits.float()",
        "'Other' activates the major categories.",
    ),
    image_level(
        "seg_logits.float().mean(dim=(2, 3))",
        "seg_logits.float().amax(dim=(2, 3))",
        "Features are pooled by the maximum.",
    ),
    segmentor(
        "predict_ids(logits[:, 1:], size, self.align_corners) + 1",
        "predict_ids(logits[:, 1:], size, self.align_corners)",
        "Ids by activation maps are one too low.",
    ),
    p2p(
        "predictions.float(), targets.detach().float()",
        "predictions.float(), targets.float()",
        "The gradient flows into the targets, and all pixels become alike.",
    ),
    p2p(
        "F.cosine_similarity(predictions, targets.flip(0), dim=2)",
        "F.cosine_similarity(predictions, targets, dim=2)",
        "A view predicts itself.",
    ),
    p2p(
        "return -F.cosine_similarity",
        "return F.cosine_similarity",
        "The similarity is minimised.",
    ),
    pixel_alignment(
        "overlap_grids(views.geometry[0], views.geometry[1], self.grid_size)",
        "overlap_grids(views.geometry[1], views.geometry[0], self.grid_size)",
        "Each view is read on the other's grid.",
    ),
    pixel_alignment(
        "if self.sample_first:",
        "if not self.sample_first:",
        "Paper and released code change places: sampling before or after M_p.",
    ),
    pixel_alignment(
        '"bilinear", "zeros", align_corners=False',
        '"bilinear", "border", align_corners=False',
        "Points that lie in neither view read the border.",
    ),
    pixel_alignment(
        '"bilinear", "zeros", align_corners=False',
        '"bilinear", "zeros", align_corners=True',
        "The grid is read half a feature cell away.",
    ),
    pixel_alignment(
        '"bilinear", "zeros", align_corners=False',
        '"nearest", "zeros", align_corners=False',
        "The grid is read at the nearest feature.",
    ),
    pixel_alignment(
        "grid_size: int = 7,", "grid_size: int = 8,", "The grid has 8 points a side instead of 7."
    ),
    pixel_alignment(
        "projector_layers: int = 3,",
        "projector_layers: int = 2,",
        "M_p has the paper's two layers, not the released code's three.",
    ),
    attention(
        "_weighted_mean(upsampled, attention / norm)",
        "_weighted_mean(upsampled, attention)",
        "Attention trains on raw features.",
    ),
    attention(
        "attention = self._attention(features, _norm(upsampled))",
        "attention = self._attention(features, _norm(upsampled)) / _norm(upsampled)",
        "K-means gets normalised features.",
    ),
    attention(
        "torch.sigmoid(hidden.to(norm.dtype) + self.threshold)",
        "torch.sigmoid(hidden.to(norm.dtype) - self.threshold)",
        "The learnt threshold has the other sign.",
    ),
    attention(
        "return self.attention(features).mean(dim=1, keepdim=True)",
        "return self.attention(features).amax(dim=1, keepdim=True)",
        "The largest channel decides what is foreground, not the mean.",
    ),
    attention(
        "upsample(F.conv2d(features, first.weight)) / norm + first.bias.view(1, -1, 1, 1)",
        "(upsample(F.conv2d(features, first.weight)) + first.bias.view(1, -1, 1, 1)) / norm",
        "The bias is divided by the norm of the feature.",
    ),
    attention(
        'scale_factor=scale, mode="bilinear", align_corners=False',
        'scale_factor=scale, mode="bilinear", align_corners=True',
        "Features are up-sampled with aligned corners.",
    ),
    attention(
        'scale_factor=scale, mode="bilinear", align_corners=False',
        'scale_factor=scale, mode="nearest"',
        "Features are up-sampled to the nearest.",
    ),
    attention(
        "return upsampled.norm(dim=1, keepdim=True).clamp_min(_SMALLEST_NORM)",
        "return upsampled.norm(dim=1, keepdim=True)",
        "A pixel without any feature gives NaN.",
    ),
    attention(
        "return (features * weights).mean(dim=(2, 3))",
        "return (features * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))",
        "The pooled feature is a weighted mean, not the mean of c(z) z.",
    ),
    attention(
        "nn.Parameter(torch.zeros(1, maps, 1, 1))",
        "nn.Parameter(torch.ones(1, maps, 1, 1))",
        "The threshold starts at one.",
    ),
    projector(
        'nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")',
        'nn.init.kaiming_normal_(part.weight, mode="fan_in", nonlinearity="relu")',
        "Convolutions are initialised by fan-in.",
    ),
    projector(
        "nn.BatchNorm1d(out_channels, affine=False)",
        "nn.BatchNorm1d(out_channels)",
        "The last batch norm of M_I learns a scale.",
    ),
    projector(
        "nn.BatchNorm2d(width, affine=not last)",
        "nn.BatchNorm2d(width)",
        "The last batch norm of M_p and M_K learns a scale.",
    ),
    projector(
        "hidden_channels, width, 1, bias=False)",
        "hidden_channels, width, 1)",
        "The convolutions of M_p and M_K have biases.",
    ),
    pretrainer(
        "weights.get(named[name], 1.0) * loss",
        "weights.get(named[name], 0.5) * loss",
        "Losses without a weight count half.",
    ),
    pretrainer(
        "total = sum(weights.get(named[name], 1.0) * loss for",
        "total = sum(loss for",
        "The weights of the losses are not used.",
    ),
    pretrainer(
        "geometry=[ViewGeometry.unpack(packed) for packed in geometry.unbind(dim=1)],",
        "geometry=[ViewGeometry.unpack(packed) for packed in geometry.flip(1).unbind(dim=1)],",
        "The rectangles belong to other views.",
    ),
    attention_trainer(
        '= ("backbone", "objectives.clustering.projector")',
        '= ("objectives.clustering.projector",)',
        "The backbone is trained in step 2.1.",
    ),
    attention_trainer(
        '= ("backbone", "objectives.clustering.projector")',
        '= ("backbone",)',
        "M_I is trained in step 2.1.",
    ),
    attention_trainer(
        "return self.attention.pool_raw(features, foreground)",
        "return self.attention.pool_normalised(features)",
        "K-means clusters what training pools.",
    ),
    attention_trainer(
        "self.attention.pool_normalised(features), {}",
        "self.attention.pool_raw(features), {}",
        "Training pools what k-means clusters.",
    ),
    attention_trainer(
        '{"loss_clustering": 1 - share, "loss_foreground": share}',
        '{"loss_clustering": share, "loss_foreground": 1 - share}',
        "The teacher's weight is the clustering loss's.",
    ),
    attention_trainer(
        "batch_size = len(inputs[0])",
        "batch_size = len(self.eval() and inputs[0])",
        "Frozen parts normalise by running statistics in step 2.1.",
    ),
    segmentation_head(
        '{"type": "mmseg.CrossEntropyLoss", "avg_non_ignore": True}',
        '{"type": "mmseg.CrossEntropyLoss", "avg_non_ignore": False}',
        "Ignored pixels count in the mean.",
    ),
    segmentation_head(
        "ignore_index: int = IGNORE_ID,",
        "ignore_index: int = 255,",
        "Class 255 is ignored, and 1000 is not.",
    ),
    segmentation_head(
        "dropout_ratio=0,",
        "dropout_ratio=0.1,",
        "Features of the head are dropped at random.",
    ),
    segmentation_head(
        'self.conv_seg.weight, mode="fan_out"',
        'self.conv_seg.weight, mode="fan_in"',
        "The head is initialised by fan-in.",
    ),
    segmentation_head(
        'mode="bilinear",\n            align_corners=self.align_corners,',
        'mode="nearest",\n            align_corners=None,',
        "Logits are up-sampled to the nearest.",
    ),
    segmentation_head(
        "seg_logits.float(),",
        "seg_logits,",
        "The loss is taken in half precision.",
    ),
    segmentor(
        "labels = sample.gt_sem_seg.data[..., ::step, ::step]",
        "labels = sample.gt_sem_seg.data[..., step // 2 :: step, step // 2 :: step]",
        "Other pixels of the labels are trained on.",
    ),
    segmentor(
        "label_stride: int = 2,",
        "label_stride: int = 1,",
        "Every pixel is trained on.",
    ),
    segmentor(
        "if height * width <= LARGE_IMAGE or",
        "if height * width < LARGE_IMAGE or",
        "An image of exactly a million pixels takes the way round.",
    ),
    segmentor(
        "HEIGHT_OF_LARGE = 1000",
        "HEIGHT_OF_LARGE = 1024",
        "Large images go by way of other sizes.",
    ),
    segmentor(
        'size = tuple(sample.metainfo["ori_shape"][:2])',
        'size = tuple(sample.metainfo.get("img_shape", sample.metainfo["ori_shape"])[:2])',
        "Predictions have the size of the resized image.",
    ),
    argmax(
        "ids = torch.where(largest > best, place + first, ids)",
        "ids = torch.where(largest >= best, place + first, ids)",
        "The highest id wins a tie between chunks.",
    ),
    argmax(
        "lowest.amax(dim=1, keepdim=True) - slack",
        "lowest.amax(dim=1, keepdim=True) + slack",
        "A class that nearly ties is left out.",
    ),
    argmax(
        "beaten = highest < lowest.amax(dim=1, keepdim=True)",
        "beaten = lowest < lowest.amax(dim=1, keepdim=True)",
        "Classes that win between grid points are left out.",
    ),
    argmax(
        'size=after, mode="nearest")',
        'size=after, mode="nearest-exact")',
        "Ids are resized to the nearest centre.",
    ),
    argmax(
        "rivals = _candidates(widened[..., strip], (2, 1))",
        "rivals = _candidates(widened[..., strip], (1, 1))",
        "Classes that win between two rows of a strip are left out.",
    ),
    views(
        "return features[: 2 * self.batch_size]",
        "return features[-2 * self.batch_size :]",
        "The last two crops of a resolution count as the large ones.",
    ),
    views(
        "group[self.deepest].mean(dim=(2, 3))",
        "group[self.deepest].amax(dim=(2, 3))",
        "Features are pooled by the maximum.",
    ),
    geometry(
        "flipped=packed[:, 4] != 0",
        "flipped=packed[:, 4] == 0",
        "Mirrored views count as plain, and the other way round.",
    ),
    geometry(
        "x = torch.where(view.flipped[:, None], 1 - x, x)",
        "x = torch.where(view.flipped[:, None], -x, x)",
        "Mirrored views are read one width away.",
    ),
    geometry(
        "overlaps = (end > start).all(dim=1)",
        "overlaps = (end >= start).all(dim=1)",
        "Views that touch count as overlapping.",
    ),
    geometry(
        "fraction = torch.linspace(0, 1, size, device=start.device, dtype=start.dtype)",
        "fraction = (torch.arange(size, device=start.device) + 0.5) / size",
        "Points lie in the cells' centres, not from border to border.",
    ),
    teacher(
        "for view in views])",
        "for view in views[::-1]])",
        "The teacher shows each view what the other one sees.",
    ),
    teacher("maps = maps / 255", "maps = 1 - maps / 255", "Background is taught as foreground."),
    contrast(
        "torch.exp(-alpha * ranks)",
        "torch.exp(-alpha * (ranks + 1))",
        "The pair that is most alike does not weigh 1.",
    ),
    contrast(
        "argsort(dim=1, descending=True, stable=True)",
        "argsort(dim=1, stable=True)",
        "The pairs that are least alike weigh most.",
    ),
    contrast(
        "view(count - 1, count + 1)[:, :-1]",
        "view(count - 1, count + 1)[:, 1:]",
        "A vector is its own pair.",
    ),
    contrast(
        "-torch.log1p(-pair_similarities(foreground, background)).mean()",
        "-torch.log(pair_similarities(foreground, background)).mean()",
        "Foreground and background are pulled together.",
    ),
    disentangler(
        "torch.cat([weights, 1 - weights], dim=1)",
        "torch.cat([weights, weights], dim=1)",
        "Both representations are those of the foreground.",
    ),
    c2am(
        "torch.where(self.frame_lead > 0, 1 - activation, activation)",
        "torch.where(self.frame_lead < 0, 1 - activation, activation)",
        "The side that touches the frame is the foreground.",
    ),
    c2am(
        "return torch.where((areas > 1e-3).all(), at_frame - inside, known)",
        "return at_frame - inside",
        "Crops that show no frame say that the frame is not active.",
    ),
    c2am(
        "            self.get_submodule(name).eval()",
        "            self.get_submodule(name).train(mode)",
        "The frozen backbone's statistics move.",
    ),
    geometry(
        "columns = torch.where(views.flipped[:, None], 1 - columns, columns)",
        "columns = torch.where(views.flipped[:, None], columns, 1 - columns)",
        "Maps are mirrored where views are not.",
    ),
    geometry("OUTSIDE = -2.0", "OUTSIDE = -1.0", "Points of no overlap read a corner."),
    geometry(
        "[x[:, None, :].expand(-1, size, -1), y[:, :, None].expand(-1, -1, size)]",
        "[y[:, None, :].expand(-1, size, -1), x[:, :, None].expand(-1, -1, size)]",
        "x and y change places.",
    ),
    beit(
        "if own == grid:",
        "if sum(own) == sum(grid):",
        "A grid of other proportions, but as many rows and columns, has the biases of the own one.",
    ),
    beit(
        "places = table[:-_EXTRA].unflatten(0, (2 * own[0] - 1, 2 * own[1] - 1))",
        "places = table[:-_EXTRA].unflatten(0, (2 * own[1] - 1, 2 * own[0] - 1))",
        "Rows and columns of the own grid change places.",
    ),
    arguments(
        "if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters):",
        "if True:",
        "What a class hands on to its parents is no setting of its own.",
    ),
    geometry(
        "corners[:, [2, 1, 0, 3]]",
        "corners[:, [0, 3, 2, 1]]",
        "Views count as mirrored upside down.",
    ),
    geometry(
        "end = (self.rectangles[:, :2] + self.rectangles[:, 2:] - 1) / last",
        "end = (self.rectangles[:, :2] + self.rectangles[:, 2:]) / last",
        "A view's last pixel counts as one further.",
    ),
    geometry(
        "limit * torch.maximum(diagonal1, diagonal2)",
        "limit * torch.minimum(diagonal1, diagonal2)",
        "Distances are measured by the smaller pixel.",
    ),
    pixpro(
        "(pairs + 1e-6)",
        "pairs.clamp(min=1).sum()",
        "All pairs of a batch count alike, not all images.",
    ),
    pixpro(
        "consistency_loss(queries[0], keys[1], near)",
        "consistency_loss(queries[0], keys[0], near)",
        "A view predicts its own copy.",
    ),
    pixpro(
        "keys[0], near.transpose(1, 2))",
        "keys[0], near)",
        "The second direction has the pairs of the first.",
    ),
    pixpro(
        "self.momentum_encoder.update_parameters(*self._encoder)",
        "pass",
        "The copy never follows.",
    ),
    pixpro(
        "max_distance: float = 0.7,", "max_distance: float = 1.0,", "More pixels belong together."
    ),
    pixpro("momentum: float = 0.99,", "momentum: float = 0.999,", "The copy follows more slowly."),
    momentum_encoder(
        "(math.cos(math.pi * step / total) + 1) / 2",
        "(1 - step / total)",
        "The momentum rises in a straight line.",
    ),
    momentum_encoder(
        "if self._calls == 0:",
        "if self.steps == 0:",
        "Each step waits for the device.",
    ),
    momentum_encoder(
        "torch._foreach_lerp_(copies, sources, 1 - momentum)",
        "torch._foreach_lerp_(copies, sources, momentum)",
        "The copy keeps little of what it was.",
    ),
    momentum_encoder(
        "self._calls = int(self.steps)",
        "self._calls = 0",
        "A resumed copy begins its schedule again, and becomes the encoder.",
    ),
    propagation(
        ".clamp(min=0) ** sharpness",
        ".abs() ** sharpness",
        "Pixels that are opposite count as alike.",
    ),
    propagation(
        "F.normalize(values.float().flatten(2), dim=1)",
        "values.float().flatten(2)",
        "Values keep their lengths.",
    ),
    propagation(
        "with torch.autocast(features.device.type, enabled=False):",
        "with torch.autocast(features.device.type, enabled=True):",
        "Similarities are made in half precision.",
    ),
    feature_maps(
        "if 0 <= extra <= _MOST_EXTRA_TOKENS and height * width:",
        "if extra <= _MOST_EXTRA_TOKENS and height * width:",
        "A grid of more patches than tokens counts.",
    ),
    feature_maps(
        "return other.shape[1] != output.shape[1]",
        "return other.shape[1] == output.shape[1]",
        "The side that grows with the image counts as that of the channels.",
    ),
    feature_maps(
        "return smallest < largest",
        "return smallest < 2 * largest",
        "Proportions that differ by half count as those of the image.",
    ),
    transformer(
        "(new + offset) / old for new, old",
        "new / old for new, old",
        "Positions are resized without the hub models' offset.",
    ),
    transformer(
        "        # The parent froze what was there.\n        if self.frozen_stages > 0:",
        "        # The parent froze what was there.\n        if self.frozen_stages > 99:",
        "Layer scales of frozen stages are trained.",
    ),
    beit(
        "        if self.frozen_stages > 0:",
        "        if self.frozen_stages > 99:",
        "The attention of frozen stages is trained.",
    ),
    weight_files(
        "if expected is not None and own is not None and own != expected:",
        "if expected is not None and own is not None and own < 0:",
        "A transformer of other heads is filled.",
    ),
    weight_files(
        "and not written[name].startswith(entry._layout.dropped)",
        "and not name.startswith(entry._layout.dropped)",
        "Tops of timm's networks are refused in OpenMMLab's wrapper.",
    ),
    layouts(
        "heads={384: 12, 768: 12},",
        "heads={384: 6, 768: 12},",
        "MoCo v3's ViT-S is taken for DeiT's.",
    ),
    registry(
        "            frame = frame.f_back",
        "            frame = None",
        "Only the function that called the registry is asked for its library.",
    ),
]
