from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "luss" / "version.py").read_text(), VERSION)

# For region contrast.
FOREGROUND = ["scikit-image>=0.24"]
# For ONNX files, which are compared with PyTorch.
EXPORT = ["onnx>=1.16", "onnxruntime>=1.18"]
MMCV = "mmcv-lite>=2.0.1,<2.1"
TESTS = ["pytest>=8", "pytest-xdist>=3.6", "hypothesis>=6.100", *FOREGROUND, *EXPORT]

setup(
    name="luss",
    version=VERSION["__version__"],
    description="Large-scale unsupervised semantic segmentation on MMEngine",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["luss", "luss.*"]),
    # .mim holds links to configs, tools and the template; in a wheel they are files.
    package_data={
        "luss": [
            "py.typed",
            "visualization/templates/*.html",
            ".mim/model-index.yml",
            ".mim/configs/**/*.py",
            ".mim/configs/**/*.md",
            ".mim/tools/**/*.py",
            ".mim/tools/*.sh",
            ".mim/project_template/**/*.py",
            ".mim/project_template/*.md",
            ".mim/projects/**/*.py",
            ".mim/projects/**/*.md",
        ]
    },
    include_package_data=False,
    python_requires=">=3.11,<3.14",
    install_requires=[
        "torch>=2.6",
        "numpy>=1.26",
        "scipy>=1.11",
        "pillow>=10",
        "opencv-python>=4.9",
        "matplotlib>=3.8",
        "jinja2>=3.1",
        # Of mmselfsup, which requires it, too.
        "scikit-learn>=1.3",
        "mmengine>=0.10.7,<0.12",
        "mmcls>=1.0.0rc6,<1.1",
        "mmselfsup>=1.0.0,<1.1",
        # Imported by mmsegmentation and mmcls, which do not declare them. mmseg itself comes with
        # the extras: two packages provide it, see docs/stacks.md.
        "ftfy",
        "regex",
        "einops",
        "prettytable",
        "modelindex",
        "tensorboard>=2.15",
    ],
    entry_points={"console_scripts": ["luss = luss.commands:main"]},
    extras_require={
        "cpu": ["faiss-cpu>=1.8", MMCV, "mmsegmentation>=1.2.2,<1.3"],
        "gpu": ["faiss-gpu>=1.8", MMCV, "mmsegmentation>=1.2.2,<1.3"],
        "cpu-onedl": ["faiss-cpu>=1.8", MMCV, "onedl-mmsegmentation>=1.4.2,<1.5"],
        "gpu-onedl": ["faiss-gpu>=1.8", MMCV, "onedl-mmsegmentation>=1.4.2,<1.5"],
        "mmpretrain": ["mmpretrain>=1.2,<1.3"],
        "timm": ["timm>=1.0"],
        "wandb": ["wandb>=0.18"],
        "foreground": FOREGROUND,
        "export": EXPORT,
        "tests": TESTS,
        "dev": [*TESTS, "ruff>=0.9", "pre-commit>=3"],
    },
)
