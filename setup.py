"""Builds the native engine with one CMake run, and puts the shipped specs into the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
APT_LINE = "apt-get install g++ cmake libjpeg-dev libspng-dev zlib1g-dev libcharls-dev libopenjp2-7-dev"


class CMakeBuild(build_ext):
    """``medshard._engine`` is made by CMake; setuptools only says where it goes."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        work = Path(self.build_temp).resolve() / ext.name
        work.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake",
            "-S",
            str(ROOT),
            "-B",
            str(work),
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={work}",
            "-DCMAKE_BUILD_TYPE=Release",
        ]
        if shutil.which("ninja"):
            configure += ["-G", "Ninja"]
        try:
            subprocess.run(configure, check=True)
            subprocess.run(["cmake", "--build", str(work), "--parallel", str(os.cpu_count() or 1)], check=True)
        except FileNotFoundError:
            raise SystemExit(f"medshard: cmake is not there. {APT_LINE}") from None
        except subprocess.CalledProcessError as error:
            raise SystemExit(
                f"medshard: the native engine could not be built (see above; exit code {error.returncode}). "
                f"If a library is missing: {APT_LINE}"
            ) from None
        built = list(work.glob("_engine*.so"))
        if len(built) != 1:
            raise SystemExit(f"medshard: CMake left {len(built)} modules in {work}, expected one")
        # Renamed into place: a process that has the old module mapped keeps it whole.
        waiting = target.with_suffix(".new")
        shutil.copy2(built[0], waiting)
        waiting.replace(target)


class PackageSpecs(build_py):
    """Copies ``specs/`` to ``medshard/_specs``, where an installed package looks for it."""

    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            return  # a checkout has specs/ beside the package
        for path in sorted((ROOT / "specs").rglob("*")):
            if path.suffix in (".yaml", ".json"):
                target = Path(self.build_lib) / "medshard" / "_specs" / path.relative_to(ROOT / "specs")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)


setup(
    packages=find_packages(include=["medshard", "medshard.*"]),
    package_data={"medshard": ["py.typed", "*.pyi", "tasks/templates/*.yaml", "convert/pages/*"]},
    ext_modules=[Extension("medshard._engine", sources=[])],
    cmdclass={"build_ext": CMakeBuild, "build_py": PackageSpecs},
)
