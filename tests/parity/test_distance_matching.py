"""k-NN votes against the released distance matching."""

import torch

from luss.evaluation.distance_bank import nearest_neighbour_labels


def test_labels(golden):
    arrays = golden("distance_matching_knn.npz")
    for n in range(int(arrays["ncases"])):
        case = {
            name: torch.from_numpy(arrays[f"case{n}_{name}"])
            for name in ("query_features", "bank_features", "bank_labels", "prediction_top1")
        }
        for batch_size in (4096, 7):
            labels = nearest_neighbour_labels(
                case["query_features"],
                case["bank_features"],
                case["bank_labels"],
                num_labels=int(arrays[f"case{n}_num_classes_with_other"]),
                k=int(arrays[f"case{n}_k"]),
                temperature=float(arrays[f"case{n}_T"]),
                batch_size=batch_size,
            )
            assert torch.equal(labels, case["prediction_top1"])
