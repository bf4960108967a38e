"""Builds the hosts of tests/install against the package, and runs them."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake


class SockeyeTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeToolchain", "CMakeDeps", "VirtualRunEnv"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        # Away from the sources, which conan would build in.
        self.folders.build = os.path.join(os.environ["CONAN_HOME"], "test_package")
        self.folders.generators = self.folders.build

    def build(self):
        cmake = CMake(self)
        root = os.path.join(self.recipe_folder, "..", "..", "..")
        cmake.configure(build_script_folder=os.path.join(root, "tests", "install"))
        cmake.build()

    def test(self):
        if can_run(self):
            self.run("ctest --output-on-failure --no-tests=error", env="conanrun")
