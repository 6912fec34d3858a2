from luss.compat import import_mmseg

# Makes the components of mmseg available with mmcv-lite, too.
import_mmseg()

from luss.models.algorithms import *  # noqa: E402, F403
from luss.models.backbone_features import *  # noqa: E402, F403
from luss.models.backbones import *  # noqa: E402, F403
from luss.models.data_preprocessors import *  # noqa: E402, F403
from luss.models.heads import *  # noqa: E402, F403
from luss.models.no_model import *  # noqa: E402, F403
from luss.models.objectives import *  # noqa: E402, F403
from luss.models.pretrainers import *  # noqa: E402, F403
from luss.models.refiners import *  # noqa: E402, F403
from luss.models.segmentors import *  # noqa: E402, F403
